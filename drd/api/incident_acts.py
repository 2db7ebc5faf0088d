"""What people do in an incident, by the verb. The command line and the socket call the same
functions: an act has the same meaning in both cases."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from drd.api import incident_requests as bodies
from drd.api.action_acts import ACTION_ACTS
from drd.api.incident_documents import incident_document
from drd.api.incident_people import named_person
from drd.api.investigation_acts import INVESTIGATION_ACTS
from drd.api.rotation_acts import ROTATION_ACTS
from drd.api.values import Document
from drd.bootstrap import App
from drd.bootstrap.duties import duty_table
from drd.config.regimes import regimes_of
from drd.errors import UsageError
from drd.flows.incidents.opening import open_incident
from drd.flows.incidents.writing import Desk, require_plans, require_severity
from drd.model.incidents.entries import Author
from drd.model.incidents.incident import Incident
from drd.model.incidents.states import State
from drd.model.obligations.clocks import ClockKind
from drd.model.text import counted, some


def known_plans(app: App) -> set[str]:
    """Return the names of the plans that drd has loaded, or has a file of."""
    return {*app.catalogue.plans.names(), *app.plans.names()}


def acted_document(incident: Incident, desk: Desk) -> Document:
    """Return the incident after an act, with the times that were typed as drd understood them, and
    with notes for the person who acted."""
    return {**incident_document(incident), "times": list(desk.typed), "notes": list(desk.notes)}


def opened(app: App, author: Author, body: bodies.OpenBody) -> Incident:
    """Open an incident, also from a report."""
    require_plans(body.plans, known_plans(app))
    if body.severity:
        require_severity(body.severity, app.settings.severities)
    if body.report is not None:
        return Desk(app.catalogue, body.report, author).open_report(
            body.title, plans=body.plans, severity=body.severity, restricted=body.restricted
        )
    if not body.title:
        raise UsageError(
            "no title given", hint='describe in a few words what happens: drd incident open "TITLE"'
        )
    return open_incident(
        app.catalogue,
        author,
        body.title,
        plans=body.plans,
        severity=body.severity,
        restricted=body.restricted,
    )


def _log(_: App, desk: Desk, body: bodies.LogBody) -> Incident:
    marked = body.star or body.unstar
    given = [word for word in ("correct", "star", "unstar") if getattr(body, word) is not None]
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(given)} cannot be combined", hint="run a separate command for each."
        )
    _require_fitting(body, given)
    if marked:
        return desk.star(marked, on=body.star is not None)
    if body.correct is not None:
        return desk.correct(body.correct, body.text, body.reason, restricted=body.restricted)
    at = desk.past(body.at) if body.at is not None else None
    return desk.log(body.text, at, restricted=body.restricted, measure=body.measure)


def _require_fitting(body: bodies.LogBody, given: Sequence[str]) -> None:
    """Raise UsageError for options that have no effect on a correction or a mark."""
    if not given:
        return
    if body.at is not None:
        raise UsageError(
            f"a time cannot be combined with {given[0]}: {given[0]} does not change "
            "the time of the entry",
            hint="leave out --at. If the time of the entry is wrong, correct its text, or add an "
            "entry with the right time: drd incident log TEXT --at TIME",
        )
    if body.restricted and body.correct is None:
        raise UsageError(
            f"restricted cannot be combined with {given[0]}: a mark cannot be restricted",
            hint="leave out --restricted.",
        )
    if body.measure:
        raise UsageError(
            f"measure cannot be combined with {given[0]}: only a new entry can be a measure",
            hint='write what was done: drd incident log "TEXT" --measure. Give the time with --at.',
        )


def _anchor(_: App, desk: Desk, body: bodies.AnchorBody) -> Incident:
    return desk.anchor(body.moment, desk.past(body.at), body.reason)


def _state(app: App, desk: Desk, body: bodies.StateBody) -> Incident:
    if body.state == State.CLOSED:
        _require_reports(app, desk, body.reason)
    return desk.set_state(body.state, body.reason)


def _severity(app: App, desk: Desk, body: bodies.SeverityBody) -> Incident:
    return desk.set_severity(body.severity, body.reason, app.settings.severities)


def _assign(app: App, desk: Desk, body: bodies.AssignBody) -> Incident:
    return desk.assign(named_person(app, desk, body.to))


def _role(app: App, desk: Desk, body: bodies.RoleBody) -> Incident:
    return desk.give_role(body.role, named_person(app, desk, body.to))


def _task(app: App, desk: Desk, body: bodies.TaskBody) -> Incident:
    if body.done is not None:
        return desk.finish_task(body.done)
    due = desk.coming(body.due) if body.due is not None else None
    return desk.add_task(body.text, named_person(app, desk, body.to), due)


def _scope(app: App, desk: Desk, body: bodies.ScopeBody) -> Incident:
    require_plans(body.add, known_plans(app))
    return desk.change_scope(add=body.add, remove=body.remove, reason=body.reason)


def _decide(_: App, desk: Desk, body: bodies.DecideBody) -> Incident:
    return desk.decide(body.text, body.reason)


def _link(_: App, desk: Desk, body: bodies.LinkBody) -> Incident:
    return desk.link(body.to, body.text)


def _merge(_: App, desk: Desk, body: bodies.MergeBody) -> Incident:
    return desk.merge(body.into, body.reason)


def _close(app: App, desk: Desk, body: bodies.CloseBody) -> Incident:
    _require_reports(app, desk, body.reason)
    return desk.close(body.reason)


ACTS: Mapping[str, tuple[type[bodies.Act], Callable[[App, Desk, Any], Incident]]] = {
    "log": (bodies.LogBody, _log),
    "anchor": (bodies.AnchorBody, _anchor),
    "state": (bodies.StateBody, _state),
    "severity": (bodies.SeverityBody, _severity),
    "assign": (bodies.AssignBody, _assign),
    "role": (bodies.RoleBody, _role),
    "task": (bodies.TaskBody, _task),
    "scope": (bodies.ScopeBody, _scope),
    "decide": (bodies.DecideBody, _decide),
    "link": (bodies.LinkBody, _link),
    "merge": (bodies.MergeBody, _merge),
    "close": (bodies.CloseBody, _close),
    **INVESTIGATION_ACTS,
    **ACTION_ACTS,
    **ROTATION_ACTS,
}
"""What each verb takes, and what it does to the incident, by the name of the verb. Each raises
UsageError."""

_BY_A_ROLE = (
    "ask somebody with a role in the restricted incident that was merged into {number} to close it"
)


def _require_reports(app: App, desk: Desk, reason: str) -> None:
    """Raise UsageError if the incident cannot be closed yet: a report is not submitted, or was late
    and the reason is not recorded, or nobody has decided whether a report is needed and the closing
    has no reason. drd does not send reminders for a closed incident."""
    if not app.catalogue.incidents.get(desk.number).is_open:
        return
    regimes, now = regimes_of(app.settings), desk.author.at
    table = duty_table(app, desk.number, regimes)
    left = [state.regime.id for state in table.unfinished(now)]
    if left:
        known = duty_table(app, desk.number, regimes, desk.entries()).unfinished(now)
        raise _unsubmitted(desk.number, left, {state.regime.id for state in known})
    states = table.states(now)
    unexplained = [state.regime.id for state in states if state.lacks_reason]
    if unexplained:
        mine = duty_table(app, desk.number, regimes, desk.entries()).states(now)
        raise _unexplained(desk.number, unexplained, {s.regime.id for s in mine if s.lacks_reason})
    undecided = [s for s in states if s.kind is ClockKind.UNDECIDED and not s.is_quiet]
    if not undecided:
        return
    fact = (
        f"nobody has decided whether {counted(len(undecided), 'report')} of incident "
        f"{desk.number} {'is' if len(undecided) == 1 else 'are'} needed"
    )
    if not reason.strip():
        raise UsageError(
            fact,
            hint=f"to see these reports: drd incident obligation {desk.number}. To close "
            "the incident without the decisions, add --reason TEXT.",
        )
    mine = duty_table(app, desk.number, regimes, desk.entries()).states(now)
    told = [s.regime.id for s in mine if s.kind is ClockKind.UNDECIDED and not s.is_quiet]
    desk.notes.append(
        f"{fact}: {some(told, 10)}. drd does not send reminders for these reports any more"
    )


def _unexplained(number: int, left: Sequence[str], known: Collection[str]) -> UsageError:
    """Return the error for late reports without a reason; `known` as for `_unsubmitted`."""
    told = [name for name in left if name in known]
    fact = f"nobody has recorded why {counted(len(left), 'report')} of incident {number} came late"
    if not told:
        return UsageError(fact, hint=_BY_A_ROLE.format(number=number))
    return UsageError(
        f"{fact}: {some(told, 10)}",
        hint=f"record the reason: drd incident obligation {number} {told[0]} --late --reason TEXT",
    )


def _unsubmitted(number: int, left: Sequence[str], known: Collection[str]) -> UsageError:
    """Return the error for reports that are not submitted. `known` are those that the person may
    know of: the others follow from entries of a restricted incident that continues in this one."""
    told = [name for name in left if name in known]
    verb = "is" if len(left) == 1 else "are"
    fact = f"{counted(len(left), 'report')} of incident {number} {verb} not submitted"
    hint = _BY_A_ROLE.format(number=number)
    if told:
        fact += f": {some(told, 10)}"
        hint = (
            f"if a report was submitted: drd incident obligation {number} {told[0]} --submitted "
            f"TIME. If the regime does not apply: drd incident obligation {number} {told[0]} "
            "--does-not-apply --reason TEXT"
        )
    if len(told) < len(left):
        fact += f"{'; ' if told else ': '}{len(left) - len(told)} because of restricted entries"
    return UsageError(fact, hint=hint)

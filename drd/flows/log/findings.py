"""Check the repository of a plan's logs, and what drd knows of the logs, for `drd doctor`."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from drd.errors import DrdError
from drd.flows.log.noted import noted_state
from drd.flows.log.repository import log_spec, logged
from drd.flows.services import Services
from drd.model.finding import Finding
from drd.model.log import LogState
from drd.model.log_conditions import log_condition
from drd.model.plan import Plan
from drd.model.text import some
from drd.model.units import format_time

_GAP = "log-gap"


def findings(services: Services, plan: Plan) -> list[Finding]:
    """Return the findings whether drd can reach the repository of the logs, whether they arrive
    there, and whether they have gaps; empty if no component of the plan has a log.
    """
    names = logged(services, plan)
    if not names:
        return []
    subject = plan.primary.name
    of_logs = [finding for name in names for finding in _of_log(services, plan, name)]
    try:
        spec = log_spec(plan)
        services.open_repository(spec).preflight()
    except DrdError as error:
        return [Finding("log-repository", "error", subject, error.message, error.hint), *of_logs]
    text = f"drd stores the log of {some(names)} in {spec.url}"
    if plan.copies:
        text += f", and not in the copies {some([c.name for c in plan.copies])}"
    return [Finding("log-repository", "ok", subject, text), *of_logs]


def _of_log(services: Services, plan: Plan, name: str) -> list[Finding]:
    """Return findings from what the receiver of a log has noted; empty if no receiver has started
    yet."""
    noted = noted_state(services.catalogue.queue, plan.name, name)
    if noted is None:
        return []
    at, state = noted
    return [_arrival(plan, name, state, at, services.clock.now()), *_gaps(plan, name, state)]


def _arrival(plan: Plan, name: str, state: LogState, noted_at: datetime, now: datetime) -> Finding:
    """Return the finding whether the log arrives: with the text of the alert, if there is one."""
    wrong = log_condition(plan.name, name, state, noted_at, now)
    if wrong is not None:
        code = _GAP if state.code == _GAP else "log-arrival"
        # The remedy of an alert of severity warning is `drd doctor`: the person runs this already.
        remedy = state.remedy if wrong.severity == "warning" else ""
        return Finding(
            code, "warning", name, wrong.text, remedy or f"to see more: `{wrong.remedy}`"
        )
    text = f"the log of {name} arrives"
    if state.complete_at is not None:
        at = format_time(state.complete_at, seconds=True)
        text += f"; the repository has everything up to {at}"
    return Finding("log-arrival", "ok", name, text)


def _gaps(plan: Plan, name: str, state: LogState) -> list[Finding]:
    """Return the gaps between the times to which the component can be recovered."""
    found = []
    for (_, left), (begins, _) in pairwise(sorted(state.spans)):
        if begins > left:
            since, until = (format_time(at, seconds=True) for at in (left, begins))
            text = (
                f"the log of {name} has a gap: drd cannot recover {name} to a time between {since} "
                f"and {until}"
            )
            remedy = (
                "the gap cannot be closed. drd reports it until retention has removed the restore "
                f"points from before the gap. To see the times that drd can recover: "
                f"`drd points {plan.name}`"
            )
            found.append(Finding(_GAP, "warning", name, text, remedy))
    return found

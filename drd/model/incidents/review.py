"""Read the record of an incident for its post-mortem: recoveries, what drills had predicted for
them, and promised updates. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from drd.model.incidents import entries as kinds
from drd.model.incidents.affected import Affected
from drd.model.incidents.audiences import Audience
from drd.model.incidents.fold import time_in
from drd.model.incidents.incident import Incident
from drd.model.incidents.investigation import Investigation
from drd.model.incidents.messages import IncidentMessage
from drd.model.incidents.timeline import Line
from drd.model.losses import Loss
from drd.model.obligations.clocks import ClockState
from drd.model.playbook_conditions import Measure
from drd.model.records import Entry, body_of
from drd.model.run import PARTIAL, Evidence, RunKind, StepState, taken_back
from drd.model.step_record import StepRecord
from drd.model.units import format_duration

_LONGER_S = 60.0
"""A smaller difference to the time in the drill is not reported. Seconds."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """A recovery in the record. `state` is its final state, empty while it has not ended. `loss_s`
    is the age of the restored data, `took_s` the time to the end of the checks, in seconds; each is
    None if it was not measured. With `on_purpose`, a person chose the restore point, so its age
    does not count for the RPO. With `partial`, the recovery restored only a part of the service.
    `back` is `undone`, `rolled back` or empty. `data_time` is the time of the oldest restored
    data."""

    run: str
    plan: str
    state: str = ""
    error: str = ""
    result: str = ""
    point: str = ""
    started_at: datetime | None = None
    loss_s: float | None = None
    took_s: float | None = None
    on_purpose: bool = False
    partial: bool = False
    back: str = ""
    data_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Goals:
    """The objectives of a plan in seconds, as the plan in force has them."""

    rpo_s: float
    rto_s: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The last drill of the plan before a recovery began (None if there was none), and how the
    steps of the recovery differed from the steps of this drill."""

    drill: Evidence | None = None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Promise:
    """An update that an audience expected until `due`. `told_at` is None if it was not sent."""

    audience: str
    due: datetime
    told_at: datetime | None = None

    @property
    def is_kept(self) -> bool:
        return self.told_at is not None and self.told_at <= self.due


@dataclass(frozen=True, slots=True)
class Contained:
    """A run of a playbook in the incident, with its temporary `measures`."""

    run: str
    playbook: str
    measures: Sequence[Measure] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """All that is known of an incident at `now`. `goals` has the objectives by plan, and
    `predictions` and `losses` are by the run of a recovery; only plans in which a component has an
    RPO of its own have `losses`. `clocks_unknown` says why there are no clocks. `contained` are the
    runs of playbooks."""

    incident: Incident
    now: datetime
    zone: ZoneInfo
    lines: Sequence[Line] = ()
    affected: Sequence[Affected] = ()
    found: Investigation | None = None
    clocks: Sequence[ClockState] = ()
    clocks_unknown: str = ""
    messages: Sequence[IncidentMessage] = ()
    recoveries: Sequence[Recovery] = ()
    unfinished: Sequence[str] = ()
    goals: Mapping[str, Goals] = field(default_factory=dict)
    predictions: Mapping[str, Prediction] = field(default_factory=dict)
    losses: Mapping[str, Loss] = field(default_factory=dict)
    promises: Sequence[Promise] = ()
    contained: Sequence[Contained] = ()
    warnings: Sequence[str] = ()

    def loss_of(self, one: Recovery) -> Loss | None:
        """Return what a recovery has lost, against the RPO; None if this is not known."""
        goals = self.goals.get(one.plan)
        if goals is None or one.loss_s is None:
            return None
        return self.losses.get(one.run) or Loss("", one.loss_s, goals.rpo_s)


def playbook_runs(entries: Iterable[Entry]) -> dict[str, str]:
    """Return the playbooks that began in the incident, by run."""
    run_names: dict[str, str] = {}
    for entry in entries:
        with suppress(KeyError, ValueError, TypeError, AttributeError):
            if entry.header.kind == kinds.PLAYBOOK:
                body = body_of(entry)
                run_names[str(body["run"])] = str(body["playbook"])
    return run_names


def recoveries(entries: Iterable[Entry]) -> tuple[Recovery, ...]:
    """Return the recoveries that the entries describe, in the order of the entries. The measured
    values are from the signed entries, not from rows, which somebody can have changed."""
    by_id: dict[str, Recovery] = {}
    turns: dict[str, list[str]] = {}
    for entry in entries:
        body = body_of(entry)
        with suppress(KeyError, ValueError, TypeError, AttributeError):
            if entry.header.kind == "decision" and not body.get("step"):
                turns.setdefault(str(body["run"]), []).append(str(body["action"]))
            elif body.get("run_kind") != RunKind.RECOVERY:
                continue
            elif entry.header.kind == "evidence":
                measured = body["evidence"]
                run = str(measured["run"])
                before = by_id.get(run) or Recovery(run, str(measured["plan"]))
                by_id[run] = _measured(before, measured)
            elif entry.header.kind == "run.end":
                run = str(body["run"])
                before = by_id.get(run) or Recovery(run, str(body["plan"]))
                by_id[run] = replace(
                    before,
                    state=str(body["state"]),
                    error=str(body.get("error") or ""),
                    started_at=time_in(body, "started_at") or before.started_at,
                )
    return tuple(
        replace(one, back=taken_back(turns.get(run, ())) or "") for run, one in by_id.items()
    )


def _measured(before: Recovery, measured: Mapping[str, Any]) -> Recovery:
    loss, took = measured.get("rpa_s"), measured.get("rta_s")
    return replace(
        before,
        result=str(measured["result"]),
        point=str(measured.get("point") or ""),
        started_at=time_in(measured, "started_at"),
        loss_s=float(loss) if loss is not None else None,
        took_s=float(took) if took is not None else None,
        on_purpose=measured.get("judged") is False,
        partial=measured.get("scenario") == PARTIAL,
        data_time=time_in(measured, "data_time"),
    )


def unfinished(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the plans with a recovery that has not ended."""
    left: dict[str, None] = {}
    for entry in entries:
        body = body_of(entry)
        if entry.header.kind == kinds.RECOVERY and body.get("plan"):
            left[str(body["plan"])] = None
        elif body.get("run_kind") == RunKind.RECOVERY:
            left.pop(entry.header.subject.partition("/")[0], None)
    return tuple(left)


def promises(incident: Incident, entries: Iterable[Entry], now: datetime) -> tuple[Promise, ...]:
    """Return the updates that an audience expected: the first update about the incident, and those
    that messages promised. Left out are updates that were not sent and are not due yet, or were
    not due when the incident was closed."""
    until, made = incident.closed_at or now, list[Promise]()
    waits: dict[str, datetime] = {}
    first = incident.cadence.first(incident.severity, incident.opened_at or now)
    if first is not None and not incident.sealed:
        waits[Audience.INTERNAL.value] = first
    for entry in entries:
        body = body_of(entry)
        if entry.header.kind != kinds.MESSAGE or body.get("act") != "send":
            continue
        audience, at = str(body.get("audience") or ""), entry.header.at
        due, following = waits.pop(audience, None), time_in(body, "next_update")
        made += [Promise(audience, due, at)] if due is not None else []
        if following is not None:
            waits[audience] = following
    made += [Promise(audience, due) for audience, due in waits.items() if due < until]
    return tuple(sorted(made, key=lambda one: (one.due, one.audience)))


def drill_before(plan_evidence: Iterable[Evidence], began: datetime | None) -> Evidence | None:
    """Return the newest drill of the whole plan that ended before a recovery began."""
    drills = [
        e for e in plan_evidence if e.target is None and (began is None or e.finished_at <= began)
    ]
    return max(drills, key=lambda e: e.finished_at, default=None)


def step_differences(
    real: Iterable[StepRecord], drilled: Iterable[StepRecord], not_rehearsed: Mapping[str, str]
) -> Iterator[str]:
    """Yield a sentence for each step of a recovery that was skipped, failed, was repeated, took
    much longer than in the drill, or was not rehearsed in the drill."""
    known = {(s.kind, s.subject, s.name): s for s in drilled}
    for step in real:
        name = step.subject or step.name
        what = f"step {name}" if not step.subject else f"{step.kind} of {name}"
        if step.state is StepState.SKIPPED:
            reason = f": {step.result.reason}" if step.result.reason else ""
            yield f"{what} was skipped{reason}"
        if step.state in (StepState.FAILED, StepState.CANCELLED):
            yield f"{what} {step.state}{': ' + step.error if step.error else ''}"
        if step.attempt > 1:
            yield f"{what} needed {step.attempt} attempts"
        if name in not_rehearsed and not step.subject:
            yield f"{what} was not rehearsed in the drill: {not_rehearsed[name]}"
        took, before = _took_s(step), _took_s(known.get((step.kind, step.subject, step.name)))
        if is_much_longer(took, before):
            yield f"{what} took {format_duration(took)}, but {format_duration(before)} in the drill"


def is_much_longer(took_s: float | None, before_s: float | None) -> bool:
    """Return whether `took_s` is more than twice `before_s`, and more than a minute longer."""
    if took_s is None or before_s is None:
        return False
    return took_s > max(2 * before_s, before_s + _LONGER_S)


def _took_s(step: StepRecord | None) -> float | None:
    if step is None or step.finished_at is None or step.state is not StepState.SUCCEEDED:
        return None
    return max((step.finished_at - step.started_at).total_seconds(), 0.0)

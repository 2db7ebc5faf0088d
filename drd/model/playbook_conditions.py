"""Conditions for alerts about playbooks: temporary measures that are in effect too long,
interrupted runs, files that were not loaded. Pure.

If a run is in a restricted incident, the conditions name neither the playbook nor its steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from drd.model.alerts import Condition
from drd.model.playbook_names import PREFIX, of_words
from drd.model.run import Run, StepState
from drd.model.run_details import PlaybookDetail
from drd.model.step_record import StepRecord
from drd.model.step_results import ActionStepResult
from drd.model.text import escaped
from drd.model.units import format_time, from_rfc3339

EXPIRES = "expires_at"
"""The key of the result that has the time at which a temporary measure should end."""
EXPIRED = "measure-expired"
"""The kind of an alert about a temporary measure that is still in effect after its time."""
NOT_LOADED = "playbook-not-loaded"
"""The kind of an alert about a playbook that the daemon has not loaded."""
INTERRUPTED = "playbook-unfinished"
"""The kind of an alert about a playbook for whose run no process works."""
CONCEALED = f"{PREFIX}(restricted)"
"""Stands for the name of a playbook that the reader must not know."""


def incident_of(run: Run) -> int | None:
    """Return the incident in which a playbook runs; None if it runs without an incident, or for
    other kinds of runs."""
    return run.detail.incident if isinstance(run.detail, PlaybookDetail) else None


def in_exercise(run: Run) -> bool:
    """Return whether people only practise a playbook. drd raises no alert for such a run."""
    return isinstance(run.detail, PlaybookDetail) and run.detail.is_practised


@dataclass(frozen=True, slots=True)
class Measure:
    """A temporary measure of a playbook's run, of the step with this `record`. `until` is when it
    should have ended. `ended_at` is when it was rolled back; None if this has not happened yet.
    `at` is the number of the record in the run, counted from 1."""

    record: StepRecord
    at: int
    until: datetime
    ended_at: datetime | None = None


def measures(records: Iterable[StepRecord]) -> Iterator[Measure]:
    """Return the temporary measures among the steps of a playbook's run."""
    known = list(records)
    ended = {
        r.subject: r.finished_at or r.started_at
        for r in known
        if r.kind == "rollback" and r.state is StepState.SUCCEEDED
    }
    for at, record in enumerate(known, 1):
        until = _until(record)
        if until is not None:
            yield Measure(record, at, until, ended.get(record.name))


def expired(
    run: Run, records: Iterable[StepRecord], now: datetime, *, hides: bool = False
) -> Iterator[Condition]:
    """Return a condition for each measure of a playbook's run that is still in effect after its
    time. `hides`: the run is in a restricted incident."""
    for measure in measures(records):
        if now < measure.until or measure.ended_at is not None:
            continue
        record = measure.record
        step = f"a step of {_words(run, hides=hides)}"
        if not hides:
            step = f"step {escaped(record.name)} of {_words(run, hides=False)}"
        yield Condition(
            EXPIRED,
            "warning",
            f"{run.id} {f'step {measure.at}' if hides else record.name}",
            f"{step} (run {run.id}) is a temporary measure that should have ended at "
            f"{format_time(measure.until)}, and {stands(record)}",
            f"drd rollback {run.id}",
        )


def interrupted(run: Run, *, hides: bool = False) -> Condition:
    """Return the condition that no process works for the run of a playbook: it died, or a person
    decided about a step after the run had failed, and nobody has continued the run."""
    why = "was interrupted: its process died"
    if run.reopened:
        why = (
            "stopped at a step. A person decided about this step, but nobody has continued the run"
        )
    return Condition(
        INTERRUPTED,
        "critical",
        run.id,
        f"run {run.id} of {_words(run, hides=hides)} {why}. Its steps stay as they are until a "
        "person continues the run (drd resume), rolls it back (drd rollback), or ends it (drd "
        "cancel)",
        f"drd resume {run.id}",
    )


def not_loaded(name: str, why: str) -> Condition:
    """Return the condition that the daemon has not loaded the present text of a playbook."""
    text = f"the present text of playbook {escaped(name)} is not in force: {why}"
    remedy = "drd playbook check && systemctl reload drd"
    return Condition(NOT_LOADED, "warning", name, text, remedy)


def _words(run: Run, *, hides: bool) -> str:
    if hides:
        return f"a playbook of incident {incident_of(run)}"
    return escaped(of_words(run.plan))


def stands(record: StepRecord) -> str:
    """Say, at the end of a sentence, whether the measure of a step is in effect."""
    failed = record.state is not StepState.SUCCEEDED
    return (
        "may still be in effect: the step failed, but may have had an effect"
        if failed
        else "is still in effect"
    )


def _until(record: StepRecord) -> datetime | None:
    counts = record.state in (StepState.SUCCEEDED, StepState.FAILED, StepState.WAITING)
    if not counts or not isinstance(record.result, ActionStepResult):
        return None
    with suppress(ValueError, TypeError):
        return from_rfc3339(record.result.given(EXPIRES))
    return None

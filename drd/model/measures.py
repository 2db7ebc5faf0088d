"""Temporary measures of playbooks that were not rolled back in time, as conditions for alerts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime

from drd.model.alerts import Condition
from drd.model.playbook_names import of_words
from drd.model.run import Run, StepState
from drd.model.step_record import StepRecord
from drd.model.step_results import ActionStepResult
from drd.model.text import escaped
from drd.model.units import format_time, from_rfc3339

EXPIRES = "expires_at"
"""The key of the result that has the time at which a temporary measure should end."""
EXPIRED = "measure-expired"
"""The kind of an alert about a temporary measure that is still in effect after its time."""


def expired(run: Run, records: Iterable[StepRecord], now: datetime) -> Iterator[Condition]:
    """Return a condition for each measure of a playbook's run that is still in effect after its
    time."""
    known = list(records)
    taken = {r.subject for r in known if r.kind == "rollback" and r.state is StepState.SUCCEEDED}
    for record in known:
        until = _until(record)
        if until is None or now < until or record.name in taken:
            continue
        yield Condition(
            EXPIRED,
            "warning",
            f"{run.id} {record.name}",
            f"step {escaped(record.name)} of {escaped(of_words(run.plan))} (run {run.id}) is a "
            f"temporary measure that should have ended at {format_time(until)}, and "
            f"{_stands(record)}",
            f"drd rollback {run.id}",
        )


def _stands(record: StepRecord) -> str:
    failed = record.state is not StepState.SUCCEEDED
    return (
        "may still be in effect: the step failed, but may have happened"
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

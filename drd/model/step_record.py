"""A step of a run, as the catalogue has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from drd.model import former_rows
from drd.model.cause import Cause
from drd.model.run import StepState
from drd.model.step_results import StepResult

CAPTURE = "capture"
"""The kind of the steps that capture a component."""
RESTORE = "restore"
"""The kind of the steps that restore one component. Steps of a runbook have it too, without a
subject.
"""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of a run. `subject` is the component, step, repository or point of one of drd's own
    steps; steps of a runbook have none. `result` is in the class of the step's kind
    (`drd.model.step_results`). A step whose state is `succeeded` never runs again.
    """

    run: str
    name: str
    kind: str
    state: StepState
    attempt: int
    started_at: datetime
    finished_at: datetime | None = None
    result: StepResult = field(default_factory=StepResult)
    error: str | None = None
    waiting_for: str | None = None
    subject: str = ""
    remedy: str = ""

    @property
    def cause(self) -> Cause | None:
        """Return why the step failed; None if it recorded no error."""
        return Cause(self.error, remedy=self.remedy) if self.error is not None else None


def completed(record: StepRecord) -> StepRecord:
    """Return the record with its subject, and with its remedy apart from its error. A process that
    an earlier version of drd started still writes both as that version did, after the migration.
    """
    subject = record.subject or former_rows.subject_of(record.kind, record.name)
    error, remedy = record.error, record.remedy
    if error is not None and not remedy and former_rows.contains_remedy(error):
        error, remedy = former_rows.cause_of(error)
    return replace(record, subject=subject, error=error, remedy=remedy)


def step_about(records: Iterable[StepRecord], kind: str, subject: str) -> StepRecord | None:
    """Return the step of this kind that is about `subject`: the restore of a component, or the
    rollback of a step; None if it never began.
    """
    return next((r for r in records if (r.kind, r.subject) == (kind, subject)), None)

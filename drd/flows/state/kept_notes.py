"""What a recovery noted about the kept copies of the data that it replaced."""

from __future__ import annotations

from drd.model.run import SET_ASIDE as STEP
from drd.model.run import Run, RunKind
from drd.model.step_results import AsideStepResult
from drd.ports import Aside, Catalogue


def noted(catalogue: Catalogue, run: Run) -> list[Aside]:
    """Return the kept copies of the run at the last check."""
    return list(last_note(catalogue, run).aside)


def last_note(catalogue: Catalogue, run: Run) -> AsideStepResult:
    """Return what the last check of the run's kept copies found; empty if there was no check."""
    if run.kind is RunKind.RECOVERY:
        for record in catalogue.steps.of_run(run.id):
            if record.name == STEP and isinstance(record.result, AsideStepResult):
                return record.result
    return AsideStepResult()

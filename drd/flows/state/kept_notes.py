"""What a recovery noted of the copies that it kept of what it replaced."""

from __future__ import annotations

from drd.model.run import SET_ASIDE as STEP
from drd.model.run import Run, RunKind
from drd.model.step_results import AsideStepResult
from drd.ports import Aside, Catalogue


def noted(catalogue: Catalogue, run: Run) -> list[Aside]:
    """Return the kept copies of the run at the last check."""
    if run.kind is not RunKind.RECOVERY:
        return []
    results = (r.result for r in catalogue.steps.of_run(run.id) if r.name == STEP)
    return [a for r in results if isinstance(r, AsideStepResult) for a in r.aside]

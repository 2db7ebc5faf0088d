"""How a runbook ended: which steps a drill rehearsed, and which failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drd.model.cause import Cause
from drd.model.check_words import STEP_SUCCEEDS
from drd.model.coverage import Coverage
from drd.model.run import CheckResult, CheckVerdict, StepState
from drd.model.runbook import LOOKING, Step


@dataclass
class Outcome:
    """How a runbook ended. `succeeded` means that no step blocked it. `through` means that no step
    is left to execute, even if checks failed. `fatal` means that a step that is not a check has
    failed for good. `states` has every step that was begun or left out, `causes` why a step failed
    or was left out, `never` the steps that the run did not reach."""

    succeeded: bool = False
    states: dict[str, StepState] = field(default_factory=dict)
    through: bool = False
    fatal: bool = False
    causes: dict[str, Cause] = field(default_factory=dict)
    never: tuple[str, ...] = ()


def rehearsed(
    steps: Mapping[str, Step], outcome: Outcome, *, grants: bool = True
) -> tuple[Coverage, tuple[tuple[str, str], ...]]:
    """Return how much of the runbook a drill executed, and what it did not execute, each with the
    reason. Either the drill `grants` approvals itself, or people answer them.
    """
    left_out: list[tuple[str, str]] = []
    simulated: list[tuple[str, str]] = []
    granted: list[str] = []
    failed = [n for n, s in outcome.states.items() if s is StepState.FAILED]
    for name, step in steps.items():
        state = outcome.states.get(name)
        if state is StepState.SKIPPED:
            left_out.append((name, outcome.causes[name].text))
        elif state not in (StepState.SUCCEEDED, StepState.FAILED):
            left_out.append(
                (
                    name,
                    f"step {', '.join(failed)} failed before this step"
                    if failed
                    else ("the drill ended before this step"),
                )
            )
        elif step.rehearse == "simulate":
            simulated.append((name, " ".join(step.stand_in)))
        elif step.kind == "approve" and grants:
            granted.append(name)
    count = len(steps)
    coverage = Coverage(count - len(left_out), count, tuple(simulated), tuple(granted))
    return coverage, tuple(left_out)


def failures(steps: Mapping[str, Step], outcome: Outcome) -> list[CheckResult]:
    """Return a row for each failed step whose failure no other row reports."""
    rows = []
    for name, state in outcome.states.items():
        step = steps[name]
        if state is not StepState.FAILED or step.kind in LOOKING:
            continue
        passed_over = step.on_failure == "continue"
        rows.append(
            CheckResult(
                f"step {name}",
                None,
                CheckVerdict.NOT_RUN if passed_over else CheckVerdict.FAILED,
                ("failure ignored: " if passed_over else "") + outcome.causes[name].line,
                STEP_SUCCEEDS,
                part=passed_over,
                looked_at_data=False,
            )
        )
    return rows

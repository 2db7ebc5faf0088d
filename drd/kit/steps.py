"""The steps of a runbook in words, for printing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drd.actions.command import in_backticks
from drd.model.plan import Plan
from drd.model.runbook import Ask, Notice, Step, Wait
from drd.model.text import either
from drd.model.units import format_duration
from drd.registry import ACTIONS


@dataclass(frozen=True, slots=True)
class PrintedStep:
    """One line of the order of work. `role` is who must act, empty for the operator."""

    name: str
    does: str
    role: str = ""


def printed_steps(plan: Plan) -> tuple[PrintedStep, ...]:
    """Return the steps of the plan's runbook in their order, in words."""
    return tuple(
        PrintedStep(step.name, step_in_words(plan, step), _role(step)) for step in plan.runbook
    )


def step_in_words(plan: Plan, step: Step) -> str:
    """Describe what a step does, and when, unless it simply follows the step above."""
    return "; ".join([_does(plan, step), *_terms(step)])


def _role(step: Step) -> str:
    return step.settings.role or "" if isinstance(step.settings, Ask) else ""


def _does(plan: Plan, step: Step) -> str:
    if step.kind == "restore":
        return "restore " + ", ".join(
            f"{name} ({plan.components[name].kind})" for name in step.subjects
        )
    if step.kind == "check":
        checks = {c.name: c for c in plan.checks}
        return "run the checks " + "; ".join(
            f"{name} ({checks[name].kind})" if name in checks else name for name in step.subjects
        )
    return _by_settings(step)


def _by_settings(step: Step) -> str:
    """Describe what a step does, by the settings of its kind."""
    match step.settings:
        case Ask(text=text, role=role):
            verb = "approves" if step.kind == "approve" else "does this by hand"
            return f"{role or 'somebody'} {verb}" + (f": {text}" if text else "")
        case Notice(text=text):
            return f"send a message: {text}"
        case Wait(seconds=seconds):
            return f"wait {format_duration(seconds)}"
    return ACTIONS[step.kind].in_words(step.settings)


def _terms(step: Step) -> Iterator[str]:
    """Describe when the step runs, beside which others, and what happens if it fails."""
    if step.needs is not None:
        yield (f"waits only for step {', '.join(step.needs)}" if step.needs else "starts at once")
    if step.group is not None:
        yield f"runs at the same time as the other steps of group {step.group}"
    if step.when is not None:
        when = step.when
        if when.scenarios:
            yield f"only in scenario {either(when.scenarios)}"
        if when.targets:
            yield f"only for target {either(when.targets)}"
        if when.step is not None:
            yield f"only if step {when.step} has {either(str(e) for e in when.ended)}"
    if step.on_failure == "continue":
        yield "if this step fails, the recovery continues"
    if step.rollback is not None:
        yield f"rolled back by {in_backticks(step.rollback.command)}"

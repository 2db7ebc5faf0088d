"""Find the components of the plan for which a drill proves nothing: they were not restored, or
nothing of them was compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drd.flows.components.restoration import Restoration
from drd.flows.runbook.engine import Engine
from drd.model.drill_facts import Unproven
from drd.model.drill_verdicts import EMPTY, IN_NO_STEP, NO_CHECK
from drd.model.run import CheckResult, CheckVerdict, StepState


def unproven(work: Restoration, engine: Engine) -> tuple[Unproven, ...]:
    """Return the components, each with the reason; parts that the runbook leaves out of drills for
    a reason do not count.
    """
    left_out = set(_left_out(work, engine))
    steps = engine.steps.values()
    meant = {name for s in steps if s.kind == "restore" for name in s.subjects}
    unproven_components = []
    for name, component in work.plan.components.items():
        if name in left_out:
            continue
        if name not in work.restored:
            unproven_components.append(_not_restored(name, meant=name in meant))
            continue
        snapshot = work.point.component(name)
        seen = snapshot.fingerprint if snapshot is not None else None
        empty = seen is not None and seen.was_empty(may_be_empty=component.may_be_empty)
        if (why := _not_compared(name, engine.check_results)) is not None:
            code = EMPTY if empty else "not-compared"
            unproven_components.append(
                Unproven(name, why, code) if why else _unseen(name, empty=empty)
            )
        elif seen and (why := seen.says_nothing(may_be_empty=component.may_be_empty)):
            code = EMPTY if empty else "not-compared"
            unproven_components.append(Unproven(name, f"not compared: {why}", code))
    return tuple(unproven_components)


def _not_restored(name: str, *, meant: bool) -> Unproven:
    if meant:
        return Unproven(name, "not restored", "not-restored")
    return Unproven(name, "not restored, because no step of the runbook restores it", IN_NO_STEP)


def _unseen(name: str, *, empty: bool) -> Unproven:
    return Unproven(
        name,
        "not compared with the backup, because no check read its data",
        EMPTY if empty else NO_CHECK,
    )


def _left_out(work: Restoration, engine: Engine) -> Iterator[str]:
    """Return what steps with `rehearse: skip` would have restored or checked."""
    components = {check.name: check.component for check in work.plan.checks}
    for name, step in engine.steps.items():
        if step.rehearse != "skip" or engine.outcome.states.get(name) is not StepState.SKIPPED:
            continue
        if step.kind == "restore":
            yield from step.subjects
        elif step.kind == "check":
            yield from (c for s in step.subjects if (c := components.get(s)) is not None)


def _not_compared(component: str, checks: Sequence[CheckResult]) -> str | None:
    """Return why nothing was compared; None if a check has read the data and passed; empty if no
    check looked at it.
    """
    own = [c for c in checks if c.component == component and c.looked_at_data and not c.part]
    if any(c.verdict is CheckVerdict.PASSED for c in own):
        return None
    missed = [c for c in own if c.verdict is CheckVerdict.NOT_RUN]
    if missed:
        return f"not compared: {missed[0].observed}"
    return f'not compared with the backup, because check "{own[0].name}" failed' if own else ""

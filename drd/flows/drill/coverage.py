"""Which components of the plan a drill says nothing about: they did not come back, or nothing of
them was compared."""

from __future__ import annotations

from collections.abc import Iterator

from drd.flows.restore.components import Restoration
from drd.flows.runbook.engine import Engine
from drd.model.rehearsals import IN_NO_STEP, NOT_LOOKED_AT
from drd.model.run import CheckResult, CheckVerdict, StepState
from drd.model.snapshot import ComponentSnapshot

Unproven = tuple[tuple[str, str], ...]


def unproven(work: Restoration, engine: Engine) -> Unproven:
    """By component, with why; what the runbook leaves out of drills for a reason costs nothing."""
    left_out = set(_left_out(work, engine))
    steps = engine.steps.values()
    meant = {name for s in steps if s.kind == "restore" for name in s.subjects}
    found = []
    for name, component in work.plan.components.items():
        if name in left_out:
            continue
        if name not in work.restored:
            found.append((name, "not restored" if name in meant else IN_NO_STEP))
        elif (why := _not_compared(name, work.checks)) is not None:
            found.append((name, why))
        elif why := _nothing_to_compare(work.point.component(name), component.may_be_empty):
            found.append((name, f"not compared: {why}"))
    return tuple(found)


def _nothing_to_compare(snapshot: ComponentSnapshot | None, may_be_empty: bool) -> str:
    """Why the captured component itself proves nothing, whichever check has passed: it was empty,
    or may be torn."""
    if snapshot is None or snapshot.fingerprint is None:
        return ""
    return snapshot.fingerprint.says_nothing(may_be_empty=may_be_empty)


def _left_out(work: Restoration, engine: Engine) -> Iterator[str]:
    """What steps with `rehearse: skip` would have restored or looked at."""
    components = {check.name: check.component for check in work.plan.checks}
    for name, step in engine.steps.items():
        if step.rehearse != "skip" or engine.states.get(name) is not StepState.SKIPPED:
            continue
        if step.kind == "restore":
            yield from step.subjects
        elif step.kind == "check":
            yield from (c for s in step.subjects if (c := components.get(s)) is not None)


def _not_compared(component: str, checks: list[CheckResult]) -> str | None:
    """None when a check has looked at its data and passed."""
    own = [c for c in checks if c.component == component and c.looked_at_data and not c.part]
    if any(c.verdict is CheckVerdict.PASSED for c in own):
        return None
    missed = [c for c in own if c.verdict is CheckVerdict.NOT_RUN]
    if missed:
        return f"not compared: {missed[0].observed}"
    return f"not compared: {NOT_LOOKED_AT}"

"""Which recoveries a plan allows, for the doctor: this is decided before the bad day."""

from __future__ import annotations

from drd.model.finding import Finding
from drd.model.finding_codes import TARGETS
from drd.model.plan import Plan
from drd.ports import Ability
from drd.registry import KINDS


def findings(plan: Plan) -> list[Finding]:
    """Say which recoveries the plan allows: to its targets, or in place alone."""
    placed = {name for target in plan.targets.values() for name in target.components}
    without = [name for name in plan.components if name not in placed]
    able = [
        n
        for n, c in plan.components.items()
        if Ability.IN_PLACE in KINDS[c.kind].of(c.settings).can
    ]
    if not without:
        text = f"every component has a place to recover to: {', '.join(plan.targets)}"
        text += ", or in place" if len(able) == len(plan.components) else ""
        text += f" (drd readiness {plan.name} checks whether these places are ready"
        if any(KINDS[component.kind].grants for component in plan.components.values()):
            text += f"; drd doctor {plan.name} --grants says what a recovery in place needs"
        text += ")"
        return [Finding(TARGETS, "ok", "", text)]
    in_place = [n for n in without if n in able]
    never = [n for n in without if n not in in_place]
    missing = (
        f"no target has a place for {', '.join(without)}" if placed else "the plan has no target"
    )
    facts = [missing]
    if in_place:
        these = f"of {', '.join(in_place)} " if placed or never else ""
        how = f"drd recover {plan.name} --in-place"
        facts.append(f"a recovery {these}is possible only in place ({how})")
    if never:
        facts.append(f"a recovery of {', '.join(never)} is not possible")
    remedy = (
        f"add a target under `targets` in {plan.file} before a recovery needs one. "
        "docs/recovery.md has an example"
    )
    return [Finding(TARGETS, "warning", "", "; ".join(facts), remedy)]

"""Names of a plan's components: in requests, and in the commands of remedies."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from drd.errors import UsageError
from drd.model.plan import Plan
from drd.model.text import in_commands
from drd.registry import KINDS


def require_components(plan: str, known: Collection[str], asked: Iterable[str]) -> None:
    """Raise UsageError for the first component that the plan does not have."""
    for name in asked:
        if name not in known:
            raise UsageError(
                f"plan {plan} has no component {name!r}",
                hint=f"choose one of the plan's components: {', '.join(known)}.",
            )


def remedy_with_names(remedy: str, plan: Plan, component: str) -> str:
    """Put the plan and the component into the commands of a remedy, and the kind into the command
    for the script of rights, if the servers of the plan cannot read the same script."""
    remedy = in_commands(remedy, plan=plan.name, component=component)
    scripts = {c.kind for c in plan.components.values() if KINDS[c.kind].grants}
    if component and len(scripts) > 1:
        words = f"drd doctor {plan.name} --grants"
        remedy = remedy.replace(words, f"{words} --kind {plan.components[component].kind}")
    return remedy

"""Refuse a request for a component that the plan does not have."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from drd.errors import UsageError


def require_components(plan: str, known: Collection[str], asked: Iterable[str]) -> None:
    """Raise UsageError for the first component that the plan does not have."""
    for name in asked:
        if name not in known:
            raise UsageError(
                f"plan {plan} has no component {name!r}",
                hint=f"choose one of the plan's components: {', '.join(known)}.",
            )

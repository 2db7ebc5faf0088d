"""Describe how people repair known damage of a repository. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from drd.errors import Repair

_IN_A_COMMAND = 5
"""The largest number of restore points that a command names."""


def repair_ways(
    plan: str,
    repository: str,
    repair: Repair,
    affected: Sequence[str] | None,
    others: Sequence[str],
    *,
    is_copy: bool,
) -> list[str]:
    """Return the ways to end the damage, one a line. `repair` is the part that restic can repair.
    `affected` are the restore points that need it, None if nobody can tell; `others` are the plan's
    repositories that hold all of these points.
    """
    again = f"drd verify {plan} --repository {repository}"
    lines = []
    if affected and others:
        lines.append(
            f"until the repository is repaired, recover with drd recover … --repository {others[0]}"
        )
    points = " ".join((affected or ["POINT"])[:_IN_A_COMMAND])
    forget = f"drd points forget {points} --repository {repository} --reason TEXT"
    store = [f"drd backup {plan}"]
    if is_copy:  # what it still lists is not copied again
        store = [*([forget] if others else []), f"drd copy {plan} --repository {repository}"]
    lines.append(f"repair the repository with {', then '.join([*_repair(repair), *store, again])}")
    if affected and not (is_copy and others):
        lines.append(f"forget the points that stay damaged: {forget}")
    lines.append(
        f"new {'copies' if is_copy else 'backups'} depend on the damaged data: repair the "
        "repository soon, or give the plan a new repository"
    )
    return lines


def _repair(what: Repair) -> list[str]:
    """Return the commands for a repair with restic; none if its index has already dropped what is
    gone.
    """
    if what == "none":
        return []
    return [f"restic repair {what} (docs/copies.md, Repairing a repository)"]

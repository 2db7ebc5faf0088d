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
    """Return the ways to repair the damage, one in each line. `repair` is the part that restic can
    repair. `affected` are the restore points that need it, None if drd cannot find out; `others`
    are the plan's repositories that hold all of these points.
    """
    again = f"drd verify {plan} --repository {repository}"
    lines = []
    if affected and others:
        lines.append(
            f"until the repository is repaired, recover with `drd recover {plan} … --repository "
            f"{others[0]}`"
        )
    points = " ".join((affected or ["POINT"])[:_IN_A_COMMAND])
    forget = f"drd points forget {points} --repository {repository} --reason TEXT"
    store = [f"drd backup {plan}"]
    if is_copy:  # what it still lists is not copied again
        store = [*([forget] if others else []), f"drd copy {plan} --repository {repository}"]
    steps = [*_repair(repair), *_commands(*store, again)]
    lines.append(f"repair the repository with {', then '.join(steps)}")
    if affected and not (is_copy and others):
        lines.append(f"forget the points that stay damaged: {forget}")
    lines.append(
        f"until the repository is repaired, new {'copies' if is_copy else 'backups'} may depend "
        "on the damaged data, too: repair it soon, or give the plan a new repository"
    )
    return lines


def others_repair(
    plan: str,
    repository: str,
    repair: Repair | None,
    hint: str,
    affected: Sequence[str] | None,
) -> list[str]:
    """Return the repair of copies that another tool makes: drd changes nothing there. `hint` is
    what the other tool says, `repair` what restic can repair; None if another tool made them."""
    lines = [hint]
    if repair is not None:
        lines = [f"repair the repository with {command}" for command in _repair(repair)]
    again = f"drd verify {plan} --repository {repository}"
    lines.append(f"let the other tool make a new copy, then `{again}`")
    if affected is None or affected:
        lines.append(f"to see whether a copy can be restored: drd drill {plan} --point POINT")
    return [line for line in lines if line]


def _repair(what: Repair) -> list[str]:
    """Return the commands for a repair with restic; none if its index has already dropped what is
    gone.
    """
    if what == "none":
        return []
    return [f"`restic repair {what}` (docs/copies.md, Repairing a repository)"]


def _commands(*commands: str) -> list[str]:
    return [f"`{command}`" for command in commands]

"""How people end known damage of a repository, in lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence

_IN_A_COMMAND = 5
"""Points that a command names."""


def ways_out(
    plan: str,
    repository: str,
    affected: Sequence[str] | None,
    others: Sequence[str],
    *,
    is_copy: bool,
) -> list[str]:
    """`affected` are the restore points that need what is damaged, None where nobody can tell;
    `others` the plan's repositories that hold all of these."""
    again = f"drd verify {plan} --repository {repository}"
    lines = []
    if affected and others:
        lines.append(f"until it is mended, recover from {others[0]}: --repository {others[0]}")
    packs = "restic repair packs (docs/copies.md, Mending a repository)"
    store = f"drd copy {plan} --repository {repository}" if is_copy else f"drd backup {plan}"
    lines.append(f"mend it with {packs}, then {store}, then {again}")
    if affected:
        points = " ".join(affected[:_IN_A_COMMAND])
        lines.append(
            f"give up what stays damaged: drd points forget {points} --repository {repository} "
            "--reason …"
        )
    lines.append(
        f"new {'copies' if is_copy else 'backups'} build on what is damaged: do it soon, or give the plan a new repository"
    )
    return lines

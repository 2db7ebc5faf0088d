"""What to say about restore points whose plan has no file any more. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from drd.model.text import counted, noun

BELONG = "restore points are stored under the name of their plan"


def left_words(plan: str, left: Mapping[str, int]) -> tuple[str, str]:
    """Return the fact and the remedy for points in the repositories of `plan`. `left` has their
    number by the name of the plan that made them, at least one."""
    points = " and ".join(
        f"{counted(number, 'restore point')} of plan {name}" for name, number in left.items()
    )
    files = noun(len(left), "the file of that plan", "the files of those plans")
    text = (
        f"the repositories of plan {plan} contain {points}, but this host does not have {files}: "
        f"plan {plan} does not restore or forget {noun(sum(left.values()), 'it', 'them')}"
    )
    name = next(iter(left))
    remedy = (
        f"{BELONG}. If {plan} is plan {name} with a new name, write `plan: {name}` in its file "
        f"again. If it is another plan, restore {files}"
    )
    return text, remedy

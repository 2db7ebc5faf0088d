"""Which restore point has no data from after the first sign of an incident, and can be relied on.
Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from drd.model.adopted import with_copy
from drd.model.row_loss import RowLoss
from drd.model.snapshot import RestorePoint
from drd.model.text import counted, some
from drd.model.unusual import Changes

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Drilled:
    """The last drill of a point that came to a result. `restored` is false if the drill could not
    restore the data."""

    run: str
    at: datetime
    result: Literal["passed", "failed"]
    restored: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A restore point as far as a choice needs it. No data in it is newer than `until`. `doubts`
    are the reasons why it cannot be relied on, each a sentence without an end; without any it is
    sound."""

    point: RestorePoint
    until: datetime
    doubts: tuple[str, ...] = ()
    drill: Drilled | None = None

    def is_before(self, sign: datetime) -> bool:
        """Return whether all of its data is from before the sign."""
        return self.until < sign


def data_until(point: RestorePoint, freezes: Callable[[str], bool]) -> datetime:
    """Return since when a point has no newer data: the latest moment that one of its components was
    frozen at, or that drd stored it until, if its kind cannot be frozen (`freezes`)."""
    times = [point.data_time]
    for one in point.components:
        if one.data_time is None:
            continue
        times.append(one.data_time)
        if one.state == "captured" and not freezes(one.kind):
            took = timedelta(seconds=one.duration_s)
            times.append(one.data_time + took if took else point.available_at)
    return max(times)


@dataclass(frozen=True, slots=True)
class Described:
    """What a recovery of a candidate would lose up to now, and what changed against the point
    before it. `rows` are those of each database for which a loss is known; `uncounted` are the
    components for which it is not. `compared` is the id of the point before; None: there is none,
    or it was not compared."""

    of: Candidate
    loss_s: float
    rows: tuple[RowLoss, ...]
    uncounted: tuple[str, ...]
    compared: str | None
    changes: Changes


def clean_choice(candidates: Iterable[Candidate], sign: datetime) -> Candidate | None:
    """Return the newest sound point whose data is all from before the sign."""
    fit = [one for one in candidates if not one.doubts and one.is_before(sign)]
    return max(fit, key=lambda one: (one.point.data_time, one.point.available_at), default=None)


def why_chosen(chosen: Candidate, candidates: Sequence[Candidate], sign: datetime) -> str:
    """Say why a point is the choice, and which newer ones from before the sign are not."""
    words = "it is the newest complete restore point whose data is all from before the first sign"
    passed_over = [
        one
        for one in candidates
        if one.doubts and one.is_before(sign) and one.point.data_time > chosen.point.data_time
    ]
    if passed_over:
        words += f", without {_doubtful(passed_over)}"
    is_drilled = chosen.drill is not None and chosen.drill.result == "passed"
    return f"{words}; {'a drill of it passed' if is_drilled else 'no drill has tried it'}"


def why_none(plan: str, candidates: Sequence[Candidate], sign: datetime) -> tuple[str, str]:
    """Say why no point of a plan is clean, and what a person can do."""
    before = [one for one in candidates if one.is_before(sign)]
    if not candidates:
        return (
            f"drd knows no restore point of {plan}",
            f"if a repository has some: drd catalogue rebuild {plan}",
        )
    if not before:
        which = (
            f"all {len(candidates)} restore points of {plan} have"
            if len(candidates) > 1
            else f"the only restore point of {plan} has"
        )
        remedy = (
            "look for an older copy elsewhere, such as another repository or a copy of another "
            "tool. Or recover the oldest restore point, and look at what changed before you use it"
        )
        return f"{which} data from after the first sign", f"{remedy}: drd points {plan}"
    first = before[0].point.id
    fact = (
        f"{plan} has {counted(len(before), 'restore point')} from before the first sign, and drd "
        f"can rely on none of them: {_doubtful(before)}"
    )
    remedy = f"to try one again: drd drill {plan} --point {first}. To recover it all the same: drd"
    return fact, f"{remedy} recover {plan} --point {first}"


def _doubtful(candidates: Sequence[Candidate]) -> str:
    told = [f"{with_copy(one.point)} ({one.doubts[0]})" for one in candidates]
    return some(told, _NAMED)

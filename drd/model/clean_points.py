"""Choose the clean restore point: sound, and all of its data is from before the first sign of an
incident. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from drd.model.adopted import with_copy
from drd.model.row_loss import RowLoss
from drd.model.snapshot import RestorePoint
from drd.model.text import counted, noun, some
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
    """A restore point that can be chosen. Its data is not newer than `until`. `doubts` are the
    reasons why it is not sound, each a sentence without a full stop; a point without doubts is
    sound."""

    point: RestorePoint
    until: datetime
    doubts: tuple[str, ...] = ()
    drill: Drilled | None = None

    def is_before(self, sign: datetime) -> bool:
        """Return whether all data of the point is from before the first sign."""
        return self.until < sign


def data_until(point: RestorePoint, freezes: Callable[[str], bool]) -> datetime:
    """Return the time of the newest data that a point can contain: the latest, over its components,
    of the time at which a component was frozen. `freezes` says whether a kind can be frozen; if
    not, the time at which drd had stored the component counts."""
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
    """What a recovery of a candidate would lose, and what changed since the previous point.
    `loss_s` is the age of its data in seconds. `rows` are the lost rows of each database for which
    drd knows them; `uncounted` are the components for which drd does not. `compared` is the id of
    the previous point; None if there is no previous point or drd did not compare it."""

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
    """Return why a point is chosen, and why newer points from before the sign are not."""
    words = "it is the newest complete restore point whose data is all from before the first sign"
    passed_over = [
        one
        for one in candidates
        if one.doubts and one.is_before(sign) and one.point.data_time > chosen.point.data_time
    ]
    if passed_over:
        words += f"; newer points are not sound: {_doubtful(passed_over)}"
    is_drilled = chosen.drill is not None and chosen.drill.result == "passed"
    tested = "a drill of this point passed" if is_drilled else "no drill has tested this point"
    return f"{words}; {tested}"


def why_none(plan: str, candidates: Sequence[Candidate], sign: datetime) -> tuple[str, str]:
    """Return why a plan has no clean point, and what a person can do."""
    before = [one for one in candidates if one.is_before(sign)]
    if not candidates:
        return (
            f"drd does not know any restore point of {plan}",
            f"to search its repositories for restore points: drd catalogue rebuild {plan}",
        )
    if not before:
        which = (
            f"all {len(candidates)} restore points of {plan} have"
            if len(candidates) > 1
            else f"the only restore point of {plan} has"
        )
        remedy = (
            "search for an older copy elsewhere, such as another repository or a copy of another "
            "tool. If there is none, recover the oldest restore point, and check what changed "
            "before you use it. To see all restore points"
        )
        return f"{which} data from after the first sign", f"{remedy}: drd points {plan}"
    first = before[0].point.id
    fact = (
        f"{plan} has {counted(len(before), 'restore point')} from before the first sign, but "
        f"{noun(len(before), 'this point', 'each of them')} is not sound: {_doubtful(before)}"
    )
    remedy = (
        f"to drill point {first} again: drd drill {plan} --point {first}. To recover this point"
    )
    return fact, f"{remedy} all the same: drd recover {plan} --point {first}"


def _doubtful(candidates: Sequence[Candidate]) -> str:
    told = [f"{with_copy(one.point)} ({one.doubts[0]})" for one in candidates]
    return some(told, _NAMED)

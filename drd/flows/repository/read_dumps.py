"""Read the packed dumps of another tool to their end before they count as restore points.

Only the end of a packed dump shows whether it is whole, or the tool was stopped while it wrote.
Each dump is read once: the catalogue notes the answer with its point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from drd.errors import DrdError
from drd.flows.services import Services
from drd.model.copy_names import READ, TO_DRILL, TO_READ, TO_READ_NOW, is_to_read, reading
from drd.model.plan import Plan
from drd.model.run import DrillResult
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.model.text import counted
from drd.model.units import format_size
from drd.ports import Repository
from drd.ports.adopted import ReadToEnd

_EVIDENCE = 1000
_TELL = 1 << 30
"""If the dumps together have so many bytes, drd says beforehand that it reads them."""


@dataclass(frozen=True, slots=True)
class ReadingTime:
    """How long a listing reads dumps, in seconds: after `begin_s` it begins no further dump, and it
    reads each dump for at most `each_s`. `until_whole`: it stops at the first dump that is
    whole."""

    begin_s: float
    each_s: float
    until_whole: bool = False


IN_BACKGROUND = ReadingTime(300.0, 3 * 3600.0)
BEFORE_A_CHOICE = ReadingTime(60.0, 60.0, until_whole=True)
"""Before a drill or a recovery chooses a point. The restore itself then reads the whole dump."""
WHILE_CHECKING = ReadingTime(20.0, 20.0, until_whole=True)


def waits(point: RestorePoint) -> bool:
    """Return whether drd or a drill must still read a dump of the point to its end."""
    return any(_waits(row) for row in point.components)


def usable(points: Sequence[RestorePoint]) -> list[RestorePoint]:
    """Return the points. Points that lack nothing, except that their dumps were not read, are
    returned as complete: they do not count yet, but a drill or a recovery can choose them, because
    a restore reads the dump to its end."""
    return [replace(p, complete=True) if _only_waits(p) else p for p in points]


def settle_drilled(services: Services, plan: Plan) -> None:
    """Mark the points as read that a drill has restored: the drill has read their dumps to the
    end."""
    if not plan.made_by:
        return
    waiting = [p for p in services.catalogue.points.of_plan(plan.name) if waits(p)]
    restored = _restored(services, plan) if waiting else set()
    for point in waiting:
        if point.id in restored:
            services.catalogue.points.record(_with(point, _whole), at=services.clock.now())


class DumpReader:
    """Reads the dumps of points that were not read yet, one after the other."""

    def __init__(
        self, services: Services, plan: Plan, repository: Repository, time: ReadingTime
    ) -> None:
        self.services = services
        self.plan = plan
        self.repository = repository
        self._time = time
        self._until = services.clock.monotonic() + time.begin_s
        self._done = False

    @cached_property
    def _drilled(self) -> set[str | None]:
        return _restored(self.services, self.plan)

    def announce(self, points: Sequence[RestorePoint]) -> None:
        """Say that large dumps will be read."""
        size = sum(p.size_bytes for p in points)
        if size >= _TELL and not self._time.until_whole:
            self.services.note(
                f"drd reads {counted(len(points), 'packed dump')} ({format_size(size)}) to the end "
                "once, the newest first, and goes on at the next listings. A dump that was not "
                "read yet does not count as a restore point"
            )

    def read(self, point: RestorePoint) -> RestorePoint | None:
        """Return the point as it is recorded after reading; None if it is still being written."""
        if point.id in self._drilled:
            return _with(point, _whole)
        rows = []
        for row in point.components:
            read = self._one(row) if _waits(row) else row
            if read is None:
                return None
            rows.append(read)
        after = _settled(replace(point, components=tuple(rows)))
        self._done = self._done or (self._time.until_whole and after.complete)
        return after

    def _one(self, row: ComponentSnapshot) -> ComponentSnapshot | None:
        left_s = self._until - self.services.clock.monotonic()
        if self._done or left_s <= 0 or row.snapshot is None or reading(row.facts) == TO_DRILL:
            return row if row.error else _left(row, reading(row.facts), _LATER)
        try:
            seen = self.repository.read_to_end(
                row.snapshot, self._time.each_s, self.services.on_progress
            )
        except DrdError as error:
            return _left(row, TO_READ_NOW, error.message)
        return self._noted(row, seen)

    def _noted(self, row: ComponentSnapshot, seen: ReadToEnd) -> ComponentSnapshot | None:
        match seen.state:
            case "being-written":
                return None
            case "whole":
                return _whole(row)
            case "cut-off":
                facts = {**row.facts, TO_READ: READ}
                return replace(
                    row, state="failed", snapshot=None, error=seen.why, remedy=_CUT, facts=facts
                )
            case "too-long" if self._time.until_whole:
                return _left(row, TO_READ_NOW, _LATER)
            case "too-long":
                return _left(row, TO_DRILL, seen.why)
        return _left(row, TO_READ_NOW, seen.why, _LARGER)


_LATER = "drd does that at one of the next listings"
_CUT = (
    "find out in the log of the other tool why the dump stopped, or whether the copy was made "
    "before the dump was complete. Choose another restore point."
)
_DRILL = "drill this point: a drill reads the whole dump, and then the point counts."
_LARGER = f"set `read_up_to` of the repository in the plan higher. Or {_DRILL}"


def _waits(row: ComponentSnapshot) -> bool:
    return is_to_read(row.facts)


def _only_waits(point: RestorePoint) -> bool:
    """Return whether a point lacks nothing, except that its dumps were not read."""
    return waits(point) and all(row.state == "captured" for row in point.components)


def _whole(row: ComponentSnapshot) -> ComponentSnapshot:
    if not _waits(row):
        return row
    return replace(row, error=None, remedy="", facts={**row.facts, TO_READ: READ})


def _left(
    row: ComponentSnapshot, waiting: str, why: str, remedy: str = _DRILL
) -> ComponentSnapshot:
    text = f"drd has not read the dump to its end: {why}"
    return replace(row, error=text, remedy=remedy, facts={**row.facts, TO_READ: waiting})


def _with(
    point: RestorePoint, change: Callable[[ComponentSnapshot], ComponentSnapshot]
) -> RestorePoint:
    rows = tuple(change(row) if _waits(row) else row for row in point.components)
    return _settled(replace(point, components=rows))


def _settled(point: RestorePoint) -> RestorePoint:
    return replace(
        point,
        complete=all(row.state == "captured" and not _waits(row) for row in point.components),
    )


def _restored(services: Services, plan: Plan) -> set[str | None]:
    """Return the points whose data a drill has restored, whatever its checks say."""
    return {
        e.point
        for e in services.catalogue.evidence.newest(plan.name, limit=_EVIDENCE)
        if e.target is None
        and e.instant is None
        and (e.result is DrillResult.PASSED or e.rta_s is not None)
    }

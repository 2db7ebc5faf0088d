"""The backups that have to begin soon; other jobs must leave slots free for them."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import accumulate

from drd.model.due import Due
from drd.model.run import RunKind
from drd.model.text import counted
from drd.named import NamedTuple

UNKNOWN_DURATION_S = 60.0
"""Assumed for a job that was never measured: short, so that it gets a first chance."""

FIRST_DURATION_S = 600.0
"""Assumed for the first run of kinds that may take long, until they are overdue. A drill, which may
take hours, counts with its time limit then: if there is only one slot, it begins right after
backups.
"""

FRESH_SHARE = 0.9
"""A point is fresh while more than this share of the time that the RPO leaves after a backup is
left.
"""

BACKGROUND = frozenset({RunKind.COPY, RunKind.VERIFICATION})
"""Kinds of runs that run beside backups: they do not use the slots that backups need."""

_MAY_TAKE_LONG = BACKGROUND | {RunKind.PRUNE}


def clock(at: datetime) -> str:
    """Return a time of a day, for the reason why a job waits."""
    return f"{at.astimezone(UTC):%H:%M} UTC"


class BackupQueue:
    """Backups by the time at which they have to begin, without backups that were already
    started."""

    def __init__(self, started: set[tuple[str, str, str]]) -> None:
        self._started = started
        self._by_url: dict[str, list[tuple[datetime, Due]]] = defaultdict(list)

    def add(self, begin: datetime, due: Due) -> None:
        for url in ("", *due.job.repositories):
            self._by_url[url].append((begin, due))

    def sort(self) -> None:
        for queue in self._by_url.values():
            queue.sort(key=lambda entry: entry[0], reverse=True)

    def first(self, url: str) -> tuple[datetime, Due] | None:
        """Return the backup that has to begin first among the backups that use `url`; if it is
        empty, among all backups.
        """
        queue = self._by_url.get(url, [])
        while queue and queue[-1][1].job.key in self._started:
            queue.pop()
        return queue[-1] if queue else None


class _LinedUp(NamedTuple):
    """The first backups in order. `work_s` are the seconds that so many of them take together."""

    every: BackupQueue
    stale: BackupQueue
    begins: list[datetime]
    work_s: list[float]


class Ahead:
    """Backups that are neither running nor started.

    With a single slot, a job that takes longer than the RPO leaves would never start. Therefore
    fresh backups do not count there: the job starts right after one, when it costs least.
    """

    def __init__(self, dues: Callable[[], Iterable[Due]], now: datetime) -> None:
        self.now = now
        self._dues = dues
        self._started: set[tuple[str, str, str]] = set()

    @cached_property
    def _lined_up(self) -> _LinedUp:
        """The backups in order, computed at the first question: there are as many as plans."""
        every, stale = BackupQueue(self._started), BackupQueue(self._started)
        begins: list[tuple[datetime, float]] = []
        for due in self._dues():
            if due.job.kind == RunKind.BACKUP:
                begin = max(due.deadline, due.at)
                every.add(begin, due)
                if not self._is_fresh(begin, due):
                    stale.add(begin, due)
                begins.append((begin, due.expected_s or UNKNOWN_DURATION_S))
        every.sort()
        stale.sort()
        begins.sort()
        work_s = (work_s for _, work_s in begins)
        return _LinedUp(every, stale, [begin for begin, _ in begins], [0.0, *accumulate(work_s)])

    def _is_fresh(self, begin: datetime, backup: Due) -> bool:
        """Return whether nearly all of the time that the RPO leaves after a backup is still
        left."""
        room_s = max(0.0, backup.job.rpo_s - 2 * (backup.expected_s or 0.0))
        return (begin - self.now).total_seconds() > FRESH_SHARE * room_s

    def is_close(self, backup: Due) -> bool:
        """Return whether less than half of the time that the RPO leaves is left."""
        slack_s = backup.job.rpo_s - (backup.expected_s or 0.0)
        return (backup.deadline - self.now).total_seconds() <= slack_s / 2

    def started(self, due: Due) -> None:
        self._started.add(due.job.key)

    def crowd(self, due: Due, *, places: int) -> str | None:
        """Return why `places` slots beside `due` are too few for the backups that have to begin
        before it ends; None if they are enough. Backups that were started just now count as well.
        """
        lasts_s = _lasts_s(due, self.now)
        ends = self.now + timedelta(seconds=lasts_s)
        count = bisect_right(self._lined_up.begins, ends)
        if count <= places or self._lined_up.work_s[count] <= places * lasts_s:
            return None
        return f"waits for {counted(count, 'backup')}, which must begin by {clock(ends)}"

    def refusal(self, due: Due, url: str, *, places: int) -> str | None:
        """Say why `due`, which is no backup, may not have the last of so many `places`; None if it
        may.
        """
        queue = self._lined_up.stale if places == 1 else self._lined_up.every
        first = queue.first(url)
        ends = self.now + timedelta(seconds=_lasts_s(due, self.now))
        if first is None or first[0] > ends:
            return None
        begin, backup = first
        return f"waits for the backup of {backup.job.plan}, which must begin by {clock(begin)}"


def _lasts_s(due: Due, now: datetime) -> float:
    """Return the duration to assume for a job."""
    if due.expected_s:
        return due.expected_s
    if due.deadline > now:
        if due.job.kind == RunKind.DRILL:
            return due.job.timing.timeout_s
        if due.job.kind in _MAY_TAKE_LONG:
            return FIRST_DURATION_S
    return UNKNOWN_DURATION_S

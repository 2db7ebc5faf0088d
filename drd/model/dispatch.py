"""Choose which due jobs may start now: limits, the earliest deadline first, and backups before the
rest.

restic locks a repository while it forgets or prunes. So these jobs, and other jobs that take long,
wait for a backup that would have to begin before their end. Copies and verifications may take
hours, which is not known beforehand, so no backup ever waits for one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from drd.model.backups_ahead import BACKGROUND, Ahead, clock
from drd.model.due import Due
from drd.model.run import RunKind
from drd.model.schedule import Job
from drd.model.windows import released

_FORGETTING = frozenset({RunKind.RETENTION, RunKind.PRUNE})
"""Kinds of runs that need a repository alone, and that exclude each other within a plan, even in
different repositories.
"""

_YIELDING = _FORGETTING | {RunKind.VERIFICATION}
"""Kinds that do not begin in a repository shortly before a backup does."""

_READING = frozenset({RunKind.BACKUP, RunKind.READINESS})
"""Kinds that ask the services of a plan, which a recovery over production has stopped."""

_GROUPS = {
    RunKind.BACKUP: "backups",
    RunKind.DRILL: "drills",
    RunKind.COPY: "copies",
    RunKind.RETENTION: "maintenance",
    RunKind.PRUNE: "maintenance",
    RunKind.VERIFICATION: "maintenance",
}


@dataclass(frozen=True, slots=True)
class RunLimits:
    """The largest numbers of runs at the same time: in all, of a kind (retention, prune and
    verification are `maintenance`), for a repository, and for a component's host. `backups` None:
    as many as `runs`.
    """

    runs: int = 4
    backups: int | None = None
    drills: int = 1
    copies: int = 2
    maintenance: int = 1
    per_repository: int = 2
    per_host: int = 2


@dataclass(frozen=True, slots=True)
class Running:
    """A run that has not ended, whoever started it. `replaces`: a recovery over production."""

    plan: str
    kind: str
    subject: str = ""
    repositories: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    replaces: bool = False

    @staticmethod
    def of(job: Job) -> Running:
        return Running(job.plan, job.kind, job.subject, job.repositories, job.hosts)

    @property
    def words(self) -> str:
        """The run in words: `prune of orders-api`."""
        return f"{self.kind} of {self.plan}"


@dataclass(frozen=True, slots=True)
class StartDecision:
    """Which jobs start, in this order, and which due jobs have to wait, each with the reason."""

    start: tuple[Due, ...]
    waiting: tuple[tuple[Due, str], ...]


def choose(
    dues: Sequence[Due],
    running: Collection[Running],
    limits: RunLimits,
    now: datetime,
    more: Callable[[], Iterable[Due]] = tuple,
) -> StartDecision:
    """Choose which of `dues` start now.

    Backups that come later are in `dues` or in `more`, which is only called if another job than a
    backup is due; jobs yield only to backups that are in either. O(n log n).
    """
    busy = {(r.plan, r.kind, r.subject) for r in running}
    board = _Board(running, limits)
    ahead = Ahead(lambda: (d for d in (*dues, *more()) if d.job.key not in busy), now)
    start: list[Due] = []
    waiting: list[tuple[Due, str]] = []
    for due in sorted((d for d in dues if d.at <= now), key=lambda d: (d.deadline, d.job.key)):
        reason = _blackout(due.job, now) or board.refusal(due, ahead)
        if reason is not None:
            waiting.append((due, reason))
            continue
        board.take(Running.of(due.job))
        ahead.started(due)
        start.append(due)
    return StartDecision(tuple(start), tuple(waiting))


def _blackout(job: Job, now: datetime) -> str | None:
    """Return the window that a job has to wait for. A job that became due before the window began
    waits as well.
    """
    if not job.timing.blackout:
        return None
    until, window = released(job.timing.blackout, job.timing.timezone, now)
    return f"waits until the blackout ends at {clock(until)}" if window is not None else None


class _Board:
    """The slots that are taken."""

    def __init__(self, running: Iterable[Running], limits: RunLimits) -> None:
        self._limits = limits
        self._of_group: dict[str, int | None] = {
            "backups": limits.backups,
            "drills": limits.drills,
            "copies": limits.copies,
            "maintenance": limits.maintenance,
            RunKind.READINESS: 1,
            RunKind.CONTROL: 1,
            RunKind.KIT: 1,  # a passphrase may take a GiB to try
        }
        self._keys: set[tuple[str, str, str]] = set()
        self._forgetting: dict[str, Running] = {}
        self._replacing: dict[str, Running] = {}
        self._groups: dict[str, int] = defaultdict(int)
        self._users: dict[str, list[Running]] = defaultdict(list)
        self._hosts: dict[str, int] = defaultdict(int)
        self._promised: dict[str, Due] = {}
        self._runs = 0
        for run in running:
            self.take(run)

    def take(self, run: Running) -> None:
        self._keys.add((run.plan, run.kind, run.subject))
        self._groups[_group(run.kind)] += 1
        self._runs += 1
        if run.kind in _FORGETTING:
            self._forgetting[run.plan] = run
        if run.replaces:
            self._replacing[run.plan] = run
        for url in run.repositories:
            self._users[url].append(run)
        for host in run.hosts:
            self._hosts[host] += 1

    def refusal(self, due: Due, ahead: Ahead) -> str | None:
        """Say why `due` has to wait; None if it may start."""
        job = due.job
        if job.key in self._keys:
            return f"{job.kind} of {job.plan} is running"
        if job.kind in _FORGETTING and job.plan in self._forgetting:
            return f"{self._forgetting[job.plan].words} is running"
        if job.kind in _READING and job.plan in self._replacing and due.deadline > ahead.now:
            return f"{self._replacing[job.plan].words} over production is running"
        return (
            self._full_slots()
            or self._full(_group(job.kind))
            or self._full_host(job)
            or self._crowded(due, ahead)
            or self._repositories(due, ahead)
        )

    def _full_slots(self) -> str | None:
        limit = self._limits.runs
        if self._runs < limit:
            return None
        return _at_the_limit(self._runs, limit, "runs", "runs")

    def _full(self, group: str) -> str | None:
        limit, there = self._of_group.get(group), self._groups[group]
        if limit is None or there < limit:
            return None
        setting = group if group in _SETTINGS else ""
        return _at_the_limit(there, limit, _GROUP_WORDS.get(group, f"{group} runs"), setting)

    def _full_host(self, job: Job) -> str | None:
        limit = self._limits.per_host
        for host in job.hosts:
            if self._hosts[host] >= limit:
                what = f"runs that read from {host}"
                return _at_the_limit(self._hosts[host], limit, what, "per_host")
        return None

    def _crowded(self, due: Due, ahead: Ahead) -> str | None:
        if due.job.kind == RunKind.BACKUP:
            return None
        left = self._limits.runs - self._runs - 1
        if left > 0:
            return ahead.crowd(due, places=left)
        measured_and_late = due.expected_s and due.deadline <= ahead.now
        if self._runs and due.job.kind in BACKGROUND and not measured_and_late:
            return "waits: the last slot is reserved for backups"
        return ahead.refusal(due, "", places=self._limits.runs)

    def _repositories(self, due: Due, ahead: Ahead) -> str | None:
        for url in due.job.repositories:
            reason = self._guarded(due, url, ahead) or self._refusal_of_repository(due, url, ahead)
            if reason is not None:
                return reason
        return None

    def _guarded(self, due: Due, url: str, ahead: Ahead) -> str | None:
        """Return the backup that comes soon and needs the last slot of the repository."""
        if due.job.kind == RunKind.BACKUP:
            return None
        places = 1 if due.job.kind in _YIELDING else self._limits.per_repository
        if len(self._users[url]) + 1 < places:
            return None
        return ahead.refusal(due, url, places=places)

    def _refusal_of_repository(self, due: Due, url: str, ahead: Ahead) -> str | None:
        users, limit = self._users[url], self._limits.per_repository
        exclusive = due.job.kind in _FORGETTING
        sole = next((user for user in users if user.kind in _FORGETTING), None)
        if sole is not None or (exclusive and users):
            if exclusive and due.deadline <= ahead.now:
                self._promised.setdefault(url, due)
            return f"{(sole or users[0]).words} uses the repository {url}"
        if due.job.kind == RunKind.BACKUP:
            users = [user for user in users if user.kind not in BACKGROUND]
        if len(users) >= limit:
            what = f"runs that use the repository {url}"
            return _at_the_limit(len(users), limit, what, "per_repository")
        promised = self._promised.get(url)
        if promised is None or (due.job.kind == RunKind.BACKUP and ahead.is_close(due)):
            return None
        # Else runs that overlap would keep an exclusive one out for ever.
        return f"waits for {promised.job.kind} of {promised.job.plan}, which is overdue"


_SETTINGS = frozenset(_GROUPS.values())
_GROUP_WORDS = {
    **{group: group for group in _SETTINGS},
    "maintenance": "runs of retention, prune or verification",
}


def _at_the_limit(there: int, limit: int, what: str, setting: str) -> str:
    """Say that a limit of drd.yaml is reached; `setting` is empty if the limit is fixed."""
    where = f" (`limits: {{{setting}: {limit}}}` in drd.yaml)" if setting else ""
    return f"waits: {there} of at most {limit} {what} are in progress{where}"


def _group(kind: str) -> str:
    return _GROUPS.get(RunKind(kind), kind)

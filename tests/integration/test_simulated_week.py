"""Days of a daemon under all faults at once, whose records equal what happened.

What happened is known from the log that the pretended runs write, and by counting seconds; nothing
of it is asked of the catalogue or worked out by the scheduler's own code.
"""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

from drd.bootstrap import App
from drd.model.compliance import assess
from drd.model.run import Run, RunKind
from tests.simulation_support import START, Entry, Fault, Host

MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0

LIMITS = {"runs": 4, "backups": 3, "drills": 1, "copies": 1, "maintenance": 1}

PLAN = """\
plan: {name}
objectives: {{rpo: {rpo}, rto: 1h}}
components:
  files: {{kind: files, paths: [/etc]}}
repositories:
  primary: {{url: /srv/{name}, password: {{env: X}}}}
{more}
backup: {{{backup}}}
retention: {{last: 10, every: 5h}}
prune: {{every: 7h}}
verification: {{every: 6h}}
drill: {{every: 9h}}
"""
SECOND = "  second: {{url: /srv/{name}-2, password: {{env: X}}, copy_of: primary}}"

HOURLY, OFTEN, NIGHTLESS, TIMED, LAZY = "hourly", "often", "nightless", "timed", "lazy"
EVERY_S = {HOURLY: HOUR, OFTEN: 20 * MINUTE, NIGHTLESS: 45 * MINUTE}
TIMED_S = 2 * HOUR
RPO_S = {HOURLY: 2 * HOUR, OFTEN: HOUR, NIGHTLESS: 2 * HOUR, TIMED: 4 * HOUR, LAZY: 3 * HOUR}
NIGHT = (23 * 60, 2 * 60 + 30)
"""From and to, in minutes of the day."""

_BACKUP = {
    HOURLY: "every: 1h",
    OFTEN: "every: 20m",
    NIGHTLESS: 'every: 45m, blackout: [{from: "23:00", to: "02:30"}]',
    TIMED: 'cron: "0 */2 * * *", jitter: none',
    LAZY: "every: auto",
}

PROMPT_S = 90.0
"""How long a run that may start is not started: three ticks."""
SEEN_S = 12 * MINUTE
"""How long a breach lasts at most until it is an alert, and an alert until it is over."""


def plans() -> dict[str, str]:
    return {
        name: PLAN.format(
            name=name,
            rpo=f"{RPO_S[name]:.0f}s",
            backup=backup,
            more=SECOND.format(name=name) if name in (HOURLY, LAZY) else "",
        )
        for name, backup in _BACKUP.items()
    }


class Chance:
    """What goes wrong in so many spans of time."""

    _TAKES: Mapping[str, tuple[int, int]] = {
        RunKind.BACKUP: (20, 240),
        RunKind.COPY: (20, 300),
        RunKind.DRILL: (200, 900),
        RunKind.RETENTION: (5, 30),
        RunKind.PRUNE: (30, 300),
        RunKind.VERIFICATION: (60, 600),
        RunKind.READINESS: (2, 4),
    }

    def __init__(self, seed: int, spans: int, span_s: float) -> None:
        self._random = random.Random(seed)
        self.faults = list(self._faults(spans, span_s))
        self.away: list[tuple[float, float, str]] = []
        """When the source of which plan cannot be reached."""
        for span in range(spans):
            begins_s = span * span_s + self._random.uniform(0, span_s)
            plan = self._random.choice(list(RPO_S))
            self.away.append((begins_s, begins_s + self._random.uniform(1, 5) * HOUR, plan))
        self.now_s = lambda: 0.0

    def _faults(self, spans: int, span_s: float) -> Iterator[Fault]:
        def moment() -> float:
            return round(self._random.uniform(0.02, 0.98) * spans * span_s)

        for _ in range(3 * spans):
            yield Fault(moment(), "kill", round(self._random.uniform(5, 900)))
            yield Fault(moment(), "cancel")
        for _ in range(spans):
            yield Fault(moment(), "kill", round(self._random.uniform(HOUR, 3 * HOUR)))
            yield Fault(moment(), "sleep", round(self._random.uniform(300, 3 * HOUR)))
            yield Fault(moment(), "set", round(self._random.uniform(300, 2 * HOUR)))
            yield Fault(moment(), "set", -round(self._random.uniform(300, 2 * HOUR)))

    def draw(self, run: Run) -> tuple[str, float]:
        takes_s = float(self._random.randint(*self._TAKES[run.kind]))
        now_s = self.now_s()
        away = any(a <= now_s < b and run.plan == plan for a, b, plan in self.away)
        if away and run.kind in (RunKind.BACKUP, RunKind.COPY):
            return "failed", 5.0
        chance = self._random.random()
        for share, outcome in ((0.04, "failed"), (0.02, "died"), (0.01, "hangs"),
                               (0.01, "does not start")):  # fmt: skip
            if chance < share:
                return outcome, takes_s
            chance -= share
        return "succeeded", takes_s


class Watch:
    """Sees each moment what is late, what is too much at once, and what nobody is told about."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.wrong: list[str] = []
        self._late_s: Counter[str] = Counter()
        self._breached_s: Counter[str] = Counter()
        self._well_s: Counter[str] = Counter()
        self._last = (host.time.wall, host.time.awake_s)
        self._seen = 0
        self._running: list[Entry] = []
        self._began: dict[str, datetime] = {}
        """The last backup of each plan."""
        self._newest: dict[str, tuple[datetime, datetime]] = {}
        """By plan, the data time of the newest point, and the latest time that any bears."""
        self.most = 0

    def __call__(self, step_s: float) -> None:
        """What is now stays so for `step_s`."""
        host, now = self.host, self.host.time.now()
        passed_s = host.time.awake_s - self._last[1]
        if abs((now - self._last[0]).total_seconds() - passed_s) > 1:
            self._breached_s.clear()
            self._well_s.clear()
        self._last = (now, host.time.awake_s)
        self._take_note()
        self._limits(self._running)
        for plan in (*EVERY_S, TIMED):
            if self._is_due(plan, now) and not self._excused(plan, now):
                self._late_s[plan] += step_s
                if self._late_s[plan] > PROMPT_S:
                    self._say(f"backup of {plan} is due and does not start")
                    self._late_s[plan] = 0
            else:
                self._late_s[plan] = 0
        if host.daemon is None:
            self._breached_s.clear()
            self._well_s.clear()
            return
        self._told(now, step_s)

    def _take_note(self) -> None:
        """Of what began and ended since the last step."""
        for entry in self.host.log[self._seen :]:
            self._started(entry)
            self._running.append(entry)
        self._seen = len(self.host.log)
        for entry in [e for e in self._running if e.ended is not None]:
            self._running.remove(entry)
            if entry.point is not None:
                begin = self.host.time.began
                data, latest = self._newest.get(entry.plan, (begin, begin))
                self._newest[entry.plan] = (
                    max(data, min(entry.point)),
                    max(latest, *entry.point),
                )

    def _say(self, what: str) -> None:
        self.wrong.append(f"{self.host.time.now():%a %H:%M:%S}: {what}")

    def _limits(self, running: list[Entry]) -> None:
        groups = Counter(_GROUP.get(e.kind, e.kind) for e in running)
        groups["runs"] = len(running)
        self.most = max(self.most, len(running))
        for group, limit in LIMITS.items():
            if groups[group] > limit:
                self._say(f"{groups[group]} {group}")
        for key, count in Counter(e.key for e in running).items():
            if count > 1:
                self._say(f"{key} is done twice at once")
        for alone in (e for e in running if e.kind in ("retention", "prune")):
            beside = [e for e in running if e is not alone and e.plan == alone.plan]
            uses = {"backup": {"primary"}, "drill": {"primary"}, "retention": {"primary", "second"}}
            for e in beside:
                theirs = uses.get(
                    e.kind, {e.subject, "primary"} if e.kind == "copy" else {e.subject}
                )
                ours = uses.get(alone.kind, {alone.subject})
                if e.kind != "readiness" and ours & theirs:
                    self._say(f"{e.kind} {e.subject} beside {alone.kind} {alone.subject}")

    def _started(self, entry: Entry) -> None:
        if entry.kind == "backup":
            self._began[entry.plan] = entry.began
        minute = entry.began.hour * 60 + entry.began.minute
        if entry.plan == NIGHTLESS and entry.kind == "backup" and _in_night(minute):
            self._say(f"a backup of {NIGHTLESS} begins in its blackout")

    # --- what is late -----------------------------------------------------------------------------

    def _is_due(self, plan: str, now: datetime) -> bool:
        """By the last one that began, whatever became of it."""
        last = self._began.get(plan)
        if last is None and plan != TIMED:
            return True
        last = last or self.host.time.began
        if last > now + timedelta(seconds=61):  # the clock was set back
            return True
        if plan == TIMED:
            day = last.replace(minute=0, second=0)
            return now >= day + timedelta(hours=2 - last.hour % 2)
        return now >= last + timedelta(seconds=EVERY_S[plan])

    def _excused(self, plan: str, now: datetime) -> bool:
        host = self.host
        if host.daemon is None or host.works is None:
            return True
        if plan == NIGHTLESS and _in_night(now.hour * 60 + now.minute):
            return True
        works = host.works.works
        backups = sum(w.run.kind is RunKind.BACKUP for w in works)
        if len(works) >= LIMITS["runs"] or backups >= LIMITS["backups"]:
            return True
        mine = [w for w in works if w.run.plan == plan]
        return any(w.run.kind in ("backup", "retention", "prune") for w in mine)

    # --- what somebody is told
    # ----------------------------------------------------------------------

    def _told(self, now: datetime, step_s: float) -> None:
        fires = None
        for plan, rpo_s in RPO_S.items():
            newest, latest = self._newest.get(plan, (None, self.host.time.began))
            breached = newest is None or (now - newest).total_seconds() > rpo_s
            spent, other = self._breached_s, self._well_s
            if not breached:
                spent, other = other, spent
            other[plan] = 0
            spent[plan] += step_s
            if spent[plan] - step_s < SEEN_S or newest is None or latest > now:
                continue
            if fires is None:
                fires = {a.plan for a in self.host.app.catalogue.alerts.open()
                         if a.kind == "rpo" and a.severity == "critical"}  # fmt: skip
            if (plan in fires) != breached:
                self._say(f"{plan} is {'breached' if breached else 'well'}, and alerts: {fires}")
            spent[plan] = 0


_GROUP = {
    "backup": "backups", "drill": "drills", "copy": "copies", "retention": "maintenance",
    "prune": "maintenance", "verification": "maintenance",
}  # fmt: skip


def _in_night(minute: int) -> bool:
    return minute >= NIGHT[0] or minute < NIGHT[1]


# --- what the records say
# -----------------------------------------------------------------------------


def differences(host: Host) -> list[str]:
    """Between the catalogue's history and the log."""
    with closing(sqlite3.connect(host.directory / "state/drd.db")) as catalogue:
        rows = catalogue.execute(
            "select id, plan, kind, subject, trigger, state, started_at, finished_at, error from "
            "runs"
        ).fetchall()
    found = []
    logged = {e.run: e for e in host.log}
    for run, plan, kind, subject, trigger, state, started, finished, error in rows:
        entry = logged.pop(run, None)
        if entry is None:
            if not (state == "failed" and "could not be started" in (error or "")) and started:
                found.append(f"{run} {kind} of {plan} is {state} and never happened: {error}")
            continue
        if (plan, kind, subject, trigger) != (*entry.key, entry.trigger):
            found.append(f"{run} is {plan} {kind} {subject} {trigger} and was {entry}")
        if _time(started) != entry.began:
            found.append(f"{run} began {started} and did {entry.began}")
        if state not in _STATES[entry.outcome]:
            found.append(f"{run} {kind} of {plan} is {state} and was {entry.outcome}: {error}")
        if entry.outcome not in ("died", "") and _time(finished) != entry.ended:
            found.append(f"{run} ended {finished} and did {entry.ended}")
    return found + [f"{entry} is not recorded" for entry in logged.values()]


_STATES = {
    "succeeded": {"succeeded"},
    "failed": {"failed"},
    "cancelled": {"cancelled"},
    "died": {"interrupted", "cancelled", "running"},
    "": {"running"},
}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def early(host: Host) -> list[str]:
    """Backups that began before their time, which nobody's clock explains."""
    found = []
    for plan, every_s in EVERY_S.items():
        mine = [e for e in host.log if e.plan == plan and e.kind == "backup"]
        for last, entry in pairwise(mine):
            gap_s = (entry.began - last.began).total_seconds()
            awake_s = entry.began_s - last.began_s
            set_back = gap_s < awake_s - 1
            if entry.trigger in ("schedule", "catch-up") and gap_s < every_s and not set_back:
                found.append(f"{plan} {entry.began}: {gap_s} s after the last")
    return found


def counted_attainment(host: Host, plan: str) -> float:
    """Second by second: the share in which no more than the RPO would have been lost."""
    made = sorted(
        (e.point[1], min(e.point)) for e in host.log if e.plan == plan and e.point is not None
    )
    available = [at.timestamp() for at, _ in made]
    best = list(accumulate((data.timestamp() for _, data in made), max))
    begin, end = host.time.began.timestamp(), host.time.now().timestamp()
    good = 0
    seconds = int(end - begin)
    for second in range(seconds):
        moment = begin + second + 0.5
        known = bisect_right(available, moment)
        good += known > 0 and moment - best[known - 1] <= RPO_S[plan]
    return good / seconds


def simulate(
    directory: Path, seed: int, spans: int, span_s: float, began: datetime
) -> tuple[Host, Watch]:
    chance = Chance(seed, spans, span_s)
    settings = f"limits: {LIMITS}\n".replace("'", "")
    host = Host(directory, plans(), chance.draw, settings, began)
    chance.now_s = host.time.monotonic
    watch = Watch(host)
    host.run(spans * span_s, chance.faults, watch)
    return host, watch


def check(
    directory: Path, seed: int, spans: int, span_s: float = DAY, began: datetime = START
) -> None:
    host, watch = simulate(directory, seed, spans, span_s, began)
    try:
        _check(host, watch, spans, span_s)
    finally:
        host.close()


def _check(host: Host, watch: Watch, spans: int, span_s: float) -> None:
    assert watch.wrong == []
    assert differences(host) == []
    assert early(host) == []
    now = host.time.now()
    told = {f.plan: assess(f, now).rpo.attainment for f in host.app.read_facts()}
    counted = {plan: counted_attainment(host, plan) for plan in RPO_S}
    assert told == pytest.approx(counted, abs=2 / (spans * span_s))
    # A simulation in which nothing happens proves nothing.
    outcomes = Counter(e.outcome for e in host.log)
    assert min(outcomes[o] for o in ("succeeded", "failed", "died", "cancelled")) >= spans
    kinds = {e.kind for e in host.log}
    assert kinds == {"backup", "copy", "drill", "retention", "prune", "verification", "readiness"}
    assert {"schedule", "catch-up", "retry"} <= {e.trigger for e in host.log}
    assert watch.most >= 2
    assert len({e.plan for e in host.log}) == len(RPO_S)
    assert 0.2 < min(counted.values()) < 1


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """In memory, where there is one: a simulated day syncs the disk three thousand times."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="drd-simulated-", dir=memory) as there:
        yield Path(there)


@pytest.mark.parametrize(("quarter", "seed"), [(0, 5), (1, 6), (2, 5), (3, 6)])
def test_the_records_of_a_quarter_of_a_day_of_faults_equal_what_happened(
    directory: Path, quarter: int, seed: int
) -> None:
    """In quarters, because a whole day at once takes a busy machine minutes."""
    began = START + quarter * timedelta(hours=6)
    check(directory, seed, spans=1, span_s=DAY / 4, began=began)


def test_a_watcher_gets_start_and_end_of_every_run(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, str]] = []

    class Ears:
        def __init__(self, _: App) -> None: ...

        def started(self, run: Run) -> None:
            heard.append(("start", run.id))

        def finished(self, run: Run) -> None:
            heard.append(("end", run.id))

        def alive(self, *_: object, **__: object) -> None: ...

    monkeypatch.setattr("drd.daemon.monitor.RunHeartbeats", Ears)
    host = Host(directory, {OFTEN: plans()[OFTEN]}, lambda _: ("succeeded", 30.0))
    try:
        host.run(2 * HOUR, [], lambda _: None)
        runs = [entry.run for entry in host.log]
    finally:
        host.close()
    assert len(runs) >= 7
    assert sorted(heard) == sorted((what, run) for what in ("start", "end") for run in runs)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(3))
def test_the_records_of_a_week_of_faults_equal_what_happened(directory: Path, seed: int) -> None:
    check(directory, seed, spans=7)

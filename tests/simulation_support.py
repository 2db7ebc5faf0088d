"""A host on which time is what a test says: the daemon's own loop, and runs that only pretend.

The daemon schedules, dispatches, supervises and alerts as always, on a real catalogue. What it
starts for a run is no process: it claims the run, waits, and records an outcome through the
catalogue as `drd worker` does, or dies. Each writes down what it did in a log of its own.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from drd.bootstrap import App
from drd.daemon.clocks import Jump
from drd.daemon.sd_notify import ServiceManager
from drd.daemon.service import Daemon
from drd.daemon.workers import GRACE_S, Ended, Worker, Workers
from drd.errors import Fenced
from drd.model.cause import Cause
from drd.model.plan import Plan
from drd.model.read_progress import Reading
from drd.model.run import DrillResult, Evidence, Run, RunKind, RunState
from drd.model.run_details import ReadinessDetail, RunDetail
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.ports import RunLease
from drd.process import Child

START = datetime(2026, 11, 23, tzinfo=UTC)
"""A Monday."""

POLL_S = 1.0
STEP_S = 300.0
"""The longest time between two turns of the daemon while nothing happens and nothing waits."""
WAITING_STEP_S = 30.0
MONITOR_S = 120.0
"""Between two looks at all plans, which the daemon takes each half minute."""


class Time:
    """`drd.ports.Clock`: whole seconds, which pass when somebody says so."""

    def __init__(self, began: datetime) -> None:
        self.began = self.wall = began
        self.awake_s = 0.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.awake_s

    def pass_(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.awake_s += seconds

    def set(self, by_s: float) -> None:
        self.wall += timedelta(seconds=by_s)


@dataclass
class Entry:
    """What a run wrote down: by the wall clock, and `*_s` by the one that nobody sets.

    `outcome` is what it did at its end: a state of runs, or `died`."""

    run: str
    plan: str
    kind: str
    subject: str
    trigger: str
    began: datetime
    began_s: float
    outcome: str = ""
    ended: datetime | None = None
    ended_s: float | None = None
    point: tuple[datetime, datetime] | None = None
    """Data time, and available at, of a complete one."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.plan, self.kind, self.subject


@dataclass
class Work(Worker):
    """A worker without a process. `ends_s` is when it ends by itself, `outcome` how."""

    begins_s: float = 0.0
    takes_s: float = 1.0
    ends_s: float = math.inf
    outcome: str = "succeeded"
    owned: RunLease | None = None
    entry: Entry | None = None
    exit_code: int | None = None


Draw = Callable[[Run], tuple[str, float]]
"""How a run is going to end, and after how many seconds: `hangs` for one that does not."""


class Pretenders(Workers):
    """`drd.daemon.workers.Workers`, for works."""

    def __init__(self, host: Host) -> None:
        super().__init__(None, "")
        self._host = host
        self._works: dict[str, Work] = {}

    @property
    def alive(self) -> list[Worker]:
        return list(self._works.values())

    @property
    def works(self) -> list[Work]:
        return list(self._works.values())

    def start(self, run: Run, *, settle: Cause | None = None, cancelled: bool = False) -> Worker:
        host = self._host
        outcome, takes_s = host.draw(run) if settle is None else ("settles", 1.0)
        if outcome == "does not start":
            raise OSError("no more processes")
        work = Work(run, cast(Child, None), settle, -1, cancelled=cancelled)
        work.begins_s = host.time.awake_s + 1.0
        work.takes_s, work.outcome = takes_s, outcome
        if settle is None:
            timeout_s = run.detail.timeout_s if run.detail.timeout_s is not None else 3600.0
            work.kill_at = host.time.awake_s + timeout_s + GRACE_S
            work.why = Cause("it did not finish in time")
        self._works[run.id] = work
        return work

    def cancel(self, run: str) -> bool:
        work = self._works.get(run)
        if work is None:
            return False
        if not work.cancelled and work.settles is None:
            work.cancelled = True
            work.kill_at = self._host.time.awake_s + 8.0
            work.why = Cause("the run was cancelled, but did not end")
            if work.outcome != "hangs":
                work.outcome, work.ends_s = "cancelled", self._host.time.awake_s + 1.0
        return True

    def kill_overdue(self) -> list[Worker]:
        now = self._host.time.awake_s
        late = [w for w in self.works if w.kill_at is not None and now >= w.kill_at]
        for work in late:
            work.outcome, work.ends_s, work.kill_at = "died", now, None
        return list(late)

    def reap(self) -> list[Ended]:
        """Let the works go on up to now; those that are over."""
        found = []
        for work in self.works:
            self._host.go_on(work)
            if work.exit_code is not None:
                del self._works[work.run.id]
                how = work.settles or work.why if work.kill_at is None else None
                found.append(Ended(work, work.exit_code, how or Cause("it was killed")))
        return found

    def die(self) -> None:
        """As the kernel ends them with their daemon."""
        for work in self.works:
            if work.owned is not None:
                self._host.over(work, "died")
        self._works.clear()


@dataclass
class Fault:
    """Something that happens at `at_s`, by the clock that nobody sets."""

    at_s: float
    kind: str
    by_s: float = 0.0


class Host:
    """Runs a daemon through simulated time. `watch` is told of each step, before it is taken: how
    many seconds it lasts."""

    def __init__(
        self,
        directory: Path,
        plans: Mapping[str, str],
        draw: Draw,
        settings: str = "",
        began: datetime = START,
    ) -> None:
        self.directory = directory
        self.time = Time(began)
        self.draw = draw
        self.log: list[Entry] = []
        self.works: Pretenders | None = None
        (directory / "plans").mkdir(parents=True)
        for name, text in plans.items():
            (directory / f"plans/{name}.yaml").write_text(text)
        self._config = directory / "drd.yaml"
        self._config.write_text(
            f"state: sqlite:///{directory}/state/drd.db\nplans: plans\nwork_dir: w\n"
            f"cache_dir: c\n{settings}"
        )
        self.app = App(str(self._config))
        self.app.clock = self.time
        self.daemon: Daemon | None = None
        self._ticked_s = self._monitored_s = -math.inf
        self._plans: dict[str, Plan] = {}
        self.settled: dict[str, str] = {}

    # --- life -----------------------------------------------------------------------------------

    def boot(self) -> None:
        """A new daemon."""
        self.works = Pretenders(self)
        self.daemon = Daemon(
            self.app, str(self._config), ServiceManager(), lambda _: None, workers=self.works
        )
        self._ticked_s = self._monitored_s = -math.inf

    def kill(self) -> None:
        """The daemon, and with it all that it started."""
        assert self.works is not None
        self.works.die()
        self.works = self.daemon = None

    def close(self) -> None:
        if self.works is not None:
            self.kill()
        self.app.close()

    def run(self, seconds: float, faults: list[Fault], watch: Callable[[float], None]) -> None:
        """So long, by the clock that nobody sets."""
        until_s = self.time.awake_s + seconds
        left = sorted(faults, key=lambda f: f.at_s)
        down_until_s = math.inf
        self.boot()
        self.turn()
        while self.time.awake_s < until_s:
            next_s = min(left[0].at_s if left else math.inf, down_until_s, until_s)
            step_s = max(0.0, min(next_s - self.time.awake_s, self._idle_s()))
            watch(step_s)
            self.time.pass_(step_s)
            jump = None
            if self.daemon is None and self.time.awake_s >= down_until_s:
                down_until_s = math.inf
                self.boot()
            while left and left[0].at_s <= self.time.awake_s:
                fault = left.pop(0)
                if fault.kind == "kill" and self.daemon is not None:
                    self.kill()
                    down_until_s = self.time.awake_s + fault.by_s
                elif fault.kind == "set":
                    self.time.set(fault.by_s)
                    jump = Jump(fault.by_s, 0.0)
                elif fault.kind == "sleep":
                    watch(0.0)
                    self.time.set(fault.by_s)
                    jump = Jump(0.0, fault.by_s)
                elif fault.kind == "cancel":
                    works = [w for w in self.works.works if w.owned] if self.works else []
                    if not works:
                        insort(left, replace(fault, at_s=fault.at_s + 60), key=lambda f: f.at_s)
                    else:
                        self.app.catalogue.queue.ask_cancel(works[0].run.id, self.time.now())
            if self.daemon is not None:
                self.turn(jump)
        watch(0.0)

    def turn(self, jump: Jump | None = None) -> None:
        """One of the daemon's, and one of its monitor's."""
        assert self.daemon is not None
        upcoming = self.daemon._agenda.next_at()
        due = upcoming is not None and upcoming <= self.time.now()
        if due or self.time.awake_s - self._ticked_s >= WAITING_STEP_S:
            self.daemon._ask_tick()
            self._ticked_s = self.time.awake_s
        self.daemon._handle_events(jump)
        if jump is not None or self.time.awake_s - self._monitored_s >= MONITOR_S:
            self._monitored_s = self.time.awake_s
            self.daemon._monitor._work(last=False)

    def _idle_s(self) -> float:
        """Until something happens by itself."""
        if self.daemon is None or self.works is None:
            return STEP_S
        now_s = self.time.awake_s
        times = [STEP_S]
        if self.daemon._dispatcher.waiting:
            times.append(WAITING_STEP_S)
        for work in self.works.works:
            begun = work.owned is not None or work.entry is not None
            ends_s = work.ends_s if begun or work.settles is not None else math.inf
            moments = (ends_s, work.kill_at, None if begun else work.begins_s)
            times += [at_s - now_s for at_s in moments if at_s is not None and at_s < math.inf]
        upcoming = self.daemon._agenda.next_at()
        if upcoming is not None:
            times.append((upcoming - self.time.now()).total_seconds())
        return max(POLL_S, math.ceil(min(times)))

    # --- what runs do ---------------------------------------------------------------------------

    def go_on(self, work: Work) -> None:
        now_s = self.time.awake_s
        if work.entry is None and work.settles is None and now_s >= work.begins_s:
            self._begin(work)
        if work.settles is not None and now_s >= work.begins_s:
            self._settle(work)
        elif work.owned is not None and now_s >= work.ends_s:
            self._end(work)

    def _begin(self, work: Work) -> None:
        run, now = work.run, self.time.now()
        try:
            work.owned = self.app.catalogue.runs.begin(
                self.plan(run.plan), run.kind, trigger=run.trigger, at=now,
                subject=run.subject, claim=run.id,
            )  # fmt: skip
        except Fenced:
            work.exit_code = 1
            return
        work.ends_s = math.inf
        if work.outcome != "hangs":
            work.ends_s = self.time.awake_s + work.takes_s
        work.entry = Entry(
            run.id, run.plan, str(run.kind), run.subject, run.trigger, now, self.time.awake_s
        )
        self.log.append(work.entry)

    def _end(self, work: Work) -> None:
        assert work.owned is not None
        assert work.entry is not None
        if work.outcome == "died":
            self.over(work, "died")
            work.exit_code = -9
            return
        looked = work.run.kind is RunKind.READINESS
        detail = ReadinessDetail(findings=()) if looked else RunDetail()
        took_s = self.time.awake_s - work.entry.began_s
        if abs((self.time.now() - work.entry.began).total_seconds() - took_s) > 2:
            detail = detail.merged(
                RunDetail(took_s=took_s)
            )  # as whoever records an end does, by the host's own clocks
        if work.outcome == "succeeded":
            self._effect(work)
        self.app.catalogue.runs.finish(
            work.owned,
            RunState(work.outcome),
            at=self.time.now(),
            error=None if work.outcome == "succeeded" else "the source is away",
            detail=detail,
        )
        self.over(work, work.outcome)
        work.exit_code = 0

    def over(self, work: Work, outcome: str) -> None:
        assert work.owned is not None
        assert work.entry is not None
        work.owned.release()
        work.owned = None
        work.entry.outcome = outcome
        work.entry.ended, work.entry.ended_s = self.time.now(), self.time.awake_s

    def _settle(self, work: Work) -> None:
        """What `drd worker --settle` does, where a dead run left nothing in a repository."""
        owned = self.app.catalogue.runs.adopt(work.run, self.time.now())
        work.exit_code = 0
        if owned is None:
            return
        state = RunState.CANCELLED if work.cancelled else RunState.INTERRUPTED
        error = None if work.settles is None else work.settles.text
        detail = RunDetail(error_code=(work.settles.code or None) if work.settles else None)
        self.app.catalogue.runs.finish(owned, state, at=self.time.now(), error=error, detail=detail)
        owned.release()
        self.settled[work.run.id] = str(state)

    def _effect(self, work: Work) -> None:
        assert work.owned is not None
        assert work.entry is not None
        run, now, catalogue = work.run, self.time.now(), self.app.catalogue
        if run.kind is RunKind.BACKUP:
            point = _point(self.plan(run.plan), run.id, work.entry.began, now)
            catalogue.points.record(point, owned=work.owned)
            work.entry.point = (point.data_time, point.available_at)
        elif run.kind is RunKind.COPY:
            held = {p.id: f"copy-of-{p.id}" for p in catalogue.points.of_plan(run.plan)}
            catalogue.copies.record(work.owned, run.subject, held, now)
        elif run.kind is RunKind.DRILL:
            catalogue.evidence.record(work.owned, _evidence(work.owned.run, now))
        elif run.kind is RunKind.RETENTION:
            old = [p.id for p in catalogue.points.of_plan(run.plan)[8:]]
            catalogue.points.forget(old, now)
        elif run.kind is RunKind.VERIFICATION:
            before = catalogue.copies.reading(run.plan, run.subject) or Reading(4, 1, now)
            catalogue.copies.record_reading(work.owned, run.subject, before.read(now))

    def plan(self, name: str) -> Plan:
        if name not in self._plans:
            self._plans[name] = self.app.plans.in_force(name)
        return self._plans[name]


def _point(plan: Plan, run: str, began: datetime, now: datetime) -> RestorePoint:
    return RestorePoint(
        id=run,
        plan=plan.name,
        data_time=began,
        available_at=now,
        complete=True,
        plan_digest=plan.digest,
        components=tuple(
            ComponentSnapshot(
                c.name, c.kind, "captured", data_time=began, snapshot="0" * 64, bytes=5_000,
                added_bytes=100, duration_s=1.0,
            )
            for c in plan.components.values()
        ),
        repositories={"primary": f"manifest-of-{run}"},
    )  # fmt: skip


def _evidence(run: Run, now: datetime) -> Evidence:
    return Evidence(
        id=f"e-{run.id}", run=run.id, plan=run.plan, point=None, scenario="database-loss",
        result=DrillResult.PASSED, plan_digest=run.plan_digest, started_at=now, finished_at=now,
        rpa_s=60.0, rta_s=30.0, judged=True, phases={}, checks=(),
    )  # fmt: skip

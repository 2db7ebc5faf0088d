"""The processes that execute runs: started, watched, asked to end, killed.

Each is `drd worker RUN` in its own process group. The process records the result of its run in the
catalogue; this module only knows that it ended, and how."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from drd import process
from drd.config.run_settings import VARIABLE, PlanInForce
from drd.errors import UsageError
from drd.model.cause import STOPPED, Cause
from drd.model.run import Run, sound_id
from drd.model.units import format_duration
from drd.process import Child, Command, Mark

GRACE_S = float(os.environ.get("DRD_GRACE_S", "60"))
"""How long after its time limit a run may take to end by itself."""
ASKED_GRACE_S = 8.0
"""How many seconds a run may take to end when it is asked to end: a cancel takes 10 s at most."""

PROGRAM: Sequence[str] = (sys.executable, "-P", "-m", "drd", "worker")
"""The beginning of the command of a run; the run's id and options follow. With `-P`, no module of
the working directory can replace drd."""

_CANCELLED = Cause("the run was cancelled, but did not end")

_KEPT_FROM_CHILDREN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS")


@dataclass
class Worker:
    """One living process. If it only cleans up after a run, `settles` says how that run ended."""

    run: Run
    child: Child
    settles: Cause | None
    pidfd: int
    kill_at: float | None = None
    why: Cause | None = None
    cancelled: bool = False
    oom_kills: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker ended; in words if it did not end by itself."""

    worker: Worker
    exit_code: int
    how: Cause

    @property
    def died(self) -> bool:
        return self.exit_code < 0


class Workers:
    """The living workers, by the id of their run. New workers use `settings`, and the plan's text
    from `texts`, even if files and rows have changed since (`drd.config.run_settings`); `mark` is
    in their environment."""

    def __init__(self, config: str | None, settings: str) -> None:
        self._config = config
        self.settings = settings
        self.texts: Callable[[str], PlanInForce | None] = lambda _: None
        self.mark: Callable[[str], Mark] = lambda run: Mark(run, "")
        self._alive: dict[str, Worker] = {}

    @property
    def alive(self) -> Sequence[Worker]:
        return list(self._alive.values())

    def start(self, run: Run, *, settle: Cause | None = None, cancelled: bool = False) -> Worker:
        """Start a worker for a pending run, or a worker that settles a dead run. Raises ToolMissing
        or OSError when no process can be started."""
        words = [*PROGRAM, _sound(run)]
        if self._config is not None:
            words += ["--config", self._config]
        if settle is not None:
            words += ["--settle", settle.text]
            words += ["--code", settle.code] if settle.code else []
            words += ["--cancelled"] if cancelled else []
        handed = self.texts(run.plan)
        if handed is not None:
            words.append("--plan-on-stdin")
        env = environment(None if settle is not None else self.mark(run.id))
        env |= {VARIABLE: self.settings}
        command = Command(words, env=env)
        child = _started(command, handed)
        timeout_s = run.detail.timeout_s
        worker = Worker(
            run,
            child,
            settle,
            os.pidfd_open(child.pid),
            cancelled=cancelled,
            oom_kills=_oom_kills(),
        )
        if timeout_s is not None:
            worker.kill_at = time.monotonic() + timeout_s + GRACE_S
            worker.why = Cause(f"the run did not finish within {format_duration(timeout_s)}")
        self._alive[run.id] = worker
        return worker

    def start_beside(self, command: Command, plan: str) -> Child:
        """Start a process that is no run, with the plan in force on its stdin."""
        return _started(command, self.texts(plan))

    def cancel(self, run: str) -> bool:
        """Ask the run's process to end, once; False when the process does not belong to these
        workers. If the process is cleaning up, it continues: the run ends with it."""
        worker = self._alive.get(run)
        if worker is None:
            return False
        if not worker.cancelled and worker.settles is None:
            worker.cancelled = True
            self._ask(worker, signal.SIGINT, _CANCELLED, ASKED_GRACE_S)
        return True

    def stop_all(self, grace_s: float) -> None:
        """Interrupt every run; `kill_overdue` kills the processes that have not ended after
        `grace_s`."""
        for worker in self.alive:
            self._ask(worker, signal.SIGTERM, STOPPED, grace_s)

    def _ask(self, worker: Worker, number: signal.Signals, why: Cause, grace_s: float) -> None:
        with suppress(ProcessLookupError):
            os.kill(worker.child.pid, signal.SIGCONT)
            if worker.settles is None:
                os.kill(worker.child.pid, number)
        worker.kill_at, worker.why = time.monotonic() + grace_s, why

    def kill_overdue(self) -> list[Worker]:
        """Kill the workers whose time is over, with all processes that they started."""
        now = time.monotonic()
        late = [w for w in self.alive if w.kill_at is not None and now >= w.kill_at]
        for worker in late:
            worker.child.signal_group(signal.SIGKILL)
            worker.kill_at = None
        return late

    def reap(self) -> list[Ended]:
        """Return the workers that have ended since the last call."""
        ended = []
        for run, worker in list(self._alive.items()):
            code = worker.child.exit_code
            if code is None:
                continue
            del self._alive[run]
            os.close(worker.pidfd)
            ended.append(Ended(worker, code, _how_it_ended(worker, code)))
        return ended


def _sound(run: Run) -> str:
    try:
        return sound_id(run.id)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _started(command: Command, handed: PlanInForce | None) -> Child:
    """Start the process with the plan on its stdin, in memory that nobody else can write to."""
    if handed is None:
        return process.start(command, stdout=2, stderr=2)
    fd = os.memfd_create("drd-plan", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(handed.to_bytes())
        os.lseek(fd, 0, os.SEEK_SET)
        return process.start(command, stdin=fd, stdout=2, stderr=2)
    finally:
        os.close(fd)


def environment(mark: Mark | None) -> dict[str, str]:
    """Return the daemon's environment, which may hold secrets that plans name, without the service
    manager's variables.
    """
    env = {k: v for k, v in os.environ.items() if k not in _KEPT_FROM_CHILDREN}
    for name in process.MARKS:
        env.pop(name, None)
    env["DRD_DAEMON"] = str(os.getpid())
    return env | dict(mark.environment()) if mark is not None else env


def _how_it_ended(worker: Worker, code: int) -> Cause:
    if worker.settles is not None:
        return worker.settles
    if code >= 0:
        return Cause(f"the process of the run ended with exit code {code}, without a result")
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if worker.why and (worker.kill_at is None or worker.cancelled):
        return replace(worker.why, text=f"{worker.why.text}, and was killed")
    if code == -signal.SIGKILL and _oom_kills() > worker.oom_kills:
        return Cause(
            "the process of the run was killed, because the host or the service ran out of memory"
        )
    return Cause(f"the process of the run was killed by {name}")


def _oom_kills() -> int:
    """Return how many processes the kernel has killed for memory since boot."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0

"""Runs, and which process owns each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from drd.model.run import Executed, Run, RunKind, RunState
from drd.model.run_details import RunDetail
from drd.process import Mark


@dataclass(frozen=True, slots=True)
class RunLease:
    """Proof that this process owns a run. Every write of a result names the run and the token.

    `release` unlocks the lock file; the kernel unlocks it when the process dies. Every process that
    works for the run has `mark` in its environment.
    """

    run: Run
    token: int
    release: Callable[[], None]
    mark: Mark


class RunStore(Protocol):
    """Runs and their owners. A method that takes a RunLease raises Fenced when another process has
    taken over the run."""

    def begin(
        self,
        plan: Executed,
        kind: RunKind,
        *,
        trigger: str,
        detail: RunDetail | None = None,
        at: datetime,
        subject: str = "",
        claim: str = "",
        before: Callable[[Run], None] | None = None,
    ) -> RunLease:
        """Record a new running run and own it. Raises AlreadyRunning, which names the live run,
        when a process owns a run of the same plan, kind and subject. Retention and prune also
        exclude each other, whatever their subject. The run of a dead process excludes nothing; it
        stays until somebody asks for the `abandoned` runs.

        `claim` is the id of a pending run of this plan, kind and subject: that run begins, and no
        new one is recorded. Raises Fenced when it is no longer pending. `before` is called with the
        run before another process can see its row; when it raises, no row is written."""

    def abandoned(self, plan: str | None = None) -> list[Run]:
        """Runs that are not final and whose owner is proven dead: no process holds the lock
        file."""

    def process_of(self, run: Run) -> int | None:
        """Return the pid of the process that executes the run, if this is proven: it runs on this
        host and holds the run's lock. The pid in the row alone proves nothing, because pids are
        reused."""

    def adopt(self, run: Run, at: datetime) -> RunLease | None:
        """Take over an abandoned run with a new token. None when another process was faster.

        On return, `end_left` has ended the processes that worked for the run."""

    def leave(self, run: Run, at: datetime) -> bool:
        """Note that the process of an abandoned run died; the run waits for a process that adopts
        it. False when another process was faster."""

    def mark(self, run: str) -> Mark:
        """Return the mark in the environment of each process that works for a run of this state."""

    def end_left(self, run: Run) -> None:
        """End every process, except this one, that has the run's mark. When root acts for the
        state's owner, it ends a process of root only if root has a record of the run."""

    def finish(
        self,
        owned: RunLease,
        state: RunState,
        *,
        at: datetime,
        error: str | None = None,
        detail: RunDetail | None = None,
    ) -> None:
        """Record the final state, merge `detail` into the run's, update the summaries, release the
        lock. A run that is already final stays as it is."""

    def set_state(self, owned: RunLease, state: RunState) -> None:
        """Set the state to running or waiting. A run that is over stays as it is."""

    def reopen(self, run: Run, at: datetime, *, succeeded: bool = False) -> Run:
        """Make a run that failed, was cancelled or was interrupted wait for a process that adopts
        it; with `succeeded` also a run that succeeded. Raises UsageError for any other run."""

    def get(self, prefix: str) -> Run:
        """Return the run whose id starts with `prefix`. Raises UsageError when no run or several
        do."""

    def newest(
        self, plan: str | None = None, *, limit: int = 50, kind: RunKind | None = None
    ) -> list[Run]:
        """Pending runs first, then the others, newest first."""

    def control_reference(self, plan: str, control: str) -> str:
        """Return the restore point with which the last check of a control compared; empty if no
        check did. Later checks that found nothing out do not count."""

    def backup_durations(self, plan: str, *, limit: int = 50) -> list[float]:
        """Seconds of the newest successful backup runs, newest first. Runs that were taken over are
        left out: their end is the time at which somebody noticed it."""

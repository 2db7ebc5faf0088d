"""Request the base backup without which a recovery cannot use a log."""

from __future__ import annotations

import time
from datetime import timedelta

from drd import process
from drd.flows.services import Services
from drd.model.plan import Plan
from drd.model.run import Run, RunKind, RunState
from drd.model.run_details import BackupDetail

AGAIN_S = 600.0
"""How long, in seconds, drd waits after a request for a base backup before it requests another
one. It also waits as long after a base backup that failed."""
_NEWEST = 10


class BaseRequest:
    """The request for a base backup of a plan that the log of one component needs."""

    def __init__(self, services: Services, plan: Plan, component: str) -> None:
        self._services = services
        self._plan = plan
        self._component = component
        self._asked_at = -AGAIN_S

    def was_made(self) -> None:
        """Note that no base backup is missing now, so that the next request need not wait."""
        self._asked_at = -AGAIN_S

    def ask(self) -> None:
        """Request a base backup from the daemon, unless a backup of the plan is open."""
        if time.monotonic() - self._asked_at < AGAIN_S:
            return
        queue, plan = self._services.catalogue.queue, self._plan
        if self._failed_lately():
            return
        if any(r.plan == plan.name and r.kind is RunKind.BACKUP for r in queue.open_runs()):
            return  # if it began before the log did, the next turn requests another one
        self._asked_at = time.monotonic()
        detail = BackupDetail(
            why=f"the log of {self._component} needs a new base backup",
            timeout_s=plan.backup.timeout_s,
        )
        queue.enqueue(
            Run(
                id="",
                plan=plan.name,
                kind=RunKind.BACKUP,
                trigger="log",
                state=RunState.PENDING,
                started_at=None,
                due_at=self._services.clock.now(),
                plan_digest=plan.digest,
                detail=detail,
                actor=process.actor_of_daemon(),
            )
        )

    def _failed_lately(self) -> bool:
        """Return whether a base backup that a log of the plan needed has just failed: the next one
        would store all components again, and probably fail, too."""
        since = self._services.clock.now() - timedelta(seconds=AGAIN_S)
        newest = self._services.catalogue.runs.newest(
            self._plan.name, kind=RunKind.BACKUP, limit=_NEWEST
        )
        return any(
            run.trigger == "log"
            and run.state is RunState.FAILED
            and run.finished_at is not None
            and run.finished_at > since
            for run in newest
        )

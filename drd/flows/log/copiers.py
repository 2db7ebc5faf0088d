"""Copy the log of one component after each push, beside the receiver: a slow or unreachable copy
delays no push."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, suppress
from types import TracebackType

from drd import log, process
from drd.errors import Cancelled, DrdError
from drd.flows.log.copying import LogCopy, Stored
from drd.flows.log.repository import copied_to, logged
from drd.flows.services import Services
from drd.model.log import copy_noted_as
from drd.model.plan import Component, Plan, RepositorySpec

_log = log.get()

LOOK_S = 0.5
AGAIN_S = 5.0
LONGEST_PAUSE_S = 60.0
ENDS_WITHIN_S = 5.0


class Copiers(AbstractContextManager["Copiers"]):
    """The threads that copy a log, one for each repository with `copy_of`. If the plan has its own
    schedule for copies, there are no threads: then the runs of the copies copy the log as well
    (`drd copy`)."""

    def __init__(self, services: Services, plan: Plan, component: Component) -> None:
        specs = copied_to(plan)
        names = logged(services, plan)
        kept = [copy_noted_as(plan.name, spec.name, name) for spec in specs for name in names]
        services.catalogue.queue.forget_notes(plan.name, copy_noted_as(plan.name), kept)
        self._copiers: dict[str, _Copier] = {}
        for spec in specs if plan.copying.follows else ():
            self._copiers[spec.name] = _Copier(self, services, plan, component, spec)

    def __enter__(self) -> Copiers:
        for copier in self._copiers.values():
            copier.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for copier in self._copiers.values():
            copier.stop()
        for copier in self._copiers.values():
            copier.join(ENDS_WITHIN_S)

    def has(self, repository: str, stored: Stored) -> None:
        """Tell the copies of a repository what it has now."""
        for copier in self._copiers.values():
            if copier.copy_of == repository:
                copier.offer(stored)


class _Copier(threading.Thread):
    """Copies to one repository what the copied one has at the moment, as long as the process is not
    cancelled."""

    def __init__(
        self,
        copiers: Copiers,
        services: Services,
        plan: Plan,
        component: Component,
        spec: RepositorySpec,
    ) -> None:
        super().__init__(name=f"drd-log-{spec.name}", daemon=True)
        self.copy_of = str(spec.copy_of)
        self._copiers = copiers
        self._repository = spec.name
        self._copy = LogCopy(services, plan, component, spec)
        self._offered: Stored | None = None
        self._news = threading.Event()
        self._ends = False

    def offer(self, stored: Stored) -> None:
        self._offered = stored
        self._news.set()

    def stop(self) -> None:
        self._ends = True
        self._news.set()

    def run(self) -> None:
        pause_s = AGAIN_S
        try:
            while self._awaits():
                if self._turn():
                    pause_s = AGAIN_S
                    continue
                self._pause(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                self._news.set()  # what was offered last is still to be copied
        except Cancelled:
            return

    def _awaits(self) -> bool:
        """Wait until there is something new. Return False at the end."""
        while not self._news.wait(LOOK_S):
            process.check_cancelled()
        process.check_cancelled()
        self._news.clear()
        return not self._ends

    def _turn(self) -> bool:
        offered = self._offered
        assert offered is not None
        try:
            _, stored = self._copy.turn(offered)
        except Cancelled:
            raise
        except DrdError:
            return False  # it is noted
        except Exception as error:  # noqa: BLE001 (a thread has nobody above it)
            _log.error("log.copy_failed", repository=self._repository,
                       error=f"{type(error).__name__}: {error}")  # fmt: skip
            with suppress(DrdError):
                self._copy.failed(error)
            return False
        self._copiers.has(self._repository, stored)
        return True

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._ends and time.monotonic() < end:
            process.check_cancelled()
            time.sleep(LOOK_S)

"""The processes that receive the logs of servers: one for each component whose plan wants it,
started again after an end, and ended with the daemon.

Runs in a thread of its own: reading a plan and stopping a process take a while."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from drd import log
from drd.bootstrap import App
from drd.config.run_settings import VARIABLE
from drd.daemon.workers import Workers, environment
from drd.errors import CatalogueError, DrdError
from drd.flows.log.left import Left, kept
from drd.flows.log.noted import noted_copies, noted_state
from drd.flows.log.repository import log_keys, logged
from drd.model.alerts import Condition
from drd.model.log import copy_noted_as, noted_as
from drd.model.log_conditions import left_condition, log_condition, log_copy_condition
from drd.model.schedule import Schedule
from drd.process import Child, Command

_log = log.get()

PROGRAM = (sys.executable, "-P", "-m", "drd", "receiver")
LOOK_S = 2.0
AGAIN_S = 5.0
LONGEST_PAUSE_S = 300.0
STEADY_S = 600.0
"""A process that lived so long is started again at once."""
STOP_S = 8.0
LEAVE_S = 30.0
"""How often drd looks for what servers keep for nobody."""
LEAVE_AGAIN_S = 600.0
"""How often drd tries to remove it."""

Key = tuple[str, str]
"""A plan, and a component of it."""


@dataclass
class _Receiver:
    """One process, of a plan with this digest; between two of them None."""

    digest: str
    child: Child | None = None
    began: float = 0.0
    not_before: float = 0.0
    pause_s: float = AGAIN_S


class Receivers:
    """Begins with `start`, ends with `stop`. `names` are the plans in force."""

    def __init__(
        self,
        app: App,
        config: str | None,
        workers: Workers,
        names: Callable[[], Iterable[str]],
        schedule: Callable[[str], Schedule | None],
    ) -> None:
        self._app = app
        self._config = ["--config", config] if config is not None else []
        self._workers = workers
        self._names = names
        self._schedule = schedule
        self._wanted: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._unread: set[str] = set()
        self._receivers: dict[Key, _Receiver] = {}
        self._leaving: list[Child] = []
        self._unwanted: list[Left] = []
        self._left: list[Left] = []
        self._leave_at = 0.0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drd-receivers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the processes: what has arrived stays, and the next start goes on from there."""
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        for one in self._receivers.values():
            _end(one)
        for child in self._leaving:
            child.stop()

    def conditions(self, now: datetime) -> tuple[Condition, ...]:
        """Return what is wrong with the logs that plans want."""
        open_conditions = []
        for plan, component in list(self._receivers):
            with suppress(CatalogueError):
                at, state = noted_state(self._app.catalogue.queue, plan, component) or (None, None)
                open_conditions.append(log_condition(plan, component, state, at, now))
                open_conditions += self._of_copies(plan, component, now)
        open_conditions += [
            left_condition(o.plan, o.component, o.text, o.command) for o in self._left
        ]
        return tuple(c for c in open_conditions if c is not None)

    def _of_copies(self, plan: str, component: str, now: datetime) -> list[Condition | None]:
        copies = []
        for repository, _, state in noted_copies(self._app.catalogue.queue, plan, component):
            copies.append(log_copy_condition(plan, component, repository, state, now))
        return copies

    def _run(self) -> None:
        while not self._ends.is_set():
            try:
                self.turn()
            except Exception as error:  # noqa: BLE001 (a thread has nobody above it)
                _log.error("receivers.failed", error=f"{type(error).__name__}: {error}")
            self._ends.wait(LOOK_S)

    def turn(self) -> None:
        """Start what is wanted and does not run, and end what is not wanted any more."""
        wanted = {
            (name, component): digest
            for name in list(self._names())
            for digest, components in [self._components(name)]
            for component in components
        }
        for key, one in list(self._receivers.items()):
            if wanted.get(key) != one.digest:
                _end(one)
                del self._receivers[key]
        now = time.monotonic()
        if now >= self._leave_at:
            self._leave(set(wanted))
            again_s = LEAVE_AGAIN_S if self._left else LEAVE_S
            self._leave_at = now + again_s
        for key, digest in wanted.items():
            one = self._receivers.setdefault(key, _Receiver(digest))
            self._watch(key, one, now)

    def _leave(self, wanted: set[Key]) -> None:
        """Let servers remove what they keep for components that have no log any more. If that is
        not possible, a person has to know."""
        for child in self._leaving:
            child.stop()
        self._leaving.clear()
        names, before = set(self._names()), self._unwanted
        self._unwanted = [
            one
            for one in kept(self._app.catalogue.queue, self._app.services_without_plan().kinds)
            if (one.plan, one.component) not in wanted
        ]
        for one in self._unwanted:
            if one.plan in names:
                self._leaving.append(self._start((one.plan, one.component), "--leave"))
        self._left = [one for one in self._unwanted if one in before]

    def _components(self, plan: str) -> tuple[str, tuple[str, ...]]:
        """Return the digest of the plan in force, and its components with a log. A plan is read
        once."""
        schedule = self._schedule(plan)
        digest = schedule.digest if schedule is not None else ""
        known = self._wanted.get(plan)
        if known is not None and known[0] == digest:
            return known
        read = self._read(plan)
        if read is None:  # it is tried again, and what runs goes on
            return known or (digest, ())
        self._unread.discard(plan)
        self._wanted[plan] = digest, read
        self._app.catalogue.queue.forget_notes(
            plan, noted_as(plan, ""), [noted_as(plan, name) for name in read]
        )
        if not read:
            self._app.catalogue.queue.forget_notes(plan, copy_noted_as(plan), [])
        return digest, read

    def _read(self, plan: str) -> tuple[str, ...] | None:
        handed = self._workers.texts(plan)
        if handed is None or not any(key in handed.text for key in log_keys()):
            return ()
        try:
            loaded = self._app.plans.in_force(plan)
            return tuple(logged(self._app.services(loaded), loaded))
        except DrdError as error:
            if plan not in self._unread:
                self._unread.add(plan)
                _log.warning("receivers.plan", plan=plan, error=error.message)
            return None

    def _watch(self, key: Key, one: _Receiver, now: float) -> None:
        if one.child is not None and one.child.exit_code is not None:
            code, one.child = one.child.exit_code, None
            one.pause_s = AGAIN_S if now - one.began > STEADY_S else 2 * one.pause_s
            one.pause_s = min(one.pause_s, LONGEST_PAUSE_S)
            one.not_before = now + one.pause_s
            _log.warning("receiver.ended", plan=key[0], component=key[1], exit=code)
        if one.child is None and now >= one.not_before and not self._ends.is_set():
            one.child, one.began = self._start(key), now
            _log.info("receiver.started", plan=key[0], component=key[1], pid=one.child.pid)

    def _start(self, key: Key, *more: str) -> Child:
        words = [*PROGRAM, *key, *more, *self._config]
        words += ["--plan-on-stdin"] if self._workers.texts(key[0]) is not None else []
        env = environment(None) | {VARIABLE: self._workers.settings}
        return self._workers.start_beside(Command(words, env=env), key[0])


def _end(one: _Receiver) -> None:
    if one.child is not None:
        one.child.stop(grace_s=STOP_S)
        one.child = None

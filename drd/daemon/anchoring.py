"""Starts `drd records anchor` when there are new records: hourly, and sooner again after an error.

It is a process of its own, in its own time: a repository may take minutes to answer, and neither
the daemon's loop nor its monitor may wait for it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from drd import log, process
from drd.bootstrap import App
from drd.daemon.workers import environment
from drd.errors import CatalogueError
from drd.flows.records.noted import NOTED, forked
from drd.process import Child, Command

_log = log.get()

EVERY = timedelta(hours=1)
AGAIN = timedelta(minutes=10)
"""The time after which what failed is tried again."""
AT_LEAST = timedelta(days=1)
"""A new repository is found by then, even if there are no new records."""
LOOK_S = 30.0
"""Seconds between two looks at the newest entry, which cost one query each."""
LONGEST_S = 1800.0
_PROGRAM = (sys.executable, "-m", "drd", "records", "anchor", "--quiet")


def is_due(noted: tuple[datetime, Mapping[str, Any]] | None, head: int, now: datetime) -> bool:
    """Return whether anchors are due: of the newest entry `head`, given what was noted of the last
    ones. A time in the future is ignored: the clock was set."""
    if noted is None or noted[0] > now:
        return True
    since, places = now - noted[0], noted[1].get("places", {}).values()
    if any(place.get("error") for place in places):
        return since >= AGAIN
    if any(place.get("seq", 0) < head for place in places):
        return since >= EVERY
    return since >= AT_LEAST


class Anchoring:
    """Begins with `start`, ends with `stop`. `tell` gets the first text about a repository that
    knows other records, None if there is none."""

    def __init__(self, app: App, config: str | None, tell: Callable[[str | None], object]) -> None:
        self._app = app
        self._tell = tell
        self._words = [*_PROGRAM, *(["--config", config] if config is not None else [])]
        self._ends = threading.Event()
        self._child: Child | None = None
        self._not_before = 0.0

    def start(self) -> None:
        threading.Thread(target=self._run, name="drd-anchors", daemon=True).start()

    def stop(self) -> None:
        """End a child that works: the next start makes up for it."""
        self._ends.set()
        child = self._child
        if child is not None:
            child.stop(grace_s=8.0)

    def _run(self) -> None:
        while not self._ends.is_set():
            try:
                self.turn()
            except Exception as error:  # noqa: BLE001 (a thread has nobody above it)
                _log.error("records.unanchored", error=f"{type(error).__name__}: {error}")
            self._ends.wait(LOOK_S)

    def turn(self) -> None:
        """Store anchors if they are due."""
        if not self._is_due() or time.monotonic() < self._not_before:
            return
        self._not_before = time.monotonic() + AGAIN.total_seconds()
        command = Command(self._words, env=environment(None))
        self._child = process.start(command, stdout=2, stderr=2)
        until = time.monotonic() + LONGEST_S
        while not self._child.ends_within(0.5):
            if self._ends.is_set() or time.monotonic() > until:
                self._child.stop(grace_s=8.0)
        code, self._child = self._child.exit_code, None
        _log.info("records.anchored", exit=code)

    def _is_due(self) -> bool:
        try:
            records, queue = self._app.catalogue.records, self._app.catalogue.queue
            head = records.head()
            if head is None or not records.current_key():
                return False
            noted = queue.noted(NOTED)
            self._tell(forked(noted[1]) if noted is not None else None)
            return is_due(noted, head.seq, self._app.clock.now())
        except CatalogueError:
            return False

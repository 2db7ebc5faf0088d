"""Starts `drd records anchor` when there are new records: hourly, and sooner again after an error;
within a minute while an incident is open. Starts `drd records verify --here` hourly.

Each is a separate process, because a repository may take minutes to answer, and neither the
daemon's loop nor its monitor may wait for this."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from drd import log, process
from drd.bootstrap import App
from drd.daemon.workers import environment
from drd.errors import CatalogueError
from drd.flows.records.noted import NOTED, NOTED_SOON, forked
from drd.model.drd_facts import RECORDS_CHECK, records_damage
from drd.model.incidents.entries import PREFIX
from drd.model.records import REDACTION
from drd.process import Child, Command

_log = log.get()

EVERY = timedelta(hours=1)
AGAIN = timedelta(minutes=10)
"""The time after which what failed is tried again."""
AT_LEAST = timedelta(days=1)
"""A new repository is found by then, even if there are no new records."""
SOON = timedelta(seconds=15)
"""The time between two anchors of the same repositories while an incident is open."""
SOON_AGAIN = timedelta(minutes=1)
LOOK_S = 15.0
"""Seconds between two checks of the newest entry; each check costs one query."""
LONGEST_S = 1800.0
_PROGRAM = (sys.executable, "-P", "-m", "drd", "records")
_ANCHOR = ("anchor", "--quiet")
_CHECK = ("verify", "--here", "--quiet")
CHECK_FIRST_S = 600.0
CHECK_S = 3600.0
"""Seconds from the start to the first check of the chain, and between two checks."""
SHARE = 50.0
"""After a long check, drd waits this many times its duration before it checks again."""


def is_due(noted: tuple[datetime, Mapping[str, Any]] | None, head: int, now: datetime) -> bool:
    """Return whether anchors are due. `noted` is what was noted of the last ones, `head` the number
    of the newest entry. If the noted time is in the future, the clock was set, and the time is
    ignored."""
    if noted is None or noted[0] > now:
        return True
    since, places = now - noted[0], noted[1].get("places", {}).values()
    if any(place.get("error") for place in places):
        return since >= AGAIN
    if any(place.get("seq", 0) < head for place in places):
        return since >= EVERY
    return since >= AT_LEAST


def is_soon(noted: tuple[datetime, Mapping[str, Any]] | None, head: int, now: datetime) -> bool:
    """Return whether anchors are due while an incident is open, for the repositories that then get
    anchors at once. The arguments are those of `is_due`."""
    if noted is None or noted[0] > now:
        return True
    since, places = now - noted[0], noted[1].get("places", {}).values()
    if any(place.get("error") for place in places):
        return since >= SOON_AGAIN
    return since >= SOON and any(place.get("seq", 0) < head for place in places)


def is_waiting(noted: tuple[datetime, Mapping[str, Any]] | None, entry: int) -> bool:
    """Return whether a repository that gets the entries of incidents lacks `entry`, the newest
    entry about an incident; the entry that closes an incident must get there, too."""
    places = noted[1].get("places", {}).values() if noted is not None else ()
    return entry > min((place.get("seq", 0) for place in places), default=0)


class Anchoring:
    """Begins with `start`, ends with `stop`. `tell` gets the first text about a repository that
    knows other records, None if there is none; `tell_damage` gets what the last check of the chain
    found, empty if it found nothing."""

    def __init__(
        self,
        app: App,
        config: str | None,
        tell: Callable[[str | None], object],
        tell_damage: Callable[[str], object],
    ) -> None:
        self._app = app
        self._tell, self._tell_damage = tell, tell_damage
        self._config = ["--config", config] if config is not None else []
        self._check_at = time.monotonic() + CHECK_FIRST_S
        self._ends = threading.Event()
        self._child: Child | None = None
        self._not_before = 0.0
        self._not_soon_before = 0.0
        self._was_soon = False
        self._looked_at = 0
        self._last_entry = 0

    def start(self) -> None:
        threading.Thread(target=self._run, name="drd-anchors", daemon=True).start()

    def stop(self) -> None:
        """End a child process that works: the next start repeats its work."""
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
        """Store anchors if they are due, and check the chain if that is due."""
        self._report_damage()
        words = self._due()
        if words is not None:
            code = self._work([*_ANCHOR, *words])
            _log.info("records.anchored", exit=code, incidents=bool(words))
        if time.monotonic() >= self._check_at:
            began = time.monotonic()
            code = self._work(_CHECK)
            took_s = time.monotonic() - began
            self._check_at = time.monotonic() + max(CHECK_S, SHARE * took_s)
            _log.info("records.checked", exit=code)

    def _report_damage(self) -> None:
        with suppress(CatalogueError):
            noted = self._app.catalogue.queue.noted(RECORDS_CHECK)
            self._tell_damage(records_damage(noted[1]) if noted is not None else "")

    def _work(self, words: Sequence[str]) -> int | None:
        """Run drd with these words in a separate process, and return its exit code."""
        command = Command([*_PROGRAM, *words, *self._config], env=environment(None))
        self._child = process.start(command, stdout=2, stderr=2)
        until = time.monotonic() + LONGEST_S
        while not self._child.ends_within(0.5):
            if self._ends.is_set() or time.monotonic() > until:
                self._child.stop(grace_s=8.0)
        code, self._child = self._child.exit_code, None
        return code

    def _newest_of_incidents(self, head: int) -> int:
        """Return the number of the newest entry about an incident, or of a redaction: that body has
        to leave the repositories. 0 without an incident."""
        if head != self._looked_at:
            records = self._app.catalogue.records
            newest = records.newest_about(f"{PREFIX}.")
            redacted = records.newest_about(REDACTION) if newest is not None else None
            self._last_entry = max((e.seq for e in (newest, redacted) if e is not None), default=0)
            self._looked_at = head
        return self._last_entry

    def _due(self) -> list[str] | None:
        """Return the options by which anchors are due; None if none are."""
        try:
            records, queue = self._app.catalogue.records, self._app.catalogue.queue
            head = records.head()
            if head is None or not records.current_key():
                return None
            noted, early = queue.noted(NOTED), queue.noted(NOTED_SOON)
            now, clock = self._app.clock.now(), time.monotonic()
            self._tell(next((t for n in (noted, early) if n and (t := forked(n[1]))), None))
            waits = is_waiting(early, self._newest_of_incidents(head.seq))
            waits = waits or bool(self._app.catalogue.incidents.open_numbers())
            soon = waits and clock >= self._not_soon_before and is_soon(early, head.seq, now)
            hourly = clock >= self._not_before and is_due(noted, head.seq, now)
            if soon and not (hourly and self._was_soon):  # in turns, so that neither waits for ever
                self._was_soon = True
                self._not_soon_before = clock + SOON.total_seconds()
                return ["--incidents"]
            if hourly:
                self._was_soon = False
                self._not_before = clock + AGAIN.total_seconds()
                return []
        except CatalogueError:
            return None
        return None

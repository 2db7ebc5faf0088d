"""Starts `drd records anchor` when there are new records: hourly, and sooner again after an error;
within a minute while an incident is open. Starts `drd records verify --here` hourly.

Each is a separate process, because a repository may take minutes to answer, and neither the
daemon's loop nor its monitor may wait for this. Nor may the entries of an incident wait for the
repositories of all plans, so these have a thread of their own."""

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
LOOK_SOON_S = 5.0
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
    if not places:  # there was no plan then; there can be one by now
        return since >= SOON_AGAIN
    if any(place.get("seq", 0) < head and not place.get("failed") for place in places):
        return since >= SOON
    return since >= SOON_AGAIN and any(place.get("error") for place in places)


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
        self._children: set[Child] = set()
        self._not_before = self._not_soon_before = 0.0
        self._looked_at = 0
        self._last_entry = 0

    def start(self) -> None:
        for turn, look_s in ((self.turn, LOOK_S), (self.turn_soon, LOOK_SOON_S)):
            threading.Thread(
                target=self._run, args=(turn, look_s), name="drd-anchors", daemon=True
            ).start()

    def stop(self) -> None:
        """End the child processes that work: the next start repeats their work."""
        self._ends.set()
        for child in list(self._children):
            child.stop(grace_s=8.0)

    def _run(self, turn: Callable[[], object], look_s: float) -> None:
        while not self._ends.is_set():
            try:
                turn()
            except Exception as error:  # noqa: BLE001 (a thread has nobody above it)
                _log.error("records.unanchored", error=f"{type(error).__name__}: {error}")
            self._ends.wait(look_s)

    def turn(self) -> None:
        """Store anchors in all repositories if they are due, and check the chain if that is due."""
        self._report_damage()
        if self._is_due():
            code = self._work(_ANCHOR)
            _log.info("records.anchored", exit=code, incidents=False)
        if time.monotonic() >= self._check_at:
            began = time.monotonic()
            code = self._work(_CHECK)
            took_s = time.monotonic() - began
            self._check_at = time.monotonic() + max(CHECK_S, SHARE * took_s)
            _log.info("records.checked", exit=code)

    def turn_soon(self) -> None:
        """Store the entries of incidents if some are due."""
        if self._is_soon_due():
            code = self._work([*_ANCHOR, "--incidents"])
            _log.info("records.anchored", exit=code, incidents=True)

    def _report_damage(self) -> None:
        with suppress(CatalogueError):
            noted = self._app.catalogue.queue.noted(RECORDS_CHECK)
            self._tell_damage(records_damage(noted[1]) if noted is not None else "")

    def _work(self, words: Sequence[str]) -> int | None:
        """Run drd with these words in a separate process, and return its exit code."""
        command = Command([*_PROGRAM, *words, *self._config], env=environment(None))
        child = process.start(command, stdout=2, stderr=2)
        self._children.add(child)
        until = time.monotonic() + LONGEST_S
        while not child.ends_within(0.5):
            if self._ends.is_set() or time.monotonic() > until:
                child.stop(grace_s=8.0)
        self._children.discard(child)
        return child.exit_code

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

    def _is_due(self) -> bool:
        """Return whether anchors are due in all repositories, at most once in `AGAIN`."""
        clock = time.monotonic()
        try:
            head, queue = self._signed_head(), self._app.catalogue.queue
            if head == 0:
                return False
            noted, early = queue.noted(NOTED), queue.noted(NOTED_SOON)
            self._tell(next((t for n in (noted, early) if n and (t := forked(n[1]))), None))
        except CatalogueError:
            return False
        if clock < self._not_before or not is_due(noted, head, self._app.clock.now()):
            return False
        self._not_before = clock + AGAIN.total_seconds()
        return True

    def _is_soon_due(self) -> bool:
        """Return whether entries of incidents are due in the repositories that get them at once; at
        most once in `SOON`."""
        try:
            head, catalogue = self._signed_head(), self._app.catalogue
            if head == 0:
                return False
            noted = catalogue.queue.noted(NOTED_SOON)
            waits = is_waiting(noted, self._newest_of_incidents(head))
            waits = waits or bool(catalogue.incidents.open_numbers())
        except CatalogueError:
            return False
        clock = time.monotonic()
        if not waits or clock < self._not_soon_before:
            return False
        if not is_soon(noted, head, self._app.clock.now()):
            return False
        self._not_soon_before = clock + SOON.total_seconds()
        return True

    def _signed_head(self) -> int:
        """Return the number of the newest entry; 0 if there is none, or no key."""
        records = self._app.catalogue.records
        head = records.head()
        return head.seq if head is not None and records.current_key() else 0

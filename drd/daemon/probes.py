"""Check whether the repositories of all plans are still there, each once in a few minutes.

Runs in separate threads: a network file system that is gone blocks a thread for ever, and neither
the daemon's loop nor its monitor may wait for this. The results are written to the catalogue;
verdicts are made only from there."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b

from drd import log, secrets
from drd.bootstrap import App
from drd.errors import CatalogueError, DrdError
from drd.flows.repository.observed_state import no_answer, probe
from drd.model.location import is_named_place, is_s3
from drd.model.plan import RepositorySpec, S3Access
from drd.model.schedule import Schedule
from drd.model.schemes import scheme_of
from drd.ports.health import PlaceRow
from drd.repositories.probing import Prober

_log = log.get()

EVERY_S = 240.0
"""Seconds between two checks of a repository; the documented limit is five minutes."""
FEW_EVERY_S = 30.0
"""The seconds between two checks if there are few repositories."""
PER_SECOND = 0.5
"""This many checks a second cost almost nothing, so they are made even if there are few
repositories."""
PATIENCE_S = 30.0
"""Seconds after which a check counts as unanswered."""
WORKERS = 4
MOST_WORKERS = 16
"""The largest number of threads, including threads that hang."""
REFRESH_S = 30.0
"""Seconds between two checks of which plans are in force."""


@dataclass
class _Place:
    """A repository, and one of the plans that open it with the same secrets."""

    url: str
    plan: str
    next_at: float
    opened_with: str = ""
    digest: str | None = None
    waits: bool = False
    begun: float | None = None
    told: bool = False


class Probes:
    """Begins with `start`, ends with `stop`. `schedule` returns the schedule of a plan in force;
    `news` is called when a result has changed."""

    def __init__(
        self, app: App, schedule: Callable[[str], Schedule | None], news: Callable[[], None]
    ) -> None:
        self._app = app
        self._schedule = schedule
        self._news = news
        self._prober = Prober(secrets.resolve)
        self._places: dict[tuple[str, str], _Place] = {}
        self._access: dict[str, tuple[str, dict[str, S3Access]]] = {}
        self._queue: deque[_Place] = deque()
        self._ready = threading.Condition()
        self._workers = 0
        self._stopping = False
        self._refreshed = -REFRESH_S
        self._at_once = True

    def start(self) -> None:
        threading.Thread(target=self._run, name="drd-probes", daemon=True).start()

    def check_at_once(self) -> None:
        """Check repositories with a problem at once, as after a start: somebody may have repaired
        them."""
        with self._ready:
            self._at_once = True
            self._ready.notify()

    def stop(self) -> None:
        """Stop without waiting for a thread that hangs."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.turn(time.monotonic())
            except Exception as error:  # noqa: BLE001 (a thread has nobody above it)
                _log.error("probes.failed", error=f"{type(error).__name__}: {error}")
            with self._ready:
                self._ready.wait(1.0)

    def turn(self, now: float) -> None:
        """Start checks that are due, and abandon checks that hang."""
        if self._at_once or now - self._refreshed >= REFRESH_S:
            self._refreshed = now
            self._refresh(now)
        every_s = min(EVERY_S, max(FEW_EVERY_S, len(self._places) / PER_SECOND))
        for place in list(self._places.values()):
            if place.begun is not None:
                self._watch(place, now)
            elif place.next_at <= now and not place.waits:
                place.waits = True
                # Where only restic reaches, each check costs a second of computing.
                place.next_at = now + (every_s if scheme_of(place.url) is None else EVERY_S)
                self._hand_out(place)

    def _refresh(self, now: float) -> None:
        """Read the repositories of the plans in force, each once for the same secrets; new ones are
        spread over a round.
        """
        with self._ready:
            again, self._at_once = self._at_once, False
        wanted: dict[tuple[str, str], PlaceRow] = {}
        for row in self._app.catalogue.health.places():
            if is_named_place(row.url):  # only commands of a plan reach it: listings do
                continue
            key = row.url, row.opened_with
            if self._schedule(row.plan) is not None and not (key in wanted and not row.wrong):
                wanted[key] = row
        for key in self._places.keys() - wanted.keys():
            del self._places[key]
        within_s = min(EVERY_S, len(wanted) / PER_SECOND)
        for key, row in wanted.items():
            first_at = now + within_s * _share(row.url)
            new = _Place(row.url, row.plan, first_at, row.opened_with)
            known = self._places.setdefault(key, new)
            known.plan, known.digest = row.plan, None if row.wrong else row.digest
            if row.wrong and again:
                known.next_at = now

    def _watch(self, place: _Place, now: float) -> None:
        """Note a check that hangs as unanswered, and abandon its thread."""
        assert place.begun is not None
        if place.told or now - place.begun < PATIENCE_S:
            return
        place.told = True
        with suppress(CatalogueError):
            if no_answer(self._app.catalogue, self._app.clock, place.url, PATIENCE_S):
                self._news()
        with self._ready:
            self._workers -= 1  # another one may start

    def _hand_out(self, place: _Place) -> None:
        with self._ready:
            self._queue.append(place)
            hanging = sum(p.told for p in self._places.values() if p.begun is not None)
            if self._workers < WORKERS and self._workers + hanging < MOST_WORKERS:
                self._workers += 1
                threading.Thread(target=self._work, name="drd-probe", daemon=True).start()
            self._ready.notify()

    def _work(self) -> None:
        """Work until nothing is left: each round begins with new threads."""
        while True:
            with self._ready:
                if self._stopping or not self._queue:
                    self._workers -= 1
                    return
                place = self._queue.popleft()
            place.waits, place.told, place.begun = False, False, time.monotonic()
            self._probe(place)
            hung, place.begun = place.told, None
            if hung:
                return  # it has been replaced

    def _probe(self, place: _Place) -> None:
        try:
            if place.digest is not None and self._is_there(place):
                return
            is_news = probe(self._app.catalogue, self._app.clock, _Far(self, place))
        except CatalogueError as error:
            _log.debug("probe.catalogue", error=error.message)
        except DrdError as error:
            # Its keys are missing, for instance: backups fail with the same error, and report it.
            _log.debug("probe.failed", repository=place.url, error=error.message)
        else:
            if is_news:
                self._news()

    def _is_there(self, place: _Place) -> bool:
        """Return the state as of the last read of the catalogue."""
        try:
            return self.ask(place) == place.digest
        except DrdError:
            return False

    def ask(self, place: _Place) -> str | None:
        if scheme_of(place.url) is not None:
            spec = self._spec_of(place)
            # A plan that was replaced meanwhile is looked at with the next check.
            return None if spec is None else self._app.open_repository(spec).probe()
        return self._prober.probe(place.url, self._access_of(place))

    def _access_of(self, place: _Place) -> S3Access:
        """Return the access from the text of the plan in force, which is read once."""
        if not is_s3(place.url):
            return S3Access()
        schedule = self._schedule(place.plan)
        digest = schedule.digest if schedule is not None else ""
        known = self._access.get(place.plan)
        if known is None or known[0] != digest or place.url not in known[1]:
            plan = self._app.plans.in_force(place.plan)
            known = digest, {spec.url: spec.s3 for spec in plan.repositories.values()}
            self._access[place.plan] = known
        return known[1].get(place.url, S3Access())

    def open(self, place: _Place) -> str | None:
        """Return the id of the repository that is there now, which needs restic and the
        password.
        """
        spec = self._spec_of(place)
        return self._app.open_repository(spec).identity() if spec is not None else None

    def _spec_of(self, place: _Place) -> RepositorySpec | None:
        plan = self._app.plans.in_force(place.plan)
        return next((s for s in plan.repositories.values() if s.url == place.url), None)


class _Far:
    """A repository, with the methods that a probe needs."""

    def __init__(self, probes: Probes, place: _Place) -> None:
        self._probes = probes
        self._place = place
        self.url = place.url
        self.opened_with = place.opened_with

    def probe(self) -> str | None:
        return self._probes.ask(self._place)

    def identity(self) -> str | None:
        return self._probes.open(self._place)


def _share(url: str) -> float:
    """Return a fixed number between 0 and 1 for each repository."""
    return int.from_bytes(blake2b(url.encode(), digest_size=4).digest()) / 2**32

"""Prefetch: start downloads for a recovery during its preflight.

restic needs half a second to open a repository, and writes only to drd's own directories. So the
first downloads start at once. If they succeed, the repository is proven usable. If not, that means
nothing: the repository is checked as usual, and the step fetches again."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Any

from drd import process
from drd.flows.components.fetch import Fetch, fetched
from drd.flows.components.repository_choice import Holders
from drd.model.runbook import Circumstances, Step, next_moves
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, Manifest
from drd.ports import Destination

_TURN_S = 0.02


class Prefetch:
    """The downloads that were started. At the end, unused ones are cancelled."""

    def __init__(self, holders: Holders, part: Part | None = None) -> None:
        self.holders = holders
        self._part = part
        self._services = holders.services
        self._call_off = process.CallOff()
        workers = self._services.parallel + 1  # and the manifest
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="drd-prefetch")
        self._fetches: dict[str, Future[Fetch]] = {}
        self._landings: list[Path] = []
        self._manifest: Future[Manifest] | None = None

    def __enter__(self) -> Prefetch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._call_off.call()
        self._pool.shutdown(cancel_futures=True)
        self._call_off.close()

    def begin(self, snapshot: ComponentSnapshot, destination: Destination) -> None:
        """Start to fetch a component, unless that has started or the limit is reached."""
        if snapshot.component in self._fetches or len(self._fetches) >= self._services.parallel:
            return
        if self._manifest is None:
            self._manifest = self._pool.submit(self._read_manifest)
        landing = destination.landing()
        self._landings.append(landing)
        name = snapshot.component
        self._fetches[name] = self._pool.submit(self._fetch, snapshot, landing)

    def has(self, component: str) -> bool:
        return component in self._fetches

    def answered(self) -> bool:
        """Wait until one download succeeds, or all have failed; returns whether a repository has
        proven usable. False if another repository had to be used."""
        going: list[Future[Any]] = list(self._fetches.values())
        if self._manifest is not None:
            going.append(self._manifest)
        while going and not any(_filled(landing) for landing in self._landings):
            process.check_cancelled()
            over, _ = wait(going, timeout=_TURN_S, return_when=FIRST_COMPLETED)
            if any(f.exception() is None for f in over):
                break
            going = [f for f in going if f not in over]
        return bool(going) and not self.holders.passed_over

    def take(self, component: str) -> Fetch | None:
        """Wait for a component's download and return it. None if it must be fetched (again): a
        failure then shows again. A second call returns None."""
        fetch = self._fetches.pop(component, None)
        if fetch is None:
            return None
        while not fetch.done():
            process.check_cancelled()
            wait([fetch], timeout=_TURN_S)
        return fetch.result() if fetch.exception() is None else None

    def _fetch(self, snapshot: ComponentSnapshot, landing: Path) -> Fetch:
        with self._call_off.interruptible():
            return fetched(self.holders, snapshot, landing, self._part)

    def _read_manifest(self) -> Manifest:
        """Read the manifest early, for later callers."""
        with self._call_off.interruptible():
            return self.holders.manifest()


def at_once(runbook: Sequence[Step], around: Circumstances, names: Sequence[str]) -> list[str]:
    """Return the components that are restored before anything else is done."""
    if not runbook:
        return list(names)
    first = next_moves(runbook, {}, around).begin
    wanted = [n for s in runbook if s.name in first and s.kind == "restore" for n in s.subjects]
    return [n for n in dict.fromkeys(wanted) if n in names]


def _filled(landing: Path) -> bool:
    try:
        return any(landing.iterdir())
    except FileNotFoundError:
        return False

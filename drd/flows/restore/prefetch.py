"""Fetching before a recovery may touch anything: while its places are still looked at.

restic needs half a second to open a repository, and what it writes lands in places of drd's own. So
the first fetches begin at once. That they give something is the proof that the repository will do.
Where they do not, nothing is learnt from it: the repository is asked as usual, and the step
fetches.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Any

from drd import process
from drd.flows.restore.fetch import Fetch, fetched
from drd.flows.restore.repository_choice import Holders
from drd.model.part import Part
from drd.model.runbook import Circumstances, Step, next_moves
from drd.model.snapshot import ComponentSnapshot, Manifest
from drd.ports import Destination

_TURN_S = 0.02


class Prefetch:
    """The fetches that have begun. What nobody has taken at the end is called off."""

    def __init__(self, held: Holders, part: Part | None = None) -> None:
        self.held = held
        self._part = part
        self._services = held.services
        self._call_off = process.CallOff()
        workers = self._services.parallel + 1  # and the manifest
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="drd-ahead")
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
        """Fetch a component, unless that has begun or as many as may be are fetched already."""
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
        """Wait until something comes in, or all have ended without; whether a repository has proven
        itself so. It has not when it was passed over."""
        going: list[Future[Any]] = list(self._fetches.values())
        if self._manifest is not None:
            going.append(self._manifest)
        while going and not any(_filled(landing) for landing in self._landings):
            process.check_cancelled()
            over, _ = wait(going, timeout=_TURN_S, return_when=FIRST_COMPLETED)
            if any(f.exception() is None for f in over):
                break
            going = [f for f in going if f not in over]
        return bool(going) and not self.held.passed_over

    def take(self, component: str) -> Fetch | None:
        """Wait for a component that is being fetched; returns what was fetched. None when it has
        to be fetched yet: a failure then shows again. A second call finds nothing."""
        fetch = self._fetches.pop(component, None)
        if fetch is None:
            return None
        while not fetch.done():
            process.check_cancelled()
            wait([fetch], timeout=_TURN_S)
        return fetch.result() if fetch.exception() is None else None

    def _fetch(self, snapshot: ComponentSnapshot, landing: Path) -> Fetch:
        with self._call_off.interruptible():
            return fetched(self.held, snapshot, landing, self._part)

    def _read_manifest(self) -> Manifest:
        """For whoever asks for it afterwards."""
        with self._call_off.interruptible():
            return self.held.manifest()


def at_once(runbook: Sequence[Step], around: Circumstances, names: Sequence[str]) -> list[str]:
    """The components that come back before anything else is done."""
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

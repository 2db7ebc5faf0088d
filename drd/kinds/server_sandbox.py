"""A sandbox for a server that is restored from its files: the server runs in the workplace, and
reaches nothing else. The parts that are the same for every such server are here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from drd.kinds.file_system import fresh, remove
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Destination, OnProgress, Progress, Restored, Workplace
from drd.ports.logs import LogReplay


class Stoppable(Protocol):
    """A server that drd has started, and can stop."""

    def stop(self) -> None: ...


S = TypeVar("S", bound=Stoppable)


class FilesSandbox(Destination, Generic[S]):
    """Restores a whole server, and runs it until it is closed. A subclass starts the server on the
    landed files, and keeps it as `_server`."""

    def __init__(
        self, component: str, bin_dir: str | None, snapshot: ComponentSnapshot, place: Workplace
    ) -> None:
        self._component = component
        self._bin_dir = bin_dir
        self._snapshot = snapshot
        self._place = place
        self._server: S | None = None
        self._log: LogReplay | None = None

    @abstractmethod
    def _require_programs(self) -> None:
        """Raise SandboxUnavailable if this host lacks the programs of the server."""

    @abstractmethod
    def _start(self, snapshot: ComponentSnapshot, on_tick: Callable[[], None]) -> Restored:
        """Start the server on the files in `_landing`."""

    def replay(self, log: LogReplay) -> None:
        self._log = log

    def prepare(self) -> None:
        """Check only the programs of the server: drd has not fetched the files yet on which it will
        start."""
        self._require_programs()

    def landing(self) -> Path:
        return fresh(self._landing, parents=True)

    @property
    def _landing(self) -> Path:
        return self._place.directory / "landing"

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - the server itself has everything
        *,
        on_progress: OnProgress,
    ) -> Restored:
        self.close(landing=False)
        try:
            return self._start(snapshot, ticking(self._component, snapshot, on_progress))
        except BaseException:
            self.close()
            raise
        finally:
            remove(self._landing)

    def close(self, *, landing: bool = True) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None
        if landing:
            remove(self._landing)


def ticking(
    component: str, snapshot: ComponentSnapshot, on_progress: OnProgress
) -> Callable[[], None]:
    """Return the function that a server calls while it prepares files or replays its log."""
    return lambda: on_progress(Progress(component, "restore", 0, snapshot.bytes))

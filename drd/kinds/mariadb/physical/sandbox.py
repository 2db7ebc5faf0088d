"""A sandbox: the restored server runs in the workplace, and reaches nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from drd.errors import SandboxUnavailable
from drd.kinds.file_system import fresh, remove
from drd.kinds.held import Held
from drd.kinds.mariadb.physical.binlog.replay import replay
from drd.kinds.mariadb.physical.inspect import ServerInspector
from drd.kinds.mariadb.physical.landed import proven
from drd.kinds.mariadb.physical.programs import Programs, programs_for
from drd.kinds.mariadb.physical.server import RestoredServer
from drd.kinds.servers import room
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import escaped, some
from drd.ports import Destination, Finding, OnProgress, Progress, Restored, Workplace
from drd.ports.logs import LogReplay, RolledTo

_LOG = 128 << 20
"""Bytes that a server makes beside the restored files."""


def programs_of(snapshot: ComponentSnapshot, bin_dir: str | None) -> Programs:
    return programs_for(str(snapshot.facts["server_version"]), bin_dir)


def reached(snapshot: ComponentSnapshot) -> str:
    """Say to which moment of the source the files have been brought."""
    facts = snapshot.facts
    text = "the end of the copying, when mariadb-backup held all commits"
    if facts["binlog_file"]:
        text += f" (binary log {escaped(facts['binlog_file'])}, position {facts['binlog_position']}"
        text += f", GTID {facts['gtid_binlog_pos'] or '-'})"
    return text


def restored(
    snapshot: ComponentSnapshot, programs: Programs, rolled: RolledTo | None = None
) -> Restored:
    """Return the result of a restore. `rolled` is how far the server replayed its log."""
    notes = []
    if plugins := snapshot.facts["plugins"]:
        named = some([escaped(name) for name in plugins])
        notes.append(f"the plugins that the source had installed were not loaded: {named}")
    here, there = programs.version, snapshot.facts["server_version"]
    if here != there:
        notes.append(f"MariaDB {here} prepared and runs the files; the source had MariaDB {there}")
    return Restored(
        tuple(notes),
        facts={"server_version": here},
        reached=rolled.words if rolled is not None else reached(snapshot),
        data_time=rolled.data_time if rolled is not None else None,
        overtaken=rolled is not None,
    )


class ServerSandbox(Destination):
    """A sandbox that restores a whole server, and runs it with programs of the source's series."""

    def __init__(
        self, component: str, bin_dir: str | None, snapshot: ComponentSnapshot, place: Workplace
    ) -> None:
        self._component = component
        self._bin_dir = bin_dir
        self._snapshot = snapshot
        self._place = place
        self._server: RestoredServer | None = None
        self._log: LogReplay | None = None

    def replay(self, log: LogReplay) -> None:
        self._log = log

    def preflight(
        self,
        snapshot: ComponentSnapshot,
        *,
        overwrite: bool,  # noqa: ARG002 - nothing of anybody's is here
    ) -> list[Finding]:
        name = self._component
        try:
            version = programs_of(snapshot, self._bin_dir).version
        except SandboxUnavailable as error:
            return [Finding("sandbox", "error", name, error.message, error.hint)]
        needed = int(snapshot.facts["server_bytes"]) + _LOG
        return [
            Finding("sandbox", "ok", name, f"MariaDB {version}"),
            room(name, self._place, needed),
        ]

    def prepare(self) -> None:
        """The server starts on what is still to be fetched; only its programs have to be here."""
        programs_of(self._snapshot, self._bin_dir)

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
        programs = programs_of(snapshot, self._bin_dir)
        rolled = None
        try:
            data = proven(self._landing, snapshot, programs, self._place)
            server = self._server = RestoredServer(self._place, programs, snapshot.facts)
            on_tick = ticking(self._component, snapshot, on_progress)
            server.prepare(data, on_tick)
            if self._log is not None:
                rolled = replay(server, self._log, snapshot, self._bin_dir, on_tick)
            server.run()
        except BaseException:
            self.close()
            raise
        finally:
            remove(self._landing)
        return restored(snapshot, programs, rolled)

    def inspector(self) -> ServerInspector:
        server = self._server
        assert server is not None
        address = server.address(str(self._snapshot.facts["database"]))
        return ServerInspector(
            Held(lambda: nullcontext(server.address)),
            address.uri,
            address.database,
            address.environment(),
        )

    def close(self, *, landing: bool = True) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None
        if landing:
            remove(self._landing)


def ticking(
    component: str, snapshot: ComponentSnapshot, on_progress: OnProgress
) -> Callable[[], None]:
    """Return what is called while files are prepared."""
    return lambda: on_progress(Progress(component, "restore", 0, snapshot.bytes))

"""A sandbox: the restored server runs in the workplace, and reaches nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from drd.errors import SandboxUnavailable
from drd.kinds.held import Held
from drd.kinds.mariadb.physical.binlog.replay import replay
from drd.kinds.mariadb.physical.inspect import ServerInspector
from drd.kinds.mariadb.physical.landed import proven
from drd.kinds.mariadb.physical.programs import Programs, programs_for
from drd.kinds.mariadb.physical.server import RestoredServer
from drd.kinds.server_sandbox import FilesSandbox
from drd.kinds.servers import room
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import escaped, some
from drd.ports import Finding, Restored
from drd.ports.logs import RolledTo

OWN_FILES = 128 << 20
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


class ServerSandbox(FilesSandbox[RestoredServer]):
    """A sandbox that restores a whole server, and runs it with programs of the source's series."""

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
        needed = int(snapshot.facts["server_bytes"]) + OWN_FILES
        return [
            Finding("sandbox", "ok", name, f"MariaDB {version}"),
            room(name, self._place, needed),
        ]

    def _require_programs(self) -> None:
        programs_of(self._snapshot, self._bin_dir)

    def _start(self, snapshot: ComponentSnapshot, on_tick: Callable[[], None]) -> Restored:
        programs, rolled = programs_of(snapshot, self._bin_dir), None
        data = proven(self._landing, snapshot, programs, self._place)
        server = self._server = RestoredServer(self._place, programs, snapshot.facts)
        server.prepare(data, on_tick)
        if self._log is not None:
            rolled = replay(server, self._log, snapshot, self._bin_dir, on_tick)
        server.run()
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

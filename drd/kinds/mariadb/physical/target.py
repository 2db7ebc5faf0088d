"""The named target of a recovery: a data directory, which a server of this host can then run on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

from drd.errors import DrdError, SourceUnreachable
from drd.kinds.data_directory import DataDirectory, ServerFiles
from drd.kinds.mariadb.address import Address, address_of
from drd.kinds.mariadb.connection import ServerError
from drd.kinds.mariadb.physical import SPEC
from drd.kinds.mariadb.physical.binlog.replay import replay, room_of_log
from drd.kinds.mariadb.physical.examine import data_dir_of
from drd.kinds.mariadb.physical.inspect import ServerInspector
from drd.kinds.mariadb.physical.landed import proven
from drd.kinds.mariadb.physical.opened import open_like
from drd.kinds.mariadb.physical.programs import Programs, programs_for
from drd.kinds.mariadb.physical.reach import connect
from drd.kinds.mariadb.physical.sandbox import OWN_FILES, programs_of, restored
from drd.kinds.mariadb.physical.server import AskedServer, RestoredServer, of_source
from drd.kinds.mariadb.server import end_server
from drd.kinds.mariadb.tools import program
from drd.kinds.server_sandbox import ticking
from drd.kinds.servers import servers_in
from drd.kinds.untrusted_dirs import content
from drd.model.plan import SecretRef
from drd.model.restored import Task
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import counted, escaped, some
from drd.model.units import format_size
from drd.ports import Finding, OnProgress, Restored, Workplace

_USUAL = {
    "innodb-data-file-path": "ibdata1:12M:autoextend",
    "innodb-page-size": "16384",
    "lower-case-table-names": "0",
}
"""The defaults of settings that the server needs as its source had them."""


def running_in(data: Path) -> int | None:
    """Return the process of the server that runs in a data directory, or of one that perhaps runs
    there and that drd may not see; None if there is none."""
    return servers_in(data, _is_mariadb).first


def _is_mariadb(words: bytes) -> bool:
    return words.partition(b"\0")[0].rpartition(b"/")[2] in (b"mariadbd", b"mysqld")


def _same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return False


FILES = ServerFiles("MariaDB", SPEC.data_owner, "mariadb-server", "datadir", running_in, end_server)


class ServerDirectory(DataDirectory[Address]):
    """A data directory, replaced as a whole. mariadb-backup prepares the files beside it, behind
    the fence: a server can start on what gets the final name."""

    files = FILES

    def _needs(self, snapshot: ComponentSnapshot) -> tuple[int, str]:
        hint, size = f"free space in {self._target.parent}.", int(snapshot.facts["server_bytes"])
        if self._log_bytes:
            hint += (
                f" The replay of the binary log ({format_size(self._log_bytes)}) needs room, too."
            )
        return size + OWN_FILES + room_of_log(self._log_bytes), hint

    def _fits(self, snapshot: ComponentSnapshot) -> str:
        programs = programs_of(snapshot, self._settings.bin_dir)
        return f"MariaDB {programs.version} can run the files of {snapshot.facts['server_version']}"

    def _warnings(self, snapshot: ComponentSnapshot) -> list[Finding]:
        plugins = snapshot.facts["plugins"]
        if not plugins:
            return []
        text = (
            f"the source has installed the plugins {some([escaped(n) for n in plugins])}: the "
            "server loads them when you start it"
        )
        remedy = "install the packages of these plugins on this host before you start the server."
        return [Finding("plugins", "warning", "", text, remedy)]

    def _make(self, snapshot: ComponentSnapshot, on_progress: OnProgress) -> Restored:
        room = content(self._publication.landing)
        programs = programs_of(snapshot, self._settings.bin_dir)
        place = replace(self._place, directory=room, run_as=self._owner(), shelf=None)
        data = proven(room, snapshot, programs, place)
        server, rolled = RestoredServer(place, programs, snapshot.facts), None
        try:
            on_tick = ticking(self._component, snapshot, on_progress)
            server.prepare(data, on_tick)
            if self._log is not None:
                rolled = replay(server, self._log, snapshot, self._settings.bin_dir, on_tick)
            self._open_as_before(server.ready)
            self._publish(server.ready)
        finally:
            server.stop()
        return restored(snapshot, programs, rolled)

    def _open_as_before(self, ready: Path) -> None:
        publication = self._publication
        former = next((d for d in (publication.target, publication.before) if d.is_dir()), None)
        if former is not None:
            open_like(ready, former)

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:
        tasks = []
        needs = of_source(snapshot.facts)
        if unusual := [f"{k}={needs[k]}" for k, v in _USUAL.items() if needs[k] != v]:
            tasks.append(
                Task(
                    code="configuration",
                    text="write these settings into the configuration of the server, which the "
                    f"backup does not contain: {', '.join(unusual)}. With others, the server does "
                    "not start on the restored files, or does not find its tables",
                    command="grep -rns '^ *innodb\\|^ *lower' /etc/mysql",
                )
            )
        if events := int(snapshot.facts["events"]):
            tasks.append(
                Task(
                    code="events",
                    text=f"{counted(events, 'enabled event')} will run in the restored server as "
                    "soon as you start it with event_scheduler=ON. If the old server still runs, "
                    "start the new one with event_scheduler=OFF",
                    command=f"ls -l {quote(str(self._target))}",
                )
            )
        return tuple(tasks)

    def inspector(self) -> ServerInspector:
        default = str(self._snapshot.facts["database"]) if self._snapshot else self._database
        return ServerInspector(self._server, str(self._target), default, self._variables(default))

    def _address(self, reference: SecretRef) -> Address:
        return address_of(reference)

    def _own_server(self, place: Workplace) -> AskedServer:
        programs, facts = self._known()
        return AskedServer(place, programs, facts)

    def _known(self) -> tuple[Programs, Mapping[str, Any]]:
        """Return the programs for the restored files, and what these need. Without the restore
        point, the files are taken for those of a server with the defaults."""
        if self._snapshot is not None:
            return programs_of(self._snapshot, self._settings.bin_dir), self._snapshot.facts
        undo = len(list(self._target.glob("undo[0-9][0-9][0-9]")))
        usual = {key.replace("innodb-", "").replace("-", "_"): v for key, v in _USUAL.items()}
        version = program("mariadbd", self._settings.bin_dir).version
        facts = {**usual, "undo_tablespaces": undo}
        return programs_for(version, self._settings.bin_dir), facts

    def _require_same(self, address: Address, server: int) -> None:
        try:
            with connect(address, database=False) as connection:
                there = data_dir_of(connection)
        except (DrdError, ServerError) as error:
            said = error.message if isinstance(error, DrdError) else str(error)
            raise SourceUnreachable(said, hint="check `dsn` of the target.") from error
        if not _same(Path(there), self._target):
            raise SourceUnreachable(
                f"{address.named} works in {escaped(there)}, and the server in {self._target} "
                f"(process {server}) is another one",
                hint="correct `dsn` of the target: it must lead to the restored server.",
            )

"""The named target of a recovery: a data directory, which a server of this host can then run on."""

from __future__ import annotations

import os
import re
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from shlex import quote

from drd.errors import SourceError, SourceUnreachable
from drd.kinds.data_directory import DataDirectory, ServerFiles
from drd.kinds.postgres.abandoned import end_server
from drd.kinds.postgres.address import Address, address_of
from drd.kinds.postgres.connection import connect
from drd.kinds.postgres.physical import SPEC
from drd.kinds.postgres.physical.chain import room
from drd.kinds.postgres.physical.directory_server import (
    OFF,
    SPACES_DIRECTORY,
    AskedServer,
    DirectoryServer,
)
from drd.kinds.postgres.physical.inspect import ClusterInspector
from drd.kinds.postgres.physical.landed import programs_of
from drd.kinds.postgres.physical.sandbox import proven_for, restored
from drd.kinds.postgres.server import sandbox_programs
from drd.kinds.postgres.server_text import shown
from drd.kinds.postgres.tools import PostgresPrograms
from drd.kinds.server_sandbox import ticking
from drd.kinds.servers import servers_in
from drd.kinds.untrusted_dirs import content
from drd.model.plan import SecretRef
from drd.model.restored import Task
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import some
from drd.model.units import format_size
from drd.ports import (
    Finding,
    OnProgress,
    Restored,
    Workplace,
)

_DEBIAN = Path("/etc/postgresql")
_DATA_DIRECTORY = re.compile(r"^\s*data_directory\s*=?\s*'([^'\n]+)'", re.MULTILINE)


def postmaster(data: Path) -> int | None:
    """Return the process of the server that runs in a data directory, or of one that perhaps runs
    there and that drd may not see; None if there is none. The number in postmaster.pid is not used:
    for a server in a container, it is a number of the container, and the file stays after a crash.
    """
    return servers_in(data, _is_postgres).first


def _is_postgres(words: bytes) -> bool:
    program = words.partition(b"\0")[0]
    return program.startswith(b"postgres:") or program.rpartition(b"/")[2] == b"postgres"


def parent_of(pid: int) -> int | None:
    """Return the process that has started this one; None if it is not on this host."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
            if line.startswith("PPid:"):
                return int(line.split()[1])
    return None


FILES = ServerFiles(
    "PostgreSQL", SPEC.data_owner, "postgresql-common", "data_directory", postmaster, end_server
)


class ClusterDirectory(DataDirectory[Address]):
    """A data directory, replaced as a whole. The server replays its WAL beside it, behind the
    fence, and is shut down: what gets the final name needs no recovery, and its settings reach
    nobody."""

    files = FILES

    def _needs(self, snapshot: ComponentSnapshot) -> tuple[int, str]:
        hint = f"free space in {self._target.parent}. The tablespaces need room there, too."
        if self._log_bytes:
            hint += f" The WAL ({format_size(self._log_bytes)}) also needs room there."
        return room(snapshot.facts) + self._log_bytes, hint

    def _fits(self, snapshot: ComponentSnapshot) -> str:
        programs = programs_of(snapshot, self._settings.bin_dir)
        return (
            f"PostgreSQL {programs.version} can run the files of {snapshot.facts['server_version']}"
        )

    def _warnings(self, snapshot: ComponentSnapshot) -> list[Finding]:
        libraries = snapshot.facts["libraries"]
        if not libraries:
            return []
        text = (
            f"the source loads the libraries {some([shown(n) for n in libraries])}; drd "
            "switches this off in the restored settings"
        )
        remedy = (
            "install these libraries on this host. After the recovery, set "
            "shared_preload_libraries again."
        )
        return [Finding("libraries", "warning", "", text, remedy)]

    def _make(self, snapshot: ComponentSnapshot, on_progress: OnProgress) -> Restored:
        room = content(self._publication.landing)
        programs = programs_of(snapshot, self._settings.bin_dir)
        place = replace(self._place, directory=room, run_as=self._owner(), shelf=None)
        on_tick = ticking(self._component, snapshot, on_progress)
        server, landed, roll = proven_for(
            DirectoryServer, snapshot, programs, place, on_tick, room=room, log=self._log
        )
        try:
            server.take_over(landed.data, landed.spaces)
            done = restored(snapshot, server, roll)
            server.shut(self._target)
            self._publish(server.ready)
        finally:
            server.stop()
        return done

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:
        target = self._target
        off = ", ".join(name for name, value in OFF.items() if value)
        tasks = [
            Task(
                code="archiving",
                text="archiving and replication are off on the restored server: it does not "
                f"archive, follow or feed another server ({off} in postgresql.auto.conf; `grep` "
                "shows this file). When the server is in use, switch on what you need with ALTER "
                "SYSTEM RESET, then make a backup. Archive its WAL to a new place, because it "
                "began a new timeline",
                command=f"grep -n '' {quote(str(target / 'postgresql.auto.conf'))}",
            )
        ]
        if spaces := snapshot.facts["tablespaces"]:
            listed = some([shown(name) for name in spaces.values()])
            tasks.append(
                Task(
                    code="tablespaces",
                    text=f"the tablespaces {listed} are in {target / SPACES_DIRECTORY}. To move a "
                    "tablespace to another disk, stop the server, move the directory of the "
                    "tablespace, and let its link in pg_tblspc lead there. `ls -l` shows where "
                    "these links lead",
                    command=f"ls -l {quote(str(target / 'pg_tblspc'))}",
                )
            )
        if task := configuration(target, str(snapshot.facts["server_major"])):
            tasks.append(task)
        return tuple(tasks)

    def inspector(self) -> ClusterInspector:
        default = self._snapshot.facts["database"] if self._snapshot else self._database
        return ClusterInspector(self._server, str(self._target), default, self._variables(default))

    def _address(self, reference: SecretRef) -> Address:
        return address_of(reference)

    def _own_server(self, place: Workplace) -> AskedServer:
        known = self._snapshot.facts["bootstrap_role"] if self._snapshot else SPEC.server_user
        return AskedServer(place, self._programs(), timeline=1, superuser=known)

    def _programs(self) -> PostgresPrograms:
        """Return the programs for the restored directory. Raises SourceUnreachable."""
        try:
            major = int((self._target / "PG_VERSION").read_text("ascii"))
        except (OSError, ValueError) as error:
            raise SourceUnreachable(
                f"{self._target} is not the data directory of a PostgreSQL server",
                hint="see how the recovery ended: drd run show RUN",
            ) from error
        return sandbox_programs(major, self._settings.bin_dir, or_newer=False)

    def _require_same(self, address: Address, server: int) -> None:
        try:
            with closing(connect(address)) as connection:
                asked = connection.info.backend_pid
        except SourceError as error:
            raise SourceUnreachable(error.message, hint=error.hint) from error
        if parent_of(asked) != server:
            raise SourceUnreachable(
                f"{address.named} is not the server that runs in {self._target} (process {server})",
                hint="correct `dsn` of the target: it must lead to the restored server.",
            )


def configuration(directory: Path, major: str) -> Task | None:
    """Return what is to be done for a data directory without its configuration files; None if it
    has them, or if Debian has some for this directory."""
    if (directory / "postgresql.conf").exists() or _is_configured(directory):
        return None
    return Task(
        code="configuration",
        text=f"{directory} has no postgresql.conf and no pg_hba.conf: the source has them "
        "elsewhere, on Debian in /etc/postgresql. Start the server with these files, if another "
        "component has brought them back, or with new ones. On Debian this command makes new ones",
        command=f"pg_createcluster {quote(major)} restored -d {quote(str(directory))}",
    )


def _is_configured(directory: Path) -> bool:
    for file in _DEBIAN.glob("*/*/postgresql.conf"):
        with suppress(OSError):
            named = _DATA_DIRECTORY.findall(file.read_text(errors="replace"))
            if named and os.path.realpath(named[-1]) == os.path.realpath(directory):
                return True
    return False

"""A database in a backup of its whole server: the sandbox is the server, and a recovery elsewhere
gets a dump of the database."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from drd import process
from drd.errors import RepositoryDamaged, SandboxUnavailable, TargetError
from drd.kinds.databases import Dumped
from drd.kinds.file_system import ANOTHER_POINT, DUMP_IS_LARGER, fresh, keeping_room
from drd.kinds.postgres import database
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.connection import connect, words
from drd.kinds.postgres.inspect import PostgresInspector
from drd.kinds.postgres.manifest import BACKUP, SERVER, filename, require_described
from drd.kinds.postgres.restore import sandbox_findings
from drd.kinds.postgres.restored_server import OLDEST, RestoredServer
from drd.kinds.postgres.server import sandbox_programs
from drd.kinds.postgres.tools import PostgresPrograms
from drd.kinds.server_sandbox import ticking
from drd.model.adopted import ROLLED_FORWARD
from drd.model.snapshot import ComponentSnapshot
from drd.model.strict import UnexpectedValue
from drd.model.text import escaped
from drd.model.units import format_time
from drd.ports import Finding, Inspector, OnProgress, Restored, Workplace
from drd.ports.destinations import DumpUnusable
from drd.process import Command

DATA, SPACES = "data", "tablespaces"
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_MISSING = """
SELECT e.extname::text FROM pg_catalog.pg_extension e WHERE NOT EXISTS
  (SELECT FROM pg_catalog.pg_available_extensions a WHERE a.name = e.extname) ORDER BY 1"""
_OTHER_COLLATION = """
SELECT 1 FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
   AND datcollversion <> pg_catalog.pg_database_collation_actual_version(oid)"""


def is_server(snapshot: ComponentSnapshot) -> bool:
    """Return whether the copy is a copy of a whole server."""
    return bool(snapshot.facts.get(SERVER, False))


def programs_of(snapshot: ComponentSnapshot, bin_dir: str | None) -> PostgresPrograms:
    """Return the programs that can run the files of the server: the programs of its own major
    version. Raises SandboxUnavailable."""
    major = int(snapshot.facts["server_major"])
    if major < OLDEST:
        raise SandboxUnavailable(
            f"the backup was made from PostgreSQL {snapshot.facts['server_version']}, and drd "
            f"recovers backups of whole servers only from version {OLDEST}",
            hint="restore the backup by hand: pgbackrest restore.",
        )
    programs = sandbox_programs(major, bin_dir, or_newer=False)
    if programs.major != major:
        raise SandboxUnavailable(
            f"this host has no PostgreSQL {major}, and the files of the backup cannot run with "
            f"version {programs.version}",
            hint=f"apt-get install postgresql-{major}",
        )
    return programs


@dataclass(frozen=True, slots=True)
class Recovered:
    """A running server with the database, and notes about it."""

    server: RestoredServer
    address: Address
    reached: str
    notes: tuple[str, ...]
    data_time: datetime | None


def recovered(
    component: str,
    snapshot: ComponentSnapshot,
    place: Workplace,
    *,
    bin_dir: str | None,
    on_progress: OnProgress,
    until: datetime | None = None,
) -> Recovered:
    """Start the server that has landed, and roll it forward."""
    landing = place.directory / "landing"
    data = landing / DATA
    names = [p.name for p in (data / "pg_wal").iterdir() if _SEGMENT.fullmatch(p.name)]
    if not names:
        raise DumpUnusable(
            f"the backup of {component} does not contain any WAL",
            hint="choose another restore point: drd points PLAN",
        )
    last = max(names, key=lambda name: (name[8:], name))

    server = RestoredServer(
        place,
        programs_of(snapshot, bin_dir),
        timeline=int(last[:8], 16),
        until=until,
        on_tick=ticking(component, snapshot, on_progress),
    )
    try:
        server.take_over(data, landing / SPACES)
        address = server.address(snapshot.facts["database"])
        reached, notes = _reached(snapshot, server, last, until), tuple(_notes(server, address))
    except BaseException:
        server.stop()
        raise
    finally:
        shutil.rmtree(landing, ignore_errors=True)
    return Recovered(server, address, reached, notes, _data_time(server, until))


def _data_time(server: RestoredServer, until: datetime | None) -> datetime | None:
    """Return of when the data is, if the log ended before the time at which to stop."""
    if until is None or server.stopped or not server.last_transaction:
        return None
    return datetime.fromisoformat(f"{server.last_transaction}+00:00")


def _reached(
    snapshot: ComponentSnapshot, server: RestoredServer, last: str, until: datetime | None
) -> str:
    backup = snapshot.facts[BACKUP]
    if until is not None and server.stopped:
        text = f"backup {backup} rolled forward to {format_time(until, seconds=True)}"
    elif ROLLED_FORWARD in snapshot.facts:
        text = f"backup {backup} rolled forward to the end of WAL segment {last}"
    else:
        text = f"backup {backup} in its state at the end of the backup, WAL segment {last}"
    if not server.last_transaction:
        return f"{text}; the WAL does not contain any transaction"
    return f"{text}; last transaction at {server.last_transaction} UTC"


def _notes(server: RestoredServer, address: Address) -> list[str]:
    notes = [not_loaded(server.libraries)] if server.libraries else []
    return [*notes, *notes_about(address, server.programs.major)]


def not_loaded(libraries: Sequence[str]) -> str:
    """Say which libraries the server of the source loads when it starts."""
    named = ", ".join(libraries)
    return f"the source loads the libraries {named}; the restored server does not load them"


def notes_about(address: Address, major: int) -> list[str]:
    """Return notes about what this host lacks for a database. Raises TargetError."""
    notes = []
    try:
        with closing(connect(address)) as connection:
            missing = [row[0] for row in connection.execute(_MISSING.encode()).fetchall()]
            if missing:
                notes.append(
                    f"extensions that are not installed on this host: {', '.join(missing)}; "
                    "queries that need them fail"
                )
            if major >= 15:
                row = connection.execute(_OTHER_COLLATION.encode()).fetchone()
                if row is not None:
                    notes.append(
                        "this host sorts text differently from the source: indexes on text may "
                        "be wrong here, and also after a recovery on such a host"
                    )
    except psycopg.Error as error:
        raise DumpUnusable(
            f"cannot read database {address.dbname} of the backup: {words(error)}",
            hint="choose another restore point: drd points PLAN",
        ) from error
    return notes


class ServerSandbox:
    """Implements `Destination` for one database: its whole server runs in the workplace."""

    def __init__(
        self, component: str, bin_dir: str | None, snapshot: ComponentSnapshot, place: Workplace
    ) -> None:
        self._component = component
        self._bin_dir = bin_dir
        self._snapshot = snapshot
        self._place = place
        self._recovered: Recovered | None = None
        self._inspector: PostgresInspector | None = None

    def preflight(
        self,
        snapshot: ComponentSnapshot,
        *,
        overwrite: bool,  # noqa: ARG002 - nothing of anybody's is here
    ) -> list[Finding]:
        return sandbox_findings(
            self._component,
            lambda: programs_of(snapshot, self._bin_dir),
            self._place,
            int(snapshot.facts["database_bytes"]),
        )

    def prepare(self) -> None:
        """The server starts on what is still to be fetched; only its programs have to be here."""
        programs_of(self._snapshot, self._bin_dir)

    def landing(self) -> Path:
        return fresh(self._place.directory / "landing", parents=True)

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - the server itself has everything
        *,
        on_progress: OnProgress,
    ) -> Restored:
        self.close()
        self._recovered = recovered(
            self._component,
            snapshot,
            self._place,
            bin_dir=self._bin_dir,
            on_progress=on_progress,
        )
        server = self._recovered.server
        facts = {
            "server_version": server.programs.version,
            "server_settings": server.settings,
        }
        return Restored(self._recovered.notes, facts=facts, reached=self._recovered.reached)

    def inspector(self) -> Inspector:
        assert self._recovered is not None
        if self._inspector is None:
            self._inspector = PostgresInspector(self._recovered.address)
        return self._inspector

    def close(self) -> None:
        if self._inspector is not None:
            self._inspector.close()
            self._inspector = None
        if self._recovered is not None:
            self._recovered.server.stop()
            self._recovered = None


def dumped(
    component: str,
    snapshot: ComponentSnapshot,
    private: Mapping[str, Any],
    place: Workplace,
    *,
    on_progress: OnProgress,
    until: datetime | None = None,
) -> Dumped:
    """Start the server that has landed, and dump the one database."""
    recovered_server = recovered(
        component, snapshot, place, bin_dir=None, on_progress=on_progress, until=until
    )
    try:
        with closing(connect(recovered_server.address)) as connection:
            properties = database.read(connection)
        properties["acl"] = []
        require_usual({"database": properties}, recovered_server.address.dbname)
        dump = fresh(place.directory / "landing", parents=True) / filename(component)
        pg_dump(
            recovered_server.server.programs,
            recovered_server.address,
            dump,
            component,
            by_hand="restore the whole server by hand: pgbackrest restore.",
        )
    finally:
        recovered_server.server.stop()
    facts = {
        **snapshot.facts,
        "locale": {key: properties[key] for key in database.LOCALE},
        "extensions": properties["extensions"],
    }
    private = {**private, "database": {**properties, "owner": private["database"]["owner"]}}
    return Dumped(
        replace(snapshot, facts=facts),
        private,
        recovered_server.reached,
        recovered_server.notes,
        recovered_server.data_time,
    )


def require_usual(private: Mapping[str, Any], name: str) -> None:
    """Check the description of the database `name` and its roles, which the copied server gave.
    drd turns it into SQL that a superuser of another server executes. Raises RepositoryDamaged for
    a description that no PostgreSQL server gives."""
    try:
        require_described(private, f"database {escaped(name)} in the copied server")
    except UnexpectedValue as error:
        raise RepositoryDamaged(
            f"the copied server describes database {escaped(name)} as no PostgreSQL server does, "
            f"so the backup was changed or is damaged: {error}",
            hint=ANOTHER_POINT,
        ) from error


def pg_dump(
    programs: PostgresPrograms, address: Address, dump: Path, component: str, *, by_hand: str
) -> None:
    """Dump a database of a server of drd's own into a new file. Raises TargetError."""
    words_ = [
        programs.path("pg_dump"), "--format=custom", "--compress=0",
        f"--dbname={address.conninfo}",
    ]  # fmt: skip
    low = keeping_room(
        dump.parent, f"pg_dump of {component} from the restored server", hint=DUMP_IS_LARGER
    )
    with dump.open("xb") as file:
        command = Command(words_, drop_capabilities=True, name="pg_dump")
        child = process.start(command, stdout=file.fileno())
        done = child.pump(on_tick=low)
    if done.exit_code != 0:
        with suppress(OSError):
            dump.unlink()
        raise TargetError(
            f"pg_dump of {component} from the restored server {done.failure}",
            hint=f"choose another restore point; or {by_hand}",
        )

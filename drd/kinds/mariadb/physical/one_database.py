"""The target of a recovery of one database of a copied server, or of tables in this database.

drd prepares the whole copy in the workplace, starts a server of its own on it, behind the fence,
and dumps the one database with mariadb-dump. Then drd loads the dump into a running server, like
any other dump."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import DrdError, RepositoryDamaged, SourceError
from drd.kinds.databases import Dumped, require_in
from drd.kinds.file_system import ANOTHER_POINT, DUMP_IS_LARGER, fresh, keeping_room, remove
from drd.kinds.mariadb.address import OPTIONS, write_options
from drd.kinds.mariadb.connection import Connection, ServerError, connect, words
from drd.kinds.mariadb.described import Read
from drd.kinds.mariadb.described import read as described
from drd.kinds.mariadb.dump import without_views
from drd.kinds.mariadb.dump import words as dump_words
from drd.kinds.mariadb.grants import all_on, recovers
from drd.kinds.mariadb.inspect import MariadbInspector
from drd.kinds.mariadb.manifest import filename, require_written
from drd.kinds.mariadb.physical import contents, narrow
from drd.kinds.mariadb.physical.binlog.replay import replay, room_of_log
from drd.kinds.mariadb.physical.landed import proven
from drd.kinds.mariadb.physical.sandbox import programs_of, reached
from drd.kinds.mariadb.physical.server import RestoredServer
from drd.kinds.mariadb.quoting import account
from drd.kinds.mariadb.roles import parts_of
from drd.kinds.mariadb.settings import MariadbTarget
from drd.kinds.mariadb.target import MariadbTargetDatabase
from drd.kinds.mariadb.tools import Program, program
from drd.kinds.server_sandbox import ticking
from drd.kinds.servers import room
from drd.log import masked
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint
from drd.model.strict import UnexpectedValue
from drd.model.text import escaped, some
from drd.ports import (
    Finding,
    OnProgress,
    Restored,
    RestoreOptions,
    Workplace,
)
from drd.ports.destinations import DumpUnusable
from drd.ports.logs import LogReplay


@dataclass(frozen=True, slots=True)
class Copied:
    """Which `database` of a copied server to restore. `into` is the database that gets it or its
    tables, `bin_dir` the directory of the programs that can run the copy."""

    database: str
    into: str
    bin_dir: str | None


class OfServer(MariadbTargetDatabase):
    """Makes a dump of one database of a copied server, before the dump is loaded as any other."""

    def __init__(
        self,
        component: str,
        settings: MariadbTarget,
        place: Workplace,
        copied: Copied,
        options: RestoreOptions,
    ) -> None:
        super().__init__(component, settings, place, options, copied.into)
        self._copied = copied
        self._log: LogReplay | None = None
        self._log_bytes = options.log_bytes

    def replay(self, log: LogReplay) -> None:
        self._log = log

    def _to_restore(self, admin: Connection) -> str:
        """Return all that gives the login the rights of this recovery: in the script, they are
        comments, and for the database of the dsn alone."""
        who = account(*parts_of(str(admin.value("SELECT CURRENT_USER()"))))
        given = "".join(f"{line} " for line in recovers(admin.flavour, who))
        return (
            f"as an administrator of the server: {given}{all_on(self._address().database, who)}; "
            "or use another login: write a target with `data_dir` and with the `dsn` of a user who "
            "has these rights, then add --target NAME --in-place."
        )

    def _require_other(self, own: str) -> None:
        """Accept every name: drd may also restore the database of the target's `dsn`."""

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        return [self._can_run(snapshot), *super().check_access(snapshot)]

    def _can_run(self, snapshot: ComponentSnapshot) -> Finding:
        name, source = self._component, snapshot.facts["server_version"]
        try:
            here = programs_of(snapshot, self._copied.bin_dir).version
            self._dumps()
        except DrdError as error:
            return Finding("sandbox", "error", name, error.message, error.hint)
        return Finding("sandbox", "ok", name, f"MariaDB {here} can run the files of {source}")

    def _dumps(self) -> Program:
        return program("mariadb-dump", self._copied.bin_dir)

    def room(self, snapshot: ComponentSnapshot) -> Finding:
        # The dump of a database is hardly larger than its files.
        needed = 2 * int(snapshot.facts["server_bytes"]) + room_of_log(self._log_bytes)
        return room(self._component, self._place.for_server, needed)

    def _about_code(self, admin: Connection, snapshot: ComponentSnapshot) -> list[Finding]:  # noqa: ARG002
        """Return nothing yet: the code is known only when a server runs on the copy."""
        return []

    @property
    def _landing(self) -> Path:
        return self._place.for_server.directory / "landing"

    @property
    def _only(self) -> Sequence[str]:
        """The tables to dump. If empty, drd dumps the whole database."""
        return ()

    def _dumped(self, snapshot: ComponentSnapshot, on_progress: OnProgress) -> tuple[Dumped, Read]:
        """Start a server on the fetched copy, and dump the database. Raises TargetError if the copy
        does not contain the database."""
        place = self._place.for_server
        programs, dumps = programs_of(snapshot, self._copied.bin_dir), self._dumps()
        on_tick = ticking(self._component, snapshot, on_progress)
        data = proven(self._landing, snapshot, programs, place)
        server, rolled = RestoredServer(place, programs, snapshot.facts), None
        try:
            server.prepare(data, on_tick)
            if self._log is not None:
                rolled = replay(server, self._log, snapshot, self._copied.bin_dir, on_tick)
            # The tables of rights contain the rights in the database.
            with server.governed(), connect(server.address("mysql")) as connection:
                read, notes = self._read(connection)
                dump = fresh(self._landing, parents=True) / filename(self._component)
                self._dump(server, dumps, read, dump)
        finally:
            server.stop()
        facts = {
            "filename": filename(self._component),
            "server_version": snapshot.facts["server_version"],
            "dump_version": dumps.version,
            **read.facts,
        }
        merged = replace(snapshot, facts={**snapshot.facts, **facts}, bytes=dump.stat().st_size)
        require_usual(merged, read)
        dumped = Dumped(
            merged,
            read.private,
            rolled.words if rolled is not None else reached(snapshot),
            tuple(notes),
            rolled.data_time if rolled is not None else None,
            overtaken=rolled is not None,
        )
        return dumped, read

    def _read(self, connection: Connection) -> tuple[Read, list[str]]:
        """Describe the database in the restored server; return notes about it as well."""
        name = self._copied.database
        require_in([*contents.names(connection), contents.SYSTEM], name)
        try:
            read = described(connection, name)
            return read, [*_rounded(read, self._only), *self._notes(connection, read)]
        except (ServerError, SourceError) as error:
            said = error.message if isinstance(error, SourceError) else words(error)
            raise DumpUnusable(
                f"cannot read database {escaped(name)} of the backup: {masked(said)}",
                hint=ANOTHER_POINT,
            ) from error

    def _notes(self, connection: Connection, read: Read) -> list[str]:  # noqa: ARG002
        return []

    def _dump(self, server: RestoredServer, tool: Program, read: Read, into: Path) -> None:
        lines = without_views(read.name, read.tables)
        options = write_options(
            server.address("mysql"), server.base / OPTIONS, lines, user=server.user
        )
        argv = dump_words(tool, str(options), read.name, self._only, history=read.history)
        title = f"mariadb-dump of database {escaped(read.name)}"
        low = keeping_room(into.parent, title, hint=DUMP_IS_LARGER)
        try:
            with into.open("xb") as file:
                child = process.start(server.command(list(argv)), stdout=file.fileno())
                done = child.pump(on_tick=low)
        finally:
            options.unlink(missing_ok=True)
        if done.exit_code != 0:
            lines = [s for s in done.stderr.splitlines() if not s.startswith("-- ")]
            said = masked("; ".join(lines))[:400] or done.failure
            raise DumpUnusable(
                f"mariadb-dump of database {escaped(read.name)} from the restored server failed: "
                f"{said}",
                hint=ANOTHER_POINT,
            )

    def in_words(self, dumped: Dumped, done: Restored) -> Restored:
        """Return the result of the restore, with the notes about the copied server, and with how
        far it replayed its log."""
        return replace(done, notes=(*dumped.notes, *done.notes), **dumped.replayed)


class DatabaseOfServer(OfServer):
    """The target that restores one database of a copied server, under its own name or under another
    name."""

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - the server itself has everything
        *,
        on_progress: OnProgress,
    ) -> Restored:
        try:
            dumped, read = self._dumped(snapshot, on_progress)
            foreign_code = self._others_code(self._reach(), read.facts["definers"])
            done = super().restore(dumped.snapshot, dumped.private, on_progress=on_progress)
        finally:
            remove(self._landing)
        done = replace(done, notes=(*(f.text for f in foreign_code), *done.notes))
        return self.in_words(dumped, done)

    def _new_inspector(self) -> MariadbInspector:
        return _DatabaseInspector(self._address(), self._login())


class _DatabaseInspector(MariadbInspector):
    """Inspects a restored database, and names its tables as the restore point does."""

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        described = super().fingerprint(like, budget_s)
        assert isinstance(described, DatabaseFingerprint)
        return narrow.as_within(described)


def _rounded(read: Read, only: Sequence[str]) -> list[str]:
    """Return a note about values that mariadb-dump rounds."""
    columns = [
        escaped(f"{table.name}.{column}")
        for table in read.tables.with_rows
        for column, kind in table.columns
        if kind == "float" and (not only or table.name in only)
    ]
    if not columns:
        return []
    text = (
        f"mariadb-dump writes a FLOAT with six digits, so longer values of {some(columns)} are "
        "rounded. To get them as they were, recover the whole server to a target"
    )
    return [text]


def require_usual(snapshot: ComponentSnapshot, read: Read) -> None:
    """Require that the copied server describes the database as a MariaDB server does: an
    administrator runs SQL that drd makes of this description. Raises RepositoryDamaged."""
    try:
        require_written(replace(snapshot, fingerprint=None), read.private)
    except UnexpectedValue as error:
        raise RepositoryDamaged(
            f"the copied server describes database {escaped(read.name)} as no MariaDB server does, "
            f"so the backup was changed or is damaged: {error}",
            hint=ANOTHER_POINT,
        ) from error

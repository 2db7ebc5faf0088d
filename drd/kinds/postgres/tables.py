"""Restore single tables beside the existing ones: in the same database, under another name.

A working database of the same server receives the tables of the dump (`extract`, `detach`). The
tables are dumped from there, and loaded into a schema with the run's mark. When it is proven that
they equal the tables in the working database, one transaction moves them to their final place.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from drd.errors import TargetError, TargetNotEmpty
from drd.kinds.postgres import database
from drd.kinds.postgres.archive import Archive
from drd.kinds.postgres.cluster import Cluster, as_target_error
from drd.kinds.postgres.connection import Connection, connect, interruptible, password_file
from drd.kinds.postgres.copies import PlacedTables, clear, placed_before, put_in_place, taken_names
from drd.kinds.postgres.detach_tables import Copies, Detached
from drd.kinds.postgres.extract import Extraction
from drd.kinds.postgres.fingerprint import (
    split_name,
    state_of,
    tables_of,
)
from drd.kinds.postgres.foreign_code import TABLES
from drd.kinds.postgres.inbound_links import missing_foreign_keys, missing_views
from drd.kinds.postgres.load import Load
from drd.kinds.postgres.naming import copy_names
from drd.kinds.postgres.part import TablesInspector
from drd.kinds.postgres.publish import DatabasePublication
from drd.kinds.postgres.quoting import ident
from drd.kinds.postgres.restore import dump_file, first_error
from drd.kinds.postgres.server_text import as_spelled, shown
from drd.kinds.postgres.settings import PostgresSettings, PostgresTarget
from drd.kinds.postgres.tables_rights import WHOLE, require_rights
from drd.kinds.postgres.tablespaces import wanted_tablespaces
from drd.kinds.postgres.target import BEGUN, PostgresTargetDatabase
from drd.kinds.postgres.target_rights import extension_findings, only_superuser_creates
from drd.kinds.publish import read_journal, write_journal
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot
from drd.ports import (
    Finding,
    OnProgress,
    Progress,
    Restored,
    Task,
    Usage,
    Workplace,
)
from drd.process import Command, check_cancelled, start

_PLACED = "tables.json"
# Says in the workplace which table of the point is where.


class PostgresTables(PostgresTargetDatabase):
    """Copies of tables in the database that a target's dsn names."""

    def __init__(
        self,
        component: str,
        settings: PostgresTarget | PostgresSettings,
        place: Workplace,
        part: Part,
        *,
        no_owner: bool,
        database: str | None = None,
        until: datetime | None = None,
    ) -> None:
        super().__init__(
            component, settings, place, no_owner=no_owner, database=database, until=until
        )
        self._part = part

    # before

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:  # noqa: ARG002 - nothing is overwritten
        findings = self.check_access(snapshot)
        if not any(f.failed for f in findings) and not self._placed():
            with as_target_error("cannot read the target"), closing(self._inside()) as inside:
                self._require_free(inside)
        if self._cluster is not None:
            findings += self._others_code(self._cluster, snapshot, TABLES)
        return findings

    def _inspect_target(self, cluster: Cluster, snapshot: ComponentSnapshot) -> list[Finding]:
        wanted = self._extensions(snapshot)
        return [
            self._found("rights", lambda: self._rights(cluster, wanted)),
            self.room(snapshot),
            *extension_findings(
                cluster,
                self._component,
                wanted,
                "drd passes over what needs them, so a table that needs them cannot come back",
                login=self._is_of_whoever_runs,
            ),
        ]

    def _extensions(self, snapshot: ComponentSnapshot) -> Collection[str]:
        """Return the extensions of the saved database, as far as the point says."""
        found: Collection[str] = snapshot.facts.get("extensions", ())
        return found

    def _rights(self, cluster: Cluster, wanted: Collection[str]) -> str:
        name = cluster.address.dbname
        if cluster.content(name) is None:
            raise TargetError(
                f'database "{name}", which should receive the table, does not exist',
                hint="restore the whole database: without --table.",
            )
        schema, made = self._schema()
        refused = only_superuser_creates(cluster, wanted)
        with closing(self._inside()) as inside:
            user = require_rights(inside, name, schema, made=made, refused=refused)
        return f"{user} may create tables"

    def _schema(self) -> tuple[str, bool]:
        """Return the schema for the copies, and whether it may have to be made."""
        schema, _ = copy_names(self._part, ())
        own = split_name(self._part.tables[0])[0]
        return schema or own, schema is not None

    def _require_free(self, inside: Connection) -> None:
        """Require that the names are free. Raises TargetNotEmpty."""
        schema, _ = self._schema()
        _, name = copy_names(self._part, ())
        taken = taken_names(inside, schema)
        for table in self._part.tables:
            wanted = name or split_name(table)[1]
            if wanted in taken:
                raise TargetNotEmpty(
                    f'schema {schema} already has an object "{wanted}"',
                    hint="give --into a name that is not in use: drd does not replace an existing "
                    "table.",
                )

    def _inside(self) -> Connection:
        cluster = self._reach()
        return connect(cluster.undisturbed(cluster.address.dbname))

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        _, name = copy_names(self._part, ())
        schema, _ = self._schema()
        names = [ident(name or split_name(t)[1]) for t in self._part.tables]
        where = next(iter(super().writes(snapshot)), "")
        return tuple(f"table {ident(schema)}.{n} in {where}" for n in names) if where else ()

    def in_use(self, snapshot: ComponentSnapshot) -> list[Usage]:  # noqa: ARG002
        return []  # the copies are new, and what is there stays

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:  # noqa: ARG002
        return ()

    def check_private(self, private: Mapping[str, Any]) -> list[Finding]:  # noqa: ARG002
        return []  # the tables are all that comes back

    # the way back

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],
        *,
        on_progress: OnProgress,
    ) -> Restored:
        landing = self._landing
        (self._place.directory / BEGUN).touch(mode=0o600)
        what = f"cannot restore {', '.join(self._part.tables)}"
        try:
            with as_target_error(what), closing(self._inside()) as inside:
                if placed_before(inside, self._placed(), self._place.run):
                    return Restored(("this run has already restored these tables",))
                clear(inside, self._place.mark)
                self._require_free(inside)
                at_hand = self._at_hand(snapshot, private, on_progress)
                copies, notes = self._take_out(at_hand.snapshot, landing, inside, on_progress)
                done = self._put_in(inside, copies, [*at_hand.notes, *notes])
                return replace(done, **at_hand.replayed)
        finally:
            shutil.rmtree(landing, ignore_errors=True)

    def _take_out(
        self,
        snapshot: ComponentSnapshot,
        landing: Path,
        inside: Connection,
        on_progress: OnProgress,
    ) -> tuple[Copies, list[str]]:
        """Extract the tables into the run's schema of a working database; return what was
        left out.
        """
        cluster = self._reach()
        names = DatabasePublication(cluster, self._component, self._place.run)
        create = database.create_sql(
            names.working, snapshot.facts["locale"], version=cluster.version, tablespace=None
        )
        names.make_working(create)
        # Row security comes after the rows: until then nobody else looks.
        cluster.execute(f"REVOKE ALL ON DATABASE {ident(names.working)} FROM PUBLIC")
        address = cluster.undisturbed(names.working)
        dump, directory = dump_file(landing, snapshot), self._place.directory
        reading = Load(self._programs(), dump, address, directory, {})
        spaces = cluster.missing_tablespaces(wanted_tablespaces(snapshot, reading))
        flags = ("--no-owner", *(("--no-tablespaces",) if spaces else ()))
        schema, name = self._schema()[0], copy_names(self._part, ())[1]
        with (
            password_file(address, self._place.directory) as environment,
            closing(connect(address)) as connection,
            as_spelled(connection),
        ):
            load = replace(reading, environment=environment, flags=flags)
            tick = self._ticker(names.working, on_progress)
            archive = Archive(load)
            extracted = Extraction(archive, connection, self._place.jobs, tick).extract(
                self._part.tables
            )
            if (schema, name) == split_name(self._part.tables[0]):
                # The table itself was gone, and is back.
                extracted.left += missing_foreign_keys(archive, inside, extracted)
                extracted.notes += [f"to add this part yourself: {said}" for said in extracted.left]
                extracted.notes += missing_views(connection, inside, extracted)
            taken = taken_names(inside, schema)
            copies = Detached(connection, extracted).into(self._place.mark, name, taken)
        if spaces:
            extracted.notes.append(
                f"tablespace {', '.join(spaces)} does not exist on this server: drd uses the "
                "default tablespace"
            )
        return copies, extracted.notes

    def _put_in(self, inside: Connection, copies: Copies, notes: list[str]) -> Restored:
        shutil.rmtree(self._landing, ignore_errors=True)
        cluster, mark = self._reach(), self._place.mark
        working = DatabasePublication(cluster, self._component, self._place.run).working
        file = self._place.directory / "tables.dump"
        try:
            self._dump(cluster, working, file)
            self._load(cluster, file)
        finally:
            file.unlink(missing_ok=True)
        comparable = self._require_same(cluster, working, inside)
        schema, _ = self._schema()
        sources = {_ident_pair(schema, c.name): c.source for c in copies.tables}
        self._remember(PlacedTables(sources, comparable=comparable))
        notes += put_in_place(
            inside, mark, schema, copies, run=self._place.run, with_owner=not self._no_owner
        )
        left = ("owners of the tables", "grants") if self._no_owner else ()
        return Restored(tuple(map(shown, notes)), (), left, {"jobs": self._place.jobs})

    def _dump(self, cluster: Cluster, working: str, file: Path) -> None:
        address = cluster.undisturbed(working)
        with password_file(address, self._place.directory) as environment:
            argv = [
                self._programs().path("pg_dump"), "--format=custom", "--compress=0", "--no-owner",
                "--no-acl", "--no-publications", "--no-subscriptions", "--no-security-labels",
                f"--schema={ident(self._place.mark)}", f"--dbname={address.conninfo}",
            ]  # fmt: skip
            command = Command(argv, env=environment, name="pg_dump", owners=address.as_owner)
            # By its output: the user who logs in may be another one than the directory's.
            with file.open("wb") as writing:
                done = start(command, stdout=writing.fileno()).pump()
        if done.exit_code != 0:
            raise TargetError(
                f"pg_dump from the temporary database failed: {done.complaint}", hint=WHOLE
            )

    def _load(self, cluster: Cluster, file: Path) -> None:
        address = cluster.undisturbed(cluster.address.dbname)
        with password_file(address, self._place.directory) as environment:
            directory = self._place.directory
            flags = ("--no-owner", "--no-acl")
            load = Load(self._programs(), file, address, directory, environment, flags)
            done = load.run(self._place.jobs, on_tick=check_cancelled)
        if done.exit_code != 0:
            raise TargetError(
                f"the table cannot be created in {cluster.address.dbname}: "
                f"{_fact(first_error(done))}",
                hint="first create the types and functions of the table in this database; or "
                "restore the whole database beside this one: --into NAME without --table.",
            )

    def _require_same(self, cluster: Cluster, working: str, inside: Connection) -> bool:
        """Require that every table equals the working database's, row by row; return whether texts
        have the same encoding, so that their digests can be compared.
        """
        schema = self._place.mark
        with closing(connect(cluster.undisturbed(working))) as there:
            digests = _encoding(there) == _encoding(inside)
            was, now = (_states(c, schema, digests=digests) for c in (there, inside))
        for name in sorted(was.keys() | now.keys()):
            if was.get(name) != now.get(name):
                raise TargetError(
                    f"the restored table {name} differs from the table in the restore point: "
                    f"{now.get(name)} instead of {was.get(name)}",
                    hint="check whether functions or types of the table's columns differ on the "
                    "target. A restore of the whole database includes them: --into NAME "
                    "without --table.",
                )
        return digests

    def _ticker(self, working: str, on_progress: OnProgress) -> Callable[[], None]:
        def tick() -> None:
            query = "SELECT pg_catalog.pg_database_size(%s)"
            with suppress(psycopg.Error, TargetError):
                row = self._reach().one(query, [working])
                on_progress(Progress(self._component, "restore", row[0] if row else 0, None))

        return tick

    # afterwards

    def _remember(self, placed: PlacedTables) -> None:
        known = {"sources": dict(placed.sources), "comparable": placed.comparable}
        write_journal(self._place.directory / _PLACED, known)

    def _placed(self) -> PlacedTables | None:
        known = read_journal(self._place.directory / _PLACED)
        return PlacedTables(known["sources"], comparable=known["comparable"]) if known else None

    def _new_inspector(self) -> TablesInspector:
        return TablesInspector(*self._login(), self._placed() or PlacedTables({}))

    def _tidy(self) -> None:
        """Remove the working places, and the marks by which this run recognised its tables."""
        super()._tidy()
        if not (self._place.directory / BEGUN).exists():
            return
        with closing(self._inside()) as inside:
            clear(inside, self._place.mark, self._placed(), self._place.run)


def _fact(said: str) -> str:
    """Return the server's message without the statement that caused it."""
    fact = said.removeprefix("could not execute query: ").removeprefix("ERROR: ").strip()
    return fact.partition(" LINE ")[0].partition(" Command was:")[0]


def _ident_pair(schema: str, name: str) -> str:
    return f"{ident(schema)}.{ident(name)}"


def _encoding(connection: Connection) -> str | None:
    return connection.info.parameter_status("server_encoding")


def _states(connection: Connection, schema: str, *, digests: bool) -> dict[str, str]:
    """Return the state of each table of a schema, in words."""
    states = {}
    with interruptible(connection), connection.transaction():
        with as_spelled(connection):
            tables = [t for t in tables_of(connection) if t.key[0] == schema]
        for table in tables:
            state = state_of(connection, table, "digest" if digests else "counts")
            states[table.key[1]] = (
                state
                if isinstance(state, str)
                else f"{state.rows:,} rows" + (f" of digest {state.digest}" if state.digest else "")
            )
    return states

"""The target of a recovery of one database of a copied server, or of tables in this database.

drd starts a server of its own in the workplace, behind the fence. This server replays the whole
copy, and pg_dump dumps the one database. Then drd loads the dump into a running server, like any
other dump."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from drd.errors import DrdError, TargetError
from drd.kinds.databases import Dumped, require_in
from drd.kinds.file_system import fresh
from drd.kinds.postgres import database, described, risky_roles, roles
from drd.kinds.postgres.cluster import Cluster
from drd.kinds.postgres.connection import connect, words
from drd.kinds.postgres.manifest import filename
from drd.kinds.postgres.physical import chain, contents, narrow
from drd.kinds.postgres.physical.landed import programs_of
from drd.kinds.postgres.physical.sandbox import proven_for, reached_words
from drd.kinds.postgres.restored_server import RestoredServer
from drd.kinds.postgres.settings import PostgresTarget
from drd.kinds.postgres.tables import PostgresTables
from drd.kinds.postgres.target import PostgresTargetDatabase
from drd.kinds.postgres.whole_server import notes_about, pg_dump, require_usual
from drd.kinds.server_sandbox import ticking
from drd.kinds.servers import room
from drd.log import masked
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import escaped
from drd.model.units import format_size
from drd.ports import Finding, OnProgress, RestoreOptions, Workplace
from drd.ports.logs import LogReplay

_SIZE = "SELECT pg_catalog.pg_database_size(%s)"
_WHOLE = "recover the whole server to a target, start it, and copy the database from there."


@dataclass(frozen=True, slots=True)
class Copied:
    """The database of a copied server to restore, and the directory of the programs that can run
    the copy."""

    database: str
    bin_dir: str | None


class _OfServer(PostgresTargetDatabase):
    """Makes a dump of one database of a copied server, before the dump is loaded as any other."""

    copied: Copied
    _log: LogReplay | None = None

    def replay(self, log: LogReplay) -> None:
        self._log = log

    def _require_other(self, own: str) -> None:
        """Accept every name: drd may also restore the database of the target's `dsn`."""

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        here = self._found("sandbox", lambda: self._can_run(snapshot))
        return [here, *super().check_access(snapshot)]

    def _can_run(self, snapshot: ComponentSnapshot) -> str:
        version = programs_of(snapshot, self.copied.bin_dir).version
        return f"PostgreSQL {version} can run the files of {snapshot.facts['server_version']}"

    def room(self, snapshot: ComponentSnapshot) -> Finding:
        """Check the room for the server, and for the dump beside it. How large the dump gets is
        known only afterwards: at most about as large as the database is now, or, if the live server
        does not have this database, as the whole server. So too little room for it is a warning."""
        server, facts = chain.room(snapshot.facts), snapshot.facts
        dump = int(facts.get("database_bytes") or 0) or chain.size(facts)
        space = room(self._component, self._place.for_server, server + dump)
        if space.failed and not room(self._component, self._place.for_server, server).failed:
            text = f"{space.text}, of this up to {format_size(dump)} for the dump of the database"
            return replace(space, severity="warning", text=text)
        return space

    def _versions(self, cluster: Cluster, snapshot: ComponentSnapshot) -> str:
        facts = {**snapshot.facts, "pg_dump_major": snapshot.facts["server_major"]}
        return super()._versions(cluster, replace(snapshot, facts=facts))

    def prepare(self) -> None:
        """Do nothing: the properties of the database are known only when the server runs."""

    def _at_hand(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - the server itself has everything
        on_progress: OnProgress,
    ) -> Dumped:
        made = self._dumped(snapshot, on_progress)
        if not self._no_owner:
            self._require_harmless(made.private["globals"])
        return made

    def _dumped(self, snapshot: ComponentSnapshot, on_progress: OnProgress) -> Dumped:
        """Start a server on the fetched copy, and dump the database. Raises TargetError if the copy
        does not contain the database."""
        place, name = self._place.for_server, self.copied.database
        programs = programs_of(snapshot, self.copied.bin_dir)
        on_tick = ticking(self._component, snapshot, on_progress)
        server, landed, roll = proven_for(
            RestoredServer, snapshot, programs, place, on_tick, room=self._landing, log=self._log
        )
        try:
            server.take_over(landed.data, landed.spaces)
            rolled = roll.proven(server) if roll is not None else None
            _require_there(server, name)
            address = server.address(name)
            facts, private = _described(server, name)
            require_usual(private, name)
            notes = tuple(notes_about(address, programs.major))
            dump = fresh(self._landing, parents=True) / filename(self._component)
            pg_dump(programs, address, dump, self._component, by_hand=_WHOLE)
        finally:
            server.stop()
        merged = {**snapshot.facts, **facts, "pg_dump_major": facts["server_major"]}
        return Dumped(
            replace(snapshot, facts=merged),
            private,
            rolled.words if rolled is not None else reached_words(snapshot, server),
            notes,
            rolled.data_time if rolled is not None else None,
            overtaken=rolled is not None,
        )

    def _require_harmless(self, saved: roles.Globals) -> None:
        """Raise TargetError if drd would have to make a role with rights beyond the database. The
        preflight cannot check this: drd knows the roles only when a server runs on the copy."""
        risky = risky_roles.found(self._reach(), self._component, saved)
        if risky is not None:
            raise TargetError(risky.text, hint=risky.remedy)


class DatabaseOfServer(_OfServer):
    """The target that restores one database of a copied server, under its own name or under another
    name."""

    def __init__(
        self,
        component: str,
        settings: PostgresTarget,
        place: Workplace,
        copied: Copied,
        options: RestoreOptions,
    ) -> None:
        into = options.part.into if options.part is not None else None
        super().__init__(
            component,
            settings,
            place,
            no_owner=options.no_owner,
            database=into or copied.database,
            keep=options.keep,
            as_owner=options.as_owner,
        )
        self.copied = copied

    def _inspect_target(self, cluster: Cluster, snapshot: ComponentSnapshot) -> list[Finding]:
        saved = narrow.properties_of(snapshot.fingerprint, self.copied.database)
        if not saved:
            text = (
                "the restore point does not say what database "
                f"{escaped(self.copied.database)} needs on the server (locale, extensions, owner)"
            )
            remedy = (
                "if the server lacks something, the recovery fails and changes nothing: then add "
                "what its message names."
            )
            return [
                self.room(snapshot),
                Finding("needs", "warning", self._component, text, remedy),
            ]
        return super()._inspect_target(cluster, _as_dump(cluster, snapshot, saved))


class TablesOfServer(_OfServer, PostgresTables):
    """The target that restores tables of one database of a copied server, as copies beside the
    tables of the live database."""

    def __init__(
        self,
        component: str,
        settings: PostgresTarget,
        place: Workplace,
        copied: Copied,
        part: Part,
        *,
        no_owner: bool,
    ) -> None:
        PostgresTables.__init__(
            self,
            component,
            settings,
            place,
            part,
            no_owner=no_owner,
            database=copied.database,
        )
        self.copied = copied

    def _extensions(self, snapshot: ComponentSnapshot) -> Collection[str]:
        saved = narrow.properties_of(snapshot.fingerprint, self.copied.database)
        found: Collection[str] = saved.get("extensions", ())
        return found


def _as_dump(
    cluster: Cluster, snapshot: ComponentSnapshot, saved: database.Properties
) -> ComponentSnapshot:
    """Return the snapshot with the facts of one database that drd knows before a server runs on the
    copy. The size is that of the live database now: that of the copied database is unknown."""
    grantees = (to for to, *_ in saved["acl"] if to)
    facts = {
        **snapshot.facts,
        "locale": {key: saved[key] for key in database.LOCALE},
        "extensions": saved["extensions"],
        "tablespace": saved["tablespace"],
        "tablespaces": [],
        "roles": list(dict.fromkeys([saved["owner"], *grantees])),
        "database_bytes": 0,
    }
    with suppress(psycopg.Error, DrdError):
        if cluster.has(saved["name"]) and (row := cluster.one(_SIZE, [saved["name"]])):
            facts["database_bytes"] = int(row[0])
    return replace(snapshot, facts=facts, bytes=facts["database_bytes"])


def _require_there(server: RestoredServer, name: str) -> None:
    with closing(connect(server.address("template1"))) as connection:
        require_in(contents.names(connection), name)


def _described(server: RestoredServer, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the facts and the private part that drd writes into the manifest of a dump."""
    try:
        with closing(connect(server.address(name))) as connection:
            properties = database.read(connection)
            needed = described.needed_roles(connection, roles.read(connection))
            facts = described.facts(connection, properties, needed)
    except psycopg.Error as error:
        raise TargetError(
            f"cannot read database {escaped(name)} of the backup: {masked(words(error))}",
            hint="choose another restore point: drd points PLAN",
        ) from error
    return facts, {"database": properties, "globals": needed}

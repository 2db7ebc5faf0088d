"""The server that a database is restored to: queries and changes, as a superuser.

Only databases whose name carries this run's mark are dropped here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg

from drd import process
from drd.errors import SourceError, SourceMissing, TargetError
from drd.kinds.postgres import database, roles
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.connection import Connection, connect, no_event_triggers, words
from drd.kinds.postgres.quoting import ident
from drd.kinds.postgres.server_text import as_stored, encoded, shown
from drd.model.text import counted, either

_LOOK_DOWN = ("log_statement = 'none'", "log_min_error_statement = 'panic'")
# So that the verifiers in CREATE ROLE do not end up in the server's log.

_RENAME_TRIES = 5
# Renaming locks the database against new sessions at once, then waits five seconds for old ones.

_ENDED_EVERY_S = 0.2

_KNOWN = "SELECT datallowconn FROM pg_catalog.pg_database WHERE datname = %s"

_END_SESSIONS = """
SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity
 WHERE datname = %s AND pid <> pg_catalog.pg_backend_pid()"""

# What a person would miss. An extension alone is nothing: the dump brings its own.
_CONTENT = """
WITH own AS (SELECT n.oid FROM pg_catalog.pg_namespace n
              WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
     member AS (SELECT d.classid, d.objid FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'),
     found AS (
  SELECT c.relkind::text AS kind, 'pg_catalog.pg_class'::pg_catalog.regclass AS classid, c.oid
    FROM pg_catalog.pg_class c JOIN own ON own.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
  UNION ALL
  SELECT 'function', 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid
    FROM pg_catalog.pg_proc p JOIN own ON own.oid = p.pronamespace
  UNION ALL
  SELECT 'type', 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid
    FROM pg_catalog.pg_type t JOIN own ON own.oid = t.typnamespace
   WHERE t.typtype IN ('d', 'e', 'r')
  UNION ALL
  SELECT 'schema', 'pg_catalog.pg_namespace'::pg_catalog.regclass, n.oid
    FROM pg_catalog.pg_namespace n JOIN own USING (oid) WHERE n.nspname <> 'public'
  UNION ALL
  SELECT 'large object', 'pg_catalog.pg_largeobject'::pg_catalog.regclass, l.oid
    FROM pg_catalog.pg_largeobject_metadata l)
SELECT count(*) FILTER (WHERE kind IN ('r', 'p', 'f')), count(*)
  FROM found LEFT JOIN member ON member.classid = found.classid AND member.objid = found.oid
 WHERE member.objid IS NULL"""


@contextmanager
def as_target_error(doing: str) -> Iterator[None]:
    """Convert the server's error, or a lost connection, to a TargetError that names the failed
    work.
    """
    try:
        yield
    except psycopg.Error as error:
        raise TargetError(f"{doing}: {words(error)}", hint="check the server's log.") from error
    except SourceError as error:
        raise TargetError(error.message, hint=error.hint) from error


class Cluster:
    """One server. `address` names the database to restore, which need not exist. The work is done
    from another database of the same server, over a connection that is opened at the first need.
    """

    def __init__(self, address: Address, mark: str) -> None:
        self.address = address
        self.mark = mark
        self._admin: Connection | None = None

    def admin(self) -> Connection:
        """Return a connection to another database. Raises TargetError if only the target's own
        accepts one.
        """
        if self._admin is None or self._admin.closed or self._admin.broken:
            self._admin = self._connect()
        return self._admin

    def _connect(self) -> Connection:
        names = [n for n in ("postgres", "template1") if n != self.address.dbname]
        for name in names:
            try:
                connection = connect(self.address.to_database(name))
            except SourceMissing:
                continue
            except SourceError as error:
                raise TargetError(error.message, hint=error.hint) from error
            for setting in _LOOK_DOWN:
                with suppress(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"SET {setting}".encode())
            return connection
        raise TargetError(
            f"{self.address.named} does not have the database {either(names)}, to which drd "
            "must connect first",
            hint="create the database: CREATE DATABASE postgres;",
        )

    def undisturbed(self, name: str) -> Address:
        """Return the address of a database for restoring: its sessions may stay idle without limit,
        as pg_restore's first one does while its jobs work. Sessions of a superuser get messages in
        English, and fire no event triggers on login.
        """
        address = self.address.to_database(name)
        options = [address.params.get("options", "")]
        if self.version >= 140000:
            options.append("-c idle_session_timeout=0")
        row = self.one("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")
        if row and row[0]:
            options += ["-c lc_messages=C", no_event_triggers(self.version // 10000)]
        given = " ".join(filter(None, options))
        return replace(address, params={**address.params, "options": given}) if given else address

    @property
    def version(self) -> int:
        return self.admin().info.server_version

    def close(self) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def one(self, query: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        with as_stored(self.admin()):
            return self.admin().execute(query.encode(), parameters or None).fetchone()

    def execute(self, statement: str) -> None:
        with as_stored(self.admin()):
            self.admin().execute(encoded(statement))

    def has(self, name: str) -> bool:
        return self.one(_KNOWN, [name]) is not None

    def closed(self, name: str) -> bool:
        """Return whether the database accepts no connections."""
        row = self.one(_KNOWN, [name])
        return row is not None and not row[0]

    def content(self, name: str) -> str | None:
        """Describe the content of a database (`41 tables`); empty if it is empty, None if it does
        not exist.
        """
        if not self.has(name):
            return None
        with connect(self.address.to_database(name)) as connection:
            row = connection.execute(_CONTENT.encode()).fetchone()
        assert row is not None
        tables, everything = row
        if tables:
            return counted(tables, "table")
        if everything:
            return counted(everything, "object")
        return ""

    def drop_own(self, name: str, *, subscriptions: bool = False) -> None:
        """Drop a database of this run and end its sessions; do nothing if it does not exist. If it
        has subscriptions, it is not dropped (psycopg.Error), unless the subscriptions are to be
        dropped as well, without their slots.
        """
        if not name.startswith(f"{self.mark}_"):
            raise TargetError(
                f"database {name} does not have this run's mark, so drd does not drop it",
                hint="find out what the database contains; drop it yourself if nobody needs it.",
            )
        if not self.has(name):
            return
        if subscriptions:
            self._drop_subscriptions(name)
        force = " WITH (FORCE)" if self.version >= 130000 else ""
        self.execute(f"DROP DATABASE {ident(name)}{force}")

    def _drop_subscriptions(self, name: str) -> None:
        query = """SELECT s.subname::text FROM pg_catalog.pg_subscription s
                     JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = %s"""
        subscriptions = self.admin().execute(query.encode(), [name]).fetchall()
        if not subscriptions:
            return
        with connect(self.address.to_database(name)) as connection:
            for (subscription,) in subscriptions:
                alter = f"ALTER SUBSCRIPTION {ident(subscription)}"
                connection.execute(f"{alter} DISABLE".encode())
                connection.execute(f"{alter} SET (slot_name = NONE)".encode())
                connection.execute(f"DROP SUBSCRIPTION {ident(subscription)}".encode())

    def replace(self, statements: Sequence[str], *, databases: Sequence[str]) -> None:
        """Run statements that rename databases, as one transaction, after ending the sessions in
        them; try again if an application reconnected in between.
        """
        for tries_left in reversed(range(_RENAME_TRIES)):
            for name in databases:
                self.one(_END_SESSIONS, [name])
            try:
                with self._ending_sessions(databases), self.admin().transaction():
                    for statement in statements:
                        self.execute(statement)
            except psycopg.errors.ObjectInUse:
                if not tries_left:
                    raise
                process.check_cancelled()
            else:
                return

    @contextmanager
    def _ending_sessions(self, databases: Sequence[str]) -> Iterator[None]:
        """End the sessions in the renamed databases. The first rename locks out new ones; those
        that came before it are ended meanwhile.
        """
        over = threading.Event()

        def end() -> None:
            with suppress(psycopg.Error, TargetError), closing(self._connect()) as other:
                while not over.wait(_ENDED_EVERY_S):
                    for name in databases:
                        other.execute(_END_SESSIONS.encode(), [name])

        ender = threading.Thread(target=end, name="drd-end-sessions", daemon=True)
        ender.start()
        try:
            yield
        finally:
            over.set()
            ender.join()

    def make_roles(self, saved: roles.Globals, *, own: bool) -> list[str]:
        """Make the missing roles; return sentences about existing roles that differ, and about what
        could not be set. In drd's own cluster (`own`), the initial roles are altered.
        """
        before = roles.read(self.admin())
        existed = [r["name"] for r in before["roles"]]
        notes: list[str] = []
        if own:
            for role in saved["roles"]:
                for statement in roles.alter_sql(role) if role["name"] in existed else ():
                    self._try(statement, f"role {role['name']}", notes)
        for made in roles.statements(saved, existing=existed, version=self.version, whole=own):
            if made.required:
                with as_target_error(f"cannot create {shown(made.subject)}"):
                    notes += self._make(made)
            else:
                self._try(made.sql, made.subject, notes)
        if not own:
            notes += roles.differences(saved, roles.read(self.admin()), existed=existed)
        return notes

    def _make(self, role: roles.Statement) -> list[str]:
        """Make one role. A role that cannot be named here is left out: pg_restore reports it if
        anything belongs to it.
        """
        try:
            self.execute(role.sql)
        except psycopg.errors.CharacterNotInRepertoire:
            where = f"the encoding of database {self.admin().info.dbname}"
            return [f"{role.subject} could not be created: its name cannot be encoded in {where}"]
        return []

    def _try(self, statement: str, subject: str, notes: list[str]) -> None:
        try:
            self.execute(statement)
        except psycopg.Error as error:
            notes.append(f"{subject} could not be set: {words(error)}")

    def finish(self, name: str, saved: database.Properties, *, with_owner: bool) -> list[str]:
        """Set a database's owner, grants and settings; returns sentences about what could not be
        set.
        """
        notes: list[str] = []
        for subject, statements in database.finish_sql(name, saved, with_owner=with_owner):
            try:
                with self.admin().transaction():
                    for statement in statements:
                        self.execute(statement)
            except psycopg.Error as error:
                notes.append(f"{subject} could not be set: {words(error)}")
        return notes

    def can_store(self, text: str) -> bool:
        """Return whether this server stores text that is not UTF-8, sent from the database that drd
        works from.
        """
        return (
            shown(text) == text or self.admin().info.parameter_status("server_encoding") != "UTF8"
        )

    def missing_tablespaces(self, wanted: Sequence[str]) -> list[str]:
        rows = self.admin().execute("SELECT spcname::text FROM pg_catalog.pg_tablespace").fetchall()
        return [name for name in wanted if (name,) not in rows]

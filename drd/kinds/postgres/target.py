"""The named target of a recovery: a database on an existing server."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Any

import psycopg

from drd import log
from drd.errors import DrdError, SourceError, TargetError, ToolError
from drd.kinds.databases import Dumped
from drd.kinds.file_system import fresh
from drd.kinds.postgres import foreign_code, risky_roles
from drd.kinds.postgres.address import Address, address_of
from drd.kinds.postgres.as_owner import drop_login, login_for_questions
from drd.kinds.postgres.cluster import Cluster, as_target_error
from drd.kinds.postgres.connection import (
    PASSFILE,
    LoginRefused,
    connect,
    path_option,
    reached,
    words,
    write_password_file,
)
from drd.kinds.postgres.inspect import PostgresInspector
from drd.kinds.postgres.manifest import ADOPTED
from drd.kinds.postgres.publish import DatabasePublication
from drd.kinds.postgres.restore import RestoreOrder, Restorer, dump_file
from drd.kinds.postgres.sandbox import extension_hint, missing_extensions
from drd.kinds.postgres.sessions import sessions
from drd.kinds.postgres.settings import PostgresSettings, PostgresTarget
from drd.kinds.postgres.target_rights import extension_findings, rights_findings
from drd.kinds.postgres.target_server import missing_locale, server_room
from drd.kinds.postgres.tools import PostgresPrograms, programs_for
from drd.kinds.postgres.whole_server import dumped, is_server
from drd.kinds.servers import room
from drd.model.snapshot import ComponentSnapshot
from drd.ports import (
    Finding,
    Inspector,
    NamedDestination,
    OnProgress,
    Restored,
    RestoredPlace,
    Task,
    Usage,
    Workplace,
)
from drd.process import container_of

_OVERWRITE = "overwrite"
# Says in the workplace that the operator agreed, for whoever continues a killed recovery.

BEGUN = "begun"
# Says there that the server may hold a working database of this run, for whoever clears up after
# it.


class PostgresTargetDatabase(NamedDestination):
    """The database that a target's dsn names, on its server; it is created if it is missing."""

    def __init__(
        self,
        component: str,
        settings: PostgresTarget | PostgresSettings,
        place: Workplace,
        *,
        no_owner: bool,
        database: str | None = None,
        keep: bool = False,
        as_owner: bool = False,
        until: datetime | None = None,
    ) -> None:
        """`database` replaces the database in the dsn; `until` is where a restore of a whole server
        stops."""
        self._until = until
        self._component = component
        self._settings = settings
        self._database = database
        self._place = place
        self._no_owner = no_owner
        self._keep = keep
        self._as_owner = as_owner
        self._cluster: Cluster | None = None
        self._found_programs: PostgresPrograms | None = None
        self._checked_snapshot: ComponentSnapshot | None = None
        self._restorer: Restorer | None = None
        self._inspector: PostgresInspector | None = None
        self._asking = threading.Lock()
        self._is_of_whoever_runs = False

    def _reach(self) -> Cluster:
        """Connect on first use. Raises TargetError."""
        if self._cluster is None:
            given = address_of(self._settings.dsn, container_of(self._settings))
            self._is_of_whoever_runs = not given.params.get("user")
            cluster = Cluster(given, self._place.mark)
            own = given.dbname or cluster.admin().info.user
            self._require_other(own)
            name = self._database or own
            # One of several hosts, and from now on always that one.
            cluster.address = reached(given, cluster.admin()).to_database(name)
            if cluster.admin().info.dbname == name:
                cluster.close()  # works from another database than the one to come back
            self._cluster = cluster
        return self._cluster

    def _require_other(self, own: str) -> None:
        """Require that the copy does not get the name of the `own` database of the target. Raises
        TargetError."""
        if self._database == own:
            raise TargetError(
                f"--into {own} is the database of the target itself", hint="give another name."
            )

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        findings = self.check_access(snapshot)
        if self._cluster is not None:
            self._require_empty(self._cluster, overwrite)
            findings += self._others_code(self._cluster, snapshot)
        self._checked_snapshot = snapshot
        return findings

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        name = self._component
        try:
            cluster = self._reach()
            version = cluster.admin().info.parameter_status("server_version") or ""
        except DrdError as error:
            login = self._is_of_whoever_runs and isinstance(error.__cause__, LoginRefused)
            return [Finding("target", "error", name, error.message, error.hint, login=login)]
        return [
            Finding("target", "ok", name, f"PostgreSQL {version} answers"),
            self._found("version", lambda: self._versions(cluster, snapshot)),
            self._found("pg_restore", lambda: f"version {self._programs().version}"),
            *self._inspect_target(cluster, snapshot),
        ]

    def _inspect_target(self, cluster: Cluster, snapshot: ComponentSnapshot) -> list[Finding]:
        """Check everything beyond a server that answers and matching programs."""
        name = self._component
        findings = [
            self._found("extensions", lambda: _extensions(cluster, snapshot)),
            self._found("locale", lambda: missing_locale(cluster, snapshot.facts["locale"])),
            self.room(snapshot),
            *server_room(cluster, name, snapshot, self._place.directory),
            *rights_findings(
                cluster,
                name,
                snapshot.facts,
                no_owner=self._no_owner or bool(snapshot.facts.get(ADOPTED)),
                login=self._is_of_whoever_runs,
            ),
            *extension_findings(
                cluster,
                name,
                snapshot.facts["extensions"],
                "the recovery would fail there",
                login=self._is_of_whoever_runs,
            ),
        ]
        facts = snapshot.facts
        missing = cluster.missing_tablespaces([*facts["tablespaces"], facts["tablespace"]])
        if missing:
            findings.append(
                Finding(
                    "tablespaces",
                    "warning",
                    name,
                    f"tablespaces {', '.join(missing)} do not exist on the target: their "
                    "tables will "
                    "be in the default tablespace",
                    "if the tables need these tablespaces, create them before the recovery: "
                    "CREATE TABLESPACE NAME LOCATION 'DIRECTORY';",
                )
            )
        return findings

    def room(self, snapshot: ComponentSnapshot) -> Finding:
        """Check whether the fetched data fits into the workplace."""
        return room(self._component, self._place, snapshot.bytes)

    def _others_code(
        self, cluster: Cluster, snapshot: ComponentSnapshot, remedy: str = foreign_code.AS_OWNER
    ) -> list[Finding]:
        """Check for code of other users that a restoring superuser would run."""
        row = cluster.one(
            "SELECT current_user::text, rolsuper FROM pg_catalog.pg_roles "
            "WHERE rolname = current_user"
        )
        if row is None or not row[1] or self._as_owner:
            return []
        finding = foreign_code.finding(self._component, str(row[0]), snapshot.facts, remedy)
        return [finding] if finding is not None else []

    def check_private(self, private: Mapping[str, Any]) -> list[Finding]:
        """Check for roles that would be made here with rights beyond the database."""
        saved = private.get("globals")
        if self._no_owner or saved is None:
            return []
        finding = risky_roles.found(self._reach(), self._component, saved)
        return [finding] if finding is not None else []

    def _found(self, code: str, ask: Callable[[], str]) -> Finding:
        name = self._component
        try:
            return Finding(code, "ok", name, ask())
        except DrdError as error:
            return Finding(code, "error", name, error.message, error.hint)

    def _versions(self, cluster: Cluster, snapshot: ComponentSnapshot) -> str:
        here = cluster.version // 10000
        source, dump = snapshot.facts["server_major"], snapshot.facts["pg_dump_major"]
        if snapshot.facts.get(ADOPTED, False) and not is_server(snapshot):
            if not dump:
                return (
                    f"the target has PostgreSQL {here}; another tool made the dump, and drd does "
                    "not know from which version of PostgreSQL the dump is"
                )
            if source <= here < dump and self._programs().major < dump:
                raise TargetError(
                    f"the target has PostgreSQL {here}, and pg_restore {here} cannot read a dump "
                    f"of pg_dump {dump}",
                    hint=f"restore into PostgreSQL {dump} or newer. Let the other tool dump with "
                    f"pg_dump {here}, so that the next dumps fit this server.",
                )
        if here < max(source, dump):
            made = f"pg_dump {dump}" if dump > source else f"PostgreSQL {source}"
            raise TargetError(
                f"the target's PostgreSQL {here} is older than the {made} that made the dump",
                hint=f"restore into PostgreSQL {max(source, dump)} or newer.",
            )
        return f"the target has PostgreSQL {here}, the source had PostgreSQL {source}"

    def _require_empty(self, cluster: Cluster, overwrite: bool) -> None:
        agreed = self._place.directory / _OVERWRITE
        agreed.unlink(missing_ok=True)
        if overwrite:
            agreed.touch(mode=0o600)
            return
        with as_target_error(f"cannot read database {cluster.address.dbname}"):
            names = DatabasePublication(cluster, self._component, self._place.run)
            if not names.done:
                names.require_room(overwrite=False)

    def _programs(self) -> PostgresPrograms:
        """Return pg_restore of the server's major version: since 17, pg_restore uses settings that
        an older server does not know.
        """
        if self._found_programs is not None:
            return self._found_programs
        major = self._reach().version // 10000
        programs = programs_for(
            major,
            "pg_restore",
            bin_dir=self._settings.bin_dir,
            inside=container_of(self._settings),
        )
        if major < 17 <= programs.major:
            raise ToolError(
                f"pg_restore {programs.version} does not restore into PostgreSQL {major}",
                hint=f"apt-get install postgresql-client-{major}",
            )
        self._found_programs = programs
        return programs

    def prepare(self) -> None:
        """Make the empty working database, unless this run has already published one."""
        if self._checked_snapshot is None or is_server(self._checked_snapshot):
            return  # only the restored server can say how its database was made
        with as_target_error(f"cannot restore {self._component}"):
            if not DatabasePublication(self._reach(), self._component, self._place.run).done:
                self._begin().make_working(self._checked_snapshot.facts)

    def _begin(self) -> Restorer:
        """Note that from now on the server may contain something of this run."""
        (self._place.directory / BEGUN).touch(mode=0o600)
        if self._restorer is None:
            order = RestoreOrder(
                self._component,
                self._place,
                self._programs(),
                own=False,
                no_owner=self._no_owner,
                overwrite=(self._place.directory / _OVERWRITE).exists(),
                keep=self._keep,
                as_owner=self._as_owner,
            )
            self._restorer = Restorer(self._reach(), order)
        return self._restorer

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:  # noqa: ARG002 - one database
        try:
            return (f"database {self._reach().address.uri}",)
        except DrdError:
            return ()  # `check_access` says why it cannot be reached

    def lands_apart(self, snapshot: ComponentSnapshot) -> bool:
        return not self.room(snapshot).failed

    def landing(self) -> Path:
        return fresh(self._landing, parents=True)

    @property
    def _landing(self) -> Path:
        return self._place.for_server.directory / "landing"

    def restore(
        self, snapshot: ComponentSnapshot, private: Mapping[str, Any], *, on_progress: OnProgress
    ) -> Restored:
        try:
            at_hand = self._at_hand(snapshot, private, on_progress)
            dump = dump_file(self._landing, at_hand.snapshot)
            done = self._begin().restore(at_hand.snapshot, at_hand.private, dump, on_progress)
        finally:
            shutil.rmtree(self._landing, ignore_errors=True)
        return replace(done, notes=(*at_hand.notes, *done.notes), **at_hand.replayed)

    def _at_hand(
        self, snapshot: ComponentSnapshot, private: Mapping[str, Any], on_progress: OnProgress
    ) -> Dumped:
        """Return what has landed as a dump; a whole server makes one now."""
        if not is_server(snapshot):
            return Dumped(snapshot, private, "", ())
        return dumped(
            self._component,
            snapshot,
            private,
            self._place.for_server,
            on_progress=on_progress,
            until=self._until,
        )

    def in_use(self, snapshot: ComponentSnapshot) -> list[Usage]:  # noqa: ARG002 - one database
        with as_target_error(f"cannot list the sessions of {self._component}"):
            return sessions(self._reach())

    def now_at(self, snapshot: ComponentSnapshot) -> RestoredPlace:
        address = self._reach().address
        names = {"host": "host", "port": "port", "dbname": "database", "user": "user"}
        values = {name: address.params[k] for k, name in names.items() if k in address.params}
        return RestoredPlace(places=self.writes(snapshot), address=address.uri, values=values)

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:  # noqa: ARG002
        text = "collect planner statistics, which no dump contains: queries may be slow until then"
        command = f"vacuumdb --analyze-in-stages --dbname={quote(self._reach().address.uri)}"
        return (Task(code="analyze", text=text, command=command),)

    def inspector(self) -> Inspector:
        with self._asking:
            if self._inspector is None:
                self._inspector = self._new_inspector()
            return self._inspector

    def _new_inspector(self) -> PostgresInspector:
        return PostgresInspector(*self._login())

    def _login(self) -> tuple[Address, dict[str, str]]:
        """Return the address for queries, and the variables that a command needs to log in."""
        cluster = self._reach()
        if self._as_owner:
            (self._place.directory / BEGUN).touch(mode=0o600)
            with as_target_error(f"cannot read {self._component} as its owner"):
                address = login_for_questions(cluster)
            login = write_password_file(address, self._place.directory)
            return address, {**login, "PGOPTIONS": ""}
        address = cluster.undisturbed(cluster.address.dbname)
        login = write_password_file(address, self._place.directory)
        # A command may log in as somebody who may not set what else is in the address.
        options = [cluster.address.params.get("options", "")]
        with suppress(SourceError, psycopg.Error), closing(connect(address)) as connection:
            options.append(path_option(connection))
        return address, {**login, "PGOPTIONS": " ".join(filter(None, options))}

    def close(self) -> None:
        if self._inspector is not None:
            self._inspector.close()
        if self._cluster is not None or (self._place.directory / BEGUN).exists():
            try:
                self._tidy()
                (self._place.directory / BEGUN).unlink(missing_ok=True)
            except (psycopg.Error, DrdError) as error:
                said = words(error) if isinstance(error, psycopg.Error) else error.message
                log.get().warning("target.not_cleaned", component=self._component, error=said)
        if self._cluster is not None:
            self._cluster.close()
        (self._place.directory / PASSFILE).unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Remove what this run has left on the server, except for what has its final name."""
        names = DatabasePublication(self._reach(), self._component, self._place.run)
        drop_login(self._reach(), names.working, names.final)
        names.clean_up()


def _extensions(cluster: Cluster, snapshot: ComponentSnapshot) -> str:
    missing = missing_extensions(cluster, snapshot.facts)
    if missing:
        raise TargetError(
            "extensions of the database are not installed on the target's server: "
            f"{', '.join(missing)}",
            hint=extension_hint(missing, cluster.version // 10000),
        )
    return f"{len(snapshot.facts['extensions'])} of {len(snapshot.facts['extensions'])} available"

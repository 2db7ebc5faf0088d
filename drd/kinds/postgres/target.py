"""The named target of a recovery: a database on an existing server."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg

from drd import log
from drd.errors import DrdError, SourceError, TargetError, ToolError
from drd.kinds.file_system import fresh
from drd.kinds.postgres import foreign_code, risky_roles
from drd.kinds.postgres.address import Address, address_of
from drd.kinds.postgres.as_owner import drop_login, login_for_questions
from drd.kinds.postgres.cluster import Cluster, as_target_error
from drd.kinds.postgres.connection import PASSFILE, connect, path_option, words, write_password_file
from drd.kinds.postgres.inspect import PostgresInspector
from drd.kinds.postgres.publish import DatabasePublication
from drd.kinds.postgres.restore import RestoreOrder, Restorer, dump_file, room
from drd.kinds.postgres.sandbox import extension_hint, missing_extensions
from drd.kinds.postgres.settings import PostgresSettings, PostgresTarget
from drd.kinds.postgres.target_rights import rights_findings
from drd.kinds.postgres.target_server import missing_locale, server_room
from drd.kinds.postgres.tools import PostgresPrograms, programs_for
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Finding, Inspector, OnProgress, Restored, Workplace

_OVERWRITE = "overwrite"
# Says in the workplace that the operator agreed, for whoever continues a killed recovery.

BEGUN = "begun"
# Says there that the server may hold a working database of this run, for whoever clears up after
# it.

_STATISTICS = (
    "planner statistics are not part of a dump: autovacuum collects them, or run "
    "vacuumdb --analyze-in-stages"
)


class PostgresTargetDatabase:
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
    ) -> None:
        """`database` replaces the one that the dsn names."""
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

    def _reach(self) -> Cluster:
        """Connect on first use. Raises TargetError."""
        if self._cluster is None:
            given = address_of(self._settings.dsn)
            cluster = Cluster(given, self._place.mark)
            own = given.dbname or cluster.admin().info.user
            if self._database == own:
                raise TargetError(
                    f"--into {own} is the database of the target itself",
                    hint="give another name.",
                )
            name = self._database or own
            # One of several hosts, and from now on always that one.
            cluster.address = given.pinned(cluster.admin()).to_database(name)
            if cluster.admin().info.dbname == name:
                cluster.close()  # works from another database than the one to come back
            self._cluster = cluster
        return self._cluster

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
            return [Finding("target", "error", name, error.message, error.hint)]
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
            *rights_findings(cluster, name, snapshot.facts, no_owner=self._no_owner),
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
                    "if the tables need them, create these tablespaces before the recovery: CREATE "
                    "TABLESPACE NAME LOCATION 'DIRECTORY';",
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
        with as_target_error("cannot read the server's roles"):
            rows = self._reach().admin().execute(b"SELECT rolname::text FROM pg_catalog.pg_roles")
            existing = [row[0] for row in rows.fetchall()]
            powerful = self._reach().admin().execute(risky_roles.POWERFUL.encode()).fetchall()
        names = [row[0] for row in powerful]
        finding = risky_roles.finding(self._component, saved, existing, names)
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
        programs = programs_for(major, "pg_restore", bin_dir=self._settings.bin_dir)
        if major < 17 <= programs.major:
            raise ToolError(
                f"pg_restore {programs.version} does not restore into PostgreSQL {major}",
                hint=f"apt-get install postgresql-client-{major}",
            )
        self._found_programs = programs
        return programs

    def prepare(self) -> None:
        """Make the empty working database, unless this run has already published one."""
        if self._checked_snapshot is None:
            return
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
        return fresh(self._place.directory / "landing", parents=True)

    def restore(
        self, snapshot: ComponentSnapshot, private: Mapping[str, Any], *, on_progress: OnProgress
    ) -> Restored:
        landing = self._place.directory / "landing"
        try:
            dump = dump_file(landing, snapshot)
            done = self._begin().restore(snapshot, private, dump, on_progress)
        finally:
            shutil.rmtree(landing, ignore_errors=True)
        return Restored((*done.notes, _STATISTICS), done.differences, done.not_restored, done.facts)

    def inspector(self) -> Inspector:
        with self._asking:
            if self._inspector is None:
                self._inspector = PostgresInspector(*self._login())
            return self._inspector

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

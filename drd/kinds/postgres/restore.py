"""Restore a database, for a sandbox and for a target.

All data is loaded into a working database that carries the run's mark. One transaction at the end
gives it its final name; an incomplete database never has this name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from drd.errors import SandboxUnavailable, TargetError
from drd.kinds.postgres import database, extensions
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.as_owner import LEFT_OUT, owners_login
from drd.kinds.postgres.cluster import Cluster, as_target_error
from drd.kinds.postgres.connection import connect, password_file
from drd.kinds.postgres.load import Load
from drd.kinds.postgres.manifest import ADOPTED, filename
from drd.kinds.postgres.publish import DatabasePublication
from drd.kinds.postgres.refusals import of_pg_restore
from drd.kinds.postgres.server import says_no_space
from drd.kinds.postgres.server_text import shown
from drd.kinds.postgres.tablespaces import wanted_tablespaces
from drd.kinds.postgres.tools import PostgresPrograms
from drd.kinds.servers import no_space, room
from drd.log import masked
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Finding, OnProgress, Progress, Restored, Workplace
from drd.ports.destinations import DumpUnusable
from drd.process import MEMORY_HINT, Completed, ended

_ENDS_EARLY = (
    "could not read from input file: end of file",
    "could not find block ID",
    "unexpected block ID",
    "could not uncompress data",
)
_JOB_DIED = "a worker process died unexpectedly"
"""The message of pg_restore when one of its own jobs ended. It is the first message only if the job
was killed: a job that failed has reported its reason before.
"""

_SAID = 400


@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """What to restore, and how. `own`: into a cluster that drd made; `overwrite`: the content under
    the final name may be replaced; `keep`: it is set aside and kept. `as_owner`: everything of the
    dump runs as the database's owner.
    """

    component: str
    place: Workplace
    programs: PostgresPrograms
    own: bool
    no_owner: bool
    overwrite: bool
    keep: bool = False
    as_owner: bool = False


class Restorer:
    """Restores one database into one cluster."""

    def __init__(self, cluster: Cluster, order: RestoreOrder) -> None:
        self._cluster = cluster
        self._order = order
        self._names = DatabasePublication(cluster, order.component, order.place.run)
        # Jobs read the dump at several places at once, which the input of a container cannot.
        self._jobs = order.place.jobs if order.programs.inside is None else 1
        self._made = False
        self._compares = True

    def make_working(self, facts: Mapping[str, Any]) -> None:
        """Make the empty working database with the saved properties except for its owner. Raises
        psycopg.Error in the server's words if that is impossible.
        """
        if self._made:
            return
        space = facts["tablespace"]
        default = space == "pg_default" or self._cluster.missing_tablespaces([space])
        create = database.create_sql(
            self._names.working,
            facts["locale"],
            version=self._cluster.version,
            tablespace=None if default else space,
        )
        self._names.make_working(create)
        self._made = True

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],
        dump: Path,
        on_progress: OnProgress,
    ) -> Restored:
        """Restore everything. Raises TargetError with the words of the server or of pg_restore."""
        if snapshot.facts.get(ADOPTED, False):
            self._order = replace(self._order, no_owner=True)
            self._compares = False
        order, names = self._order, self._names
        if "database" not in private or "globals" not in private:
            raise DumpUnusable(
                f"the restore point does not describe the database of {order.component}",
                hint="use another restore point, or restore the dump by hand with pg_restore.",
            )
        saved = private["database"]
        notes: list[str] = []
        with as_target_error(f"cannot restore {order.component}"):
            if names.done:
                notes.append(f"this run has restored {names.final} already")
                notes += names.drop_former(overwrite=order.overwrite, keep=order.keep)
                return self._restored(private, notes, self._compare(names.final, saved, notes))
            if not order.no_owner:
                notes += self._cluster.make_roles(private["globals"], own=order.own)
            missing, about = self._missing_tablespaces(snapshot, dump)
            notes += about
        tick = self._ticker(snapshot, on_progress)
        done = self._begin(snapshot, saved, dump, missing, tick)
        if done.exit_code != 0 and "deadlock detected" in done.stderr and self._jobs > 1:
            self._jobs = 1
            notes.append(
                "the parallel jobs of pg_restore blocked each other, so drd restored "
                "again with one job"
            )
            done = self._begin(snapshot, saved, dump, missing, tick)
        self._require_success(done)
        with as_target_error(f"cannot finish the restore of {order.component}"):
            notes += self._cluster.finish(names.working, saved, with_owner=not order.no_owner)
            differences = self._compare(names.working, saved, notes)
            comment = saved["comment"]
            if not self._cluster.can_store(comment):
                notes.append(
                    "drd left out the database's comment: it contains bytes that no encoding of "
                    "the server can represent"
                )
                comment = ""
            notes += names.publish(comment, overwrite=order.overwrite, keep=order.keep)
        return self._restored(private, notes, differences)

    def _missing_tablespaces(
        self, snapshot: ComponentSnapshot, dump: Path
    ) -> tuple[bool, list[str]]:
        """Return whether the server lacks a tablespace that tables want, and notes about these
        tablespaces and that of the database. Raises psycopg.Error."""
        wanted = wanted_tablespaces(snapshot, self._reading(dump))
        missing = self._cluster.missing_tablespaces(wanted)
        whole = self._cluster.missing_tablespaces([snapshot.facts["tablespace"]])
        places = [(", ".join(missing), "its tables are")] if missing else []
        places += [(space, "the database is") for space in whole]
        notes = [
            f"tablespace {space} does not exist on this server: {what} in the default tablespace"
            for space, what in places
        ]
        return bool(missing), notes

    def _begin(
        self,
        snapshot: ComponentSnapshot,
        saved: database.Properties,
        dump: Path,
        no_tablespaces: bool,
        on_tick: Callable[[], None],
    ) -> Completed:
        """Load into an empty working database; what an earlier attempt left is dropped."""
        with as_target_error(f"cannot restore {self._order.component}"):
            self.make_working(snapshot.facts)
            self._made = False  # what a try that fails leaves is no empty database
            self._without_leftovers(saved)
        return self._fill(dump, saved, no_tablespaces=no_tablespaces, on_tick=on_tick)

    def _restored(
        self, private: Mapping[str, Any], notes: list[str], differences: list[str]
    ) -> Restored:
        left: tuple[str, ...] = ()
        if self._order.no_owner:
            roles = [f"role {r['name']}" for r in private["globals"]["roles"]]
            left = ("owners of objects", "grants", *map(shown, roles))
        if self._order.as_owner:
            left = (
                "owners of objects other than the database's owner",
                "event triggers, subscriptions and default grants",
                extensions.left_out(private["database"]),
            )
        facts = {"jobs": self._jobs, "pg_restore": self._order.programs.version}
        return Restored(tuple(map(shown, notes)), tuple(map(shown, differences)), left, facts)

    def _without_leftovers(self, saved: database.Properties) -> None:
        with connect(self._cluster.address.to_database(self._names.working)) as connection:
            for statement in database.template_leftovers_sql(saved):
                connection.execute(statement.encode())

    def _fill(
        self,
        dump: Path,
        saved: database.Properties,
        *,
        no_tablespaces: bool,
        on_tick: Callable[[], None],
    ) -> Completed:
        order = self._order
        flags = ["--no-owner", "--no-acl"] if order.no_owner else []
        if no_tablespaces:
            flags.append("--no-tablespaces")
        if order.as_owner:
            owner = str(saved["owner"])
            flags += ["--no-owner", f"--role={owner}"]
            with (
                as_target_error(f"cannot restore {order.component} as its owner"),
                owners_login(self._cluster, owner, self._names.working, saved) as address,
            ):
                exists = extensions.schema_entries(saved)
                return self._load(dump, address, flags, on_tick, leave_out=LEFT_OUT, exists=exists)
        address = self._cluster.undisturbed(self._names.working)
        return self._load(dump, address, flags, on_tick)

    def _load(
        self,
        dump: Path,
        address: Address,
        flags: list[str],
        on_tick: Callable[[], None],
        *,
        leave_out: tuple[str, ...] = (),
        exists: frozenset[str] = frozenset(),
    ) -> Completed:
        order = self._order
        with password_file(address, order.place.directory) as environment:
            load = Load(
                order.programs,
                dump,
                address,
                order.place.directory,
                environment,
                tuple(flags),
                leave_out,
                exists,
            )
            return load.run(self._jobs, on_tick=on_tick)

    def _reading(self, dump: Path) -> Load:
        """Return the dump for reading alone, which needs no login."""
        order = self._order
        address = self._cluster.undisturbed(self._names.working)
        return Load(order.programs, dump, address, order.place.directory, {})

    def _require_success(self, done: Completed) -> None:
        if done.exit_code == 0:
            return
        if self._order.own and says_no_space(done.stderr):
            raise no_space(self._order.place.directory)
        if done.killed or _JOB_DIED in first_error(done):
            how = ended(done.exit_code)
            words = f"pg_restore of {self._order.component} {how}: {first_error(done)}"
            raise (SandboxUnavailable if self._order.own else TargetError)(
                words, hint=MEMORY_HINT, permanent=False
            )
        said = first_error(done)
        unchanged = "the target is unchanged, and drd drops the restored part: "
        if ends_early(said):
            raise DumpUnusable(
                f"the dump of {self._order.component} is cut off or damaged: pg_restore: {said}",
                hint=f"{unchanged}choose another restore point (drd points PLAN). To find "
                "out why the dump stopped, read the run of its backup: drd run show "
                "RUN",
            )
        raise TargetError(
            f"pg_restore of {self._order.component} failed: {said}",
            hint=f"{unchanged}correct the cause, then restore again.",
        )

    def _ticker(self, snapshot: ComponentSnapshot, on_progress: OnProgress) -> Callable[[], None]:
        """Report progress by the size of the database on disk, which ends near that of the
        source.
        """
        total = snapshot.facts.get("database_bytes")
        query = "SELECT pg_catalog.pg_database_size(%s)"

        def tick() -> None:
            try:
                row = self._cluster.one(query, [self._names.working])
            except (psycopg.Error, TargetError):
                return  # pg_restore will say what is wrong
            on_progress(Progress(self._order.component, "restore", row[0] if row else 0, total))

        return tick

    def _compare(self, name: str, saved: database.Properties, notes: list[str]) -> list[str]:
        if not self._compares:
            return []
        with connect(self._cluster.undisturbed(name)) as connection:
            now = database.read(connection)
        if name == self._names.working:  # its comment comes with the final name
            now["comment"] = saved["comment"]
        notes += extensions.notes(saved, now)
        return database.differences(saved, now, with_owner=not self._order.no_owner)


def ends_early(said: str) -> bool:
    """Return whether pg_restore misses a part of its archive."""
    return any(words in said for words in _ENDS_EARLY)


def first_error(done: Completed) -> str:
    """Return the cause of pg_restore's failure in one line. The last lines do not help: those of
    its parallel jobs only say that one of them ended.
    """
    told: list[str] = []
    for line in masked(done.stderr).splitlines():
        if told and line.startswith("pg_restore:"):
            break
        if told or (line.startswith("pg_restore:") and "error:" in line):
            told.append(line.removeprefix("pg_restore: error: ").strip())
    text = of_pg_restore(told)
    return f"{text[:_SAID]} …" if len(text) > _SAID else text or done.complaint


def sandbox_findings(
    component: str, programs: Callable[[], PostgresPrograms], place: Workplace, needed: int
) -> list[Finding]:
    """Check whether a server for a sandbox is installed, and has room for so many bytes."""
    try:
        version = programs().version
    except SandboxUnavailable as error:
        return [Finding("sandbox", "error", component, error.message, error.hint)]
    return [
        Finding("sandbox", "ok", component, f"PostgreSQL {version}"),
        room(component, place, needed),
    ]


def dump_file(landing: Path, snapshot: ComponentSnapshot) -> Path:
    """Return the one file in the restored directory. Raises DumpUnusable if it is missing."""
    name = filename(snapshot.component)
    dump = next((p for p in landing.rglob(name) if p.is_file() and not p.is_symlink()), None)
    if dump is None:
        raise DumpUnusable(
            f"the snapshot of {snapshot.component} does not contain {name}",
            hint="choose another restore point: drd points PLAN",
        )
    return dump

"""A sandbox: a server of drd's own in the workplace, and the restore into it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from drd import process
from drd.errors import DrdError, SandboxUnavailable
from drd.kinds.file_system import fresh
from drd.kinds.postgres.cluster import Cluster
from drd.kinds.postgres.connection import words
from drd.kinds.postgres.inspect import PostgresInspector
from drd.kinds.postgres.manifest import ADOPTED
from drd.kinds.postgres.restore import RestoreOrder, Restorer, dump_file, sandbox_findings
from drd.kinds.postgres.server import ThrowAwayServer, sandbox_programs
from drd.kinds.postgres.tools import PostgresPrograms, newest_major, programs_for
from drd.kinds.servers import no_space
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import noun
from drd.ports import Finding, Inspector, OnProgress, Restored, Workplace

_ANYWHERE = frozenset({"c", "posix", "c.utf-8", "c.utf8"})


class PostgresSandbox:
    """A sandbox for one database. Its server has the major version of the source, or the next newer
    installed version (or the version of pg_dump, because an older pg_restore cannot read its dump).
    """

    def __init__(
        self, component: str, bin_dir: str | None, snapshot: ComponentSnapshot, place: Workplace
    ) -> None:
        self._component = component
        self._bin_dir = bin_dir
        self._snapshot = snapshot
        self._place = place
        self._server: ThrowAwayServer | None = None
        self._cluster: Cluster | None = None
        self._restorer: Restorer | None = None
        self._inspector: PostgresInspector | None = None

    def preflight(
        self,
        snapshot: ComponentSnapshot,
        *,
        overwrite: bool,  # noqa: ARG002 - nothing of anybody's is here
    ) -> list[Finding]:
        return sandbox_findings(
            self._component,
            lambda: sandbox_programs(self._major(), self._bin_dir),
            self._place,
            snapshot.bytes + int(snapshot.facts["database_bytes"]),
        )

    def _major(self) -> int:
        return _major_of(self._snapshot, self._bin_dir)

    def prepare(self) -> None:
        if self._server is not None and self._server.running and self._restorer is not None:
            return
        facts = self._snapshot.facts
        programs = sandbox_programs(self._major(), self._bin_dir)
        if self._server is None:
            self._server = ThrowAwayServer(
                self._place,
                programs,
                superuser=facts["bootstrap_role"],
                settings=_settings_here(facts["settings"]),
            )
        self._server.start()
        # What already lies under that name in a new cluster is empty, and ours.
        self._cluster = Cluster(self._server.address(facts["database"]), self._place.mark)
        order = RestoreOrder(
            self._component, self._place, programs, own=True, no_owner=False, overwrite=True
        )
        self._restorer = Restorer(self._cluster, order)
        self._require_extensions(self._cluster)
        try:
            self._restorer.make_working(facts)
        except psycopg.Error as error:
            if self._server.ran_out_of_space or isinstance(error, psycopg.errors.DiskFull):
                raise no_space(self._place.directory) from error
            raise no_database(facts["locale"], words(error)) from error

    def _require_extensions(self, cluster: Cluster) -> None:
        missing = missing_extensions(cluster, self._snapshot.facts)
        if missing:
            major = cluster.version // 10000
            raise SandboxUnavailable(
                f"extensions of the database are not installed on this host: {', '.join(missing)}",
                hint=extension_hint(missing, major),
            )

    def landing(self) -> Path:
        return fresh(self._place.directory / "landing", parents=True)

    def restore(
        self, snapshot: ComponentSnapshot, private: Mapping[str, Any], *, on_progress: OnProgress
    ) -> Restored:
        self.prepare()
        assert self._restorer is not None
        assert self._server is not None
        landing = self._place.directory / "landing"
        try:
            dump = dump_file(landing, snapshot)
            done = self._restorer.restore(snapshot, private, dump, on_progress)
        except DrdError as error:
            # What failed for lack of room says nothing about the backup.
            if self._server.ran_out_of_space or isinstance(
                error.__cause__, psycopg.errors.DiskFull
            ):
                raise no_space(self._place.directory) from error
            if self._server.was_killed:
                raise SandboxUnavailable(
                    f"the sandbox's PostgreSQL server of {self._component} was killed",
                    hint=process.MEMORY_HINT,
                    permanent=False,
                ) from error
            raise
        finally:
            shutil.rmtree(landing, ignore_errors=True)
        notes = done.notes
        source = snapshot.facts["server_major"]  # 0 if a dump of another tool does not say it
        if source and self._server.programs.major != source:
            here, there = self._server.programs.version, snapshot.facts["server_version"]
            notes += (f"restored into PostgreSQL {here}; the source was version {there}",)
        facts = {
            **done.facts,
            "server_version": self._server.programs.version,
            "server_settings": self._server.settings,
        }
        return Restored(notes, done.differences, done.not_restored, facts)

    def inspector(self) -> Inspector:
        assert self._server is not None
        if self._inspector is None:
            address = self._server.address(self._snapshot.facts["database"])
            self._inspector = PostgresInspector(address)
        return self._inspector

    def close(self) -> None:
        if self._inspector is not None:
            self._inspector.close()
        if self._cluster is not None:
            self._cluster.close()
        if self._server is not None:
            self._server.stop()
        shutil.rmtree(self._place.directory / "landing", ignore_errors=True)


def _major_of(snapshot: ComponentSnapshot, bin_dir: str | None) -> int:
    if snapshot.facts.get(ADOPTED, False):
        return newest_major("postgres", bin_dir)
    return max(int(snapshot.facts["server_major"]), int(snapshot.facts["pg_dump_major"]))


def programs_of_dump(snapshot: ComponentSnapshot, bin_dir: str | None) -> PostgresPrograms:
    """Return the programs of the server into which a drill loads the dump."""
    return sandbox_programs(_major_of(snapshot, bin_dir), bin_dir)


def of_adopted_dump(snapshot: ComponentSnapshot, bin_dir: str | None, found: Finding) -> Finding:
    """Return a finding of the sandbox with the versions of a dump that another tool made: as an
    error, if the newest server here is older than what made it."""
    source, dump = snapshot.facts["server_major"], snapshot.facts["pg_dump_major"]
    if found.failed or not snapshot.facts.get(ADOPTED, False) or not max(source, dump):
        return found
    made = (
        f"the newest dump is of PostgreSQL {snapshot.facts['server_version']}, made by pg_dump "
        f"{snapshot.facts['pg_dump_version']}"
    )
    here, needed = programs_of_dump(snapshot, bin_dir), max(source, dump)
    if here.major >= needed:
        return replace(found, text=f"{found.text}; {made}")
    text = f"{made}, and a drill would load it into PostgreSQL {here.version}, which is older"
    return replace(
        found, severity="error", text=text, remedy=f"apt-get install postgresql-{needed}"
    )


def sandbox_tools(snapshot: ComponentSnapshot, bin_dir: str | None) -> Mapping[str, str]:
    """Return the programs of a sandbox for this snapshot: server and pg_restore."""
    server = programs_of_dump(snapshot, bin_dir)
    loader = programs_for(server.major, "pg_restore", bin_dir=str(server.directory))
    return {"PostgreSQL": server.version, "pg_restore": loader.version}


def missing_extensions(cluster: Cluster, facts: Mapping[str, Any]) -> list[str]:
    """Return the extensions of the saved database that this server could not create."""
    rows = cluster.admin().execute("SELECT name::text FROM pg_catalog.pg_available_extensions")
    available = {row[0] for row in rows.fetchall()}
    return sorted(set(facts["extensions"]) - available)


_CONTRIB = (
    "adminpack amcheck autoinc bloom btree_gin btree_gist citext cube dblink dict_int dict_xsyn "
    "earthdistance file_fdw fuzzystrmatch hstore insert_username intagg intarray isn lo ltree "
    "moddatetime old_snapshot pageinspect pg_buffercache pg_freespacemap pg_prewarm "
    "pg_stat_statements pg_surgery pg_trgm pg_visibility pg_walinspect pgcrypto pgrowlocks "
    "pgstattuple postgres_fdw refint seg sslinfo tablefunc tcn tsm_system_rows tsm_system_time "
    "unaccent uuid-ossp xml2"
)

_REMOVED = {"tsearch2": 10, "chkpass": 11, "timetravel": 12, "adminpack": 17, "old_snapshot": 17}
"""Extensions of contrib, by the first version of PostgreSQL without them."""

_LANGUAGES = ("plperl", "plpython3", "pltcl")


def extension_hint(missing: list[str], major: int) -> str:
    """Return the remedy: the names of Debian's packages. If the server's version does not have an
    extension any more, no package contains it.
    """
    ended = [name for name in missing if major >= _REMOVED.get(name, major + 1)]
    packages = dict.fromkeys(_package(name, major) for name in missing if name not in ended)
    hints = []
    if packages:
        hints.append(
            f"install these extensions for PostgreSQL {major}, for example: apt-get install "
            f"{' '.join(packages)}"
        )
    if ended:
        older = min(_REMOVED[name] for name in ended) - 1
        hints.append(
            f"no package brings {', '.join(ended)} back, because PostgreSQL {major} does not have "
            f"{noun(len(ended), 'it', 'them')} any more: drop {noun(len(ended), 'it', 'them')} in "
            f"the source and back up again, or use a server of version {older} or older"
        )
    return "; ".join(hints)


def _package(name: str, major: int) -> str:
    """Debian names most packages after the extension; one for a language of functions is in the
    package of the language."""
    if name in _CONTRIB.split():
        return f"postgresql-contrib-{major}"  # provided by the server's package or one of its own
    for language in _LANGUAGES:
        if name.rpartition("_")[2].startswith(language):
            return f"postgresql-{language}-{major}"
    return f"postgresql-{major}-{name.replace('_', '-')}"


def no_database(locale: Mapping[str, Any], said: str) -> SandboxUnavailable:
    names = {n for n in (locale["collate"], locale["ctype"]) if n.lower() not in _ANYWHERE}
    if names and locale["provider"] == "libc":
        listed = " and ".join(sorted(names))
        return SandboxUnavailable(
            f"this host lacks the database's locale {listed}: {said}",
            hint=f"add {listed} to /etc/locale.gen and run locale-gen (package locales).",
        )
    return SandboxUnavailable(
        f"this host cannot create a database like that of the source: {said}",
        hint="install a PostgreSQL server with the same build options as the source (ICU, "
        "encodings).",
    )


def _settings_here(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the source's settings for how values print, as far as this host supports them."""
    foreign = {
        name
        for name, value in settings.items()
        if name.startswith("lc_") and _plain(value) not in _ANYWHERE
    }
    if foreign:
        listed = process.run(process.Command(["locale", "-a"], deadline_s=10.0)).stdout
        here = {_plain(name) for name in listed.split()}
        foreign = {name for name in foreign if _plain(settings[name]) not in here}
    return {name: value for name, value in settings.items() if name not in foreign}


def _plain(locale: str) -> str:
    return locale.lower().replace("utf-8", "utf8")

"""PostgreSQL: one database of a server, dumped with pg_dump."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from drd.errors import DrdError, NotSupported, UsageError
from drd.kinds.postgres import SPEC, abandoned, database, naming
from drd.kinds.postgres import part as parts
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.connection import connect, words
from drd.kinds.postgres.fingerprint import split_name
from drd.kinds.postgres.kept_copy import KeptDatabase
from drd.kinds.postgres.manifest import require_written
from drd.kinds.postgres.same_place import same_place
from drd.kinds.postgres.sandbox import (
    PostgresSandbox,
    no_database,
    of_adopted_dump,
    programs_of_dump,
    sandbox_tools,
)
from drd.kinds.postgres.server import ThrowAwayServer, sandbox_programs
from drd.kinds.postgres.settings import PostgresSettings, PostgresTarget
from drd.kinds.postgres.source import PostgresSource
from drd.kinds.postgres.tables import PostgresTables
from drd.kinds.postgres.target import PostgresTargetDatabase
from drd.kinds.postgres.tools import PostgresPrograms, newest_major
from drd.kinds.postgres.whole_server import ServerSandbox, is_server, programs_of
from drd.model.contents import Contents, tables
from drd.model.plan import Component
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, Fingerprint
from drd.ports import AS_IT_IS, Destination, Finding, Kind, RestoreOptions, Source, Workplace
from drd.process import container_of, rights


class PostgresKind(Kind):
    """The kind `postgres`."""

    spec = SPEC

    def require_written(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        require_written(snapshot, private)

    def source(self, component: Component, place: Workplace) -> Source:
        return PostgresSource(component.name, _settings(component), place)

    def sandbox(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> Destination:
        if is_server(snapshot):
            return ServerSandbox(component.name, _bin_dir_here(component), snapshot, place)
        return PostgresSandbox(component.name, _bin_dir_here(component), snapshot, place)

    def target(
        self,
        component: Component,
        settings: object,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> PostgresTargetDatabase:
        assert isinstance(settings, PostgresTarget | PostgresSettings)
        part = options.part
        if part is not None and part.tables:
            if settings.inside is not None:
                raise NotSupported(
                    f"component {component.name}: drd cannot restore single tables into a server "
                    "in a container (`in`)",
                    hint="restore the whole database beside this one with --into NAME, and copy "
                    "the tables from there.",
                )
            if options.as_owner:
                raise UsageError(
                    "--as-owner does not work with single tables: drd loads the tables with "
                    "the login of the target into a database in use",
                    hint="restore the whole database beside this one: --into NAME --as-owner.",
                )
            return PostgresTables(
                component.name,
                settings,
                place,
                part,
                no_owner=options.no_owner,
                until=options.until,
            )
        return PostgresTargetDatabase(
            component.name,
            settings,
            place,
            no_owner=options.no_owner,
            database=_name_of(part),
            keep=options.keep,
            as_owner=options.as_owner,
            until=options.until,
        )

    def kept(
        self,
        component: Component,
        settings: object,
        snapshot: ComponentSnapshot | None,  # noqa: ARG002 - the connection says it all
        run: str,
        *,
        part: Part | None = None,
    ) -> KeptDatabase:
        assert isinstance(settings, PostgresTarget | PostgresSettings)
        return KeptDatabase(
            component.name,
            settings.dsn,
            run,
            database=_name_of(part),
            inside=container_of(settings),
        )

    def narrow(self, snapshot: ComponentSnapshot, part: Part) -> tuple[Part, ComponentSnapshot]:
        return parts.narrow(snapshot, part)

    def contents(self, snapshot: ComponentSnapshot, within: str | None) -> Contents:
        return tables(
            snapshot,
            within,
            selects=lambda name, asked: asked == name or asked in split_name(name),
            separator=".",
            lister="pg_restore --list FILE",
        )

    def live(
        self, component: Component, part: Part, like: Fingerprint, budget_s: float
    ) -> Fingerprint:
        settings = _settings(component)
        address = address_of(settings.dsn, container_of(settings))
        return parts.live(address, part, like, budget_s)

    def same_place(self, component: Component, settings: object, place: Workplace) -> str | None:
        assert isinstance(settings, PostgresTarget)
        own = _settings(component)
        inside = container_of(own), container_of(settings)
        return same_place(own.dsn, settings.dsn, place.mark, inside)

    def sweep(self, directory: Path) -> list[str]:
        return abandoned.sweep(directory)

    def tools(self, component: Component, snapshot: ComponentSnapshot) -> Mapping[str, str]:
        bin_dir = _bin_dir_here(component)
        if is_server(snapshot):
            return {"PostgreSQL": programs_of(snapshot, bin_dir).version}
        return sandbox_tools(snapshot, bin_dir)

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:
        """Start a sandbox, and make an empty database like the source's in it if the source can be
        asked.
        """
        settings = _settings(component)
        major, create, unknown = 0, None, ""
        try:
            address = address_of(settings.dsn, container_of(settings))
            with rights.owners(), connect(address) as connection:
                major = connection.info.server_version // 10000
                create = database.read(connection)
        except DrdError as error:
            unknown = error.message
        except psycopg.Error as error:
            unknown = words(error)
        bin_dir = _bin_dir_here(component)
        wanted = major or newest_major("postgres", bin_dir)
        programs = partial(sandbox_programs, wanted, bin_dir)
        tried_findings = tried(component.name, programs, place, create)
        return (
            [_of_unknown(f, unknown, component) for f in tried_findings]
            if not major
            else tried_findings
        )

    def sandbox_findings_for(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> list[Finding]:
        bin_dir = _bin_dir_here(component)
        if is_server(snapshot):
            return tried(component.name, partial(programs_of, snapshot, bin_dir), place)
        tried_findings = tried(component.name, partial(programs_of_dump, snapshot, bin_dir), place)
        return [of_adopted_dump(snapshot, bin_dir, finding) for finding in tried_findings]


def _settings(component: Component) -> PostgresSettings:
    assert isinstance(component.settings, PostgresSettings)
    return component.settings


def _bin_dir_here(component: Component) -> str | None:
    """Return the directory of the programs for sandboxes, which run on this host."""
    settings = _settings(component)
    return settings.bin_dir if settings.inside is None else None


def tried(
    name: str,
    programs: Callable[[], PostgresPrograms],
    place: Workplace,
    create: database.Properties | None = None,
) -> list[Finding]:
    """Start a server, with an empty database if its properties are known."""
    made: ThrowAwayServer | None = None
    try:
        made = ThrowAwayServer(place, programs())
        made.start()
        if create is not None:
            _try_database(made, create)
    except DrdError as error:
        return [Finding("sandbox", "error", name, error.message, error.hint)]
    finally:
        if made is not None:
            made.stop()
    return [Finding("sandbox", "ok", name, f"PostgreSQL {made.programs.version} starts")]


def _of_unknown(finding: Finding, why: str, component: Component) -> Finding:
    """Say that the source could not be asked: the newest version of this host may not fit. Where
    another tool makes the copies, one would say it, and nothing else is examined of the source."""
    unknown = f"the version of the source's server is unknown, because drd cannot ask it: {why}"
    if finding.failed:
        return replace(finding, text=f"{finding.text} ({unknown})")
    return replace(
        finding,
        severity="warning",
        text=f"{unknown}. So drd does not know whether the sandbox of this host fits: "
        f"{finding.text}",
        remedy="drd reads the version from a copy, but does not know any copy with a version: see "
        "the findings `repository` and `repository-copies`, then run drd doctor again."
        if component.adopted
        else "see the failed finding of this component, then run drd doctor again.",
    )


def _try_database(made: ThrowAwayServer, saved: database.Properties) -> None:
    """Make an empty database. Raises SandboxUnavailable if the locale or an encoding is missing on
    this host.
    """
    with connect(made.address("postgres")) as connection:
        version = connection.info.server_version
        sql = database.create_sql("drd_probe", saved, version=version, tablespace=None)
        try:
            connection.execute(sql.encode())
        except psycopg.Error as error:
            raise no_database(saved, words(error)) from error


def _name_of(part: Part | None) -> str | None:
    """Return the name of the database that replaces the dsn's."""
    return naming.database_name(part.into) if part is not None and part.into else None

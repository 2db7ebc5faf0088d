"""Whole PostgreSQL servers, copied file by file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from drd.errors import DrdError, NotSupported, UsageError
from drd.kinds.file_system import remove
from drd.kinds.postgres import abandoned, dsn
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.connection import connect, words
from drd.kinds.postgres.kept_copy import KeptDatabase
from drd.kinds.postgres.kind import tried
from drd.kinds.postgres.physical import SPEC, narrow
from drd.kinds.postgres.physical.chain import chain_of
from drd.kinds.postgres.physical.increments import COPY
from drd.kinds.postgres.physical.instant import InstantSandbox
from drd.kinds.postgres.physical.instant import swept as unmounted
from drd.kinds.postgres.physical.landed import programs_of
from drd.kinds.postgres.physical.manifest import require_written
from drd.kinds.postgres.physical.one_database import Copied, DatabaseOfServer, TablesOfServer
from drd.kinds.postgres.physical.sandbox import ClusterSandbox
from drd.kinds.postgres.physical.settings import ClusterSettings, ClusterTarget
from drd.kinds.postgres.physical.source import ClusterSource
from drd.kinds.postgres.physical.target import FILES, ClusterDirectory
from drd.kinds.postgres.physical.wal import segments, transactions
from drd.kinds.postgres.physical.wal.receiver import WalSource, dropping
from drd.kinds.postgres.same_place import data_directory, same_server
from drd.kinds.postgres.server import sandbox_programs
from drd.kinds.postgres.settings import PostgresTarget
from drd.kinds.postgres.tools import newest_major
from drd.kinds.untrusted_dirs import resolved
from drd.model.contents import Contents
from drd.model.log import LogTarget
from drd.model.plan import Component
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, Fingerprint
from drd.ports import (
    AS_IT_IS,
    Destination,
    Finding,
    KeptCopies,
    Kind,
    NamedDestination,
    ReadsInPlace,
    RestoreOptions,
    Source,
    Workplace,
)
from drd.ports.logs import LogSource, LogStart
from drd.process import rights

_POSITION = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_TRANSACTION = re.compile(r"[1-9][0-9]{0,18}")


class ClusterKind(Kind):
    """The kind of whole servers."""

    spec = SPEC

    def require_written(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        require_written(snapshot, private)

    def source(self, component: Component, place: Workplace) -> Source:
        return ClusterSource(component.name, _settings(component), place)

    def sandbox(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> Destination:
        return ClusterSandbox(component.name, _settings(component).bin_dir, snapshot, place)

    def instant_sandbox(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> ReadsInPlace:
        if chain_of(snapshot.facts):
            raise NotSupported(
                "its restore point is an incremental copy, which has to be combined first: no "
                "server can start on the mounted files",
                hint="write `incremental: off` for this component.",
            )
        return InstantSandbox(component.name, _settings(component).bin_dir, snapshot, place)

    def target(
        self,
        component: Component,
        settings: object,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> NamedDestination:
        assert isinstance(settings, ClusterTarget | ClusterSettings)
        if options.part is not None and not options.part.is_whole:
            return _inside(component, settings, place, options, narrow.named(options.part))
        return ClusterDirectory(
            component.name,
            settings,
            place,
            keep=options.keep,
            log_bytes=options.log_bytes,
            database=dsn.database(_settings(component).dsn) or "postgres",
        )

    def log(self, component: Component) -> LogSource:
        return WalSource(component.name, _settings(component))

    def log_start(self, snapshot: ComponentSnapshot) -> LogStart:
        facts = snapshot.facts
        at = segments.position(facts["end_lsn"])
        return LogStart(str(facts["system_identifier"]), at, int(facts["timeline"]))

    def log_target(self, text: str) -> LogTarget | None:
        if _TRANSACTION.fullmatch(text):
            return LogTarget(transaction=int(text))
        if _POSITION.fullmatch(text):
            return LogTarget(position=segments.position(text))
        return None

    def log_leads(self, snapshot: ComponentSnapshot, target: LogTarget) -> bool | None:
        if target.position is not None:
            return self.log_start(snapshot).position <= target.position
        assert isinstance(target.transaction, int)
        return transactions.comes_after(snapshot.facts, target.transaction)

    def log_place(self, position: int) -> str:
        return segments.show(position)

    def log_left(self, name: str) -> str:
        return dropping(name)

    def leave_log(self, component: Component, name: str) -> None:
        WalSource(component.name, _settings(component)).leave(name)

    def kept(
        self,
        component: Component,
        settings: object,
        snapshot: ComponentSnapshot | None,  # noqa: ARG002 - one directory, whatever was in it
        run: str,
        *,
        part: Part | None = None,
    ) -> KeptCopies:
        assert isinstance(settings, ClusterTarget | ClusterSettings)
        if part is not None and part.database is not None:
            dsn_ = _server_of(component.name, settings).dsn
            return KeptDatabase(component.name, dsn_, run, database=part.into or part.database)
        assert settings.data_dir is not None
        return FILES.kept(component.name, settings.data_dir, run)

    def narrow(self, snapshot: ComponentSnapshot, part: Part) -> tuple[Part, ComponentSnapshot]:
        return narrow.DATABASES.narrow(snapshot, part)

    def contents(self, snapshot: ComponentSnapshot, within: str | None) -> Contents:
        return narrow.listed(snapshot, within)

    def live(
        self, component: Component, part: Part, like: Fingerprint, budget_s: float
    ) -> Fingerprint:
        return narrow.live(_settings(component), part, like, budget_s)

    def same_place(self, component: Component, settings: object, place: Workplace) -> str | None:
        assert isinstance(settings, ClusterTarget)
        known = super().same_place(component, settings, place)
        if known is not None:
            return known
        own = data_directory(_settings(component).dsn)
        if own is not None and own == Path(resolved(settings.data_dir)):
            return f"the data directory {own} of the server that the plan names as the source"
        return None

    def same_server(self, component: Component, settings: object, place: Workplace) -> str | None:
        assert isinstance(settings, ClusterTarget)
        if settings.dsn is None:
            return None
        return same_server(_settings(component).dsn, settings.dsn, place.mark)

    def of_database(self, known: Fingerprint, name: str) -> Fingerprint | None:
        return narrow.DATABASES.alone(known, name)

    def sweep(self, directory: Path) -> list[str]:
        notes = abandoned.sweep(directory) + unmounted(directory)
        copied = directory / COPY
        if copied.is_dir() and not copied.is_symlink():
            remove(copied)
            notes.append(f"removed the unfinished copy of a server in {copied}")
        return notes + FILES.swept(directory)

    def tools(self, component: Component, snapshot: ComponentSnapshot) -> Mapping[str, str]:
        return {"PostgreSQL": programs_of(snapshot, _settings(component).bin_dir).version}

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:
        settings = _settings(component)
        major, unknown = 0, ""
        try:
            with rights.owners(), closing(connect(address_of(settings.dsn))) as connection:
                major = connection.info.server_version // 10000
        except DrdError as error:
            unknown = error.message
        except psycopg.Error as error:
            unknown = words(error)
        wanted = major or newest_major("postgres", settings.bin_dir)
        tried_findings = tried(
            component.name,
            partial(sandbox_programs, wanted, settings.bin_dir, or_newer=not major),
            place,
        )
        if not unknown:
            return tried_findings
        text = (
            "drd cannot ask the server for its version, so it does not know which PostgreSQL the "
            f"sandbox needs: {unknown}"
        )
        remedy = "see the failed finding of this component, then run drd doctor again."
        return [*tried_findings, Finding("sandbox", "warning", component.name, text, remedy)]

    def sandbox_findings_for(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> list[Finding]:
        programs = partial(programs_of, snapshot, _settings(component).bin_dir)
        return tried(component.name, programs, place)


def _inside(
    component: Component,
    settings: ClusterTarget | ClusterSettings,
    place: Workplace,
    options: RestoreOptions,
    part: Part,
) -> NamedDestination:
    """Return the target for one database, or for tables in it: a running server. Raises
    UsageError."""
    server = _server_of(component.name, settings)
    copied = Copied(str(part.database), _settings(component).bin_dir)
    if not part.tables:
        options = replace(options, part=part)
        return DatabaseOfServer(component.name, server, place, copied, options)
    if options.as_owner:
        raise UsageError(
            "--as-owner does not work with single tables: drd loads the tables into a database in "
            "use, with the login of the target",
            hint="restore the whole database beside the present one: --into NAME --as-owner.",
        )
    return TablesOfServer(component.name, server, place, copied, part, no_owner=options.no_owner)


def _server_of(name: str, settings: ClusterTarget | ClusterSettings) -> PostgresTarget:
    """Return the running server into which drd restores a single database. Raises UsageError."""
    if settings.dsn is None:
        raise UsageError(
            f"the target of {name} has no `dsn`, but drd restores single databases and tables into "
            "a running server",
            hint="write the connection string of the server into `dsn` of the target; or restore "
            "into the live server: --in-place.",
        )
    return PostgresTarget.model_construct(dsn=settings.dsn, bin_dir=settings.bin_dir, inside=None)


def _settings(component: Component) -> ClusterSettings:
    assert isinstance(component.settings, ClusterSettings)
    return component.settings

"""Whole MariaDB servers, copied file by file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from drd.errors import DrdError, UsageError
from drd.kinds.file_system import remove
from drd.kinds.mariadb import SPEC as OF_DATABASE
from drd.kinds.mariadb import dsn, server
from drd.kinds.mariadb.address import address_of
from drd.kinds.mariadb.connection import ServerError, version_text
from drd.kinds.mariadb.kept_copy import KeptDatabase
from drd.kinds.mariadb.kind import tried
from drd.kinds.mariadb.naming import copy_names
from drd.kinds.mariadb.physical import SPEC, narrow
from drd.kinds.mariadb.physical.binlog.files import number_of, place, read_place, show
from drd.kinds.mariadb.physical.binlog.receiver import BinlogSource
from drd.kinds.mariadb.physical.examine import data_dir_of
from drd.kinds.mariadb.physical.manifest import require_written
from drd.kinds.mariadb.physical.one_database import Copied, DatabaseOfServer
from drd.kinds.mariadb.physical.programs import programs_for
from drd.kinds.mariadb.physical.reach import connect
from drd.kinds.mariadb.physical.sandbox import ServerSandbox, programs_of
from drd.kinds.mariadb.physical.settings import ServerSettings, ServerTarget
from drd.kinds.mariadb.physical.source import COPY, ServerSource
from drd.kinds.mariadb.physical.tables import TablesOfServer
from drd.kinds.mariadb.physical.target import FILES, ServerDirectory
from drd.kinds.mariadb.same_place import same_server
from drd.kinds.mariadb.settings import MariadbTarget
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
    RestoreOptions,
    Source,
    Workplace,
)
from drd.ports.kinds import Ability
from drd.ports.logs import LogSource, LogStart
from drd.process import rights

_GTID = re.compile(r"\d{1,10}-\d{1,10}-\d{1,20}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class ServerKind(Kind):
    """The kind of whole servers."""

    spec = SPEC

    def require_written(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        require_written(snapshot, private)

    def source(self, component: Component, place: Workplace) -> Source:
        return ServerSource(component.name, _settings(component), place)

    def sandbox(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> Destination:
        return ServerSandbox(component.name, _settings(component).bin_dir, snapshot, place)

    def target(
        self,
        component: Component,
        settings: object,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> NamedDestination:
        assert isinstance(settings, ServerTarget | ServerSettings)
        if options.part is not None and not options.part.is_whole:
            return _inside(component, settings, place, options, options.part)
        return ServerDirectory(
            component.name,
            settings,
            place,
            keep=options.keep,
            database=dsn.database(_settings(component).dsn) or "mysql",
            log_bytes=options.log_bytes,
        )

    def log(self, component: Component) -> LogSource:
        return BinlogSource(component.name, _settings(component))

    def log_start(self, snapshot: ComponentSnapshot) -> LogStart:
        facts = snapshot.facts
        number = number_of(str(facts["binlog_file"]))
        if number is None or snapshot.data_time is None:
            return LogStart("", 0)  # the server had no binary log: no log continues this copy
        at = place(number, int(facts["binlog_position"]))
        return LogStart(str(facts["server_id"]), at, int(snapshot.data_time.timestamp()))

    def log_target(self, text: str) -> LogTarget | None:
        if _GTID.fullmatch(text) and not _DATE.fullmatch(text):
            return LogTarget(transaction=text)
        position = read_place(text)
        return LogTarget(position=position) if position is not None else None

    def log_leads(self, snapshot: ComponentSnapshot, target: LogTarget) -> bool | None:
        if target.position is not None:
            return self.log_start(snapshot).position <= target.position
        known = str(snapshot.facts["gtid_binlog_pos"]).split(",")
        numbers = {g.split("-")[0]: int(g.split("-")[2]) for g in known if g}
        domain, _, number = str(target.transaction).split("-")
        return numbers.get(domain, 0) < int(number)

    def log_place(self, position: int) -> str:
        return show(position)

    def kept(
        self,
        component: Component,
        settings: object,
        snapshot: ComponentSnapshot | None,  # noqa: ARG002 - one directory, whatever was in it
        run: str,
        *,
        part: Part | None = None,
    ) -> KeptCopies:
        assert isinstance(settings, ServerTarget | ServerSettings)
        if part is not None and part.database is not None:
            dsn_ = _server_of(component.name, settings).dsn
            return KeptDatabase(component.name, dsn_, run, part.into or part.database)
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

    def same_server(self, component: Component, settings: object, place: Workplace) -> str | None:  # noqa: ARG002 - nothing is made
        assert isinstance(settings, ServerTarget)
        if settings.dsn is None:
            return None
        return same_server(_settings(component).dsn, settings.dsn)

    def of_database(self, known: Fingerprint, name: str) -> Fingerprint | None:
        return narrow.DATABASES.alone(known, name)

    def same_place(self, component: Component, settings: object, place: Workplace) -> str | None:
        assert isinstance(settings, ServerTarget)
        known = super().same_place(component, settings, place)
        if known is not None:
            return known
        own = _data_directory(_settings(component))
        if own is not None and os.path.realpath(own) == str(resolved(settings.data_dir)):
            return f"the data directory {own} of the server that the plan names as the source"
        return None

    def sweep(self, directory: Path) -> list[str]:
        notes = server.sweep(directory)
        copied = directory / COPY
        if copied.is_dir() and not copied.is_symlink():
            remove(copied)
            notes.append(f"removed the unfinished copy of a server in {copied}")
        return notes + FILES.swept(directory)

    def tools(self, component: Component, snapshot: ComponentSnapshot) -> Mapping[str, str]:
        programs = programs_of(snapshot, _settings(component).bin_dir)
        return {"MariaDB": programs.version, "mariadb-backup": programs.backup.version}

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:
        settings = _settings(component)
        try:
            with rights.owners(), connect(address_of(settings.dsn)) as connection:
                version = version_text(connection)
        except DrdError as error:
            text = (
                "drd cannot ask the server for its version, so it does not know which MariaDB the "
                f"sandbox needs: {error.message}"
            )
            hint = "see the failed finding of this component, then run drd doctor again."
            return [Finding("sandbox", "warning", component.name, text, hint)]
        return _tried(component.name, version, settings.bin_dir, place)

    def sandbox_findings_for(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> list[Finding]:
        version = str(snapshot.facts["server_version"])
        return _tried(component.name, version, _settings(component).bin_dir, place)


def _inside(
    component: Component,
    settings: ServerTarget | ServerSettings,
    place: Workplace,
    options: RestoreOptions,
    part: Part,
) -> NamedDestination:
    """Return the place of one database, or of tables in it, in a running server. Raises UsageError,
    NotSupported."""
    if options.as_owner:
        raise OF_DATABASE.lacks(Ability.AS_OWNER, component=component.name)
    name, there = component.name, _server_of(component.name, settings)
    part = narrow.DATABASES.named(part)
    options, database = replace(options, part=part), str(part.database)
    bin_dir = _settings(component).bin_dir
    if part.tables:
        copied = Copied(database, copy_names(part)[0], bin_dir)
        return TablesOfServer(name, there, place, copied, options)
    copied = Copied(database, part.into or database, bin_dir)
    return DatabaseOfServer(name, there, place, copied, options)


def _server_of(name: str, settings: ServerTarget | ServerSettings) -> MariadbTarget:
    """Return the running server that gets a single database. Raises UsageError."""
    if settings.dsn is None:
        raise UsageError(
            f"the target of {name} has no `dsn`: single databases and tables are restored into a "
            "running server",
            hint="write the address of the server into `dsn` of the target; or restore into the "
            "live server: --in-place.",
        )
    return MariadbTarget.model_construct(dsn=settings.dsn, bin_dir=settings.bin_dir, inside=None)


def _settings(component: Component) -> ServerSettings:
    assert isinstance(component.settings, ServerSettings)
    return component.settings


def _tried(name: str, version: str, bin_dir: str | None, place: Workplace) -> list[Finding]:
    try:
        programs_for(version, bin_dir)
    except DrdError as error:
        return [Finding("sandbox", "error", name, error.message, error.hint)]
    return [tried(name, version, bin_dir, place)]


def _data_directory(settings: ServerSettings) -> str | None:
    with (
        suppress(DrdError, ServerError),
        rights.owners(),
        connect(address_of(settings.dsn)) as connection,
    ):
        return data_dir_of(connection)
    return None

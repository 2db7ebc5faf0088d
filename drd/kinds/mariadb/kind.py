"""MariaDB and MySQL: one database of a server, dumped with mariadb-dump or mysqldump."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd.errors import DrdError
from drd.kinds.mariadb import SPEC, server
from drd.kinds.mariadb.address import address_of
from drd.kinds.mariadb.connection import connect, version_text
from drd.kinds.mariadb.flavour import MARIADB, Flavour, of_facts
from drd.kinds.mariadb.inspect import describe_now
from drd.kinds.mariadb.kept_copy import KeptDatabase
from drd.kinds.mariadb.manifest import require_written
from drd.kinds.mariadb.naming import database_name
from drd.kinds.mariadb.same_place import same_place
from drd.kinds.mariadb.sandbox import MariadbSandbox
from drd.kinds.mariadb.server import ThrowAwayServer, sandbox_programs
from drd.kinds.mariadb.settings import MariadbSettings, MariadbTarget
from drd.kinds.mariadb.source import MariadbSource
from drd.kinds.mariadb.target import MariadbTargetDatabase
from drd.kinds.mariadb.tools import client
from drd.model.contents import Contents, tables
from drd.model.plan import Component
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint
from drd.ports import AS_IT_IS, Destination, Finding, Kind, RestoreOptions, Source, Workplace
from drd.process import container_of, rights


class MariadbKind(Kind):
    """The kind `mariadb`."""

    spec = SPEC

    def require_written(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        require_written(snapshot, private)

    def source(self, component: Component, place: Workplace) -> Source:
        return MariadbSource(component.name, _settings(component), place)

    def sandbox(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> Destination:
        return MariadbSandbox(component.name, _bin_dir_here(component), snapshot, place)

    def target(
        self,
        component: Component,
        settings: object,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> MariadbTargetDatabase:
        assert isinstance(settings, MariadbTarget | MariadbSettings)
        name = _name_of(options.part)
        return MariadbTargetDatabase(component.name, settings, place, options, name)

    def kept(
        self,
        component: Component,
        settings: object,
        snapshot: ComponentSnapshot | None,  # noqa: ARG002 - the address says it all
        run: str,
        *,
        part: Part | None = None,
    ) -> KeptDatabase:
        assert isinstance(settings, MariadbTarget | MariadbSettings)
        inside = container_of(settings)
        return KeptDatabase(component.name, settings.dsn, run, _name_of(part), inside)

    def contents(self, snapshot: ComponentSnapshot, within: str | None) -> Contents:
        return tables(
            snapshot,
            within,
            selects=lambda name, asked: name == asked,
            separator=".",
            lister="grep '^CREATE TABLE' FILE",
        )

    def live(
        self,
        component: Component,
        part: Part,  # noqa: ARG002 - the kind has no parts but the whole
        like: Fingerprint,
        budget_s: float,
    ) -> Fingerprint:
        assert isinstance(like, DatabaseFingerprint)
        settings = _settings(component)
        address = address_of(settings.dsn, container_of(settings))
        with connect(address) as connection:
            return describe_now(connection, address.database, like, budget_s)

    def same_place(self, component: Component, settings: object, place: Workplace) -> str | None:  # noqa: ARG002 - nothing is made
        assert isinstance(settings, MariadbTarget)
        own = _settings(component)
        inside = container_of(own), container_of(settings)
        return same_place(own.dsn, settings.dsn, inside)

    def sweep(self, directory: Path) -> list[str]:
        return server.sweep(directory)

    def tools(self, component: Component, snapshot: ComponentSnapshot) -> Mapping[str, str]:
        bin_dir = _bin_dir_here(component)
        product = of_facts(snapshot.facts)
        programs = sandbox_programs(str(snapshot.facts["server_version"]), bin_dir, product)
        asks = client(bin_dir, None, product)
        return {product.name: programs.version, product.client: asks.version}

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:
        """Start a sandbox of the source's version, if the source can be asked."""
        settings, version, unknown, product = _settings(component), "", "", MARIADB
        try:
            address = address_of(settings.dsn, container_of(settings))
            with rights.owners(), connect(address) as connection:
                version, product = version_text(connection), connection.flavour
        except DrdError as error:
            unknown = error.message
        finding = tried(component.name, version, _bin_dir_here(component), place, product)
        if not unknown or finding.failed:
            return [finding]
        text = (
            f"drd cannot ask the source's server for its version: {unknown}. So drd does not know "
            f"whether the server for sandboxes on this host is new enough ({finding.text})"
        )
        hint = "see the failed finding of this component, then run drd doctor again."
        return [Finding("sandbox", "warning", component.name, text, hint)]

    def sandbox_findings_for(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> list[Finding]:
        version, product = str(snapshot.facts["server_version"]), of_facts(snapshot.facts)
        return [tried(component.name, version, _bin_dir_here(component), place, product)]


def _settings(component: Component) -> MariadbSettings:
    assert isinstance(component.settings, MariadbSettings)
    return component.settings


def _bin_dir_here(component: Component) -> str | None:
    """Return the directory of the programs for sandboxes, which run on this host."""
    settings = _settings(component)
    return settings.bin_dir if settings.inside is None else None


def tried(
    name: str, version: str, bin_dir: str | None, place: Workplace, flavour: Flavour = MARIADB
) -> Finding:
    """Start a server for a sandbox, and end it; return what came of it."""
    made: ThrowAwayServer | None = None
    try:
        server_program = sandbox_programs(version, bin_dir, flavour)
        made = ThrowAwayServer(place, server_program, bin_dir, flavour)
        made.start()
    except DrdError as error:
        return Finding("sandbox", "error", name, error.message, error.hint)
    finally:
        if made is not None:
            made.stop()
    return Finding("sandbox", "ok", name, f"{flavour.name} {made.program.version} starts")


def _name_of(part: Part | None) -> str | None:
    """Return the name of the database that replaces the one in the dsn. Raises UsageError."""
    return database_name(part.into) if part is not None and part.into else None

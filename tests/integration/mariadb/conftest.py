"""A database of each test's own, in the server that all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from drd.kinds.mariadb.address import Address, address_of
from drd.kinds.mariadb.inspect import split
from drd.kinds.mariadb.kept_copy import KeptDatabase
from drd.kinds.mariadb.kind import MariadbKind
from drd.kinds.mariadb.settings import MariadbSettings, MariadbTarget
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot
from drd.ports import NamedDestination, RestoreOptions, Workplace
from drd.testing.snapshots import Snapshots
from tests.restic_support import Restic, place
from tests.servers import MariadbServer

USERS = ("app@'%'", "reader@localhost", "member@'10.0.0.%'")
EVERYTHING = Path(__file__).with_name("everything.sql").read_text()


class Shop:
    """A database of a test, and what drd does with it."""

    options = "CHARACTER SET utf8mb4 COMMENT 'a shop'"
    everything = EVERYTHING
    users: tuple[str, ...] = (
        *(f"CREATE USER IF NOT EXISTS {u} IDENTIFIED BY 's3cret'" for u in USERS),
        "CREATE ROLE IF NOT EXISTS owner",
    )

    def __init__(self, server: MariadbServer, restic: Snapshots, work: Workplace) -> None:
        self.server = server
        self.restic = restic
        self.work = work
        self.kind = MariadbKind()
        self.name = f"shop_{uuid4().hex[:8]}"
        self.new = f"new_{self.name}"
        self.component = self.of(server.dsn(self.name))
        server.execute(f"CREATE DATABASE {self.name} {self.options}")

    @staticmethod
    def of(dsn: str, mode: str = "digest") -> Component:
        settings = {"kind": "mariadb", "dsn": dsn, "fingerprint": mode}
        return Component("shop", "mariadb", MariadbSettings.model_validate(settings))

    def fill(self) -> None:
        self.server.execute(*self.users)
        procedure = "BEGIN DECLARE n INT; SELECT COUNT(*) INTO n FROM orders; END"
        text = self.everything.replace("{db}", self.name).replace(procedure, "@body@")
        statements = [s.replace("@body@", procedure) for s in split(text)]
        self.server.execute(*statements, database=self.name)

    def back_up(self, component: Component | None = None) -> ComponentSnapshot:
        wanted = component or self.component
        source = self.kind.source(wanted, self.work)
        source.probe()
        with source.open() as capture:
            return self.restic.captured(wanted.name, "mariadb", capture)

    def target(self, database: str = "", **options: object) -> NamedDestination:
        settings = MariadbTarget.model_validate({"dsn": self.server.dsn(database or self.new)})
        return self.kind.target(
            self.component,
            settings,
            self.work,
            RestoreOptions(**options),  # type: ignore[arg-type]
        )

    def address(self) -> Address:
        assert isinstance(self.component.settings, MariadbSettings)
        return address_of(self.component.settings.dsn)

    def kept(self, snapshot: ComponentSnapshot) -> KeptDatabase:
        settings = MariadbTarget.model_validate({"dsn": self.server.dsn(self.name)})
        return self.kind.kept(self.component, settings, snapshot, self.work.run)

    def databases(self) -> set[str]:
        rows = self.server.execute("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")
        return {name for (name,) in rows if "shop" in name}


@pytest.fixture(scope="session")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Restic:
    return Restic(tmp_path_factory.mktemp("restic"))


@pytest.fixture
def shop(mariadb: MariadbServer, snapshots: Restic, short_tmp: Path) -> Iterator[Shop]:
    made = Shop(mariadb, snapshots, place(short_tmp / "w"))
    yield made
    for name in sorted(made.databases()):  # crm-… first: a foreign key of it refers to the other
        mariadb.execute(f"DROP DATABASE `{name}`")

"""Find a single database of a copied server, or tables in it, by the names that a person gives: in
the restore point, and in the live server."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

from drd.kinds.databases import Databases, mode_of
from drd.kinds.postgres import part as parts
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.connection import connect
from drd.kinds.postgres.naming import database_name, is_of_server, qualified, resolve
from drd.kinds.postgres.naming import parts as parts_of
from drd.kinds.postgres.physical import contents
from drd.kinds.postgres.physical.settings import ClusterSettings
from drd.kinds.postgres.quoting import ident
from drd.model.contents import Contents, tables
from drd.model.single_item import Part, in_database
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint


class _Databases(Databases):
    """Finds databases and tables by their names as people write them for PostgreSQL."""

    def split(self, table: str) -> tuple[str | None, str]:
        given = parts_of(table)
        if len(given) != 3:
            return None, table
        return given[0][0], ".".join(_again(*one) for one in given[1:])

    def prefix(self, database: str) -> str:
        return in_database(database, "")

    def is_of_server(self, database: str) -> bool:
        return is_of_server(database)

    def new_name(self, text: str) -> str:
        return database_name(text)

    def resolve(self, part: Part, known: DatabaseFingerprint | None, where: str) -> Part:
        return resolve(part, known, where)

    def properties(self, known: Fingerprint | None, database: str) -> Mapping[str, Any]:
        saved = properties_of(known, database)
        return _of_database(database, saved)


DATABASES = _Databases()


def named(part: Part) -> Part:
    """Return the part with the database as `database`, and with the tables as SCHEMA.NAME: a table
    that was named without a schema is in `public`. Raises UsageError."""
    asked = DATABASES.named(part)
    given = ([_folded(*one) for one in parts_of(table)] for table in asked.tables)
    tables = tuple(qualified(*(["public", *names][-2:])) for names in given if names)
    return replace(asked, tables=tables)


def _folded(name: str, quoted: bool) -> str:
    return name if quoted else name.lower()


def _again(name: str, quoted: bool) -> str:
    """Return a name in quotes if the person wrote it in quotes."""
    return ident(name) if quoted else name


def properties_of(known: Fingerprint | None, name: str) -> Mapping[str, Any]:
    """Return the properties of a database in a fingerprint; empty if it has none."""
    if not isinstance(known, DatabaseFingerprint):
        return {}
    databases: Mapping[str, Mapping[str, Any]] = known.properties.get("databases", {})
    return databases.get(name, {})


def _of_database(name: str, saved: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the properties of one database in the form that a server's properties have."""
    return {"databases": {name: saved}, "roles": {}} if saved else {}


def listed(snapshot: ComponentSnapshot, asked: str | None) -> Contents:
    """Implements `Kind.contents`."""

    def selects(name: str, wanted: str) -> bool:
        names = [one for one, _ in parts_of(name)]
        return wanted in (name, *names) or name.startswith(f"{wanted}.")

    lister = "pg_restore --list FILE"
    return tables(snapshot, asked, selects=selects, separator=".", lister=lister)


def live(
    settings: ClusterSettings, part: Part, like: Fingerprint, budget_s: float
) -> DatabaseFingerprint:
    """Implements `Kind.live`."""
    assert isinstance(like, DatabaseFingerprint)
    address = address_of(settings.dsn)
    if part.database is not None:
        live_part = parts.live(address.to_database(part.database), part, like, budget_s)
        return replace(live_part, properties=_of_database(part.database, live_part.properties))
    with closing(connect(address)) as connection:
        return contents.of_server(address, connection, mode=mode_of(like), budget_s=budget_s)

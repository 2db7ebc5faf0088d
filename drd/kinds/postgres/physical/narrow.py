"""A single database of a copied server, and tables in this database: find by the names that a
person gives what the restore point and the live server contain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from shlex import quote
from typing import Any, Literal, TypeVar

from drd.errors import NotInPoint, UsageError
from drd.kinds.postgres import part as parts
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.connection import connect
from drd.kinds.postgres.naming import database_name, is_of_server, qualified, resolve
from drd.kinds.postgres.naming import parts as parts_of
from drd.kinds.postgres.physical import contents
from drd.kinds.postgres.physical.settings import ClusterSettings
from drd.kinds.postgres.quoting import ident
from drd.model.contents import Contents, tables
from drd.model.single_item import Part, hint_of_names, in_database, near
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint
from drd.model.text import either, escaped, some

Value = TypeVar("Value")


def narrow(snapshot: ComponentSnapshot, part: Part) -> tuple[Part, ComponentSnapshot]:
    """Implements `Kind.narrow`. The returned fingerprint names tables without the database, as the
    fingerprint of a dump does."""
    if part.is_whole:
        return part, snapshot
    known = snapshot.fingerprint
    asked = _named(part, partial(_candidates, snapshot, part))
    name = str(asked.database)
    _require_database(name, snapshot)
    inside = DatabaseFingerprint("off")
    if isinstance(known, DatabaseFingerprint):
        inside = within(known, name)
    if not asked.tables:
        return asked, replace(snapshot, fingerprint=inside)
    where = f"{snapshot.component}, database {escaped(name)},"
    of_point = None if inside.mode == "off" else inside
    resolved = replace(resolve(asked, of_point, where), database=name)
    return resolved, replace(snapshot, fingerprint=inside.only(resolved.tables))


def named(part: Part) -> Part:
    """Return the part with the database as `database`, and with the tables as SCHEMA.NAME: a table
    that was named without a schema is in `public`. Raises UsageError."""
    asked = _named(part, list)
    given = ([_folded(*one) for one in parts_of(table)] for table in asked.tables)
    tables = tuple(qualified(*(["public", *names][-2:])) for names in given if names)
    return replace(asked, tables=tables)


def _folded(name: str, quoted: bool) -> str:
    return name if quoted else name.lower()


def _named(part: Part, candidates: Callable[[], list[str]]) -> Part:
    database, inside = part.database, []
    for asked in part.tables:
        given = parts_of(asked)
        if len(given) == 3:
            own = given[0][0]
            if database not in (None, own):
                raise UsageError(
                    f"--table {asked} names a table of database {own}, not of {database}",
                    hint="run one command for each database.",
                )
            database, asked = own, ".".join(_again(*one) for one in given[1:])  # noqa: PLW2901
        inside.append(asked)
    if database is None:
        found = [quote(name) for name in sorted(candidates())]
        hint = f"give --database {either(found)}." if found else "add --database NAME."
        raise UsageError(
            f"--table {part.tables[0]} does not name a database, and the server has several",
            hint=hint,
        )
    if not inside:
        _require_place(database, part.into)
    return Part(tuple(inside), (), part.into, database)


def _again(name: str, quoted: bool) -> str:
    """Return a name in quotes if the person wrote it in quotes."""
    return ident(name) if quoted else name


def _require_place(database: str, into: str | None) -> None:
    """Raise UsageError if the restored database cannot have its new name."""
    if into is not None:
        if database_name(into) == database:
            raise UsageError(
                f"--into {into} is the name of the database itself",
                hint="give another name; or leave out --into: with --overwrite, drd replaces the "
                "database, and keeps a copy of what it replaces.",
            )
    elif is_of_server(database):
        raise UsageError(
            f"drd does not replace database {database}: every server has this database",
            hint="restore it under another name: --into NAME.",
        )


def _candidates(snapshot: ComponentSnapshot, part: Part) -> list[str]:
    """Return the databases that have all tables of the part; none if drd does not know it."""
    known = snapshot.fingerprint
    if not isinstance(known, DatabaseFingerprint) or part.database is not None:
        return []
    found = []
    for name in snapshot.facts["databases"]:
        inside = within(known, name)
        try:
            resolve(replace(part, into=part.into or "x"), inside, snapshot.component)
        except UsageError:
            continue
        found.append(name)
    return found


def _require_database(name: str, snapshot: ComponentSnapshot) -> None:
    names = snapshot.facts["databases"]
    if name in names:
        return
    close = near(name, names, separator=".")
    raise NotInPoint(
        f"this restore point of component {snapshot.component} does not contain database {name}",
        hint=hint_of_names(close)
        or f"check the name: the restore point contains {some(sorted(names), 10)}.",
    )


def within(known: DatabaseFingerprint, name: str) -> DatabaseFingerprint:
    """Return the part of a server's fingerprint for one database, without the database in names."""
    if known.mode == "off" or contents.unread(name) in known.not_reached:
        return DatabaseFingerprint("off")
    prefix = in_database(name, "")

    def inside(of: Mapping[str, Value]) -> dict[str, Value]:
        return {n.removeprefix(prefix): v for n, v in of.items() if n.startswith(prefix)}

    leaves = inside(known.partitioned)
    return DatabaseFingerprint(
        known.mode,
        inside(known.tables),
        inside(known.not_reached),
        _of_database(name, properties_of(known, name)),
        partitioned={n: tuple(p.removeprefix(prefix) for p in ps) for n, ps in leaves.items()},
        others=inside(known.others),
    )


def alone(known: Fingerprint, name: str) -> DatabaseFingerprint | None:
    """Return the part of a server's fingerprint for one database; names keep the database. None if
    the server did not have this database."""
    assert isinstance(known, DatabaseFingerprint)
    prefix, whole = in_database(name, ""), contents.unread(name)

    def of_it(of: Mapping[str, Value]) -> dict[str, Value]:
        return {n: v for n, v in of.items() if n.startswith(prefix) or n == whole}

    saved = properties_of(known, name)
    found = DatabaseFingerprint(
        known.mode,
        of_it(known.tables),
        of_it(known.not_reached),
        _of_database(name, saved),
        partitioned=of_it(known.partitioned),
        others=of_it(known.others),
    )
    return found if saved or found.tables or found.not_reached else None


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

    look = "pg_restore --list FILE"
    return tables(snapshot, asked, selects=selects, separator=".", look=look)


def live(
    settings: ClusterSettings, part: Part, like: Fingerprint, budget_s: float
) -> DatabaseFingerprint:
    """Implements `Kind.live`."""
    assert isinstance(like, DatabaseFingerprint)
    address = address_of(settings.dsn)
    if part.database is not None:
        found = parts.live(address.to_database(part.database), part, like, budget_s)
        return replace(found, properties=_of_database(part.database, found.properties))
    with closing(connect(address)) as connection:
        mode: Literal["counts", "digest"] = "digest" if like.mode == "digest" else "counts"
        return contents.of_server(address, connection, mode=mode, budget_s=budget_s)

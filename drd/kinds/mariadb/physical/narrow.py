"""Find a single database of a copied server, or tables in it, by the names that a person gives: in
the restore point, and in the live server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from drd.errors import SourceError, UsageError
from drd.kinds.databases import Databases, Mode, mode_of
from drd.kinds.mariadb import naming
from drd.kinds.mariadb.address import address_of
from drd.kinds.mariadb.connection import Connection, ServerError, connect, interruptible, words
from drd.kinds.mariadb.fingerprint import describe
from drd.kinds.mariadb.physical import contents
from drd.kinds.mariadb.physical.settings import ServerSettings
from drd.model.contents import Contents, tables
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint


class _Databases(Databases):
    """Finds databases and tables by their names as people write them for MariaDB."""

    def split(self, table: str) -> tuple[str | None, str]:
        given = naming.parts(table)
        if len(given) == 2:
            return given[0], naming.spelled(given[1])
        if len(given) == 1:
            return None, naming.spelled(given[0])
        raise UsageError(
            f"--table {table} is not the name of a table",
            hint="give DATABASE.NAME; put a name with a dot in backticks: 'shop.`odd.name`'.",
        )

    def prefix(self, database: str) -> str:
        return f"{naming.plain(database)}."

    def is_of_server(self, database: str) -> bool:
        return naming.is_of_server(database)

    def new_name(self, text: str) -> str:
        return naming.database_name(text)

    def resolve(self, part: Part, known: DatabaseFingerprint | None, where: str) -> Part:
        return naming.resolve(part, known, where)

    def named(self, part: Part, candidates: Callable[[], Collection[str]] = list) -> Part:
        _require_of_people(part.database)
        asked = super().named(part, candidates)
        _require_of_people(asked.database)
        return asked

    def narrow(self, snapshot: ComponentSnapshot, part: Part) -> tuple[Part, ComponentSnapshot]:
        asked, limited = super().narrow(snapshot, part)
        if asked.has_items:
            naming.copy_names(asked)
        return asked, limited


def _require_of_people(database: str | None) -> None:
    if database is not None and naming.is_of_server(database):
        raise UsageError(
            f"{database} is a database of the server itself: drd restores it with the whole server "
            "only",
            hint="recover the whole server to a target: leave out --database, --table and --into.",
        )


DATABASES = _Databases()


def listed(snapshot: ComponentSnapshot, asked: str | None) -> Contents:
    """Implements `Kind.contents`."""

    def selects(name: str, wanted: str) -> bool:
        return wanted in (name, *naming.parts(name)) or name.startswith(f"{wanted}.")

    known = snapshot.fingerprint
    if isinstance(known, DatabaseFingerprint):
        snapshot = replace(snapshot, fingerprint=_of_people(known))
    lister = "find DIRECTORY -name '*.frm'"
    return tables(snapshot, asked, selects=selects, separator=".", lister=lister)


def _of_people(known: DatabaseFingerprint) -> DatabaseFingerprint:
    """Leave out the server's own tables, which come back with the whole server only."""
    own = DATABASES.prefix(contents.SYSTEM)

    def others(of: Mapping[str, object]) -> list[str]:
        return [name for name in of if not name.startswith(own)]

    return replace(
        known,
        tables={name: known.tables[name] for name in others(known.tables)},
        not_reached={name: known.not_reached[name] for name in others(known.not_reached)},
    )


def live(
    settings: ServerSettings, part: Part, like: Fingerprint, budget_s: float
) -> DatabaseFingerprint:
    """Implements `Kind.live`."""
    assert isinstance(like, DatabaseFingerprint)
    mode = mode_of(like)
    try:
        with connect(address_of(settings.dsn), database=False) as connection:
            if part.database is None:
                return whole(connection, mode, budget_s)
            with interruptible(connection):
                return one(connection, part, mode, budget_s)
    except ServerError as error:
        raise SourceError(
            f"cannot read the server: {words(error)}",
            hint="run the script that `drd doctor PLAN --grants` prints, and check the server's "
            "log.",
        ) from error


def whole(connection: Connection, mode: Mode, budget_s: float) -> DatabaseFingerprint:
    """Describe all databases of a server that others use, as of one moment as far as their storage
    engines can do that. Raises ServerError."""
    with interruptible(connection):
        connection.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        names = contents.names(connection)
        return contents.everything(connection, names, mode=mode, budget_s=budget_s)


def one(connection: Connection, part: Part, mode: Mode, budget_s: float) -> DatabaseFingerprint:
    """Describe the part's database, or only its tables, with the names that `within` gives."""
    database = str(part.database)
    only = {naming.name_of(table) for table in part.tables} or None
    connection.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    described = describe(connection, database, mode=mode, budget_s=budget_s, only=only)
    named = as_within(described)
    return named.only(part.tables) if part.tables else named


def as_within(found: DatabaseFingerprint) -> DatabaseFingerprint:
    """Return the fingerprint of one database in the form in which the server's fingerprint has
    it."""
    return DATABASES.within(contents.joined(DatabaseFingerprint(found.mode), "x", found), "x")

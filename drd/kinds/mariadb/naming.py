"""Names of databases and tables, as people type them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from drd.errors import NotInPoint, UsageError
from drd.kinds.databases import parts_of
from drd.kinds.dump_checks import needs_no_quotes
from drd.kinds.mariadb.quoting import ident
from drd.model.single_item import Part, hint_of_names, near
from drd.model.snapshot import DatabaseFingerprint
from drd.model.text import some

_LONGEST_NAME = 64
_SYSTEM = ("mysql", "sys", "information_schema", "performance_schema")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PART = re.compile(r'`((?:[^`]|``)+)`|"((?:[^"]|"")+)"|([^.`"]+)')


def parts(text: str) -> list[str]:
    """Split a name at its dots, and remove the quotes of each part. Empty if the text is not a
    name."""
    return [_unquoted(*match.groups()) for match in parts_of(text, _PART)]


def _unquoted(ticked: str | None, quoted: str | None, plain: str) -> str:
    if ticked:
        return ticked.replace("``", "`")
    return quoted.replace('""', '"') if quoted else plain


def name_of(table: str) -> str:
    """Return the name of a table without quotes."""
    given = parts(table)
    return given[-1] if given else table


def spelled(name: str) -> str:
    """Return the name of a table as SQL can use it: in quotes only where it needs them. A reserved
    word needs none after a dot."""
    return name if _PLAIN.fullmatch(name) else ident(name)


def plain(name: str) -> str:
    """Return the name of a database as a person writes it: in quotes only where it needs them."""
    return name if needs_no_quotes(name) else ident(name)


def in_database(name: str, table: str) -> str:
    """Return the name of a table together with the name of its database, as SQL can use it."""
    return f"{plain(name)}.{spelled(table)}"


def is_of_server(name: str) -> bool:
    """Return whether the database is one that every server has of its own."""
    return name.lower() in _SYSTEM


def database_name(text: str) -> str:
    """Return `text` as the name of a database that drd will create. Raises UsageError for an
    invalid name, and for a system database of the server."""
    _require_fitting(text, "database")
    if is_of_server(text):
        raise UsageError(
            f"--into {text} is a system database of the server", hint="give another name."
        )
    return text


def _require_fitting(name: str, what: str) -> None:
    if (
        not 0 < len(name) <= _LONGEST_NAME
        or not name.isprintable()
        or name.strip() != name
        or "/" in name
    ):
        raise UsageError(
            f"--into {name!r} is not a valid name of a {what} in MariaDB",
            hint=f"give a name of 1 to {_LONGEST_NAME} characters, without / and without spaces at "
            "its beginning or end.",
        )


def copy_names(part: Part) -> tuple[str, tuple[str, ...]]:
    """Return the database of the copies, and their names there: a single table gets the name that
    `into` says, in its own database unless `into` names another one; several tables keep their
    names in the database that `into` names. Raises UsageError."""
    assert part.into is not None
    assert part.database is not None
    given = parts(part.into)
    if len(part.tables) > 1:
        database = database_name(given[0] if len(given) == 1 else part.into)
        if database == part.database:
            raise UsageError(
                f"--into {part.into} is the database that contains the tables already",
                hint="give another database: the copies of several tables keep their names in it.",
            )
        return database, tuple(name_of(table) for table in part.tables)
    if len(given) not in (1, 2):
        raise UsageError(
            f"--into {part.into} is not a table name",
            hint="give NAME or DATABASE.NAME; put a name with a dot in backticks: '`odd.name`'.",
        )
    _require_fitting(given[-1], "table")
    database = database_name(given[0]) if len(given) == 2 else part.database
    return database, (given[-1],)


def resolve(part: Part, known: DatabaseFingerprint | None, where: str) -> Part:
    """Return the part with its tables named as in the point; as they were typed if the point's
    tables are unknown. Raises UsageError."""
    if not part.into:
        raise UsageError(
            f"the copy of table {part.tables[0]} needs a name",
            hint="give --into NAME: drd makes the copy beside the existing table. If the table "
            "was dropped, NAME can be its former name.",
        )
    names = None if known is None else (*known.tables, *known.not_reached, *known.others)
    resolved_names = tuple(dict.fromkeys(_find(asked, names, where) for asked in part.tables))
    for name in resolved_names:
        what = known.others.get(name) if known is not None else None
        if what is not None:
            raise UsageError(
                f"{name} is a {what}: drd restores it with its whole database only",
                hint="restore the whole database beside this one: --into NAME without --table.",
            )
    return Part(resolved_names, (), part.into, part.database)


def _find(asked: str, names: Sequence[str] | None, where: str) -> str:
    wanted = spelled(name_of(asked))
    if names is None or wanted in names:
        return wanted
    raise _missing(asked, names, where)


def _missing(asked: str, names: Collection[str], where: str) -> NotInPoint:
    close = near(asked, names, separator=".")
    return NotInPoint(
        f"this restore point of component {where} does not contain table {asked}",
        hint=hint_of_names(close)
        or f"check the name: the restore point contains {some(sorted(names), 10)}.",
    )

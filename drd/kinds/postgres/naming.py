"""Names of databases and tables, as people type them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from drd.errors import NotInPoint, UsageError
from drd.kinds.databases import parts_of
from drd.kinds.postgres.fingerprint import split_name
from drd.kinds.postgres.quoting import ident
from drd.model.single_item import Part, hint_of_names, near
from drd.model.snapshot import DatabaseFingerprint
from drd.model.text import either, some

LIMIT = 63
"""The longest name in bytes (NAMEDATALEN less one)."""

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_PART = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')
_SYSTEM = ("postgres", "template0", "template1")


def database_name(text: str) -> str:
    """Check the name of a new database. Raises UsageError for invalid names, and for the server's
    own databases.
    """
    _require_fitting(text)
    if is_of_server(text):
        raise UsageError(
            f"--into {text} is a database of the server itself", hint="give another name."
        )
    return text


def is_of_server(name: str) -> bool:
    """Return whether the database is one that every server has of its own."""
    return name in _SYSTEM


def _require_fitting(name: str) -> None:
    if not name or "\0" in name or len(name.encode("utf-8", "surrogateescape")) > LIMIT:
        raise UsageError(
            f"--into {name!r} is not a valid name in PostgreSQL",
            hint=f"give a name of 1 to {LIMIT} bytes.",
        )


def qualified(schema: str, name: str) -> str:
    """Return schema and table as the server prints them, except for key words."""
    return ".".join(n if _PLAIN.fullmatch(n) else ident(n) for n in (schema, name))


def parts(text: str) -> list[tuple[str, bool]]:
    """Split a name at its dots; each part says whether it was quoted. Empty if the text is not a
    name."""
    pairs = (match.groups() for match in parts_of(text, _PART))
    return [
        (quoted.replace('""', '"'), True) if quoted else (plain, False) for quoted, plain in pairs
    ]


def copy_names(part: Part, schemas: Collection[str]) -> tuple[str | None, str | None]:
    """Return the schema and the name that `into` means: for one table its name, in its own schema
    unless `into` names one; for several the schema. Raises UsageError.
    """
    assert part.into is not None
    given = [name for name, _ in parts(part.into)]
    for name in given:
        _require_fitting(name)
    if len(part.tables) == 1 and len(given) == 2:
        return given[0], given[1]
    if len(given) != 1:
        raise UsageError(
            f"--into {part.into} is not a table name",
            hint="give NAME or SCHEMA.NAME; put a name with a dot in quotes: '\"odd.name\"'.",
        )
    if len(part.tables) == 1:
        return None, given[0]
    if given[0] in schemas:
        raise UsageError(
            f"--into {part.into} is the schema that contains the tables already",
            hint="give another schema: the copies of several tables keep their names in it.",
        )
    return given[0], None


def resolve(part: Part, known: DatabaseFingerprint | None, component: str) -> Part:
    """Return the part with its tables named as in the point; as they were typed if the point's
    tables are unknown. Raises UsageError.
    """
    if not part.into:
        raise UsageError(
            f"the copy of table {part.tables[0]} needs a name",
            hint="give --into NAME: drd makes the copy beside the existing table. If the table "
            "was dropped, NAME can be its former name.",
        )
    names = None if known is None else _names(known)
    tables = tuple(dict.fromkeys(_find(asked, names, component) for asked in part.tables))
    if known is not None:
        _require_tables(tables, known)
    resolved = Part(tables, (), part.into)
    copy_names(resolved, {split_name(name)[0] for name in tables})
    twice = [split_name(name)[1] for name in tables]
    if len(set(twice)) < len(twice):
        raise UsageError(
            "two of the tables have the same name, and one schema cannot contain both",
            hint="restore these tables one after the other.",
        )
    return resolved


def _names(known: DatabaseFingerprint) -> dict[str, tuple[str, str]]:
    every = (*known.tables, *known.not_reached, *known.partitioned, *known.others)
    return {name: split_name(name) for name in every}


def _find(asked: str, names: Mapping[str, tuple[str, str]] | None, component: str) -> str:
    given = parts(asked)
    if names is None:
        if len(given) != 2:
            raise UsageError(
                f"--table {asked} does not name a schema, and this restore point has no list of "
                "its tables",
                hint="give --table SCHEMA.NAME.",
            )
        return qualified(given[0][0], given[1][0])
    exact = tuple(name for name, _ in given)
    folded = tuple(name if quoted else name.lower() for name, quoted in given)
    for wanted in (exact, folded):
        candidates = [n for n, key in names.items() if key == wanted or key[1:] == wanted]
        # As the usual search path has it.
        candidates = [n for n in candidates if names[n][0] == "public"] or candidates
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise UsageError(
                f"{asked} is in several schemas",
                hint=f"give one of: {either(sorted(candidates))}.",
            )
    close = near(asked, names, separator=".")
    raise NotInPoint(
        f"this restore point of component {component} does not contain table {asked}",
        hint=hint_of_names(close)
        or f"check the name: the restore point contains {some(sorted(names), 10)}.",
    )


def _require_tables(tables: Sequence[str], known: DatabaseFingerprint) -> None:
    for name in tables:
        _require_table(name, known)
        above = [p for p, leaves in known.partitioned.items() if name in leaves and p in tables]
        if above:
            raise UsageError(
                f"table {name} is a partition of {above[0]}, which drd restores with all "
                "partitions",
                hint=f"leave out --table {name}.",
            )


def _require_table(name: str, known: DatabaseFingerprint) -> None:
    what = "materialised view" if name in known.derived else known.others.get(name)
    if what is None:
        return
    remedy = (
        "restore the tables that the view reads"
        if "view" in what
        else "use the server that contains the rows"
    )
    raise UsageError(
        f"{name} is a {what}: a backup does not contain its rows",
        hint=f"{remedy}, or restore the whole database beside this one: --into NAME without "
        "--table.",
    )

"""Examine what the login of drd may do at a source, and which tables have no snapshots."""

from __future__ import annotations

import time
from contextlib import suppress

from drd.kinds.mariadb import objects, users
from drd.kinds.mariadb.connection import Connection, ServerError, code, words
from drd.kinds.mariadb.fingerprint import FROZEN, tables_of
from drd.kinds.mariadb.quoting import ident, pieces
from drd.model.finding import Finding
from drd.model.text import counted, escaped, some

NEEDED = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
"""The rights on the whole database that a backup needs."""

_GRANTS = "run the script that `drd doctor PLAN --grants` prints."
_LOOK_FOR_DECIMALS_S = 5.0
_LACKS_RIGHT = (1044, 1045, 1095, 1142, 1143, 1227, 1345, 1370)
"""The errors with which the server refuses a statement because a right is missing."""


def examine(connection: Connection, component: str, database: str) -> list[Finding]:
    """Try each thing that a backup does, and return a finding about each. Does not raise for a
    failure that is a finding."""
    return [
        _snapshot(connection, component),
        _others(connection, component),
        _whole(connection, component, database),
        _tables(connection, component, database),
        *_engines(connection, component, database),
        *_rounded(connection, component, database),
        *_decimals_in_json(connection, component, database),
        *_tied(connection, component, database),
        *_broken(connection, component, database),
    ]


def _failed(component: str, error: ServerError, forbidden: str, impossible: str) -> Finding:
    """Return the finding for a statement that failed: only a missing right needs the script."""
    if code(error) in _LACKS_RIGHT:
        return Finding("rights", "error", component, f"{forbidden}: {words(error)}", _GRANTS)
    remedy = "correct the problem in the server's message; the server's error log may have details."
    return Finding("rights", "error", component, f"{impossible}: {words(error)}", remedy)


def _snapshot(connection: Connection, component: str) -> Finding:
    try:
        for statement in connection.flavour.tries_to_block:
            connection.execute(statement)
    except ServerError as error:
        return _failed(
            component,
            error,
            "the login may not freeze the database (right RELOAD)",
            "drd cannot freeze the database",
        )
    return Finding("rights", "ok", component, "the login may freeze the database for a moment")


def _others(connection: Connection, component: str) -> Finding:
    try:
        for table in connection.flavour.readable:
            connection.rows(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - a name in drd's code
    except ServerError as error:
        return _failed(
            component,
            error,
            "the login may not read users and their rights (SELECT on mysql.*)",
            "drd cannot read users and their rights",
        )
    return Finding("rights", "ok", component, "the login may read users and their rights")


def _whole(connection: Connection, component: str, database: str) -> Finding:
    """Check that the login may read the whole database: the server hides tables, views, triggers
    and events that a login may not read."""
    try:
        held = users.held(connection, database)
    except ServerError as error:
        text = f"drd cannot read the rights of its login: {words(error)}"
        return Finding("rights", "error", component, text, _GRANTS)
    lacking = [] if "ALL PRIVILEGES" in held else [r for r in NEEDED if r not in held]
    if on_server := [r for r in connection.flavour.whole_server if r not in held]:
        text = f"the login does not have {', '.join(on_server)} on the whole server (ON *.*)"
        return Finding("rights", "error", component, text, _GRANTS)
    if lacking:
        text = (
            f"the login does not have {', '.join(lacking)} on the whole database "
            f"{escaped(database)}: the server hides what the login may not read, so a backup would "
            "leave it out"
        )
        return Finding("rights", "error", component, text, _GRANTS)
    text = "the login may read everything in the database"
    return Finding("rights", "ok", component, text)


def _tables(connection: Connection, component: str, database: str) -> Finding:
    try:
        of_database = tables_of(connection, database)
        for table in of_database.with_rows[:2000]:
            place = f"{ident(database)}.{ident(table.name)}"
            connection.rows(f"SELECT 1 FROM {place} LIMIT 1")  # noqa: S608 - quoted names
    except ServerError as error:
        tables = f"the tables of {escaped(database)}"
        return _failed(
            component, error, f"the login may not read {tables}", f"drd cannot read {tables}"
        )
    text = f"{counted(len(of_database.with_rows), 'table')} can be read"
    return Finding("rights", "ok", component, text)


def _engines(connection: Connection, component: str, database: str) -> list[Finding]:
    try:
        moving = tables_of(connection, database).moving
    except ServerError:
        return []
    if not moving:
        return []
    names = some([escaped(name) for name in moving])
    return [
        Finding(
            "engines",
            "warning",
            component,
            f"{counted(len(moving), 'table')} ({names}) cannot be part of a snapshot: the storage "
            f"engine is not {' or '.join(FROZEN)}. If a program changes such a table during a "
            "backup, the copy of the table can be newer than the other tables, and a drill does "
            "not compare it",
            "change the storage engine of the table: "
            f"ALTER TABLE {ident(database)}.{ident(moving[0])} ENGINE=InnoDB",
        )
    ]


def _rounded(connection: Connection, component: str, database: str) -> list[Finding]:
    try:
        tables = tables_of(connection, database).with_rows
    except ServerError:
        return []
    columns = [(t.name, column) for t in tables for column, kind in t.columns if kind == "float"]
    if not columns:
        return []
    names = some([escaped(f"{table}.{column}") for table, column in columns])
    table, column = columns[0]
    return [
        Finding(
            "rounded",
            "warning",
            component,
            f"{connection.flavour.dump} writes a FLOAT with six digits, so longer values of "
            f"{counted(len(columns), 'column')} ({names}) are rounded in the backup. A drill finds "
            "such values only with `fingerprint: digest`",
            "change the type of the column (repeat its NOT NULL, DEFAULT and COMMENT): "
            f"ALTER TABLE {ident(database)}.{ident(table)} MODIFY {ident(column)} DOUBLE",
        )
    ]


def _decimals_in_json(connection: Connection, component: str, database: str) -> list[Finding]:
    """Return a finding about numbers that a dump cannot contain as they are: it looks for them for
    a few seconds at most."""
    why, found = connection.flavour.rewrites.get("json", ""), []
    end = time.monotonic() + _LOOK_FOR_DECIMALS_S
    with suppress(ServerError):
        for table in tables_of(connection, database).with_rows if why else ():
            for column in (name for name, kind in table.columns if kind == "json"):
                query = _changed_json(table.name, column, database)
                left_s = end - time.monotonic()
                if left_s <= 0:
                    break
                if connection.one(connection.flavour.bounded(query, left_s)) is not None:
                    found.append(escaped(f"{table.name}.{column}"))
    if not found:
        return []
    return [
        Finding(
            "rounded",
            "warning",
            component,
            f"{why}: this concerns {some(found)}. A drill with `fingerprint: digest` fails for "
            "such numbers, which only SQL can put into JSON (JSON_OBJECT with a DECIMAL)",
            "store such numbers as text or DOUBLE (CAST(… AS DOUBLE)), or set `fingerprint: "
            "counts`",
        )
    ]


def _changed_json(table: str, column: str, database: str) -> str:
    """Return what follows SELECT in a query for one document of which a dump would change the
    text."""
    text = f"CAST({ident(column)} AS CHAR)"
    again = f"CAST(CAST({text} AS JSON) AS CHAR)"
    return f"1 FROM {ident(database)}.{ident(table)} WHERE {text} <> {again} LIMIT 1"


def _tied(connection: Connection, component: str, database: str) -> list[Finding]:
    """Return a finding about tables that only a server with the same tablespaces, directories or
    keys can make."""
    ties, names = connection.flavour.ties, []
    try:
        for table in tables_of(connection, database).with_rows[:2000] if ties else ():
            row = connection.one(f"SHOW CREATE TABLE {ident(database)}.{ident(table.name)}")
            tied = _ties_in(str(row[1]) if row else "", ties)
            names += [f"{table.name} ({word.replace('`', '')})" for word in tied]
    except ServerError:
        return []
    if not names:
        return []
    text = (
        f"{counted(len(names), 'table')} of {escaped(database)} can be restored only into a server "
        "that has the same tablespace, directory or keys, which a sandbox does not have: "
        f"{some([escaped(name) for name in names])}"
    )
    return [Finding("outside", "warning", component, text, connection.flavour.untie)]


def _ties_in(definition: str, ties: tuple[str, ...]) -> list[str]:
    """Return those of the words that stand in the definition of a table: in a comment (MySQL), as
    an option, or as an option with its value (MariaDB)."""
    parts = list(pieces(definition))
    comments = [text for kind, text in parts if kind == "comment"]
    bare = "".join(text if kind == "code" else kind for kind, text in parts)
    options = {
        f"{name}={value}".lower()
        for (kind, name), (_, sign), (_, value) in zip(parts, parts[1:], parts[2:], strict=False)
        if kind == "name" and sign == "="
    }
    return [
        word
        for word in ties
        if word in options or f" {word}=" in bare or any(f" {word}" in text for text in comments)
    ]


def _broken(connection: Connection, component: str, database: str) -> list[Finding]:
    try:
        views = objects.broken(objects.read(connection, database))
    except ServerError:
        return []
    if not views:
        return []
    text = (
        f"{counted(len(views), 'view')} of {escaped(database)} cannot be used now, so a drill or a "
        f"recovery cannot create {'them' if len(views) > 1 else 'it'} again: {some(views)}"
    )
    return [Finding("broken-views", "warning", component, text, "correct the view, or drop it.")]

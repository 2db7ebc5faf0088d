"""The code of a database: views, procedures, functions, packages, triggers and events, with their
definers.

drd stores their definitions itself, apart from the dump of the tables: the login that loads a dump
cannot create any of them, so a dump cannot contain code that runs with the rights of somebody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from drd.kinds.mariadb.connection import Connection, ServerError, code, is_lost, words
from drd.kinds.mariadb.quoting import ident, literal, moved, pieces
from drd.model.text import escaped

CodeObject = Mapping[str, Any]
"""`kind`, `name`, `sql` (the CREATE statement), `sql_mode`, `charset`, `collation`, `definer`
(user@host, or a role), `time_zone` (of an event), `database_collation` (that its database had when
it was created: texts in its parameters have it; none of a view), `broken` (only for a view that the
server cannot use: the server's message)."""

KINDS = ("function", "procedure", "package", "package body", "view", "trigger", "event")
"""The kinds of objects, in the order in which drd creates them."""

_UNKNOWN_COLLATION = 1273

_ROUTINES = """
SELECT ROUTINE_TYPE, ROUTINE_NAME, DEFINER FROM information_schema.ROUTINES
 WHERE ROUTINE_SCHEMA = %s AND ROUTINE_TYPE IN ('FUNCTION', 'PROCEDURE', 'PACKAGE', 'PACKAGE BODY')
 ORDER BY 1, 2"""
_VIEWS = """
SELECT 'VIEW', TABLE_NAME, DEFINER FROM information_schema.VIEWS
 WHERE TABLE_SCHEMA = %s ORDER BY 2"""
_TRIGGERS = """
SELECT 'TRIGGER', TRIGGER_NAME, DEFINER FROM information_schema.TRIGGERS
 WHERE TRIGGER_SCHEMA = %s ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, ACTION_ORDER"""
_EVENTS = """
SELECT 'EVENT', EVENT_NAME, DEFINER FROM information_schema.EVENTS
 WHERE EVENT_SCHEMA = %s ORDER BY 2"""

_SHOWN = {  # columns of SHOW CREATE: statement, sql_mode, charset, two collations, time zone
    "function": (2, 1, 3, 4, 5, None),
    "procedure": (2, 1, 3, 4, 5, None),
    "package": (2, 1, 3, 4, 5, None),
    "package body": (2, 1, 3, 4, 5, None),
    "view": (1, None, 2, 3, None, None),
    "trigger": (2, 1, 3, 4, 5, None),
    "event": (3, 1, 4, 5, 6, 2),
}


def listed(connection: Connection, database: str) -> list[tuple[str, str, str]]:
    """Return kind, name and definer of every object, in the order in which they are made."""
    objects_of = [
        (str(kind).lower(), str(name), str(definer))
        for query in (_ROUTINES, _VIEWS, _TRIGGERS, _EVENTS)
        for kind, name, definer in connection.rows(query, [database])
    ]
    return sorted(objects_of, key=lambda entry: KINDS.index(entry[0]))


def read(connection: Connection, database: str) -> list[dict[str, Any]]:
    """Return the definitions. Raises ServerError; a definition that this login may not see has an
    empty `sql`."""
    connection.use(database)  # so that a view names its tables without the database
    return [_object(connection, *entry) for entry in listed(connection, database)]


def _object(connection: Connection, kind: str, name: str, definer: str) -> dict[str, Any]:
    row = connection.one(f"SHOW CREATE {kind.upper()} {ident(name)}") or ()
    sql, mode, charset, collation, of_database, zone = (
        "" if at is None or at >= len(row) or row[at] is None else str(row[at])
        for at in _SHOWN[kind]
    )
    definition = {"kind": kind, "name": name, "definer": definer, "sql": sql}
    if kind == "view" and (said := _broken(connection, name)):
        definition["broken"] = said
    if of_database:
        definition["database_collation"] = of_database
    return {
        **definition,
        "sql_mode": mode,
        "charset": charset,
        "collation": collation,
        "time_zone": zone,
    }


def _broken(connection: Connection, view: str) -> str:
    """Return the server's message if the view uses something that does not exist, else an empty
    text."""
    try:
        connection.rows(f"SHOW COLUMNS FROM {ident(view)}")
    except ServerError as error:
        if is_lost(error):
            raise
        return words(error)
    return ""


def broken(objects: Iterable[CodeObject]) -> list[str]:
    """Return a sentence for each view that was broken when drd read it: no server can create it."""
    return [f"view {escaped(o['name'])} ({o['broken']})" for o in objects if o.get("broken")]


def hidden(objects: Iterable[CodeObject]) -> list[str]:
    """Return the objects whose definition the login could not see."""
    return [f"{o['kind']} {escaped(o['name'])}" for o in objects if not o["sql"]]


@contextmanager
def _as_made(connection: Connection, wanted: CodeObject) -> Iterator[None]:
    """In the body, the session has the settings with which the object was created."""
    settings = [f"sql_mode = {literal(wanted['sql_mode'])}"]
    if wanted["sql"].isascii() and wanted["charset"]:
        # Text of other characters is sent, and kept, in the character set of this session.
        settings.append(f"character_set_client = {ident(wanted['charset'])}")
    if wanted["collation"]:
        settings.append(f"collation_connection = {ident(wanted['collation'])}")
    if wanted["time_zone"]:
        settings.append(f"time_zone = {literal(wanted['time_zone'])}")
    connection.execute(f"SET SESSION {', '.join(settings)}")
    try:
        yield
    finally:
        connection.execute(
            "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', character_set_client = utf8mb4,"
            " collation_connection = utf8mb4_general_ci, time_zone = '+00:00'"
        )


@contextmanager
def _in_collation(
    connection: Connection, database: str, wanted: CodeObject, own: str
) -> Iterator[list[str]]:
    """In the body, the database has the collation that the object keeps: perhaps its database got
    another one after the object was created. If the server refuses this collation, the database
    keeps its `own`, and the body gets a sentence about it."""
    kept, refused = wanted.get("database_collation") or own, []
    if kept != own:
        try:
            connection.execute(f"ALTER DATABASE {ident(database)} COLLATE {ident(kept)}")
        except ServerError as error:
            if is_lost(error):
                raise
            unknown = code(error) == _UNKNOWN_COLLATION
            why = "does not have" if unknown else f"refuses for this database ({words(error)})"
            what = f"{wanted['kind']} {escaped(wanted['name'])} keeps collation {escaped(kept)}"
            refused = [f"{what}, which this server {why}: here it got {own}, that of its database"]
    try:
        yield refused
    finally:
        if kept != own and not refused:
            connection.execute(f"ALTER DATABASE {ident(database)} COLLATE {ident(own)}")


def create(
    connection: Connection, database: str, wanted: Sequence[CodeObject], former: str
) -> tuple[list[str], list[str]]:
    """Create the objects in the database, whose name at the backup was `former`. An object that
    exists is replaced. Returns a sentence for each object that the server refused, and sentences
    about objects that it created with another collation."""
    connection.use(database)
    own = str(connection.value("SELECT @@SESSION.collation_database"))
    waiting, notes = list(wanted), list[str]()
    while waiting:  # a view can need another one
        left, said = [], []
        for one in waiting:
            try:
                notes += _create(connection, one, former, database, own)
            except ServerError as error:
                left.append(one)
                if not one.get("broken"):
                    said.append(f"{one['kind']} {escaped(one['name'])}: {words(error)}")
        if len(left) == len(waiting):
            return said, notes
        waiting = left
    return [], notes


def _create(
    connection: Connection, wanted: CodeObject, former: str, database: str, own: str
) -> list[str]:
    sql = wanted["sql"]
    sql = moved(sql, former, database) if wanted["kind"] == "view" else sql
    connection.execute(f"DROP {wanted['kind'].upper()} IF EXISTS {ident(wanted['name'])}")
    with _in_collation(connection, database, wanted, own) as notes, _as_made(connection, wanted):
        connection.execute(sql)
    return notes


def drop_triggers(connection: Connection, database: str) -> None:
    """Drop the triggers of a database; without waiting if this session has locked the tables."""
    for _, name, _ in reversed(connection.rows(_TRIGGERS, [database])):
        connection.execute(f"DROP TRIGGER {ident(database)}.{ident(str(name))}")


def drop_all(connection: Connection, database: str) -> None:
    """Drop the code of a database, events and triggers first."""
    for kind, name, _ in reversed(listed(connection, database)):
        connection.execute(f"DROP {kind.upper()} IF EXISTS {ident(database)}.{ident(name)}")


def differences(
    saved: Sequence[CodeObject], now: Sequence[CodeObject], former: str, here: str
) -> list[str]:
    """Return sentences about objects that differ from the saved ones."""
    ours = {(o["kind"], o["name"]): o for o in now}
    sentences = []
    for one in saved:
        other = ours.pop((one["kind"], one["name"]), None)
        title = f"{one['kind']} {escaped(one['name'])}"
        if other is None and (one.get("broken") or is_over(one)):
            continue
        if other is None:
            sentences.append(f"{title} is missing")
        elif moved(one["sql"], former, here) != other["sql"]:
            sentences.append(f"{title} is not defined as it was at backup")
    return [*sentences, *(f"{kind} {escaped(name)} did not exist at backup" for kind, name in ours)]


_ONCE = re.compile(r" ON SCHEDULE AT '([0-9: .-]+)' ON COMPLETION NOT PRESERVE ")


def enabled_events(objects: Iterable[CodeObject]) -> list[str]:
    """Return the events that a server runs as soon as it has them."""
    events = [o for o in objects if o["kind"] == "event" and not is_over(o)]
    return [o["name"] for o in events if " ENABLE " in o["sql"].partition(" DO ")[0] + " "]


def is_over(one: CodeObject) -> bool:
    """Return whether the object is an event for one moment that has passed (in any time zone): a
    server removes such an event."""
    match = _ONCE.search(one["sql"]) if one["kind"] == "event" else None
    if match is None:
        return False
    at = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return at < datetime.now(UTC) + timedelta(hours=14)


_QUOTED = r"(?:`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\")"
# In quotation marks if the object was made with ANSI_QUOTES.
_DEFINER = re.compile(rf"^(CREATE (?:ALGORITHM=\w+ )?)DEFINER=({_QUOTED})(?:@({_QUOTED}))? ")


def definer_of(sql: str) -> str | None:
    """Return the definer that the statement names, as in `CodeObject`; None if it does not name
    one."""
    match = _DEFINER.match(sql)
    if match is None:
        return None
    names = [name[1:-1].replace(name[0] * 2, name[0]) for name in match.groups()[1:] if name]
    return "@".join(names)


def without_definer(code: Iterable[CodeObject]) -> list[dict[str, Any]]:
    """Return the definitions without definers: who creates the objects becomes their definer."""
    return [{**one, "sql": _DEFINER.sub(r"\1", one["sql"]), "definer": ""} for one in code]


def script(objects: Sequence[CodeObject], collation: str) -> str:
    """Return the SQL that makes the objects, for the program `mariadb` and a recovery by hand, in a
    database with this collation. The database has another one only while an object is made that
    keeps it: a server that does not know that one stops the program before. A view that was broken
    when drd read it is a comment: no server can create it."""
    lines = ["DELIMITER $drd$"]
    for one in _in_order(objects):
        if one.get("broken"):
            lines.append(f"-- broken at the backup: {' '.join(one['sql'].split())}")
            continue
        lines.append(f"SET SESSION sql_mode = {literal(one['sql_mode'])} $drd$")
        if one["time_zone"]:
            lines.append(f"SET SESSION time_zone = {literal(one['time_zone'])} $drd$")
        made = [f"{one['sql']} $drd$"]
        if (kept := one.get("database_collation") or collation) != collation:
            made.insert(0, f"ALTER DATABASE COLLATE {ident(kept)} $drd$")
            made.append(f"ALTER DATABASE COLLATE {ident(collation)} $drd$")
        lines += made
    return "\n".join([*lines, "DELIMITER ;", ""])


def _in_order(objects: Sequence[CodeObject]) -> list[CodeObject]:
    """Return the objects: each view after the views that it uses, and broken views at the end."""
    views = {str(o["name"]): o for o in objects if o["kind"] == "view" and not o.get("broken")}
    names = {ident(name): name for name in views}
    uses = {
        name: {names[t] for kind, t in pieces(o["sql"]) if kind == "name" and t in names} - {name}
        for name, o in views.items()
    }
    ordered: list[CodeObject] = []
    while uses:
        ready = [name for name, used in uses.items() if not used & uses.keys()] or list(uses)
        ordered += [views[name] for name in ready]
        uses = {name: used for name, used in uses.items() if name not in ready}
    first = [o for o in objects if KINDS.index(o["kind"]) < KINDS.index("view")]
    last = [o for o in objects if KINDS.index(o["kind"]) > KINDS.index("view")]
    return [*first, *ordered, *last, *(o for o in objects if o.get("broken"))]

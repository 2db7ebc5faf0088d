"""Read the code, the users, the rights and the properties of one database of a server.

A dump contains tables only. drd writes what it reads here into the manifest of the dump."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from drd.errors import SourceError
from drd.kinds.mariadb import objects, users
from drd.kinds.mariadb.connection import Connection
from drd.kinds.mariadb.fingerprint import Tables, properties, tables_of
from drd.kinds.mariadb.flavour import Flavour, facts_of
from drd.kinds.mariadb.quoting import ident, literal
from drd.model.text import some

_SIZE = """
SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES
 WHERE TABLE_SCHEMA = %s"""
_TABLE = """
SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"""
_HISTORY = """
SELECT COUNT(*) FROM information_schema.TABLES
 WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'SYSTEM VERSIONED'"""


class Read(NamedTuple):
    """The description of the database `name`, without its rows."""

    name: str
    properties: Mapping[str, Any]
    tables: Tables
    code: list[dict[str, Any]]
    accounts: list[dict[str, Any]]
    history: bool
    bytes: int
    flavour: Flavour

    @property
    def facts(self) -> dict[str, Any]:
        """The facts for the manifest of a dump of this database."""
        return {
            **facts_of(self.flavour),
            "database": self.name,
            "database_bytes": self.bytes,
            **self.properties,
            "definers": sorted({o["definer"] for o in self.code}),
            "events": objects.enabled_events(self.code),
            "not_frozen": list(self.tables.moving),
            "history": self.history,
        }

    @property
    def private(self) -> dict[str, Any]:
        """The private part for the manifest of a dump of this database."""
        return {
            "objects": self.code,
            "users": self.accounts,
            "database_sql": create_sql(self.name, self.properties),
            "objects_sql": objects.script(self.code, self.properties["collation"]),
            "users_sql": users.script(self.accounts, self.name, self.flavour),
        }


def read(connection: Connection, database: str) -> Read:
    """Read the description of a database. Raises ServerError, and SourceError for code whose
    definition the login may not see."""
    code = objects.read(connection, database)
    if hidden := objects.hidden(code):
        raise SourceError(
            f"the login of drd may not see the definitions of {some(hidden)}",
            hint="run the script that `drd doctor PLAN --grants` prints.",
        )
    return Read(
        database,
        properties(connection, database),
        tables_of(connection, database),
        code,
        users.read(connection, database, [o["definer"] for o in code]),
        bool(connection.value(_HISTORY, [database])),
        size(connection, database),
        connection.flavour,
    )


def size(connection: Connection, database: str) -> int:
    """Return the bytes of the tables of a database, with their indexes."""
    return int(connection.value(_SIZE, [database]) or 0)


def has_table(connection: Connection, database: str, table: str) -> bool:
    """Return whether a database has a table or a view of this name."""
    return bool(connection.value(_TABLE, [database, table]))


def create_sql(name: str, saved: Mapping[str, Any]) -> str:
    """Return the SQL that makes the empty database."""
    words_ = [f"CREATE DATABASE {ident(name)}"]
    if saved.get("charset"):
        words_.append(f"CHARACTER SET {saved['charset']} COLLATE {saved['collation']}")
    if saved.get("comment"):
        words_.append(f"COMMENT {literal(saved['comment'])}")
    return " ".join(words_) + ";\n"

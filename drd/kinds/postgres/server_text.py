"""Text as the server stores it, whatever its encoding.

Names of roles, tablespaces and databases, settings and their comments are stored once for all
databases of a cluster, as the bytes that some database received: the server does not convert them.
In a database of another encoding a conversion would corrupt them or fail, and SQL_ASCII has no
known encoding. Bytes that are not UTF-8 are kept as surrogate escapes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.string import StrDumperUnknown


class _TextLoader(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "surrogateescape")


class _JsonLoader(Loader):
    def load(self, data: Buffer) -> Any:
        return json.loads(bytes(data).decode("utf-8", "surrogateescape"))


class _String(StrDumperUnknown):
    def dump(self, obj: str) -> bytes:
        return encoded(obj)


def encoded(sql: str) -> bytes:
    """Encode SQL that contains text as the server stores it."""
    return sql.encode("utf-8", "surrogateescape")


def shown(text: str) -> str:
    """Convert text as the server stores it, for people and for the catalogue."""
    return text.encode("utf-8", "backslashreplace").decode()


def keep_bytes(connection: psycopg.Connection[Any]) -> None:
    """Make the connection read and write such text."""
    for name in ("text", "name", "varchar", "bpchar"):
        connection.adapters.register_loader(name, _TextLoader)
    for name in ("json", "jsonb"):
        connection.adapters.register_loader(name, _JsonLoader)
    connection.adapters.register_dumper(str, _String)


@contextmanager
def as_stored(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """In the body, text is not converted from the database's encoding."""
    if _encoding(connection) == "UTF8":
        yield
        return
    connection.execute(b"SET client_encoding TO SQL_ASCII")
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # a transaction that failed takes it back by itself
            connection.execute(b"SET client_encoding TO UTF8")


def as_spelled(connection: psycopg.Connection[Any]) -> AbstractContextManager[None]:
    """Read a database's own names as bytes if its encoding is unknown."""
    return as_stored(connection) if _encoding(connection) == "SQL_ASCII" else nullcontext()


def _encoding(connection: psycopg.Connection[Any]) -> str | None:
    return connection.info.parameter_status("server_encoding")

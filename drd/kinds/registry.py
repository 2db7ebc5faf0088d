"""The kinds of components that there are, by name."""

from __future__ import annotations

from functools import cache

from drd.errors import NotSupported
from drd.ports import Kind


@cache
def kind_for(name: str) -> Kind:
    """The adapter of a kind of component; each is imported when it is first needed."""
    if name == "postgres":
        from drd.kinds.postgres.kind import PostgresKind

        return PostgresKind()
    if name == "sqlite":
        from drd.kinds.sqlite.kind import SqliteKind

        return SqliteKind()
    if name == "files":
        from drd.kinds.files.kind import FilesKind

        return FilesKind()
    raise NotSupported(f"components of kind {name} are not supported")

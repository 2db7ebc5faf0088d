"""Foreign keys of other databases: when drd renames a table, the server changes the foreign keys
that refer to it to the new name."""

from __future__ import annotations

from collections.abc import Iterable

from drd.errors import TargetError
from drd.kinds.mariadb.connection import Connection, ServerError, is_lost
from drd.model.text import escaped, some

_STORED = """
SELECT REPLACE(FOR_NAME, '/', '.') FROM information_schema.{}
 WHERE LEFT(REF_NAME, CHAR_LENGTH(%s)) = %s"""
_SEEN = """
SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.KEY_COLUMN_USAGE
 WHERE REFERENCED_TABLE_SCHEMA = %s"""


def require_none(connection: Connection, database: str, own: Iterable[str]) -> None:
    """Raise TargetError if tables of other databases refer to tables of this database; databases in
    `own` do not count. Raises ServerError."""
    names = {str(name) for (name,) in connection.rows(_SEEN, [database])}
    if database.isascii():
        try:  # also tables that the login may not see
            rows = connection.rows(
                _STORED.format(connection.flavour.foreign_keys), [f"{_in_files(database)}/"] * 2
            )
        except ServerError as error:  # without the right PROCESS
            if is_lost(error):
                raise
            rows = []
        names |= {str(name) for (name,) in rows}
    ours = tuple(f"{spelled}." for one in (database, *own) for spelled in (one, _in_files(one)))
    others = sorted(name for name in names if not name.startswith(ours))
    if others:
        raise TargetError(
            f"foreign keys in tables of other databases refer to tables of {escaped(database)}: "
            f"{some([escaped(name) for name in others])}. When drd sets the former tables aside, "
            "these foreign keys would still refer to the former tables, not to the restored ones",
            hint="drop these foreign keys first, and create them again after the recovery. Or "
            "restore a copy beside the database (--into NAME).",
        )


def _in_files(name: str) -> str:
    """Return the name of a database as InnoDB stores it."""
    return "".join(
        c if c.isascii() and (c.isalnum() or c == "_") else f"@{ord(c):04x}" for c in name
    )

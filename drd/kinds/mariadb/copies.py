"""Copies of single tables, beside those of the live database.

A working database of the same server receives the tables of a dump. drd removes there what would
act on other data, or depend on it (foreign keys to other tables). Then one statement renames all
copies to their final names. The same statement renames a table of the working database: if the run
is killed, the new name of this table shows that the copies are in place."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from drd.errors import TargetNotEmpty
from drd.kinds.mariadb.connection import Connection
from drd.kinds.mariadb.described import create_sql, has_table
from drd.kinds.mariadb.fingerprint import properties
from drd.kinds.mariadb.quoting import ident
from drd.kinds.mariadb.sequence_defaults import SequenceDefault
from drd.model.text import escaped

_FOREIGN_KEYS = """
SELECT TABLE_NAME, CONSTRAINT_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME
  FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = %s ORDER BY 1, 2"""
_TRIGGERS = """
SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS
 WHERE TRIGGER_SCHEMA = %s ORDER BY 2, 1"""
_KEY = re.compile(r"^\s*(CONSTRAINT `(?:[^`]|``)+` FOREIGN KEY .+?),?$", re.MULTILINE)


class Copy(NamedTuple):
    """A table of a dump, and the database and name of its copy."""

    table: str
    database: str
    name: str

    @property
    def place(self) -> str:
        return f"{ident(self.database)}.{ident(self.name)}"


class Copies:
    """The copies of tables that one run makes on one server. All methods raise ServerError."""

    def __init__(self, admin: Connection, working: str, mark: str, copies: Sequence[Copy]) -> None:
        self._admin = admin
        self._working = working
        self._begun, self._done = f"{mark}_begun", f"{mark}_done"
        self._copies = copies

    @property
    def placed(self) -> bool:
        """True if this run has already given the copies their final names."""
        return has_table(self._admin, self._working, self._done)

    def require_free(self) -> None:
        """Raise TargetNotEmpty if a name is in use."""
        for copy in self._copies:
            if has_table(self._admin, copy.database, copy.name):
                raise TargetNotEmpty(
                    f"database {escaped(copy.database)} already has a table or view "
                    f"{escaped(copy.name)}",
                    hint="give --into a name that is not in use: drd does not replace an existing "
                    "table.",
                )

    def detach(self) -> list[str]:
        """Remove the foreign keys of the copies which would refer to live tables. Returns notes,
        with the statements that make them again."""
        notes = []
        keys = [tuple(map(str, row)) for row in self._admin.rows(_FOREIGN_KEYS, [self._working])]
        for table, name, schema, refers_to in keys:
            stays = schema == self._working and refers_to in {c.table for c in self._copies}
            if stays and len(self._copies) > 1:
                continue
            copy = next(c for c in self._copies if c.table == table)
            made = self._made(table, name)
            self._admin.execute(
                f"ALTER TABLE {ident(self._working)}.{ident(table)} DROP FOREIGN KEY {ident(name)}"
            )
            notes.append(
                f"drd left out foreign key {escaped(name)} of {escaped(table)} to "
                f"{escaped(refers_to)}: it would block changes of live rows. To add this part "
                f"yourself: {escaped(f'ALTER TABLE {copy.place} ADD {made}')}"
            )
        return notes

    def without(self, defaults: Sequence[SequenceDefault]) -> list[str]:
        """Return notes about defaults of the copies that would take numbers from live sequences,
        with the statements that set them again."""
        notes = []
        for copy in self._copies:
            for default in defaults:
                if default.table == copy.table:
                    sql = default.statement(copy.place, "", "")
                    notes.append(
                        f"drd left out the default of column {escaped(default.column)} of "
                        f"{escaped(copy.table)}, which takes numbers from a sequence. To add this "
                        f"part yourself: {escaped(sql)}"
                    )
        return notes

    def _made(self, table: str, key: str) -> str:
        row = self._admin.one(f"SHOW CREATE TABLE {ident(self._working)}.{ident(table)}")
        keys = _KEY.findall(str(row[1])) if row is not None else []
        begin = f"CONSTRAINT {ident(key)} "
        return next((line for line in keys if line.startswith(begin)), f"{begin}FOREIGN KEY …")

    def put_in_place(self, saved: Mapping[str, object]) -> list[str]:
        """Give the copies their names, all or none. A database that is missing is made with the
        properties `saved`. Returns notes."""
        notes = []
        for database in dict.fromkeys(copy.database for copy in self._copies):
            if not properties(self._admin, database):
                self._admin.execute(create_sql(database, saved).rstrip(";\n"))
                notes.append(f"database {escaped(database)} was created")
        begun = f"{ident(self._working)}.{ident(self._begun)}"
        done = f"{ident(self._working)}.{ident(self._done)}"
        self._admin.execute(f"DROP TABLE IF EXISTS {begun}")
        self._admin.execute(f"CREATE TABLE {begun} (n INT) ENGINE=InnoDB")
        moves = [f"{ident(self._working)}.{ident(c.table)} TO {c.place}" for c in self._copies]
        self._admin.execute(f"RENAME TABLE {', '.join([*moves, f'{begun} TO {done}'])}")
        return notes


def triggers_left_out(connection: Connection, database: str, tables: Collection[str]) -> list[str]:
    """Return notes about the triggers of tables: they would act on the copy as on the table. Raises
    ServerError."""
    notes = []
    for name, table in connection.rows(_TRIGGERS, [database]):
        if table not in tables:
            continue
        made = connection.one(f"SHOW CREATE TRIGGER {ident(database)}.{ident(str(name))}") or ()
        sql = " ".join(str(made[2]).split()) if len(made) > 2 else ""
        notes.append(
            f"drd left out trigger {escaped(str(name))} of {escaped(str(table))}: a copy for "
            f"reading must not change other data. To add it yourself: {escaped(sql)}"
        )
    return notes

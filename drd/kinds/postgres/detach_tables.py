"""Detach extracted tables from objects that they depend on, and give them the names of the copy.

In the working database the tables move into the schema that is named after the run: so a dump of
this schema contains exactly these tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.extract import Extracted, Relation
from drd.kinds.postgres.naming import LIMIT
from drd.kinds.postgres.quoting import grantee, ident
from drd.kinds.postgres.server_text import encoded

_PARENTS = """
SELECT format('%%I.%%I', n.nspname, p.relname), i.inhparent::int8, c.relispartition
  FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
  JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
  JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
 WHERE i.inhrelid = %s"""

_HEIRS = """
SELECT format('%%I.%%I', n.nspname, c.relname), c.oid::int8
  FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE i.inhparent = %s AND NOT c.relispartition ORDER BY 1"""

_DRAWS = """
SELECT a.attname, format('%%I.%%I', n.nspname, s.relname)
  FROM pg_catalog.pg_attrdef d
  JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
  JOIN pg_catalog.pg_depend p ON p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
       AND p.objid = d.oid AND p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  JOIN pg_catalog.pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
  JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
 WHERE d.adrelid = %s AND s.oid <> ALL(%s) ORDER BY 1"""

_LARGE = """
SELECT a.attname FROM pg_catalog.pg_attribute a
 WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
   AND pg_catalog.format_type(a.atttypid, NULL) IN ('oid', 'lo') ORDER BY 1"""

# Whatever has a name of its own beside the tables: indexes, sequences that belong to columns,
# extended statistics.
_THINGS = """
SELECT 'INDEX', i.indexrelid::int8, n.nspname, c.relname, i.indrelid::int8
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE i.indrelid = ANY(%(oids)s)
UNION ALL
SELECT 'SEQUENCE', s.oid::int8, n.nspname, s.relname, d.refobjid::int8
  FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.refobjid = ANY(%(oids)s) AND d.deptype IN ('a', 'i')
UNION ALL
SELECT 'STATISTICS', x.oid::int8, n.nspname, x.stxname, x.stxrelid::int8
  FROM pg_catalog.pg_statistic_ext x
  JOIN pg_catalog.pg_namespace n ON n.oid = x.stxnamespace WHERE x.stxrelid = ANY(%(oids)s)
ORDER BY 1, 4"""

_GRANTS = """
SELECT c.oid::int8, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, '', a.privilege_type,
       CASE a.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END, a.is_grantable
  FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
 WHERE c.oid = ANY(%(oids)s) AND a.grantee <> c.relowner
UNION ALL
SELECT c.oid::int8, 'TABLE', t.attname, a.privilege_type,
       CASE a.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END, a.is_grantable
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid,
       pg_catalog.aclexplode(t.attacl) a
 WHERE c.oid = ANY(%(oids)s) AND a.grantee <> c.relowner
ORDER BY 1, 3, 4"""


@dataclass(frozen=True, slots=True)
class TableCopy:
    """A table as it will be: its name in the copy's schema, and the rights on it. `grants` are
    statements with `{schema}` instead of the schema.
    """

    source: str
    name: str
    top: bool
    owner: str
    comment: str
    partitioned: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant. `column` is empty for the whole table, `to` for PUBLIC."""

    what: str
    name: str
    column: str
    privilege: str
    to: str
    grantable: bool

    def sql(self, schema: str) -> str:
        column = f" ({ident(self.column)})" if self.column else ""
        option = " WITH GRANT OPTION" if self.grantable else ""
        place = f"{ident(schema)}.{ident(self.name)}"
        return (
            f"GRANT {self.privilege}{column} ON {self.what} {place} TO {grantee(self.to)}{option}"
        )


@dataclass(frozen=True, slots=True)
class Copies:
    """The present content of the schema in the working database. `statistics` move by
    themselves."""

    tables: tuple[TableCopy, ...]
    statistics: tuple[str, ...]
    grants: tuple[Grant, ...]


@dataclass(slots=True)
class _Thing:
    what: str
    oid: int
    schema: str
    name: str
    of: int
    wanted: str = ""


class Detached:
    """Does the work, in the connection of the extraction."""

    def __init__(self, connection: Connection, found: Extracted) -> None:
        self._connection = connection
        self._found = found
        self._oids = found.oids

    def into(self, schema: str, name: str | None, taken: Collection[str]) -> Copies:
        """Move everything into `schema`; a single requested table gets `name` (without one it keeps
        its own). Dependent objects are named after their table, with a name that is not `taken`.
        """
        with self._connection.transaction():
            for relation in self._found.relations:
                if relation.top:
                    self._cut_loose(relation)
                self._undraw(relation)
            return self._move(schema, name, set(taken))

    def _rows(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        return self._connection.execute(encoded(query), parameters).fetchall()

    def _do(self, statement: str) -> None:
        self._connection.execute(encoded(statement))

    def _cut_loose(self, relation: Relation) -> None:
        notes, table = self._found.notes, _sql(relation.schema, relation.name)
        for parent, oid, partition in self._rows(_PARENTS, [relation.oid]):
            if oid in self._oids:
                continue
            if partition:
                self._do(f"ALTER TABLE {parent} DETACH PARTITION {table}")
                notes.append(
                    f"{relation.source} is a partition of {parent}: the copy is a plain table"
                )
            else:
                self._do(f"ALTER TABLE {table} NO INHERIT {parent}")
                notes.append(f"{relation.source} inherits from {parent}: the copy does not")
        heirs = [n for n, oid in self._rows(_HEIRS, [relation.oid]) if oid not in self._oids]
        if heirs:
            notes.append(
                f"rows of {', '.join(heirs)}, which inherit from {relation.source}, are left out"
            )
        [(typed,)] = self._rows(
            "SELECT reloftype <> 0 FROM pg_catalog.pg_class WHERE oid = %s", [relation.oid]
        )
        if typed:
            self._do(f"ALTER TABLE {table} NOT OF")

    def _undraw(self, relation: Relation) -> None:
        """Remove defaults from other tables' sequences, which would tie the copy to them."""
        table = _sql(relation.schema, relation.name)
        own = [t.oid for t in self._things() if t.what == "SEQUENCE"]
        for column, sequence in self._rows(_DRAWS, [relation.oid, own]):
            self._do(f"ALTER TABLE ONLY {table} ALTER COLUMN {ident(column)} DROP DEFAULT")
            self._found.notes.append(
                f"the default of {relation.source}.{column} is left out: it uses sequence "
                f"{sequence}, which does not belong to this table"
            )
        large = [c for (c,) in self._rows(_LARGE, [relation.oid])]
        if large:
            self._found.notes.append(
                f"large objects that {relation.source} perhaps refers to "
                f"({', '.join(large)}) are not copied"
            )

    def _things(self) -> list[_Thing]:
        rows = self._rows(_THINGS, {"oids": self._oids})
        return [_Thing(*row) for row in rows]

    # names

    def _move(self, schema: str, name: str | None, taken: set[str]) -> Copies:
        relations = self._found.relations
        tables = [_Thing("TABLE", r.oid, r.schema, r.name, r.oid) for r in relations]
        things = [*tables, *self._things()]
        self._choose_names(things, name, taken)
        grants = self._rows(_GRANTS, {"oids": [t.oid for t in things if t.what != "STATISTICS"]})
        self._do(f"CREATE SCHEMA {ident(schema)}")
        # By names that nobody has, so that none is in the way of another, whatever schema it is
        # from.
        for number, thing in enumerate(things):
            self._rename(thing, f"{schema}_{number}")
        for thing in things:
            if thing.what in ("TABLE", "STATISTICS"):
                self._do(
                    f"ALTER {thing.what} {_sql(thing.schema, thing.name)} SET SCHEMA "
                    f"{ident(schema)}"
                )
            thing.schema = schema
        for thing in things:
            self._rename(thing, thing.wanted)
        wanted = {t.oid: t.wanted for t in things}
        return Copies(
            tuple(
                TableCopy(
                    r.source,
                    wanted[r.oid],
                    r.top,
                    self._found.owners.get(r.oid, ""),
                    r.comment,
                    r.kind == "p",
                )
                for r in relations
            ),
            tuple(t.wanted for t in things if t.what == "STATISTICS"),
            tuple(Grant(what, wanted[oid], *rest) for oid, what, *rest in grants),
        )

    def _rename(self, thing: _Thing, name: str) -> None:
        self._do(f"ALTER {thing.what} {_sql(thing.schema, thing.name)} RENAME TO {ident(name)}")
        thing.name = name

    def _choose_names(self, things: Sequence[_Thing], name: str | None, taken: set[str]) -> None:
        tops = {r.oid: r.name for r in self._found.relations if r.top}
        for thing in things:
            if thing.oid in tops:
                thing.wanted = name or thing.name
                taken.add(thing.wanted)
        [(before, after)] = [(n, name or n) for n in tops.values()] if name else [("", "")]
        for thing in things:
            if not thing.wanted:
                asked = _called_after(thing.name, before, after) if name else thing.name
                thing.wanted = next(n for n in variants(asked) if n not in taken)
                taken.add(thing.wanted)


def _called_after(name: str, table: str, copy: str) -> str:
    """Return a name after the copy's: `orders_pkey` becomes `copy_pkey`; a name that does not begin
    with the table's gets the copy's name in front.
    """
    if name.startswith(table):
        return copy + name.removeprefix(table)
    return f"{copy}_{name}"


def variants(name: str) -> Iterator[str]:
    """Yield the name, and variants of it; none is longer than the server accepts."""
    if len(name.encode()) <= LIMIT:
        yield name
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    for length in range(6, 40):
        kept = name.encode()[: LIMIT - length - 1].decode("utf-8", "ignore")
        yield f"{kept}_{digest[:length]}"


def _sql(schema: str, name: str) -> str:
    return f"{ident(schema)}.{ident(name)}"

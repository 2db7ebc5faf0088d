"""What a recovery can restore alone: a database of a server, tables or paths of a component, or a
whole component under another name. Without I/O."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drd.model.text import either, escaped, readable

NEAR = 3
_MANY = 20_000
"""Above this number, names are not compared letter by letter: that would take too long."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of one component: `tables`, `paths`, or a `database` of a server. With `tables` and
    `database`, tables in this database. If all are empty, the whole component. `into` is the name
    of the copy beside the existing data: a database, a file, a directory, a table, a schema.
    """

    tables: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    into: str | None = None
    database: str | None = None

    @property
    def is_whole(self) -> bool:
        return not self.has_items and self.database is None

    @property
    def has_items(self) -> bool:
        """True if the part consists of tables or paths, and is not a whole database or
        component."""
        return bool(self.tables or self.paths)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the restored things, as a person writes them."""
        if self.database is None:
            return (*self.tables, *self.paths)
        if not self.tables:
            return (self.database,)
        return tuple(in_database(self.database, table) for table in self.tables)

    @property
    def takes_own_name(self) -> bool:
        """Whether a single table gets its own name again because it was dropped."""
        if len(self.tables) != 1 or self.into is None:
            return False
        schema, _, name = self.tables[0].rpartition(".")
        return self.into in (name, f"{schema or 'public'}.{name}")

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON; `from_json` is the inverse."""
        known = {"tables": list(self.tables), "paths": list(self.paths), "into": self.into}
        return known if self.database is None else {**known, "database": self.database}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Part:
        paths, database = tuple(data["paths"]), data.get("database")
        return cls(tuple(data["tables"]), paths, data["into"], database)


def in_database(name: str, table: str) -> str:
    """Return the name of a table with its database, as in `shop.public.orders`: the database in
    quotes only where it needs them."""
    plain = re.fullmatch(r"[a-z_][a-z0-9_$]*", name)
    quoted = name if plain else '"' + name.replace('"', '""') + '"'
    return f"{quoted}.{table}"


def as_named(asked: str, known: Collection[str]) -> str:
    """Return the known name that somebody typed in the form in which drd shows it (`bad\xff.txt`)
    or in that of a document; if there is no such name, return what was typed."""
    if asked in known or "\\" not in asked:
        return asked
    meant = [name for name in known if asked in (escaped(name), readable(name))]
    return meant[0] if len(meant) == 1 else asked


def near(wanted: str, known: Collection[str], *, separator: str) -> Sequence[str]:
    """Return up to three known names that somebody may have meant: with the same last part, or a
    similar spelling.
    """
    last = wanted.rpartition(separator)[2].lower()
    same = sorted(
        n for n in known if n.rpartition(separator)[2].strip('"').lower() == last.strip('"')
    )
    if same or len(known) > _MANY:
        return same[:NEAR]
    folded = {n.lower(): n for n in known}
    alike = difflib.get_close_matches(wanted.lower(), folded, NEAR, 0.6)
    if not alike:
        lasts = {n.rpartition(separator)[2].lower(): n for n in known}
        return [lasts[x] for x in difflib.get_close_matches(last, lasts, NEAR, 0.6)]
    return [folded[x] for x in alike]


def hint_of_names(near_by: Sequence[str]) -> str:
    """Return a hint with the names that somebody may have meant."""
    return f"did you mean {either([escaped(name) for name in near_by])}?" if near_by else ""

"""Compare two states of a component: tables and rows, or files. Pure.

`a` is the state in question, usually an older one; `b` is the state that it is compared with. Parts
that were not read on one side are unknown, never equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from drd.model.entry_difference import entry_differences
from drd.model.snapshot import DatabaseFingerprint, Fingerprint, TreeFingerprint

HIDDEN_FIELDS = "/~hidden"
"""The end of the name of an entry for all fields of a document that have no entries of their own.
No field has such a name."""
HIDDEN_FIELD = "field whose name drd does not show"


@dataclass(frozen=True, slots=True)
class TableChange:
    """A table that differs. `rows`: the number of rows differs; `contents`: the number is the same,
    but rows differ. An `added` table is only in b.
    """

    table: str
    change: Literal["added", "removed", "rows", "contents"]
    a_rows: int | None
    b_rows: int | None


@dataclass(frozen=True, slots=True)
class RelationChange:
    """A relation without rows of its own, such as a view, that only one of the two states
    contains."""

    name: str
    kind: str
    change: Literal["added", "removed"]


@dataclass(frozen=True, slots=True)
class FileChange:
    """A directory entry that differs; `what` says in words how a `changed` entry differs in b."""

    path: str
    change: Literal["added", "removed", "changed"]
    what: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """A property of the whole database that differs: its owner, a setting."""

    name: str
    a: Any
    b: Any


Change = PropertyChange | TableChange | RelationChange | FileChange


@dataclass(frozen=True, slots=True)
class Difference:
    """All differences. `unknown` has the names that could not be compared, with the reason.
    `compared` counts tables or entries that both states know. `only_counted` counts the tables of
    which only the number of rows is known: there, changed rows are not noticed.
    """

    compared: int
    tables: tuple[TableChange, ...] = ()
    files: tuple[FileChange, ...] = ()
    properties: tuple[PropertyChange, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()
    only_counted: int = 0
    counted: tuple[str, str] = ("table", "tables")
    """The unit of `compared`, singular and plural."""
    relations: tuple[RelationChange, ...] = ()

    @property
    def equal(self) -> bool | None:
        """True if nothing differs; None if no difference was found, but not everything was read."""
        if self.tables or self.relations or self.files or self.properties:
            return False
        return None if self.unknown or self.only_counted else True

    def changes(self) -> Iterator[tuple[str, str, Change]]:
        """Yield each difference: whether something was added, removed or changed, its name in the
        data, and what is known about it."""
        for prop in self.properties:
            yield "changed", prop.name, prop
        for table in self.tables:
            is_in_both = table.change in ("rows", "contents")
            yield "changed" if is_in_both else table.change, table.table, table
        for relation in self.relations:
            yield relation.change, relation.name, relation
        for file in self.files:
            yield file.change, file.path, file


@dataclass(frozen=True, slots=True)
class Side:
    """The names of the two states: a restore point's id, or `live`."""

    name: str
    data_time: datetime


def difference(a: Fingerprint, b: Fingerprint, *, owners: bool) -> Difference:
    """Compare two fingerprints. `owners`: whether somebody with the right to see it recorded the
    ownership of entries.
    """
    if isinstance(a, DatabaseFingerprint) and isinstance(b, DatabaseFingerprint):
        return _databases(a, b)
    assert isinstance(a, TreeFingerprint)
    assert isinstance(b, TreeFingerprint)
    return _trees(a, b, owners=owners)


def _databases(a: DatabaseFingerprint, b: DatabaseFingerprint) -> Difference:
    changes: list[TableChange] = []
    unknown: list[tuple[str, str]] = []
    compared = only_counted = 0
    in_a, in_b = {*a.tables, *a.not_reached}, {*b.tables, *b.not_reached}
    for table in sorted(in_a | in_b):
        was, now = a.tables.get(table), b.tables.get(table)
        if table not in in_b:
            changes.append(TableChange(table, "removed", was.rows if was else None, None))
        elif table not in in_a:
            changes.append(TableChange(table, "added", None, now.rows if now else None))
        elif was is None or now is None:
            unknown.append((table, a.not_reached.get(table) or b.not_reached[table]))
        else:
            compared += 1
            if was.rows != now.rows:
                changes.append(TableChange(table, "rows", was.rows, now.rows))
            elif was.digest is None or now.digest is None:
                only_counted += 1
            elif was.digest != now.digest:
                changes.append(TableChange(table, "contents", was.rows, now.rows))
    return Difference(
        compared,
        tables=tuple(changes),
        properties=_properties(a.properties, b.properties),
        unknown=tuple(unknown),
        only_counted=only_counted,
        relations=(
            *(RelationChange(*one, "removed") for one in sorted(_relations(a) - _relations(b))),
            *(RelationChange(*one, "added") for one in sorted(_relations(b) - _relations(a))),
        ),
    )


def _relations(of: DatabaseFingerprint) -> set[tuple[str, str]]:
    """Return the relations that have no rows of their own, such as views, each with its kind."""
    return {*of.others.items(), *((name, "partitioned table") for name in of.partitioned)}


def _properties(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[PropertyChange, ...]:
    return tuple(_changed("", a, b))


def _changed(above: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[PropertyChange]:
    """Yield the properties that differ; of a property with names in it, the names that differ."""
    for name in sorted(a.keys() | b.keys()):
        was, now = a.get(name), b.get(name)
        if was == now:
            continue
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            yield from _changed(f"{above}{name} ", was, now)
        else:
            yield PropertyChange(f"{above}{name}", was, now)


def _trees(a: TreeFingerprint, b: TreeFingerprint, *, owners: bool) -> Difference:
    changes: list[FileChange] = []
    unknown = {**a.not_reached, **b.not_reached}
    compared = 0
    for path in sorted(a.entries.keys() | b.entries.keys()):
        was, now = a.entries.get(path), b.entries.get(path)
        if path in unknown:
            continue
        if (was and was.volatile) or (now and now.volatile):
            unknown[path] = "the file changed during the capture"
        elif now is None:
            changes.append(FileChange(path, "removed"))
        elif was is None:
            changes.append(FileChange(path, "added"))
        else:
            compared += 1
            if what := entry_differences(was, now, owners=owners):
                changes.append(FileChange(path, "changed", tuple(what)))
    return Difference(
        compared,
        files=tuple(changes),
        unknown=tuple(sorted(unknown.items())),
        counted=("entry", "entries"),
    )

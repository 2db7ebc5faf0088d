"""What changed unusually from one restore point to the next, by their manifests: missing tables and
files, and sizes that became much smaller or larger. Pure; names are escaped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drd.model.difference import Difference, TableChange, difference
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    RestorePoint,
    TreeFingerprint,
    of_whole_copy,
)
from drd.model.text import counted, escaped, noun, some
from drd.model.units import format_size

STRONGLY = 2
"""A size has changed strongly if the larger one is at least this many times the smaller one."""
_FEW_ROWS = 10
_FEW_FILES = 10
_FEW_BYTES = 1 << 20
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed unusually in each component, and what drd could not compare. Each is a sentence
    without a full stop that begins with the name of the component."""

    unusual: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


NO_CHANGES = Changes()


def changes(before: RestorePoint, after: RestorePoint) -> Changes:
    """Compare two restore points of a plan by their fingerprints. A new component is not an unusual
    change."""
    unusual: list[str] = []
    unknown: list[str] = []
    for old in (one for one in before.components if one.state == "captured"):
        new, name = after.component(old.component), escaped(old.component)
        if new is None or new.state != "captured":
            unusual.append(f"{name}: this component is not in the restore point any more")
            continue
        if old.kind != new.kind:
            unusual.append(f"{name}: the kind of this component was {escaped(old.kind)} before")
            continue
        whole = of_whole_copy(before.id, old.facts) or of_whole_copy(after.id, new.facts)
        unusual += [f"{name}: {text}" for text in ([] if whole else _size(old.bytes, new.bytes))]
        difference = _difference(old, new)
        if difference is None:
            unknown.append(f"{name}: drd does not have two fingerprints to compare")
            continue
        unusual += [f"{name}: {text}" for text in _inside(difference, old)]
        if difference.unknown:
            what = counted(len(difference.unknown), *difference.counted)
            unknown.append(f"{name}: drd did not read {what}")
    return Changes(tuple(unusual), tuple(unknown))


def _difference(old: ComponentSnapshot, new: ComponentSnapshot) -> Difference | None:
    a, b = old.fingerprint, new.fingerprint
    if a is None or type(a) is not type(b):
        return None
    assert b is not None
    if any(isinstance(one, DatabaseFingerprint) and one.mode == "off" for one in (a, b)):
        return None
    return difference(a, b, owners=False)


def _size(old: int, new: int) -> Iterator[str]:
    if _strongly(old, new, _FEW_BYTES):
        verb = "shrank" if new < old else "grew"
        yield f"{verb} from {format_size(old)} to {format_size(new)}"


def _strongly(old: int, new: int, few: int) -> bool:
    return abs(new - old) >= few and (new * STRONGLY <= old or old * STRONGLY <= new)


def _inside(found: Difference, old: ComponentSnapshot) -> Iterator[str]:
    gone = [escaped(t.table) for t in found.tables if t.change == "removed"]
    gone += [escaped(r.name) for r in found.relations if r.change == "removed"]
    if gone:
        what = counted(len(gone), "table or view", "tables and views")
        yield f"{what} {noun(len(gone), 'is', 'are')} gone: {_names(gone)}"
    yield from _rows(t for t in found.tables if t.change == "rows")
    if found.properties:
        names = [escaped(p.name) for p in found.properties]
        yield f"properties of the database changed: {_names(names)}"
    if isinstance(old.fingerprint, TreeFingerprint):
        yield from _files(found, len(old.fingerprint.entries))


def _rows(tables: Iterator[TableChange]) -> Iterator[str]:
    told: list[str] = []
    for table in tables:
        old, new = table.a_rows or 0, table.b_rows or 0
        if not new:
            told.append(f"table {escaped(table.table)} was emptied: {counted(old, 'row')} before")
        elif _strongly(old, new, _FEW_ROWS) and old:
            verb = "shrank" if new < old else "grew"
            told.append(
                f"table {escaped(table.table)} {verb} from {old:,} to {counted(new, 'row')}"
            )
    yield from told[:_NAMED]
    if len(told) > _NAMED:
        yield f"{counted(len(told) - _NAMED, 'more table')} shrank or grew strongly"


def _files(found: Difference, before: int) -> Iterator[str]:
    gone = [escaped(f.path) for f in found.files if f.change == "removed"]
    changed = sum(f.change == "changed" for f in found.files)
    added = sum(f.change == "added" for f in found.files)
    if gone:
        are = noun(len(gone), "is", "are")
        yield f"{len(gone):,} of {counted(before, 'file')} {are} gone: {_names(gone)}"
    if changed >= _FEW_FILES and changed * STRONGLY >= before:
        yield f"{changed:,} of {counted(before, 'file')} changed"
    if added >= _FEW_FILES and added >= before:
        yield f"{counted(added, 'new file')}, {counted(before, 'file')} before"


def _names(names: list[str]) -> str:
    return some(names, _NAMED)

"""What a restore point contains of a component, item by item, for a person who searches for an
item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from drd.errors import NotInPoint, UsageError
from drd.model.single_item import hint_of_names, near
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint


@dataclass(frozen=True, slots=True)
class Item:
    """A table, a file, a directory. `name` is the value for `--table` or `--path` of a recovery.
    `bytes` of a directory is the size of its content. Values that a kind does not have are None;
    `note` says what is unusual about the item."""

    name: str
    kind: str
    bytes: int | None = None
    mode: int | None = None
    changed: datetime | None = None
    rows: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """The items in the directory `within`; it is empty if the items are in no directory."""

    within: str
    items: tuple[Item, ...]


def tables(
    snapshot: ComponentSnapshot,
    within: str | None,
    *,
    selects: Callable[[str, str], bool],
    separator: str,
    lister: str,
) -> Contents:
    """Return the tables that a fingerprint names; with `within`, only the tables that it `selects`.
    `lister` is the command that lists the tables of the stored FILE. Raises UsageError if the point
    has no fingerprint, NotInPoint if nothing is selected."""
    known = snapshot.fingerprint
    if not isinstance(known, DatabaseFingerprint) or known.mode == "off":
        raise UsageError(
            f"drd does not know the tables of component {snapshot.component}: the restore "
            "point does not contain a fingerprint of this component",
            hint="mount the restore point with `drd mount PLAN DIRECTORY`, then list its "
            f"tables with `{lister}`. To list the tables of later restore points with "
            "drd, set `fingerprint: counts` for this component in the plan.",
        )
    every = {item.name: item for item in _items(known)}
    chosen = [n for n in sorted(every) if within is None or selects(n, within)]
    if within is not None and not chosen:
        close = near(within, every, separator=separator)
        raise NotInPoint(
            f"this restore point of component {snapshot.component} does not contain {within}",
            hint=hint_of_names(close) or "to list all tables, leave out the name.",
        )
    return Contents("", tuple(every[n] for n in chosen))


def _items(known: DatabaseFingerprint) -> list[Item]:
    own = [
        Item(name, "materialised view" if name in known.derived else "table", rows=state.rows)
        for name, state in known.tables.items()
    ]
    whole = [
        Item(name, "partitioned table", rows=_sum(known.tables, leaves))
        for name, leaves in known.partitioned.items()
    ]
    unknown = [Item(name, "table", note=why) for name, why in known.not_reached.items() if name]
    return [*own, *whole, *unknown, *(Item(name, kind) for name, kind in known.others.items())]


def _sum(tables: Mapping[str, object], leaves: tuple[str, ...]) -> int | None:
    rows = [getattr(tables.get(leaf), "rows", None) for leaf in leaves]
    return None if None in rows else sum(r for r in rows if r is not None)

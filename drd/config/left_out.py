"""The values of a document without some of its entries."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from typing import Any

from drd.config.yaml import Path


def is_within(path: str, place: str) -> bool:
    """Return whether a dotted path is `place` or below it."""
    return path == place or path.startswith((f"{place}.", f"{place}["))


def without(data: Any, left_out: Collection[Path]) -> tuple[Any, dict[str | int, list[int]]]:
    """Return the values without these paths, and for each list that became shorter the former
    numbers of its items."""
    if not left_out or not isinstance(data, dict):
        return data, {}
    data = deepcopy({k: v for k, v in data.items() if (k,) not in left_out})
    for path in left_out:
        if len(path) > 1 and path[0] in data:
            inner = data
            for element in path[:-1]:
                inner = inner[element]
            if isinstance(inner, dict):
                inner.pop(path[-1], None)
    items = {}
    for key, value in data.items():
        gone = {p[1] for p in left_out if len(p) == 2 and p[0] == key}
        if isinstance(value, list) and gone:
            items[key] = [n for n in range(len(value)) if n not in gone]
            data[key] = [value[n] for n in items[key]]
    return data, items

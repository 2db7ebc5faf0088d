"""Suggest files and directories for a new plan: one component for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from drd.kinds.file_system import named_path
from drd.ports.kinds import Wish


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component of these paths. Raises UsageError for a missing path."""
    paths = list(dict.fromkeys(map(named_path, given)))

    def keys(live: Sequence[str], _: str) -> Iterator[tuple[str, Any]]:
        yield "paths", paths
        inside = [file for file in live if any(_is_below(file, path) for path in paths)]
        if inside:
            yield "#", "A live database's files are not copied: the database has its own component."
        yield "exclude", inside or ["*.tmp"]

    return [Wish("configuration", "files", keys, names_plan=False)] if paths else []


def _is_below(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/")

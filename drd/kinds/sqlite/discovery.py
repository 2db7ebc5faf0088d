"""Suggest database files for a new plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from drd.errors import UsageError
from drd.kinds.file_system import named_path
from drd.kinds.sqlite.shared_directory import SIDE_FILES
from drd.ports.kinds import Wish


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component for each path. Raises UsageError for a file that is no database."""
    return [_wish(path) for path in dict.fromkeys(map(_file, given))]


def _wish(path: str) -> Wish:
    def keys(_: Sequence[str], __: str) -> Iterator[tuple[str, Any]]:
        yield "path", path

    live = tuple(path + end for end in ("", *SIDE_FILES))
    return Wish(Path(path).stem, "sqlite", keys, live=live)


def _file(path: str) -> str:
    absolute = named_path(path)
    try:
        with open(absolute, "rb") as file:  # noqa: PTH123
            head = file.read(16)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"cannot read {absolute}: {reason}", hint="run this command as the owner of the file."
        ) from None
    if head != b"SQLite format 3\0":
        hint = "give the file of a database; use --files for other files."
        raise UsageError(f"{absolute} is not a SQLite database", hint=hint)
    return absolute

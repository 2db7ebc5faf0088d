"""Record plan files that were never accepted, with their errors, for commands about the plan. The
error of a plan that was accepted before is in its own row.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from drd.ports import Queue

KEY = "refused"
"""The key of the record; `drd.catalogue.summary` reads it there."""

RefusedPlans = Mapping[str, tuple[Path, str]]
"""By plan: its file, and the error."""


def note_all(queue: Queue, refused: RefusedPlans, now: datetime) -> None:
    """Record that these files and no others are refused now."""
    noted = queue.noted(KEY)
    value = {name: _as_json(*refused[name]) for name in sorted(refused)}
    if value != (noted[1] if noted is not None else {}):
        queue.note(KEY, value, now)


def note_one(queue: Queue, name: str, file: Path, error: str, now: datetime) -> None:
    """Record this one beside the others."""
    noted = queue.noted(KEY)
    before = noted[1] if noted is not None else {}
    queue.note(KEY, {**before, name: _as_json(file, error)}, now)


def _as_json(file: Path, error: str) -> dict[str, Any]:
    """Return the record, with what identifies the refused content of the file."""
    try:
        there = file.stat()
    except OSError:
        return {"mtime_ns": 0, "size": 0, "error": error}
    return {"mtime_ns": there.st_mtime_ns, "size": there.st_size, "error": error}

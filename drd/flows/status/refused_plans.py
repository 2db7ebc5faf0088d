"""Record plan files that were never accepted, with their errors, for commands about the plan. The
error of a plan that was accepted before is in its own row: of such a plan, only that a restart is
needed is recorded here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from drd.ports import Queue

KEY = "refused"
"""The key of the record; `drd.catalogue.summary` reads it there."""


class Refusal(NamedTuple):
    """Why a plan file was not accepted. `needs_restart`: the file is right, but the service gets
    what it names only at a restart."""

    error: str
    needs_restart: bool = False


RefusedPlans = Mapping[str, tuple[Path, Refusal]]
"""By plan: its file, and the reason."""


def note_all(queue: Queue, refused: RefusedPlans, now: datetime) -> None:
    """Record that exactly these files are refused now."""
    noted = queue.noted(KEY)
    value = {name: _as_json(*refused[name]) for name in sorted(refused)}
    if value != (noted[1] if noted is not None else {}):
        queue.note(KEY, value, now)


def note_one(queue: Queue, name: str, file: Path, error: str, now: datetime) -> None:
    """Record that this file is refused, too."""
    noted = queue.noted(KEY)
    before = noted[1] if noted is not None else {}
    queue.note(KEY, {**before, name: _as_json(file, Refusal(error))}, now)


def loads_it(queue: Queue, name: str) -> str:
    """Return the command with which the service loads the file of this plan: a reload, or a
    restart if the last reload refused the file because only a restart gives it a credential."""
    noted = queue.noted(KEY)
    said = noted[1].get(name) if noted is not None else None
    is_late = isinstance(said, dict) and said.get("restart")
    return f"systemctl {'restart' if is_late else 'reload'} drd"


def _as_json(file: Path, why: Refusal) -> dict[str, Any]:
    """Return the record, with what identifies the refused content of the file."""
    said: dict[str, Any] = {"error": why.error}
    if why.needs_restart:
        said["restart"] = True
    try:
        there = file.stat()
    except OSError:
        return {"mtime_ns": 0, "size": 0, **said}
    return {"mtime_ns": there.st_mtime_ns, "size": there.st_size, **said}

"""Programs that outlive drd: known by a file, so that none is started twice and each can be ended."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from drd.process.sweep import process_alive

GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class Started:
    """A process that leads a session of its own. `born` tells it from a later one of the same pid."""

    pid: int
    born: int | None
    port: int | None = None
    url: str | None = None

    def is_alive(self) -> bool:
        return process_alive(self.pid, self.born)


def known(directory: Path, name: str) -> Started | None:
    """What was started under this name and noted down, alive or not."""
    try:
        return Started(**json.loads((directory / f"{name}.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def unnoted(file: Path, mark: str) -> int | None:
    """The pid in `file`, when the process that carries the mark in its environment is there: it was
    started, and drd died before it could note that down."""
    try:
        pid = int(file.read_text())
        around = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if mark.encode() in around else None


def note(directory: Path, name: str, started: Started) -> None:
    path = directory / f"{name}.json"
    path.with_suffix(".new").write_text(json.dumps(asdict(started)))
    path.with_suffix(".new").replace(path)


def end(directory: Path, name: str, *, grace_s: float = GRACE_S) -> bool:
    """Ask the process and all of its group to end, then kill them; whether there was one."""
    found = known(directory, name)
    if found is None or not found.is_alive():
        return False
    for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(found.pid, number)
        limit = time.monotonic() + patience
        while found.is_alive() and time.monotonic() < limit:
            time.sleep(0.05)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(found.pid, signal.SIGKILL)  # what it has left behind in its group
    return True


def end_all(directory: Path) -> list[str]:
    """End everything that was started with a note in `directory`; the names."""
    if not directory.is_dir():
        return []
    names = sorted(f.stem for f in directory.glob("*.json"))
    return [name for name in names if end(directory, name)]

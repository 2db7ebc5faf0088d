"""Programs that outlive drd: known by a file, so that none is started twice and each can be
ended."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from drd.process import rights
from drd.process.fence import end_fenced
from drd.process.private import STAMP, read_own
from drd.process.sweep import is_marked, process_alive, process_start_time

GRACE_S = 10.0

MARK = "DRD_STARTED"
"""What it carries in its environment, with the key of the step that started it: `run/step`."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that leads a session, or behind a fence a group, of its own. `born` tells it from a
    later one of the same pid."""

    pid: int
    born: int | None
    port: int | None = None
    url: str | None = None
    fenced: bool = False

    def is_alive(self) -> bool:
        return process_alive(self.pid, self.born)


@rights.as_root(rights.Purpose.PROCESSES)
def known(directory: Path, name: str) -> Started | None:
    """What was started under this name and noted down, alive or not. Notes that somebody else could
    have written are none."""
    written = read_own(directory / f"{name}.json")
    if written is None:
        return None
    try:
        found = Started(**json.loads(written))
    except (ValueError, TypeError):
        return None
    numbers = (found.pid, found.born, found.port)
    sound = all(n is None or type(n) is int for n in numbers) and found.pid > 1
    return found if sound and isinstance(found.url, str | None) else None


@rights.as_root(rights.Purpose.PROCESSES)
def unnoted(directory: Path, name: str, key: str) -> int | None:
    """The pid of what was started under this name for this key, although drd died before it could
    note that down."""
    written = read_own(directory / f"{name}.pid")
    try:
        pid = int(written or b"")
    except ValueError:
        return None
    return pid if is_marked(pid, MARK, key) else None


def _may_be(pid: int, key: str) -> bool:
    """Whether a process can be the one that was started for this key (without one: for any), by its
    environment. Servers that write their state over it (nginx) have none left, and say nothing."""
    try:
        around = [v for v in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if v]
    except OSError:
        return False
    if not any(b"=" in v for v in around):
        return True
    mark = f"{MARK}={key}".encode()
    return any(v == mark if key else v.startswith(mark) for v in around)


def note(directory: Path, name: str, started: Started) -> None:
    path = directory / f"{name}.json"
    path.with_suffix(".new").write_text(json.dumps(asdict(started)))
    path.with_suffix(".new").replace(path)


@rights.as_root(rights.Purpose.PROCESSES)
def end(directory: Path, name: str, *, key: str = "", grace_s: float = GRACE_S) -> bool:
    """Ask the process and all of its group to end, then kill them; whether there was one. With the
    `key` also one that nobody could note down. What it has printed stays."""
    found = known(directory, name)
    if (found is None or not found.is_alive()) and key:
        pid = unnoted(directory, name, key)
        found = Started(pid, process_start_time(pid)) if pid is not None else None
    alive = found is not None and found.is_alive()
    if found is not None and alive and not _may_be(found.pid, key):
        alive = False  # whatever has that number, the step did not start it
    if found is not None and alive:
        _end(found, grace_s)
    for suffix in ("json", "pid"):
        (directory / f"{name}.{suffix}").unlink(missing_ok=True)
    return alive


@rights.as_root(rights.Purpose.PROCESSES)
def stop(directory: Path, name: str, *, key: str) -> bool:
    """End it because somebody wants so, patiently: then nothing of it is kept."""
    ended = end(directory, name, key=key, grace_s=GRACE_S)
    (directory / f"{name}.log").unlink(missing_ok=True)
    with suppress(OSError):  # of others something is there
        if [f.name for f in directory.iterdir()] == [STAMP]:
            (directory / STAMP).unlink()
        directory.rmdir()
    return ended


def _end(found: Started, grace_s: float) -> None:
    for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        if found.fenced and number == signal.SIGKILL:
            end_fenced(found.pid)  # with all that has hidden; whoever is killed can end nothing
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(found.pid, number)
        limit = time.monotonic() + patience
        while found.is_alive() and time.monotonic() < limit:
            time.sleep(0.05)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(found.pid, signal.SIGKILL)  # what it has left behind in its group


@rights.as_root(rights.Purpose.PROCESSES)
def end_all(directory: Path) -> list[str]:
    """End everything that was started with a note in `directory`; the names."""
    if not directory.is_dir():
        return []
    names = sorted(f.stem for f in directory.glob("*.json"))
    return [name for name in names if end(directory, name)]


@rights.as_root(rights.Purpose.PROCESSES)
def anything_runs(directory: Path, run: str) -> bool:
    """Whether something that this run's steps have started is still there."""
    noted = [known(directory, f.stem) for f in directory.glob("*.json")]
    if any(one is not None and one.is_alive() for one in noted):
        return True
    names = (f.stem for f in directory.glob("*.pid"))
    return any(unnoted(directory, name, f"{run}/{name}") is not None for name in names)

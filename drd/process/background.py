"""Programs that outlive drd. A file records each, so that none is started twice and each can be
ended.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from drd.presence import process_start_time
from drd.process import rights
from drd.process.fence import end_fenced
from drd.process.orphans import is_marked, process_alive
from drd.process.private import STAMP, read_own

GRACE_S = 10.0

MARK = "DRD_STARTED"
"""The environment variable with the key of the step that started it: `run/step`."""


@dataclass(frozen=True, slots=True)
class BackgroundProgram:
    """A process that leads its own session, or its own group behind a fence. `born` distinguishes
    it from a later process with the same pid.
    """

    pid: int
    born: int | None
    port: int | None = None
    url: str | None = None
    fenced: bool = False

    def is_alive(self) -> bool:
        return process_alive(self.pid, self.born)


@rights.as_root(rights.Purpose.PROCESSES)
def noted(directory: Path, name: str) -> BackgroundProgram | None:
    """Return the program that was started under this name and recorded, alive or not. Ignores
    records that others could have written.
    """
    written = read_own(directory / f"{name}.json")
    if written is None:
        return None
    try:
        started = BackgroundProgram(**json.loads(written))
    except (ValueError, TypeError):
        return None
    numbers = (started.pid, started.born, started.port)
    sound = all(n is None or type(n) is int for n in numbers) and started.pid > 1
    return started if sound and isinstance(started.url, str | None) else None


@rights.as_root(rights.Purpose.PROCESSES)
def find_unrecorded(directory: Path, name: str, key: str) -> int | None:
    """Return the pid of a process that was started under this name for this key, although drd died
    before it noted that.
    """
    written = read_own(directory / f"{name}.pid")
    try:
        pid = int(written or b"")
    except ValueError:
        return None
    return pid if is_marked(pid, MARK, key) else None


def _may_be(pid: int, key: str) -> bool:
    """Return whether a process can be the one that was started for this key (or for any key), by
    its environment. Servers that overwrite their environment (nginx) have none left.
    """
    try:
        around = [v for v in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if v]
    except OSError:
        return False
    if not any(b"=" in v for v in around):
        return True
    mark = f"{MARK}={key}".encode()
    return any(v == mark if key else v.startswith(mark) for v in around)


def note(directory: Path, name: str, started: BackgroundProgram) -> None:
    path = directory / f"{name}.json"
    path.with_suffix(".new").write_text(json.dumps(asdict(started)))
    path.with_suffix(".new").replace(path)


@rights.as_root(rights.Purpose.PROCESSES)
def end(directory: Path, name: str, *, key: str = "", grace_s: float = GRACE_S) -> bool:
    """Ask the process and its group to end, then kill them; return whether there was one. With the
    `key` also end one that was not noted. Keeps its output.
    """
    process = noted(directory, name)
    if (process is None or not process.is_alive()) and key:
        pid = find_unrecorded(directory, name, key)
        process = BackgroundProgram(pid, process_start_time(pid)) if pid is not None else None
    alive = process is not None and process.is_alive()
    if process is not None and alive and not _may_be(process.pid, key):
        alive = False  # another process has this pid now: the step did not start it
    if process is not None and alive:
        _end(process, grace_s)
    for suffix in ("json", "pid"):
        (directory / f"{name}.{suffix}").unlink(missing_ok=True)
    return alive


@rights.as_root(rights.Purpose.PROCESSES)
def stop(directory: Path, name: str, *, key: str) -> bool:
    """End the process at a person's request, with a longer grace time, and remove its files."""
    ended = end(directory, name, key=key, grace_s=GRACE_S)
    (directory / f"{name}.log").unlink(missing_ok=True)
    with suppress(OSError):  # other users' processes count as existing
        if [f.name for f in directory.iterdir()] == [STAMP]:
            (directory / STAMP).unlink()
        directory.rmdir()
    return ended


def _end(found: BackgroundProgram, grace_s: float) -> None:
    for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        if found.fenced and number == signal.SIGKILL:
            end_fenced(
                found.pid
            )  # with all that has hidden itself; a killed warden can end nothing
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(found.pid, number)
        limit = time.monotonic() + patience
        while found.is_alive() and time.monotonic() < limit:
            time.sleep(0.05)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(found.pid, signal.SIGKILL)  # the rest of its group


@rights.as_root(rights.Purpose.PROCESSES)
def end_all(directory: Path) -> list[str]:
    """End every process that has a note in `directory`; return the names."""
    if not directory.is_dir():
        return []
    names = sorted(f.stem for f in directory.glob("*.json"))
    return [name for name in names if end(directory, name)]


@rights.as_root(rights.Purpose.PROCESSES)
def is_any_running(directory: Path, run: str) -> bool:
    """Return whether a process of this run's steps is still running."""
    notes = [noted(directory, f.stem) for f in directory.glob("*.json")]
    if any(one is not None and one.is_alive() for one in notes):
        return True
    names = (f.stem for f in directory.glob("*.pid"))
    return any(find_unrecorded(directory, name, f"{run}/{name}") is not None for name in names)

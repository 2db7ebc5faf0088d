"""A repository's locks: who holds them, and which are stale."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drd import process
from drd.errors import RepositoryError
from drd.model.units import from_rfc3339
from drd.ports import LockInfo
from drd.repositories import init_lock
from drd.repositories.place import lock_names
from drd.repositories.restic.foreign_objects import STALE_S
from drd.repositories.restic.payload import ids

if TYPE_CHECKING:
    from drd.repositories.restic.runner import ResticRunner


def lock_holders(runner: ResticRunner) -> list[LockInfo]:
    """List the holders. Costs one restic call for each lock. A lock that disappears meanwhile, or
    cannot be read, is left out.
    """
    holders = []
    for name in sorted(runner.session.place.locks()):
        made = content(runner, name)
        try:
            holders.append(
                LockInfo(
                    name,
                    str(made.get("hostname", "")),
                    int(made.get("pid", 0)),
                    from_rfc3339(str(made["time"])),
                )
            )
        except (ValueError, KeyError, TypeError):
            continue
    return holders


def other_host(runner: ResticRunner) -> str | None:
    """Return another host that holds a lock; None if there is none."""
    hosts = (content(runner, n).get("hostname") for n in sorted(runner.session.place.locks()))
    return next((str(h) for h in hosts if h not in (None, socket.gethostname())), None)


def remove_stale(runner: ResticRunner) -> int:
    """Remove locks that restic judges stale: locks of dead processes of this host, and other locks
    after 30 minutes. restic makes two errors. It takes a dead process for alive until its parent
    has reaped it, which never happens to an orphan in a container without an init: drd removes
    locks of such processes itself. And restic takes a living process for dead if it may not send a
    signal to this process, such as root's restic: while such a process holds a lock, drd removes no
    lock.

    Other code counts the lock files without restic: most often there is none, and a restic call
    costs more than half a second.
    """
    place = runner.session.place
    files = place.lock_files()
    init_lock.remove_dead_marks(place, files)
    before = lock_names(files)
    if not before or _held_by_another_user(runner):
        return 0
    runner.ask(lambda library: library.unlock())
    # Where drd cannot remove single files, such a lock lasts until restic finds it stale.
    dead = process.unreaped(Path(runner.session.program).name) if place.by_file else ()
    if dead:
        place.remove("locks", [n for n in before & place.locks() if _holder(runner, n) in dead])
    return len(before - place.locks())


def _held_by_another_user(runner: ResticRunner) -> bool:
    """Return whether a process of this host holds a fresh lock, and may not get signals from us."""
    if os.geteuid() == 0:
        return False
    here, now = socket.gethostname(), datetime.now(UTC)
    return any(
        held.host == here and (now - held.at).total_seconds() < STALE_S and _is_closed(held.pid)
        for held in lock_holders(runner)
    )


def _is_closed(pid: int) -> bool:
    """Return whether our restic may not send a signal to a process. drd itself may be able to, if
    root's process acts as the owner of the state. So the owner of the process counts, if drd can
    read it."""
    with suppress(OSError):
        return Path(f"/proc/{pid}").stat().st_uid != os.geteuid()
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _holder(runner: ResticRunner, lock: str) -> int | None:
    """Return the pid of the process of this host that made a lock; None for other hosts, and when
    the lock is gone.
    """
    made = content(runner, lock)
    return int(made["pid"]) if made.get("hostname") == socket.gethostname() else None


def content(runner: ResticRunner, lock: str) -> Mapping[str, Any]:
    """Return the content of a lock; empty when it is gone or is not a lock."""
    try:
        told, _ = runner.capture(["--no-lock", "cat", "--", "lock", *ids([lock])[1:]])
        made = json.loads(told)
    except (RepositoryError, ValueError):
        return {}
    return made if isinstance(made, dict) else {}

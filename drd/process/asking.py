"""Who stands behind a process, by what the kernel says of it."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from drd.model.actor import NO_LOGIN, Actor, Came

BY_DAEMON = "DRD_DAEMON"
"""In the environment of processes that a daemon started for a run: its pid."""


def actor_here(environment: Mapping[str, str] | None = None, *, by: str = "") -> Actor:
    """Who runs this process. `by` is what `--by` said.

    A process that the daemon started works by the schedule: who asked for a run that somebody asked
    for stands in its row already.
    """
    environment = os.environ if environment is None else environment
    came: Came = "schedule" if BY_DAEMON in environment else "terminal"
    return _actor(
        os.getuid(), login_uid_of(os.getpid()), came, environment.get("SUDO_USER", ""), by
    )


def actor_of_daemon() -> Actor:
    """The daemon, which asks for what is due."""
    return _actor(os.getuid(), None, "schedule")


def actor_of_peer(uid: int, pid: int, *, by: str = "") -> Actor:
    """Who asks through a socket: `uid` and `pid` as the kernel gave them when he connected."""
    # Whoever has another uid by now is not the process that connected, or not in the same role.
    login = login_uid_of(pid) if _uid_of(pid) == uid else None
    return _actor(uid, login, "socket", by=by)


def user_name(uid: int) -> str:
    """The name of a user, or the number of one that has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def login_uid_of(pid: int) -> int | None:
    """The login uid of the kernel's audit; None where no login started the process, where the
    kernel keeps none, or where we may not read it."""
    with suppress(OSError, ValueError):
        found = int(Path(f"/proc/{pid}/loginuid").read_text(encoding="ascii"))
        return None if found == NO_LOGIN else found
    return None


def _actor(uid: int, login: int | None, came: Came, claimed: str = "", by: str = "") -> Actor:
    return Actor(
        uid=uid,
        user=user_name(uid),
        login_uid=login,
        host=socket.gethostname(),
        came=came,
        login_user=user_name(login) if login is not None else "",
        claimed_user=claimed,
        claimed_by=by,
    )


def _uid_of(pid: int) -> int | None:
    with suppress(OSError):
        return Path(f"/proc/{pid}").stat().st_uid
    return None

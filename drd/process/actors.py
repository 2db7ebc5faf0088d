"""Find out who started a process, by what the kernel reports."""

from __future__ import annotations

import errno
import os
import select
import shlex
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from drd.model.actor import NO_LOGIN, Actor, Came
from drd.users import user_name

BY_DAEMON = "DRD_DAEMON"
"""In the environment of processes that a daemon started for a run: the daemon's pid."""
_SO_PEERPIDFD = 77  # Linux 6.5


@dataclass(frozen=True, slots=True)
class Login:
    """The login uid of the kernel's audit. `uid` is None when no login started the process, or,
    where
    `known` is False, when the kernel does not report it.
    """

    uid: int | None
    known: bool = True


UNKNOWN_LOGIN = Login(None, known=False)


def actor_here(environment: Mapping[str, str] | None = None, *, by: str = "") -> Actor:
    """Return the person or program that runs this process. `by` is the value of `--by`. A process
    that the daemon started works by the schedule: if a person asked for its run, the run's row
    names them already.
    """
    environment = os.environ if environment is None else environment
    came: Came = "schedule" if BY_DAEMON in environment else "terminal"
    claimed = environment.get("SUDO_USER", "")
    actor = _actor(os.getuid(), login_of(os.getpid()), came, claimed, by)
    # A user who does not own the state asks the daemon: here is root or drd's own user.
    return replace(actor, service=came == "terminal" and actor.uid != 0)


def actor_of_daemon() -> Actor:
    """Return the daemon, which asks for runs that are due."""
    return _actor(os.getuid(), Login(None), "schedule")


def actor_of_peer(uid: int, login: Login, *, by: str = "") -> Actor:
    """Return who asks through a socket: `uid` as the kernel reported it at the connection, and the
    login as `login_of_peer` read it then.
    """
    return replace(_actor(uid, login, "socket", by=by), service=uid == os.getuid() != 0)


def login_of_peer(connection: socket.socket, uid: int, pid: int) -> Login:
    """Return the login of the process that connected, whose `uid` and `pid` the kernel reported.

    Must be called as soon as the connection is accepted: the login of a process that has ended
    cannot be read. Before Linux 6.5 the kernel does not name the process itself; a new process with
    the same pid is then recognised only by its user.
    """
    pidfd = -1
    try:
        try:
            pidfd = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:  # the kernel would report it, and it is gone
                return UNKNOWN_LOGIN
            pidfd = os.pidfd_open(pid)
            if Path(f"/proc/{pid}").stat().st_uid != uid:
                return UNKNOWN_LOGIN
        login = login_of(pid)
        # While it lives no other process has its pid, so the login was its own.
        return UNKNOWN_LOGIN if _has_ended(pidfd) else login
    except (OSError, ValueError):  # it is gone, or in a namespace where we cannot see it
        return UNKNOWN_LOGIN
    finally:
        if pidfd >= 0:
            os.close(pidfd)


def as_root_types_it() -> str:
    """Return the command of this process, with sudo before it."""
    return f"sudo drd {shlex.join(sys.argv[1:])}".rstrip()


def login_of(pid: int) -> Login:
    """Return the login that started the process. A kernel without audit records no logins; then drd
    knows that there is none.
    """
    with suppress(OSError, ValueError):
        uid = int(Path(f"/proc/{pid}/loginuid").read_text(encoding="ascii"))
        return Login(None if uid == NO_LOGIN else uid)
    own = Path("/proc/self")
    return Login(None) if own.exists() and not (own / "loginuid").exists() else UNKNOWN_LOGIN


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _actor(uid: int, login: Login, came: Came, claimed: str = "", by: str = "") -> Actor:
    return Actor(
        uid=uid,
        user=user_name(uid),
        login_uid=login.uid,
        host=socket.gethostname(),
        came=came,
        login_user=user_name(login.uid) if login.uid is not None else "",
        claimed_user=claimed,
        claimed_by=by,
        login_known=login.known,
    )

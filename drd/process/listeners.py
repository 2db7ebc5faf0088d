"""Find out which programs listen on ports of loopback, and where a program listens."""

from __future__ import annotations

import os
import pwd
import socket
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drd.errors import DrdError
from drd.masking import beginning

_LISTENS = "0A"
_LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
"""127.0.0.1, ::1 and ::ffff:127.0.0.1, as the kernel's tables have them."""

_ACCEPTS = "00010000"
"""The flag of a Unix socket that listens (__SO_ACCEPTCON)."""

_END_OF_LOG = 64 << 10
_SHOWN = 300


class Listening(NamedTuple):
    """The Unix sockets and the ports of TCP where a process listens."""

    sockets: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


def listening(pid: int) -> Listening:
    """Return where a process listens, as far as the present process may see it."""
    own = set()
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                own.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    sockets, ports = set(), set()
    for line in _table(pid, "unix"):
        _, _, _, flags, _, _, inode, *path = line.split(maxsplit=7)
        if flags == _ACCEPTS and inode in own and path and path[0].startswith("/"):
            sockets.add(path[0])
    for table in ("tcp", "tcp6"):
        for line in _table(pid, table):
            _, local, _, state, _, _, _, _, _, inode, *_ = line.split()
            if state == _LISTENS and inode in own:
                ports.add(int(local.rpartition(":")[2], 16))
    return Listening(tuple(sorted(sockets)), tuple(sorted(ports)))


def _table(pid: int, name: str) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/net/{name}").read_text(errors="replace").splitlines()[1:]
    return []


def listens(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1.0)
        return one.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def foreign_listener(port: int, pid: int) -> str | None:
    """Return the user whose program listens on a port of loopback instead of the program `pid`;
    None if there is no such user. Between the choice of a free port and the start of the program,
    every user of the host can take it.
    """
    ours = {0, os.geteuid()}
    with suppress(OSError):
        ours.add(Path(f"/proc/{pid}").stat().st_uid)
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state, _, _, _, user, *_ = line.split()
                address, _, number = local.partition(":")
                on_loopback = not address.strip("0") or address in _LOOPBACK
                is_it = state == _LISTENS and on_loopback and int(number, 16) == port
                if is_it and int(user) not in ours:
                    return _name(int(user))
    return None


def require_own(port: int, pid: int, what: str, error: type[DrdError]) -> None:
    """Raise `error` if another user's program listens on the port that drd chose for the program
    `pid`, which is called `what`."""
    other = foreign_listener(port, pid)
    if other is not None:
        raise error(
            f"a program of user {other} listens on port {port}, which drd chose for {what}",
            hint="start the drill again. If it fails again, find out which program this is.",
        )


def _name(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"with the id {uid}"


def last_line(path: Path) -> str:
    """Return the last line of a program's log."""
    try:
        with path.open("rb") as log:
            cut = log.seek(0, os.SEEK_END) > _END_OF_LOG
            log.seek(-_END_OF_LOG if cut else 0, os.SEEK_END if cut else os.SEEK_SET)
            lines = log.read(_END_OF_LOG).decode("utf-8", "replace")
    except OSError:
        return ""
    last = lines.rstrip().rpartition("\n")
    # The first line may be cut, and begin with a part of a secret.
    return beginning(last[2].strip(), _SHOWN) if last[1] or not cut else ""

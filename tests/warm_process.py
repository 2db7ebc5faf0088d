"""What makes a fork of the warm interpreter the same as a fresh one, and how one is asked for."""

from __future__ import annotations

import array
import atexit
import ctypes
import fcntl
import io
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import drd
from drd.process.cancel import _wake_read, _wake_write

ROOM = 1 << 14
"""Bytes for the words of a command, and as many for its environment: the warm interpreter is
started with words and a variable of that length."""
User = tuple[int, int, Sequence[int]]
"""The ids of a user, its group and its further groups."""
_MAIN = str(Path(drd.__file__).with_name("__main__.py"))


def send(connection: socket.socket, request: object, fds: Sequence[int | None]) -> None:
    """A request, and descriptors with it."""
    text = json.dumps(request).encode()
    passed = array.array("i", [fd for fd in fds if fd is not None])
    header = len(text).to_bytes(4, "big")
    connection.sendmsg([header], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
    connection.sendall(text)


def received(connection: socket.socket) -> tuple[Any, list[int]] | None:
    """The next request and its descriptors; None when the other side is gone."""
    header, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(20))
    if not header:
        return None
    fds = array.array("i")
    fds.frombytes(ancillary[0][2])
    return json.loads(exactly(connection, int.from_bytes(header, "big"))), list(fds)


def fits(argv: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether there is room for what others see of a process."""
    return max(len(_words(argv)), len(_words(_pairs(env)))) < ROOM


def _words(strings: Sequence[str]) -> bytes:
    return b"".join(os.fsencode(string) + b"\0" for string in strings)


def _pairs(env: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in env.items()]


def exactly(connection: socket.socket, count: int) -> bytes:
    data = connection.recv(count, socket.MSG_WAITALL)
    if len(data) != count:
        raise ConnectionError("the server of warm commands is gone")
    return data


def become(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    fds: Sequence[int],
    asked_by: socket.socket | None,
) -> None:
    """Take on what a process is given by the one that starts it, and say that it is there (unless
    somebody else has): it looks like it also to others."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    for fd in {*fds}:
        os.close(fd)
    _wake_alone()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    show(argv, env)
    if asked_by is not None:
        say_pid(asked_by)


def say_pid(asked_by: socket.socket) -> None:
    asked_by.sendall(os.getpid().to_bytes(4, "big"))
    asked_by.close()


def _wake_alone() -> None:
    """Have a pipe of its own for a cancel. Nobody drains it, so one that is shared would keep every
    wait of all later commands awake, once one of them was cancelled."""
    fresh, former = os.pipe2(os.O_NONBLOCK), (_wake_read, _wake_write)
    for mine, shared in zip(fresh, former, strict=True):
        os.dup2(mine, shared, inheritable=False)
        os.close(mine)


def be(user: int, group: int, more: Sequence[int]) -> None:
    """Have the rights of a user, whom the system lets see this process like any other of his."""
    os.setgroups(more)
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    ctypes.CDLL(None).prctl(_SET_DUMPABLE, 1)


_SET_DUMPABLE = 4


def setpriv(user: int, group: int, more: Sequence[int]) -> list[str]:
    """The same before the words of a command."""
    how = ["setpriv", f"--reuid={user}", f"--regid={group}", "--inh-caps=-all"]
    return [*how, f"--groups={','.join(map(str, more))}" if more else "--clear-groups", "--"]


def see(mounts: int) -> None:
    """The file systems of another process, by its namespace."""
    if os.fstat(mounts).st_ino != Path("/proc/self/ns/mnt").stat().st_ino:
        _join(mounts)
    os.close(mounts)


def _join(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot enter a namespace")


def move_into(leader: int, asked_by: socket.socket) -> None:
    """Go on in the machine whose first process `leader` is: as a child, since only that has an id
    there. This process says its own id, which means something here, and ends as the child does."""
    places = [os.open(f"/proc/{leader}/ns/{name}", os.O_RDONLY) for name in _NAMESPACES]
    for place in places:
        _join(place)
        os.close(place)
    alive, held = os.pipe()
    if (child := os.fork()) == 0:
        os.close(held)
        asked_by.close()
        die_with(alive)
        return
    os.close(alive)
    say_pid(asked_by)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def nsenter(leader: int) -> list[str]:
    """The same before the words of a command."""
    return ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "-C", "--wdns=/", "--"]


_NAMESPACES = ("uts", "ipc", "net", "pid", "cgroup", "mnt")
"""The mounts last: the others are found by those of here."""


def die_with(pipe: int) -> None:
    """Be killed when nobody has the other end of a pipe any more, to which nobody writes."""
    os.set_inheritable(pipe, False)
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETFL, os.O_ASYNC)


def show(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Be seen by others with these words and this environment."""
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    for place, strings in zip((45, 47), (argv, _pairs(env)), strict=True):
        begin, end = int(stat[place]), int(stat[place + 1])  # arg_start or env_start, and its end
        ctypes.memmove(begin, _words(strings).ljust(end - begin, b"\0"), end - begin)


def carried_out(words: Sequence[str], dies_at: str = "") -> int:
    """The exit code of `drd WORDS`."""
    sys.argv = [_MAIN, *words]
    from drd.__main__ import start as begin

    if dies_at:
        from tests.e2e.dies_at import arm

        arm(dies_at)
    return _ended(begin)


def run_program(source: str) -> int:
    """The exit code of `python -c SOURCE`."""
    sys.argv = ["-c"]
    return _ended(lambda: exec(source, {"__name__": "__main__"}))


def _ended(begin: Callable[[], object]) -> int:
    """The exit code, as an interpreter comes to it, which then only frees its memory."""
    encoding = sys.stdout.encoding
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), encoding)
    sys.stderr = io.TextIOWrapper(
        os.fdopen(2, "wb", closefd=False), encoding, "backslashreplace", line_buffering=True
    )
    sys.stdin = os.fdopen(0, closefd=False)
    code: object = 0
    try:
        begin()
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 - as an interpreter does at its end
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code if isinstance(code, int) else int(code is not None)

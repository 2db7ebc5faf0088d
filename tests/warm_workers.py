"""Workers for a daemon that was forked from the warm interpreter (`warm`), without a start of
Python for each.

The daemon forks a helper while it has one thread and nothing open. For each worker the helper makes
a process that is the daemon's child, not its own (CLONE_PARENT): the daemon waits for it, and the
kernel signals it when the daemon dies. Workers that act as another user start afresh.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from drd.config.run_settings import PlanInForce
from drd.daemon import workers
from drd.process import Child, Command, rights
from drd.process.command import full_argv, full_environment
from tests import warm_process

_CLONE3 = 435
_CLONE_PARENT = 0x8000
_PR_SET_PDEATHSIG = 1
_fresh = workers._started


def install() -> None:
    """In the process that becomes the daemon, before it looks like one: the helper never does."""
    ours, theirs = socket.socketpair()
    daemon = os.getpid()
    if os.fork() == 0:
        ours.close()
        _help(theirs, daemon)
    theirs.close()
    ours.settimeout(60)
    asking = threading.Lock()

    def started(command: Command, handed: PlanInForce | None) -> Child:
        argv = full_argv(command)
        plain = rights.acts_for() is None and argv[1:4] == ["--pdeathsig", "TERM", "--"]
        if not plain or not warm_process.fits(argv, full_environment(command)):
            return _fresh(command, handed)
        with asking:
            pid = _asked(ours, argv[4:], command, handed)
        return Child(command, _Started(argv, pid)) if pid else _fresh(command, handed)

    workers._started = started


class _Started(subprocess.Popen[bytes]):
    """A child of ours that somebody else has made."""

    def __init__(self, argv: Sequence[str], pid: int) -> None:
        self.args, self.pid, self.returncode = argv, pid, None
        self.stdin = self.stdout = self.stderr = None
        self._child_created, self._waitpid_lock = True, threading.Lock()


def _asked(
    helper: socket.socket, argv: Sequence[str], command: Command, handed: PlanInForce | None
) -> int:
    """The pid of the new worker; 0 when the helper cannot make one."""
    fd = os.memfd_create("drd-plan", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(handed.to_bytes() if handed is not None else b"")
        os.lseek(fd, 0, os.SEEK_SET)
        warm_process.send(
            helper, [list(argv), full_environment(command), os.fspath(Path.cwd())], [fd, 2]
        )
        return int.from_bytes(warm_process.exactly(helper, 4), "big")
    except OSError:
        return 0
    finally:
        os.close(fd)


# --- the helper ---------------------------------------------------------------------------------


def _help(connection: socket.socket, daemon: int) -> NoReturn:
    """Until the daemon is gone."""
    while (asked := warm_process.received(connection)) is not None:
        request, fds = asked
        made = _sibling()
        if made == 0:
            _work(request, fds, connection, daemon)
        if made < 0:
            connection.sendall(bytes(4))
        for fd in fds:
            os.close(fd)
    os._exit(0)


def _work(request: list[Any], fds: list[int], connection: socket.socket, daemon: int) -> NoReturn:
    argv, env, cwd = request
    stdin, err = fds
    code = 1
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == daemon:
            warm_process.become(argv, env, cwd, (stdin, err, err), connection)
            code = warm_process.carried_out(argv[argv.index("drd") + 1 :])
    except BaseException:  # noqa: BLE001 - nothing of the helper's may go on here
        traceback.print_exc()
    os._exit(code)


def _sibling() -> int:
    """As a fork, but the new process is a child of our parent."""
    arguments = (ctypes.c_uint64 * 11)(_CLONE_PARENT)
    python, libc = ctypes.pythonapi, ctypes.PyDLL(None)
    libc.syscall.restype = ctypes.c_long
    python.PyOS_BeforeFork()
    made = int(libc.syscall(_CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments)))
    if made == 0:
        python.PyOS_AfterFork_Child()
    else:
        python.PyOS_AfterFork_Parent()
    return made

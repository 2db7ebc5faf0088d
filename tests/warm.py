"""`drd` for the tests from an interpreter that has imported it: the same command in a process of
its own, a third of a second sooner.

A server imports all of drd once and forks for each command, which gets the words, the environment,
the directory and the pipes that a fresh interpreter would get. What changes how an interpreter
starts (LD_PRELOAD, a locale, PYTHON…) starts a fresh one, and so does everything with
DRD_TEST_COLD=1. Daemons, workers, services, and commands that tests start to kill them are always
fresh.
"""

from __future__ import annotations

import array
import contextlib
import functools
import io
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import drd

_ROOT = str(Path(drd.__file__).parents[1])
_AT_START = ("LD_", "LC_", "LANG", "PYTHON", "FAKETIME", "TZ", "MALLOC_", "GLIBC_")
"""What an interpreter or the C library reads when a process starts."""
_LARGEST = 1 << 20


def run(
    words: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    timeout: float = 120.0,
) -> subprocess.CompletedProcess[bytes]:
    """`drd WORDS` to its end. Raises subprocess.TimeoutExpired, having killed it."""
    argv = [sys.executable, "-m", "drd", *words]
    if "DRD_TEST_COLD" in os.environ or _of_start(env) != _of_start(os.environ):
        return subprocess.run(
            argv, capture_output=True, env=env, cwd=cwd, timeout=timeout, check=False
        )
    with socket.socket(socket.AF_UNIX) as connection, contextlib.ExitStack() as pipes:
        connection.connect(_server())
        (out, out_in), (err, err_in) = os.pipe(), os.pipe()
        for fd in (out, err):
            pipes.callback(os.close, fd)
        request = json.dumps([list(words), dict(env), os.fspath(cwd or Path.cwd())]).encode()
        fds = array.array("i", [out_in, err_in])
        header = len(request).to_bytes(4, "big")
        connection.sendmsg([header], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        os.close(out_in), os.close(err_in)
        connection.sendall(request)
        pid = int.from_bytes(_exactly(connection, 4), "big")
        said = _read([out, err], time.monotonic() + timeout)
        if said is None:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(argv, timeout)
        code = int.from_bytes(_exactly(connection, 4), "big", signed=True)
    return subprocess.CompletedProcess(argv, code, *said)


def _of_start(env: Mapping[str, str]) -> dict[str, str]:
    """Without what makes no difference to a command whose modules are loaded and whose text is
    UTF-8."""
    found = {name: value for name, value in env.items() if name.startswith(_AT_START)}
    for name in ("PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
        found.pop(name, None)
    return {n: v for n, v in found.items() if not (n[0] == "L" and v.upper().endswith("UTF-8"))}


def _read(fds: list[int], deadline: float) -> list[bytes] | None:
    """All that comes, until nobody has the other ends any more; None when that takes too long."""
    said = {fd: bytearray() for fd in fds}
    with selectors.DefaultSelector() as waiting:
        for fd in fds:
            waiting.register(fd, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(deadline - time.monotonic())
            if not ready:
                return None
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                said[key.fd] += data
                if not data:
                    waiting.unregister(key.fd)
    return [bytes(said[fd]) for fd in fds]


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = connection.recv(count, socket.MSG_WAITALL)
    if len(data) != count:
        raise ConnectionError("the server of warm commands is gone")
    return data


def end() -> None:
    """End the server, if there is one."""
    while _servers:
        with _servers.pop() as server:
            server.kill()
    _server.cache_clear()


@functools.cache
def _server() -> str:
    """Its address. It ends with us at the latest: our end of its pipe is open until then."""
    directory = tempfile.mkdtemp(prefix="warm-", dir=os.environ.get("DRD_TEST_RUN"))
    address = f"{directory}/socket"
    words = [sys.executable, "-m", "tests.warm", address]
    server = subprocess.Popen(words, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    _servers.append(server)
    return address


_servers: list[subprocess.Popen[bytes]] = []


# --- the server ---------------------------------------------------------------------------------


def _serve(address: str) -> None:
    for module in pkgutil.walk_packages(drd.__path__, "drd."):
        if not module.name.endswith(("__main__", ".env")) and ".versions" not in module.name:
            import_module(module.name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as waiting:
        listening.bind(address)
        listening.listen(16)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        waiting.register(listening, selectors.EVENT_READ)
        waiting.register(0, selectors.EVENT_READ)
        while True:
            if any(key.fd == 0 for key, _ in waiting.select()):
                return  # whoever started us is gone
            connection, _ = listening.accept()
            if os.fork() == 0:
                waiting.close()
                listening.close()
                _command(connection)
            connection.close()


def _command(connection: socket.socket) -> NoReturn:
    """Fork once more, become the command there, and tell here how it ended."""
    header, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(8))
    fds = array.array("i")
    fds.frombytes(ancillary[0][2])
    out, err = fds
    request = _exactly(connection, int.from_bytes(header, "big"))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(*json.loads(request), out, err)
    os.close(out), os.close(err)
    connection.sendall(pid.to_bytes(4, "big"))
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
    os._exit(0)


def _become(words: list[str], env: dict[str, str], cwd: str, out: int, err: int) -> NoReturn:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for fd, number in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    encoding = sys.stdout.encoding
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), encoding)
    sys.stderr = io.TextIOWrapper(
        os.fdopen(2, "wb", closefd=False), encoding, "backslashreplace", line_buffering=True
    )
    sys.stdin = os.fdopen(0, closefd=False)
    sys.argv = [f"{_ROOT}/drd/__main__.py", *words]
    from drd.__main__ import start

    start()


if __name__ == "__main__":
    _serve(sys.argv[1])

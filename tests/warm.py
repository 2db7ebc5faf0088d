"""`drd` for the tests from an interpreter that has imported it: the same command in a process of
its own, two thirds of a second of CPU cheaper.

A server imports all of drd once and forks for each command, which gets the words, the environment,
the directory and the pipes that a fresh interpreter would get, also as others see them in /proc.
What changes how an interpreter starts (LD_PRELOAD, a locale, PYTHON…) starts a fresh one, and a
server of its own the second time; packages of others on PYTHONPATH change nothing. With
DRD_TEST_COLD=1 everything starts a fresh one. A daemon from here starts its workers from here, too
(`warm_workers`). Services are always fresh.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import gc
import hashlib
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NoReturn

import drd
from tests import (
    light_catalogue,
    light_kit,
    light_repository,
    light_tools,
    warm_client,
    warm_process,
    warm_rehearsal,
    warm_workers,
)

_ROOT = str(Path(drd.__file__).parents[1])
_AT_START = ("LD_", "LC_", "LANG", "PYTHON", "FAKETIME", "TZ", "MALLOC_", "GLIBC_", "DRD_GRACE_S")
"""What an interpreter, the C library or a module of drd reads when a process starts."""


class Child:
    """A command that runs, with what the tests use of subprocess.Popen. It is a child of the
    server, and its id stays its own until somebody here has asked how it ended."""

    def __init__(self, argv: list[str], connection: socket.socket, *pipes: int) -> None:
        self.args = argv
        self.pid = int.from_bytes(warm_process.exactly(connection, 4), "big")
        self.returncode: int | None = None
        self.stdout: IO[bytes] | None = None
        self.stderr: IO[bytes] | None = None
        if pipes:
            self.stdout, self.stderr = (os.fdopen(fd, "rb") for fd in pipes)
        self._connection = connection

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._connection.settimeout(max(timeout, 0.001) if timeout is not None else None)
            try:
                code = warm_process.exactly(self._connection, 4)
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self.returncode = int.from_bytes(code, "big", signed=True)
            self._connection.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """All that it writes, until nobody has the other ends any more."""
        deadline = None if timeout is None else time.monotonic() + timeout
        assert self.stdout is not None and self.stderr is not None  # noqa: PT018
        said = {self.stdout: bytearray(), self.stderr: bytearray()}
        with selectors.DefaultSelector() as waiting:
            for pipe in said:
                if not pipe.closed:
                    waiting.register(pipe, selectors.EVENT_READ, pipe)
            while waiting.get_map():
                ready = waiting.select(None if deadline is None else deadline - time.monotonic())
                if not ready:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                for key, _ in ready:
                    data = os.read(key.fd, 1 << 16)
                    said[key.data] += data
                    if not data:
                        waiting.unregister(key.data)
                        key.data.close()
        self.wait(None if deadline is None else deadline - time.monotonic())
        return bytes(said[self.stdout]), bytes(said[self.stderr])

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(
    words: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    timeout: float = 120.0,
    dies_at: str = "",
    user: warm_process.User | None = None,
    inside: int = 0,
    login: int | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """`drd WORDS` to its end. Raises subprocess.TimeoutExpired, having killed it."""
    child = start(words, env=env, cwd=cwd, dies_at=dies_at, user=user, inside=inside, login=login)
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        raise
    assert child.returncode is not None
    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


def start(
    words: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    dies_at: str = "",
    log: int | None = None,
    cold: bool = False,
    user: warm_process.User | None = None,
    inside: int = 0,
    login: int | None = None,
) -> Child | subprocess.Popen[bytes]:
    """`drd WORDS` in a session of its own. `dies_at` is a moment of tests/e2e/dies_at.py. All that
    it writes goes to `log`, if that is given. `cold`: in a fresh interpreter. As `user`, if that is
    given. `inside` the machine whose first process has this id, if one is given. `login` is whom
    the kernel remembers as logged in."""
    module = ["tests.e2e.dies_at", dies_at] if dies_at else ["drd"]
    argv = [sys.executable, "-m", *module, *words]
    if cold or "DRD_TEST_COLD" in os.environ or not warm_process.fits(argv, env):
        server = ""
    else:
        server = _server_for(env, at_once="daemon" in words)
    if not server:
        out = subprocess.PIPE if log is None else log
        silent = subprocess.DEVNULL
        argv = [*warm_process.setpriv(*user), *argv] if user is not None else argv
        argv = [*warm_process.nsenter(inside), *argv] if inside else argv
        if login is not None:
            argv = [sys.executable, "-c", _LOGIN, str(login), *argv]
        return subprocess.Popen(
            argv, stdin=silent, stdout=out, stderr=out, env=env, cwd=cwd, start_new_session=True
        )
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(server)
    pipes = [os.pipe(), os.pipe()] if log is None else []
    os.umask(mask := os.umask(0))
    where = os.fspath(cwd or Path.cwd())
    request = [argv, list(words), dict(env), where, dies_at, mask, user, inside, login]
    warm_process.send(connection, request, [inner for _, inner in pipes] or [log, log])
    for _, inner in pipes:
        os.close(inner)
    return Child(argv, connection, *(outer for outer, _ in pipes))


_LOGIN = """
import os, sys
with open("/proc/self/loginuid", "w") as own:
    own.write(sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""


def program(env: Mapping[str, str]) -> str:
    """A directory for the PATH of a script: its `drd` asks a server for the command. In another
    environment of its start than this one it starts a fresh interpreter."""
    beside = Path(sys.executable).parent
    if "DRD_TEST_COLD" in os.environ:
        return str(beside)
    fresh = [sys.executable, str(beside / "drd")]
    here = {n: v for n, v in env.items() if n.startswith(_AT_START) and n not in warm_client.SAME}
    around = "\n".join(sorted(f"{n}={v}" for n, v in here.items()))
    arguments = (_server_for(env, at_once=True), fresh, around, _AT_START)
    return str(Path(client("drd", arguments)).parent)


def client(name: str, arguments: tuple[object, ...]) -> str:
    """A program of that name which calls `warm_client.main` with these arguments."""
    mark = hashlib.sha256(repr(arguments).encode()).hexdigest()
    directory = Path(os.environ["DRD_TEST_RUN"], f"bin-{mark[:8]}-{os.getpid()}")
    file = directory / name
    if not directory.exists():
        directory.mkdir()
        file.write_text(
            f"#!{sys.executable} -IS\nimport sys\nsys.path.append({str(Path(__file__).parent)!r})\n"
            f"from warm_client import main\nmain{arguments!r}\n"
        )
        file.chmod(0o755)
    return str(file)


def _of_start(env: Mapping[str, str]) -> dict[str, str]:
    """Without what is the same to a command whose modules are loaded and whose text is UTF-8."""
    found = {name: value for name, value in env.items() if name.startswith(_AT_START)}
    for name in warm_client.SAME:
        found.pop(name, None)
    path = found.get("PYTHONPATH", "")
    if path in (_ROOT, os.environ.get("PYTHONPATH", _ROOT)) or _only_adds(path):
        found.pop("PYTHONPATH", None)
    return {n: v for n, v in found.items() if not (n[0] == "L" and v.upper().endswith("UTF-8"))}


def _only_adds(path: str) -> bool:
    """Whether these directories have only packages of others, which drd loads when it has started:
    then it is early enough that `_become` puts them on its path."""
    names = [f.name for place in filter(None, path.split(os.pathsep)) for f in _listed(Path(place))]
    return all(name.startswith(("drd_", "drd-", "__pycache__")) for name in names)


def _listed(place: Path) -> list[Path]:
    return list(place.iterdir()) if place.is_dir() else []


def _server_for(env: Mapping[str, str], *, at_once: bool) -> str:
    """The address of a server whose interpreter starts as one in `env` does; empty for an
    environment that nobody asked for before."""
    wanted = _of_start(env)
    if wanted == _of_start(os.environ):
        return _shared()
    for server in _servers:
        if server.of_start == wanted:
            return server.address
    if not at_once and wanted not in _seen:
        _seen.append(wanted)
        return ""
    while len(_servers) >= _SERVERS:
        _servers.pop(0).end()
    _servers.append(_begun(wanted, env))
    return _servers[-1].address


_SERVERS = 2
"""How many servers with an environment of their own live at the same time."""


@functools.cache
def _shared() -> str:
    """The server of the whole run, for an environment as ours: whoever needs it first starts it."""
    run = Path(os.environ["DRD_TEST_RUN"])
    noted = run / "warm"
    with (run / "warm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not noted.exists():
            alive = os.open(run / _ALIVE, os.O_RDONLY | os.O_NONBLOCK)
            _started.append(_begun({}, os.environ, stdin=alive))
            os.close(alive)
            noted.write_text(_started[0].address)
    return noted.read_text()


_ALIVE = "warm.alive"
"""A pipe in the directory of the run, which the process that began the run holds open."""


def live_as_long_as_we() -> None:
    """Let the server of the run end with this process at the latest, or at `end` here."""
    pipe = Path(os.environ["DRD_TEST_RUN"], _ALIVE)
    os.mkfifo(pipe)
    _held.append(os.open(pipe, os.O_RDWR))


@dataclass
class _Server:
    """It ends when nobody has the other end of its pipe any more."""

    address: str
    of_start: dict[str, str]
    process: subprocess.Popen[bytes]

    def end(self) -> None:
        with self.process as process:
            process.kill()


_servers: list[_Server] = []
_started: list[_Server] = []
_held: list[int] = []
_seen: list[dict[str, str]] = []


def begin(module: str) -> str:
    """Start a server of this process whose interpreter is prepared by `module.serve`; its
    address."""
    _servers.append(_begun({}, os.environ, module=module))
    return _servers[-1].address


def end() -> None:
    """End the servers of this process, if there are any."""
    while _held:
        os.close(_held.pop())
    while _servers:
        _servers.pop().end()


def _begun(
    of_start: dict[str, str],
    like: Mapping[str, str],
    *,
    stdin: int = subprocess.PIPE,
    module: str = "tests.warm",
) -> _Server:
    directory = tempfile.mkdtemp(prefix="warm-", dir=os.environ.get("DRD_TEST_RUN"))
    address = f"{directory}/socket"
    words = [sys.executable, "-c", _SERVE, module, address, "." * warm_process.ROOM]
    env = {n: v for n, v in os.environ.items() if not n.startswith(_AT_START)}
    env |= {n: v for n, v in like.items() if n.startswith(_AT_START)}
    env["DRD_TEST_ROOM"] = "." * warm_process.ROOM
    process = subprocess.Popen(words, cwd=_ROOT, env=env, stdin=stdin, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return _Server(address, of_start, process)


# --- the server ---------------------------------------------------------------------------------


_SERVE = (
    "import gc, importlib, sys; gc.disable(); "
    "importlib.import_module(sys.argv[1]).serve(*sys.argv[1:3])"
)
"""A collection while it imports would find nothing."""
_LATE = (
    *("boto3.s3.inject", "psycopg", "restic", "structlog", "structlog.stdlib"),
    *("encodings.ascii", "encodings.idna", "encodings.utf_8_sig"),
)
"""What is imported only where it is used."""


@functools.cache
def import_all() -> None:
    """Every module of drd but the entry point and the migrations, and of the libraries it uses."""
    for module in pkgutil.walk_packages(drd.__path__, "drd."):
        if not module.name.endswith(("__main__", ".env")) and ".versions" not in module.name:
            import_module(module.name)
    for late in _LATE:
        import_module(late)


def serve(module: str, address: str) -> None:
    around = show_server(module, address)
    import_all()
    light_catalogue.install()
    light_tools.install()
    light_repository.install()
    light_kit.install()
    light_tools.know_restic()
    if "DRD_TEST_RUN" in around:
        light_tools.share_clusters(Path(around["DRD_TEST_RUN"]))
    warm_rehearsal.rehearse()
    listen(address, _become)


def show_server(module: str, address: str) -> dict[str, str]:
    """Be seen by others as the server of a run. Its environment may name what belongs to a test,
    and it is no process of that test."""
    sys.path[0] = _ROOT  # not where a command is
    around = dict(os.environ)
    os.environ.clear()
    os.environ.update(around)  # in a place of its own: the first one is what others see
    own = {n: v for n, v in around.items() if n == "DRD_TEST_RUN"}
    warm_process.show([sys.executable, "-m", module, address], own)
    return around


Become = Callable[[socket.socket, list[Any], list[int]], NoReturn]
"""What a fork does with a request and its descriptors."""


def listen(address: str, become: Become) -> None:
    """Fork for each request, until whoever started us is gone."""
    gc.collect()
    gc.freeze()  # a fork copies each page that a collection writes to
    gc.enable()
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as waiting:
        listening.bind(address)
        listening.listen(16)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        waiting.register(0, selectors.EVENT_READ)
        waiting.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fd == 0:
                    return
                if key.fileobj is listening:
                    _command(listening.accept()[0], waiting, become)
                else:
                    process, connection = key.data
                    _over(process, connection, waiting)


def _command(connection: socket.socket, waiting: selectors.BaseSelector, become: Become) -> None:
    """Become the command in a new process, and watch that and the connection."""
    found = warm_process.received(connection)
    assert found is not None
    request, fds = found
    pid = os.fork()
    if pid == 0:
        for _, key in list(waiting.get_map().items()):
            if key.fd > 0:
                os.close(key.fd)
        waiting.close()
        become(connection, request, fds)
    for fd in fds:
        os.close(fd)
    process = os.pidfd_open(pid)
    waiting.register(process, selectors.EVENT_READ, (process, connection))


def _over(process: int, connection: socket.socket, waiting: selectors.BaseSelector) -> None:
    """Report how a process ended. When the other side knows it, and has closed, the id is freed."""
    if process in waiting.get_map():
        waiting.unregister(process)
        status = os.waitid(os.P_PIDFD, process, os.WEXITED | os.WNOWAIT)
        assert status is not None
        code = status.si_status if status.si_code == os.CLD_EXITED else -status.si_status
        with contextlib.suppress(OSError):
            connection.sendall(code.to_bytes(4, "big", signed=True))
        waiting.register(connection, selectors.EVENT_READ, (process, connection))
    else:
        waiting.unregister(connection)
        connection.close()
        os.waitid(os.P_PIDFD, process, os.WEXITED)
        os.close(process)


def _become(connection: socket.socket, request: list[Any], fds: list[int]) -> NoReturn:
    argv, words, env, cwd, dies_at, mask, user, inside, *logins = request
    os.umask(mask)
    for login in filter(None, logins):
        Path("/proc/self/loginuid").write_text(str(login))
    if len(fds) == 5:
        with_client(fds)
    else:
        fds.insert(0, os.open(os.devnull, os.O_RDONLY))
    os.setsid()
    if "daemon" in words:
        warm_workers.install()
    more = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[1:1] = [place for place in more if place not in sys.path]
    if inside:
        warm_process.move_into(inside, connection)
    if user is not None:
        warm_process.be(*user)
    warm_process.become(argv, env, cwd, fds, None if inside else connection)
    os._exit(warm_process.carried_out(words, dies_at))


def with_client(fds: list[int]) -> None:
    """See what `warm_client` sees, and end when it ends. Leaves its three streams."""
    warm_process.see(fds.pop())
    warm_process.die_with(fds.pop())

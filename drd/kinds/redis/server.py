"""A server of drd's own on restored data: reached by a Unix socket only, and removed at the end.

It never replicates, loads no modules, writes no data back, and runs behind the fence of a drill:
libraries of functions come with the data.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from drd import modes, process
from drd.errors import DrdError, RepositoryDamaged, SandboxUnavailable
from drd.kinds import servers
from drd.kinds.file_system import ANOTHER_POINT
from drd.kinds.redis.address import Address
from drd.kinds.redis.client import Client, Login, ServerRefused
from drd.kinds.redis.manifest import DUMP
from drd.kinds.redis.programs import ServerProgram, cannot_read
from drd.kinds.redis.server_facts import info, number
from drd.kinds.servers import ServerLog, fence_failures, give, make_base
from drd.masking import masked
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import escaped
from drd.model.units import format_duration, format_size
from drd.ports import Workplace
from drd.process import Child, Command

USER = "drd-sandbox"
"""The user by which drd asks its own server; the users of the data keep their names."""

SETTINGS: Mapping[str, str] = {
    "port": "0",
    "unixsocketperm": "700",
    "protected-mode": "yes",
    "daemonize": "no",
    "supervised": "no",
    "logfile": "",
    "save": "",
    "appendonly": "no",
    "dbfilename": DUMP,
    "maxmemory": "0",
    "activerehashing": "no",
    "enable-module-command": "no",
    "enable-debug-command": "no",
    "enable-protected-configs": "no",
    "always-show-logo": "no",
}
"""Settings of the server on its command line."""

FEWEST_DATABASES = 16
_SAID = 300
_POLL_S = 0.02
_LOOK_S = 0.05
_BINARIES = b"-server"

_ALWAYS_SAID = "WARNING Memory overcommit"
"""Part of an important line of the log that says nothing about the file."""
_FILE_ERROR, _WHILE = "--- RDB ERROR DETECTED ---", "] While doing: "
"""Parts of the report about a damaged file, which is not marked as important."""


class LoadFailed(Exception):
    """The server ended while it loaded the data; the text is its last words."""


class SandboxServer:
    """One server in `place.directory / "server"`."""

    def __init__(self, place: Workplace, program: ServerProgram) -> None:
        self.program = program
        self._place = place
        self._base = place.directory / "server"
        self._sockets = self._base
        self._child: Child | None = None
        self._exit: int | None = None
        self._log = ServerLog()
        self._password = secrets.token_hex(16)

    @property
    def data(self) -> Path:
        """The directory of the data: the server finds its file here under the usual name."""
        return self._base / "data"

    @property
    def socket(self) -> Path:
        return self._sockets / "s"

    @property
    def login(self) -> Login:
        return Login(Address(socket=os.fspath(self.socket)), USER, self._password)

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    def make(self) -> None:
        """Make the directories. Raises SandboxUnavailable."""
        end_server(self._base)
        user = self._place.run_as
        self._sockets = make_base(
            self._base, "s", user, "drd does not run a server with restored data as root"
        )
        self.data.mkdir(mode=0o700)
        give(self.data, user)

    def start(self, users: Sequence[str], databases: int, within_s: float) -> None:
        """Start the server on what is in `data`, with these users of ACLs, and wait until it has
        loaded everything, as long as it loads more within `within_s`. Raises SandboxUnavailable,
        LoadFailed."""
        self._write_users(users)
        self._child = self._started(databases)
        try:
            self._await(self._child, within_s)
        except BaseException:
            self._end()
            raise

    def client(self) -> Client:
        return Client(self.login)

    def stop(self) -> None:
        """End the server at once and remove its files; idempotent."""
        self._end()
        end_server(self._base)
        self._log.close()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            self._exit = child.exit_code
            child.stop(signal.SIGKILL)

    def _write_users(self, users: Sequence[str]) -> None:
        """Write the ACL: the users of the source, and drd's own user, which drd needs if the user
        `default` of the source may not log in or may not read."""
        own = f"user {USER} on >{self._password} ~* &* +@all"
        lines = [line for line in users if line.split()[1:2] != [USER]]
        file = self._base / "users.acl"
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as out:  # noqa: PTH123
            text = "".join(f"{line}\n" for line in [*lines, own])
            out.write(text.encode("utf-8", "surrogateescape"))
        give(file, self._place.run_as)

    def _started(self, databases: int) -> Child:
        argv = [self.program.path]
        own = {
            **SETTINGS,
            "dir": os.fspath(self.data),
            "unixsocket": os.fspath(self.socket),
            "aclfile": os.fspath(self._base / "users.acl"),
            "databases": str(max(FEWEST_DATABASES, databases)),
        }
        for name, value in own.items():
            argv += [f"--{name}", value]
        (self._base / "log").unlink(missing_ok=True)
        log = self._log.open(self._base / "log")
        return process.start(self._command(argv), stdout=log, stderr=log)

    def _command(self, argv: list[str]) -> Command:
        own = dict.fromkeys((self._base, self._sockets))
        reads = [Path(os.path.realpath(argv[0]))]
        return Command(
            argv,
            env={"LC_ALL": "C"},
            cwd=self.data,
            user=self._place.run_as,
            drop_capabilities=True,
            death_signal=signal.SIGKILL,
            stop_signal=signal.SIGKILL,
            fence=self._place.fence(self._place.directory.name, own, reads=reads),
        )

    def _await(self, child: Child, within_s: float) -> None:
        end, loaded = time.monotonic() + within_s, 0
        pause = _POLL_S
        while child.exit_code is None and time.monotonic() < end:
            process.check_cancelled()
            try:
                so_far = self._loaded()
            except ServerRefused:
                raise
            except DrdError:
                so_far = 0  # it does not answer yet
            if so_far is None:
                return
            if so_far > loaded:
                end, loaded = time.monotonic() + within_s, so_far
                pause = _LOOK_S
            time.sleep(pause)
        if child.exit_code is None:
            done = f" after the first {format_size(loaded)}" if loaded else ""
            raise SandboxUnavailable(
                f"the sandbox's {self.program.version.words} has loaded no data for "
                f"{format_duration(round(within_s))}{done}: {self.last_words()}",
                hint="check the free memory and the load of this host, then try again.",
            )
        if failures := fence_failures(self._place):
            raise SandboxUnavailable(
                f"the fence of the sandbox cannot be set up: {failures}", hint="run drd doctor."
            )
        raise LoadFailed(self.last_words())

    def _loaded(self) -> int | None:
        """Return how many bytes of its file the server has loaded so far; None if it has loaded the
        whole file. Raises a DrdError while the server does not answer, ServerRefused if it refuses.
        """
        if not self.socket.exists():
            return 0
        with self.client() as client:
            try:
                client.ask("PING")
            except ServerRefused as error:
                if error.reason != "LOADING":
                    raise
                return number(info(client, "persistence"), "loading_loaded_bytes")
        return None

    @property
    def was_killed(self) -> bool:
        return self._exit in (-signal.SIGKILL, 128 + signal.SIGKILL)

    def logged(self) -> str:
        """Return the end of the server's log."""
        return self._log.text()

    def last_words(self) -> str:
        """Return the last important lines of the log, for a message."""
        lines = [line for line in self.logged().splitlines() if line.strip()]
        important = [line for line in lines if " # " in line and _ALWAYS_SAID not in line]
        telling = _about_file(lines) or important or lines
        said = " | ".join(line.partition(" # ")[2] or line for line in telling[-3:])
        return masked(escaped(said))[:_SAID] or "no log"


def _about_file(lines: Sequence[str]) -> list[str]:
    """Return what a server says of a damaged file. The lines with the names of keys are left out:
    such a name may be the secret of a session."""
    if _FILE_ERROR not in lines:
        return []
    after = lines[lines.index(_FILE_ERROR) + 1 :]
    return [line for line in after if line.startswith("[offset ") or _WHILE in line]


def load_error(
    server: SandboxServer, snapshot: ComponentSnapshot, modules: Sequence[str]
) -> DrdError:
    """Return the reason why a server could not load the file."""
    log, facts = server.logged(), snapshot.facts
    wrote = f"{facts['product'].capitalize()} {facts['version']}"
    here = server.program.version.words
    if "handle RDB format version" in log:
        return cannot_read(here, wrote, facts["format_version"], facts["product"])
    if "module" in log.lower() and modules:
        names = escaped(", ".join(sorted(modules)))
        return SandboxUnavailable(
            f"the data contains data of modules ({names}), which {here} of this host does not have",
            hint="set `bin_dir` of this component to the directory of a server with these modules "
            "built in: drd does not load modules.",
        )
    if server.was_killed or "out of memory" in log.lower():
        return SandboxUnavailable(
            f"the sandbox's {here} was killed while it loaded the data",
            hint=process.MEMORY_HINT,
            permanent=False,
        )
    if "acl" in log.lower() and "Error" in log:
        return SandboxUnavailable(
            f"{here} of this host does not accept the users of the source: {server.last_words()}",
            hint=f"install {wrote}: another version may know other commands and rights.",
        )
    return RepositoryDamaged(
        f"{here} cannot load the restored data: {server.last_words()}", hint=ANOTHER_POINT
    )


def saved_file(server: SandboxServer) -> Path:
    """Return the file that the sandbox's server has just saved. Raises OSError if it is no file."""
    file = server.data / DUMP
    os.close(modes.open_regular(file, os.O_RDONLY | os.O_NOFOLLOW))
    return file


def end_server(base: Path) -> list[int]:
    """End the processes of a server's directory, and remove it and its sockets; return the pids."""
    return servers.end_server(base, _BINARIES, ask=signal.SIGKILL)

"""A temporary MariaDB or MySQL server, made by the product's own program, reachable only through a
Unix socket, removed at the end.

Its data is lost in a crash of the host, and need not be kept. Everybody who can open its socket is
its administrator, so the socket is in a directory of mode 0700.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from drd import process
from drd.errors import DrdError, SandboxUnavailable, ToolError
from drd.exhaustion import place_of
from drd.kinds import servers
from drd.kinds.mariadb import dsn
from drd.kinds.mariadb.address import OPTIONS, Address
from drd.kinds.mariadb.connection import connect
from drd.kinds.mariadb.flavour import MARIADB, MYSQL, Flavour
from drd.kinds.mariadb.tools import Program, client, program, series, series_text
from drd.kinds.servers import ServerLog, fence_failure, give, make_base, require_passage
from drd.ports import Workplace
from drd.process import Child, Command

ADMIN = "root"
_SOCKET = "s"
START_S = 120.0


def sandbox_programs(version: str, bin_dir: str | None, flavour: Flavour = MARIADB) -> Program:
    """Return the installed server, which a sandbox can use if its series is that of the source or
    newer. Raises SandboxUnavailable if a program is missing or the server is older; the error then
    names both versions."""
    try:
        server = program(flavour.server, bin_dir)
        program(flavour.installer, bin_dir)
        client(bin_dir, None, flavour)
    except ToolError as error:
        raise SandboxUnavailable(
            f"this host has no {flavour.name} server for a sandbox: {error.message}",
            hint=error.hint,
        ) from error
    if version and series(server.version) < series(version):
        raise SandboxUnavailable(
            f"the {flavour.name} server of this host has version {server.version}, which is older "
            f"than the source's version {version}",
            hint=f"install {flavour.name} {series_text(version)} or newer on this host, or set "
            "`bin_dir` of the component to the directory of such programs.",
        )
    return server


def says_no_space(text: str) -> bool:
    words = (os.strerror(errno.ENOSPC), f"failed with error {errno.ENOSPC}", "is full", "Disk full")
    return any(word in text for word in words)


class ThrowAwayServer:
    """One server in `place.directory`."""

    def __init__(
        self,
        place: Workplace,
        server: Program,
        bin_dir: str | None,
        flavour: Flavour = MARIADB,
    ) -> None:
        self.program = server
        self.flavour = flavour
        self.settings: Mapping[str, str] = flavour.settings
        self._bin_dir = bin_dir
        self._place = place
        self._base = place.directory / "server"
        self._data = self._base / "data"
        self._sockets = self._base
        self._elsewhere: tuple[Path, ...] = ()
        self._child: Child | None = None
        self._log = ServerLog()

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    def address(self, database: str) -> Address:
        socket = str(self._sockets / _SOCKET)
        return Address(dsn.Parts(ADMIN, "", "", 0, socket, database, "", ssl=False))

    def start(self) -> None:
        """Remove what an earlier attempt left, make the server's files, start the server, and
        return when it answers. Does nothing if the server runs. Raises SandboxUnavailable, which
        says what is missing on this host."""
        if self.running:
            return
        end_server(self._base)
        self._make_directories()
        self._install()
        self._child = self._start()
        try:
            self._await(self._child)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server at once and remove its files; idempotent."""
        child, self._child = self._child, None
        if child is not None:
            child.stop(signal.SIGKILL)
        end_server(self._base)
        self._log.close()

    def _make_directories(self) -> None:
        user = self._place.run_as
        self._sockets = make_base(
            self._base,
            _SOCKET,
            user,
            f"{self.flavour.server} refuses to run as root",
            passage=self._require_passage,
        )
        for name in ("data", "tmp", "files"):
            (self._base / name).mkdir(mode=0o700)
            give(self._base / name, user)

    def _require_passage(self, there: Path, user: str) -> None:
        require_passage(there, user)

    def _install(self) -> None:
        product = self.flavour
        made = [f"--{name}={product.settings[name]}" for name in product.made_with]
        argv = [
            program(product.installer, self._bin_dir).path, "--no-defaults",
            f"--datadir={self._base / 'data'}", f"--tmpdir={self._base / 'tmp'}",
            *product.install_options, *made,
        ]  # fmt: skip
        done = process.run(self._command(argv, deadline_s=300.0))
        if done.exit_code != 0:
            raise SandboxUnavailable(
                f"{product.installer} of the sandbox failed: "
                f"{fence_failure(self._place) or done.complaint}",
                hint="check that there is free space, and that the user of the server may write "
                "to work_dir.",
            )

    def _start(self) -> Child:
        base = self._base
        argv = [
            self.program.path, "--no-defaults", f"--datadir={self._data}",
            f"--socket={self._sockets / _SOCKET}", f"--pid-file={base / 'pid'}",
            f"--tmpdir={base / 'tmp'}", f"--secure-file-priv={base / 'files'}",
            *(f"--{name}={value}" for name, value in self.settings.items()),
        ]  # fmt: skip
        log = self._log.open(base / "log")
        return process.start(self._command(argv), stdout=log, stderr=log)

    def _command(self, argv: list[str], *, deadline_s: float | None = None) -> Command:
        own = dict.fromkeys(
            Path(os.path.realpath(p)) for p in (self._base, self._sockets, *self._elsewhere)
        )
        reads = [Path(os.path.realpath(argv[0]))]
        return Command(
            argv,
            env={"LC_ALL": "C"},
            cwd=self._base,
            user=self._place.run_as,
            deadline_s=deadline_s,
            # Code that comes with the data runs in it: LOAD DATA reads any file that it may read.
            drop_capabilities=True,
            death_signal=signal.SIGKILL,
            stop_signal=signal.SIGKILL,
            fence=self._place.fence(self._place.directory.name, own, reads=reads),
        )

    def _await(self, child: Child) -> None:
        socket = self._sockets / _SOCKET
        end = time.monotonic() + START_S
        while child.exit_code is None and time.monotonic() < end:
            process.check_cancelled()
            if socket.exists():
                with suppress(DrdError):
                    connect(self.address("mysql")).close()
                    return
            time.sleep(0.05)
        if self.ran_out_of_space:
            raise SandboxUnavailable(
                f"no space left for the sandbox's {self.flavour.name} {self.program.version} in "
                f"{place_of(self._data)}",
                hint="free space on this disk, then try again.",
            )
        state = "did not answer in time" if child.exit_code is None else "ended at once"
        raise SandboxUnavailable(
            f"the sandbox's {self.flavour.name} {self.program.version} {state}: "
            f"{fence_failure(self._place) or self.last_words()}",
            hint="check the free memory and disk space of this host, then try again.",
        )

    @property
    def ran_out_of_space(self) -> bool:
        """Return whether the log reports a full disk (there may have been no space for this
        line)."""
        return says_no_space(self._log.text())

    def last_words(self) -> str:
        """Return the end of the server's log."""
        return self._log.last_lines()


def sweep(directory: Path) -> list[str]:
    """End the server that a killed drd left in a workplace directory, and remove its files."""
    notes = []
    base, landing, dump = (directory / name for name in ("server", "landing", "dump"))
    if base.is_dir() and not base.is_symlink():
        pids = end_server(base)
        notes.append(f"ended the abandoned server in {base} (pid {pids[0] if pids else '-'})")
    for left, what in ((landing, "download"), (dump, "pipe of a dump")):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
            notes.append(f"removed the {what} in {left}")
    for name in (OPTIONS, "my.cnf"):
        (directory / name).unlink(missing_ok=True)
    return notes


def end_server(base: Path) -> list[int]:
    """End the processes of a server's directory, and remove it and its sockets; return the pids."""
    data = base.parent.resolve() / base.name / "data"
    pids = servers.end_servers(data, MYSQL.server.encode(), ask=signal.SIGKILL)
    return pids + servers.end_server(base, MARIADB.server.encode(), ask=signal.SIGKILL)

"""A temporary PostgreSQL server: made with initdb, reachable only through a Unix socket, removed at
the end.

Its data is lost in a crash of the host, and need not be kept. Everybody who can open its socket is
its superuser, so the socket is in a directory of mode 0700.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from drd import process
from drd.errors import DrdError, SandboxUnavailable, ToolError
from drd.kinds.postgres.abandoned import end_server
from drd.kinds.postgres.address import NO_PASSFILE, NO_PASSWORD, Address
from drd.kinds.postgres.connection import connect, no_event_triggers
from drd.kinds.postgres.template import ClusterTemplate
from drd.kinds.postgres.tools import PostgresPrograms, programs_for
from drd.kinds.servers import ServerLog, fence_failure, give, make_base, require_passage
from drd.ports import Workplace
from drd.process import Child, Command, Completed

PORT = 5432
"""The port is only part of the socket's name."""

START_S = 60.0

OWN_SESSIONS = (
    "-c session_preload_libraries= -c local_preload_libraries= -c role=none"
    " -c default_transaction_read_only=off"
)
"""Options against settings that are restored with a database or its cluster: the libraries need not
exist here, and drd's sessions are the superuser's.
"""

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "archive_mode": "off",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    # A query on a table of thousands of partitions locks each with its indexes.
    "max_locks_per_transaction": "1024",
    # In files of its own directory: /dev/shm is small in containers, and keeps what a kill leaves.
    "dynamic_shared_memory_type": "mmap",
    "logging_collector": "off",
    "lc_messages": "C",
}
"""Settings for speed, because the data need not survive a crash; recorded with the measured RTA."""


def sandbox_programs(major: int, bin_dir: str | None, *, or_newer: bool = True) -> PostgresPrograms:
    """Return the programs of this major version, or of the next newer installed version, but never
    of an older one. Without `or_newer`, the error asks for exactly this version; the caller
    compares.
    """
    wanted = f" of version {major}{' or newer' * or_newer}" if major else ""
    package = f"postgresql-{major}" if major else "postgresql"
    try:
        if bin_dir is not None:
            with suppress(ToolError):
                return programs_for(major, "postgres", bin_dir=bin_dir)
        programs = programs_for(major, "postgres", bin_dir=None, package="postgresql")
    except ToolError as error:
        raise SandboxUnavailable(
            f"this host has no PostgreSQL server{wanted}: {error.message}",
            hint=f"apt-get install {package}",
        ) from error
    for name in ("initdb", "pg_restore"):
        if not programs.has(name):
            raise SandboxUnavailable(
                f"{name} is not in {programs.directory}", hint=f"apt-get install {package}"
            )
    return programs


def says_no_space(text: str) -> bool:
    """Return whether messages of an English-speaking server report a full disk; after a partial
    write only the hint says so.
    """
    return os.strerror(errno.ENOSPC) in text or "Check free disk space" in text


class ThrowAwayServer:
    """One server in `place.directory`; `superuser` has the same name as the source's."""

    def __init__(
        self,
        place: Workplace,
        programs: PostgresPrograms,
        *,
        superuser: str = "postgres",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.programs = programs
        self.superuser = superuser
        self.settings = {**SETTINGS, **(settings or {})}
        self._place = place
        self._base = place.directory / "server"
        self._child: Child | None = None
        self._log = ServerLog()
        self._sockets = self._base
        self._elsewhere: tuple[Path, ...] = ()

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    def address(self, database: str) -> Address:
        return Address(
            {
                "host": str(self._sockets),
                "port": str(PORT),
                "user": self.superuser,
                "dbname": database,
                "application_name": "drd",
                "options": f"{OWN_SESSIONS} {no_event_triggers(self.programs.major)}".strip(),
                "passfile": NO_PASSFILE,
            },
            password=NO_PASSWORD,
        )

    def start(self) -> None:
        """Run initdb and start the server, after removing what an earlier attempt left; return when
        it answers. Does nothing if it runs. Raises SandboxUnavailable with what is missing here.
        """
        if self.running:
            return
        end_server(self._base)
        self._make_directories()
        template = self._template()
        if template is not None and template.copy(self._data, self._as_user):
            try:
                self._run()
            except SandboxUnavailable:
                template.discard()
                self._make_directories()
            else:
                return
        self._initdb()
        if template is not None:
            template.keep(self._data, self._as_user, own=self._give_to_user)
        self._run()

    def _run(self) -> None:
        """Start the server on its cluster; if it does not answer, remove its directory."""
        self._child = self._postgres()
        try:
            self._await(self._child)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server at once and remove its files; idempotent."""
        child, self._child = self._child, None
        if child is not None:
            child.stop(signal.SIGQUIT)
        end_server(self._base)
        self._log.close()

    @property
    def _there(self) -> Path:
        """The server's directory by its real name: `_base` may be a path through a descriptor of
        this process, by which no other user gets there."""
        return Path(os.path.realpath(self._base))

    def _make_directories(self) -> None:
        self._sockets = make_base(
            self._base,
            f".s.PGSQL.{PORT}",
            self._place.run_as,
            "postgres refuses to run as root",
            passage=self._require_passage,
        )

    def _require_passage(self, there: Path, user: str) -> None:
        require_passage(there, user)

    def _give_to_user(self, directory: Path) -> None:
        give(directory, self._place.run_as)

    @property
    def _data(self) -> Path:
        return self._base / "data"

    @property
    def _initdb_command(self) -> Command:
        """Return the initdb command, which names no directory, so that it is the same for all
        servers. The encoding is that of the initial databases: in SQL_ASCII a role's name may be
        any bytes.
        """
        argv = [
            self.programs.path("initdb"), "--pgdata", "data",
            f"--username={self.superuser}", "--auth", "trust", "--encoding", "SQL_ASCII",
            "--no-locale",
            "--no-sync", "--no-instructions",
        ]  # fmt: skip
        return self._command(argv, deadline_s=120.0, fenced=True)

    def _template(self) -> ClusterTemplate | None:
        if self._place.shelf is None:
            return None
        initdb = self._initdb_command
        return ClusterTemplate(self._place.shelf, self.programs, initdb, self._place.run_as)

    def _as_user(self, argv: list[str]) -> Completed:
        return process.run(self._command(argv, deadline_s=120.0))

    def _initdb(self) -> None:
        done = process.run(self._initdb_command)
        if done.exit_code != 0:
            raise SandboxUnavailable(
                f"initdb of the sandbox failed: {fence_failure(self._place) or done.complaint}",
                hint="check that there is free space, and that the user of the "
                "server may write to work_dir.",
            )

    def _postgres(self) -> Child:
        argv = [self.programs.path("postgres"), "-D", str(self._there / "data"), "-p", str(PORT)]
        quoted = '"' + str(self._sockets).replace('"', '""') + '"'
        for name, value in {**self.settings, "unix_socket_directories": quoted}.items():
            argv += ["-c", f"{name}={value}"]
        log = self._log.open(self._base / "log")
        return process.start(self._command(argv, fenced=True), stdout=log, stderr=log)

    def _command(
        self, argv: list[str], *, deadline_s: float | None = None, fenced: bool = False
    ) -> Command:
        own = dict.fromkeys((self._there, self._sockets, *self._elsewhere))
        reads = [Path(os.path.realpath(p)) for p in (self.programs.directory.parent, argv[0])]
        return Command(
            argv,
            env={"LC_ALL": "C"},
            cwd=self._there,
            user=self._place.run_as,
            deadline_s=deadline_s,
            # Code that comes with the data runs in it: `COPY … FROM` any file that it may read.
            drop_capabilities=True,
            # Its immediate shutdown, which takes its children along and leaves nothing behind.
            death_signal=signal.SIGQUIT,
            stop_signal=signal.SIGQUIT,
            fence=self._place.fence(self._place.directory.name, own, reads=reads)
            if fenced
            else None,
        )

    def _await(self, child: Child) -> None:
        socket = self._sockets / f".s.PGSQL.{PORT}"
        end = time.monotonic() + START_S
        while child.exit_code is None and time.monotonic() < end:
            process.check_cancelled()
            if socket.exists():
                with suppress(DrdError):
                    connect(self.address("template1")).close()
                    return
            time.sleep(0.02)
        state = "did not answer in time" if child.exit_code is None else "ended at once"
        raise SandboxUnavailable(
            f"the sandbox's PostgreSQL {self.programs.version} {state}: "
            f"{fence_failure(self._place) or self.last_words()}",
            hint="check the free memory and disk space of this host, then try again.",
        )

    @property
    def ran_out_of_space(self) -> bool:
        """Return whether the log reports a full disk (there may have been no space for this
        line)."""
        return says_no_space(self._log.text())

    @property
    def was_killed(self) -> bool:
        """Whether the server, or one of its processes, ended in a way that no statement can
        cause."""
        if not self.running:
            return True
        return "was terminated by signal 9" in self._log.text()

    def last_words(self) -> str:
        """Return the end of the server's log."""
        return self._log.last_lines()

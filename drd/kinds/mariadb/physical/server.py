"""Servers of drd's own on the files of a whole server: one in a sandbox, one that prepares files
for the final place, and one that answers questions there.

Nothing of the source's configuration is used. Without the tables of rights (`skip-grant-tables`)
the server loads no plugin or function that the data names, and starts no event and no replication;
and its directory of plugins is empty."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from drd import log, process
from drd.errors import SandboxUnavailable, TargetError
from drd.kinds.data_directory import open_room
from drd.kinds.file_system import ANOTHER_POINT, remove
from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.connection import connect
from drd.kinds.mariadb.flavour import MARIADB
from drd.kinds.mariadb.physical.programs import Programs
from drd.kinds.mariadb.quoting import account, literal
from drd.kinds.mariadb.server import ThrowAwayServer, end_server, says_no_space
from drd.kinds.servers import fence_failure, give, no_space
from drd.log import masked
from drd.ports import Workplace
from drd.ports.destinations import DumpUnusable
from drd.process import Command

OPTIONS = "backup-my.cnf"
"""The options in a copy with which mariadb-backup prepares it; drd writes them anew."""

_OF_THE_COPY = (OPTIONS, "mariadb_backup_*", "xtrabackup_*")
_REPLICATION = ("master*.info", "relay-log*", "multi-master.info", "gvwstate.dat", "grastate.dat")
_MEMORY = "256M"
_STOP_S = 3600.0
_HERE = "localhost"

_CLOSED = {"skip-grant-tables": "1"}
_DURABLE = {"innodb-flush-log-at-trx-commit": "1", "innodb-doublewrite": "1"}


def of_source(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings without which a server cannot read the files, or would change them."""
    return {
        "innodb-data-file-path": str(facts["data_file_path"]),
        "innodb-page-size": str(facts["page_size"]),
        "innodb-undo-tablespaces": str(facts["undo_tablespaces"]),
        "lower-case-table-names": str(facts["lower_case_table_names"]),
    }


class RestoredServer(ThrowAwayServer):
    """A server on landed files, which become its own."""

    def __init__(self, place: Workplace, programs: Programs, facts: Mapping[str, Any]) -> None:
        super().__init__(place, programs.server, None)
        self._programs = programs
        self._source = of_source(facts)
        self._login: tuple[str, str] | None = None
        self.settings = {**MARIADB.settings, **self._source, **_CLOSED}

    @property
    def ready(self) -> Path:
        """The data directory, to be published."""
        return self._data

    def prepare(self, data: Path, on_tick: Callable[[], None]) -> None:
        """Take the files over, and bring all tables to the moment of the backup. Raises TargetError
        for a backup that MariaDB cannot recover, SandboxUnavailable for what is missing here."""
        end_server(self._base)
        self._make_directories()
        self._data.rmdir()
        data.rename(self._data)
        self._data.chmod(0o700)
        self._take_away(*_REPLICATION, OPTIONS)
        lines = ["[mysqld]", *(f"{key}={value}" for key, value in self._source.items())]
        with (self._data / OPTIONS).open("x", encoding="ascii") as file:
            file.write("\n".join([*lines, ""]))
        self._give_tree()
        open_room(self._place.directory, Path(os.path.realpath(self._base)), self._place.run_as)
        there = Path(os.path.realpath(self._data))
        argv = [
            self._programs.backup.path, f"--defaults-file={there / OPTIONS}", "--prepare",
            f"--target-dir={there}", f"--tmpdir={there.parent / 'tmp'}",
            f"--use-memory={_MEMORY}",
        ]  # fmt: skip
        done = process.run(self._command(argv), on_tick=on_tick)
        if done.exit_code != 0:
            said = masked(done.complaint).replace(f"{there}/", "")
            raise self._failure(said, full=says_no_space(f"{done.stderr}{done.stdout}"))
        self._take_away(*_OF_THE_COPY)

    @property
    def base(self) -> Path:
        """The directory for all files of the server."""
        return self._base

    @property
    def user(self) -> str | None:
        """The user under whom the server and its programs run; None for drd's own."""
        return self._place.run_as

    def command(self, argv: list[str]) -> Command:
        """Return the command that runs a client of the server, behind the server's fence."""
        command = self._command(argv)
        return replace(command, env={**(command.env or {}), "TMPDIR": str(self._base / "tmp")})

    def address(self, database: str) -> Address:
        address = super().address(database)
        return address.as_user(*self._login) if self._login is not None else address

    @contextmanager
    def writable(self) -> Iterator[None]:
        """Run the server in the body as `governed` does, and with a binary log, from which drd can
        read the replayed transactions. The server is shut down at the end of the body."""
        base = Path(os.path.realpath(self._base))
        written = base / "written"
        written.mkdir(mode=0o700)
        give(written, self._place.run_as)
        logged = {
            "log-bin": str(written / "log"), "binlog-format": "ROW", "binlog-row-image": "MINIMAL",
        }  # fmt: skip
        try:
            with self.governed(logged) as user:
                yield
                with connect(self.address("mysql")) as connection:
                    connection.execute("SET SESSION sql_log_bin = 0")
                    connection.execute(f"DROP USER {account(user, _HERE)}")
                self._shut()
        finally:
            remove(written)

    @contextmanager
    def governed(self, logged: Mapping[str, str] | None = None) -> Iterator[str]:
        """Run the server in the body, with its tables of rights. drd logs in as a new user, which
        has all rights, and whose name is yielded. `logged` are the settings of a binary log."""
        user, password = f"drd_{secrets.token_hex(4)}", secrets.token_urlsafe(24)
        log.mask(password)
        before = self.settings, self._base, self._data
        # The path may contain a descriptor of this process, which other processes cannot use.
        self._base = Path(os.path.realpath(self._base))
        self._data = Path(os.path.realpath(self._data))
        first, who = self._base / "first.sql", account(user, _HERE)
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(first, how, 0o600), "w", encoding="utf-8") as file:
            file.write(
                "SET SESSION sql_log_bin = 0;\n"
                f"CREATE USER {who} IDENTIFIED BY {literal(password)};\n"
                f"GRANT ALL PRIVILEGES ON *.* TO {who} WITH GRANT OPTION;\n"
            )
        give(first, self._place.run_as)
        without = (*_CLOSED, *(("skip-log-bin",) if logged else ()))
        kept = {k: v for k, v in self.settings.items() if k not in without}
        self.settings = {**kept, **(logged or {}), "init-file": str(first)}
        self._login = (user, password)
        try:
            self.run()
            first.unlink()
            yield user
        finally:
            self._login = None
            self.settings, self._base, self._data = before

    def _shut(self) -> None:
        """Shut the server down, so that its files need no crash recovery. Raises TargetError."""
        child, self._child = self._child, None
        if child is not None:
            child.stop(signal.SIGTERM, grace_s=_STOP_S)
        if child is not None and child.exit_code != 0:
            raise DumpUnusable(
                f"the restored server did not shut down: {self.last_words()}", hint=ANOTHER_POINT
            )
        (self._base / "log").unlink()

    def run(self) -> None:
        """Start the server, and return when it answers. Raises SandboxUnavailable."""
        (self._base / "plugins").mkdir(exist_ok=True)
        give(self._base / "plugins", self._place.run_as)
        self.settings = {**self.settings, "plugin-dir": str(self._base / "plugins")}
        self._child = self._start()
        try:
            self._await(self._child)
        except BaseException:
            self.stop()
            raise

    def _require_passage(self, there: Path, user: str) -> None:
        """Require nothing yet: only root can enter the directory until it is prepared."""

    def _take_away(self, *patterns: str) -> None:
        for pattern in patterns:
            for path in self._data.glob(pattern):
                remove(path)

    def _give_tree(self) -> None:
        """Give all files to the server's user; no link among them is followed."""
        user = self._place.run_as
        give(self._data, user)
        for _, directories, files, at in os.fwalk(self._data, follow_symlinks=False):
            for name in (*directories, *files):
                give(Path(name), user, within=at)

    def _failure(self, said: str, *, full: bool) -> SandboxUnavailable | TargetError:
        """Return the error for files that cannot be prepared. On a full disk mariadb-backup says so
        in one line, and then ends with many lines about damaged tables."""
        if fenced := fence_failure(self._place):
            return SandboxUnavailable(
                f"mariadb-backup cannot prepare the files: {fenced}",
                hint="see the finding `sandbox` of drd doctor.",
            )
        if full:
            return no_space(self._place.directory)
        return TargetError(
            f"mariadb-backup {self._programs.backup.version} cannot prepare the backup: {said}",
            hint=ANOTHER_POINT,
        )


class AskedServer(RestoredServer):
    """Answers questions on a data directory that has its final place, and is shut down afterwards.
    What it writes there survives a crash of the host."""

    def __init__(self, place: Workplace, programs: Programs, facts: Mapping[str, Any]) -> None:
        super().__init__(place, programs, facts)
        self.settings = {**self.settings, **_DURABLE}

    def run_on(self, data: Path) -> None:
        """Start it."""
        end_server(self._base)
        self._make_directories()
        self._data = data
        self._elsewhere = (data,)
        self.run()

    def stop(self) -> None:
        """Shut it down, and remove what it needed; the data directory stays."""
        child, self._child = self._child, None
        if child is not None:
            child.stop(signal.SIGTERM, grace_s=_STOP_S)
        end_server(self._base)
        self._log.close()

"""Start a server on the files of a backup of its whole directory, and roll it forward.

Everything that the backup says about how the server runs is left out: configuration, libraries,
archiving, replication. The WAL is in `pg_wal`; the server itself fetches nothing."""

from __future__ import annotations

import itertools
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from drd import process
from drd.errors import DrdError, SandboxUnavailable, TargetError
from drd.kinds.file_system import remove
from drd.kinds.postgres.abandoned import end_server
from drd.kinds.postgres.connection import UnknownLogin, connect
from drd.kinds.postgres.server import ThrowAwayServer, says_no_space
from drd.kinds.postgres.tools import PostgresPrograms
from drd.kinds.servers import fence_failure, give
from drd.ports import Workplace
from drd.ports.destinations import DumpUnusable
from drd.process import Child

OLDEST = 13
"""The oldest major version whose recovery drd knows."""

RECOVERY_S = 86400.0
"""How long a server may replay WAL."""

CONFIGURATION = ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf")
_CONFIGURATION_BYTES = 1 << 20
"""So much of a file of the backup is read: it may be as large as the repository says."""
_LEFT_OUT = ("standby.signal", "recovery.signal", "recovery.conf", "postmaster.pid")
_HBA = "local all all trust\n"
_PRELOADED = re.compile(
    r"^\s*(?:shared|session|local)_preload_libraries\s*=?\s*'([^'\n]*)'", re.MULTILINE
)
_CONTROL = {
    "max_connections setting": ("max_connections", 100),
    "max_worker_processes setting": ("max_worker_processes", 8),
    "max_prepared_xacts setting": ("max_prepared_transactions", 0),
    "max_locks_per_xact setting": ("max_locks_per_transaction", 1024),
}
"""Settings which the recovery of a server needs in the same size as the source had, with the
smallest values that drd sets."""

_LAST = re.compile(r"last completed transaction was at log time ([\d-]+ [\d:.]+)")
_STOPPED = re.compile(r"recovery stopping before commit of transaction \d+, time ([\d-]+ [\d:.]+)")
_FATAL = re.compile(r"(?:FATAL|PANIC):\s+(.*)")
_STOPS = ("recovery_target_time", "recovery_target_lsn", "recovery_target_xid")
_TOO_EARLY = "requested recovery stop point is before consistent recovery point"
_NO_TARGET = "recovery ended before configured recovery target was reached"
_MINIMAL = 'generated with "wal_level=minimal"'
_NOT_READY = "the database system is "
_ROLE_NAME = re.compile(r'rolname = "([^"\n]{1,63})"')
_OF_THE_HOST = ("shared memory", "could not allocate", "Cannot allocate", "could not load locale",
                "incompatible with operating system")  # fmt: skip


class RestoredServer(ThrowAwayServer):
    """The server of a landed backup. `until`: replay stops before that time; or `stop_at` are the
    settings that say where."""

    def __init__(
        self,
        place: Workplace,
        programs: PostgresPrograms,
        *,
        timeline: int,
        until: datetime | None = None,
        stop_at: Mapping[str, str] | None = None,
        on_tick: Callable[[], None] = lambda: None,
        superuser: str = "postgres",
        by_hand: str = "pgbackrest restore",
        verify: str = "pgbackrest verify",
    ) -> None:
        settings = {
            "hot_standby": "off",
            "restore_command": "false",
            "recovery_target_timeline": str(timeline),
            "max_logical_replication_workers": "0",
            "shared_preload_libraries": "",
            "log_timezone": "UTC",
            "timezone": "UTC",
        }
        if until is not None:
            settings |= {
                "recovery_target_time": until.isoformat(),
                "recovery_target_inclusive": "off",
                "recovery_target_action": "promote",
            }
        settings |= stop_at or {}
        super().__init__(place, programs, superuser=superuser, settings=settings)
        self._on_tick = on_tick
        self._by_hand = by_hand
        self._verify = verify
        self.libraries: tuple[str, ...] = ()
        self.last_transaction = ""

    @property
    def stopped(self) -> bool:
        """Whether the replay stopped at the time, before the end of the log."""
        return "recovery_target_time" in self.settings

    @property
    def stop_at(self) -> str:
        """The setting by which the replay stopped before the end of the log; empty if it did
        not."""
        return next((name for name in _STOPS if name in self.settings), "")

    def take_over(self, data: Path, spaces: Path) -> None:
        """Start on these files, which then belong to the server. Raises TargetError if PostgreSQL
        cannot recover the backup, SandboxUnavailable if something is missing here."""
        end_server(self._base)
        self._make_directories()
        if not (data / "PG_VERSION").is_file():
            raise DumpUnusable(
                "the backup does not contain the data directory of a PostgreSQL server",
                hint="choose another restore point: drd points PLAN",
            )
        self.libraries = _preloaded(data)
        data.rename(self._data)
        if spaces.is_dir():
            make_way(self._spaces)
            spaces.rename(self._spaces)
        self._link_tablespaces()
        self._configure()
        self._give_tree()
        self.settings |= self._as_its_source()
        while not self._runs():
            (self._base / "log").unlink(missing_ok=True)

    def _runs(self) -> bool:
        """Start the server; false if it has to be started again, in another way."""
        child = self._child = self._postgres()
        try:
            self._await(child)
        except _TargetNotReached:
            # All of the log is from before that time: then all of it belongs to the state.
            self.settings.pop("recovery_target_time")
        except UnknownLogin:
            child.stop(signal.SIGINT)
            self.superuser = self._bootstrap_role()
        except BaseException:
            self.stop()
            raise
        else:
            return True
        return False

    @property
    def _spaces(self) -> Path:
        return self._base / "tablespaces"

    def _link_tablespaces(self) -> None:
        links, there = self._data / "pg_tblspc", Path(os.path.realpath(self._spaces))
        for link in links.iterdir() if links.is_dir() else ():
            with suppress(OSError):
                name = link.readlink().name
                link.unlink()
                link.symlink_to(there / name)

    def _configure(self) -> None:
        for name in (*CONFIGURATION, *_LEFT_OUT, "pg_replslot"):
            self._take_away(name)
        (self._data / "pg_replslot").mkdir(0o700)
        for name in CONFIGURATION:
            with (self._data / name).open("x", encoding="ascii") as file:
                file.write(_HBA if name == "pg_hba.conf" else "")
        (self._data / "recovery.signal").touch(exist_ok=False)
        self._data.chmod(0o700)

    def _take_away(self, name: str) -> None:
        """Remove from the data directory a file that is valid for the source only, such as its
        configuration."""
        remove(self._data / name)

    def _give_tree(self) -> None:
        """Give all files to the server's user; no link among them is followed."""
        give(self._data, self._place.run_as)
        for top in dict.fromkeys((self._data, self._spaces)):
            for _, directories, files, at in os.fwalk(top, follow_symlinks=False):
                for name in (*directories, *files):
                    give(Path(name), self._place.run_as, within=at)
        if self._spaces.is_dir():
            give(self._spaces, self._place.run_as)

    def _as_its_source(self) -> Mapping[str, str]:
        done = self._as_user(
            [self.programs.path("pg_controldata"), "-D", str(self._there / "data")]
        )
        if done.exit_code != 0:
            raise DumpUnusable(
                f"pg_controldata cannot read the backup: {done.complaint}",
                hint="choose another restore point: drd points PLAN",
            )
        said = dict(line.partition(":")[::2] for line in done.stdout.splitlines())
        own_settings = {}
        for line, (setting, least) in _CONTROL.items():
            value = said.get(line, "").strip()
            own_settings[setting] = str(max(least, int(value) if value.isdecimal() else 0))
        return own_settings

    def _bootstrap_role(self) -> str:
        """Return the name of the role that initdb made, from a server for one user."""
        words = [self.programs.path("postgres"), "--single", "-D", str(self._there / "data")]
        for name, value in self.settings.items():
            words += ["-c", f"{name}={value}"]
        command = self._command([*words, "template1"], deadline_s=120.0, fenced=True)
        query = b"select rolname from pg_catalog.pg_authid where oid = 10\n"
        done = process.run(command, stdin=query)
        match = _ROLE_NAME.search(done.stdout)
        if match is None or match[1] == self.superuser:
            raise SandboxUnavailable(
                f"drd cannot find the superuser of the server: {done.complaint}",
                hint=f"restore the backup by hand: {self._by_hand}.",
            )
        return match[1]

    def _await(self, child: Child) -> None:
        socket = self._sockets / ".s.PGSQL.5432"
        end = time.monotonic() + RECOVERY_S
        while child.exit_code is None and time.monotonic() < end:
            process.check_cancelled()
            self._on_tick()
            if socket.exists():
                try:
                    connect(self.address("template1")).close()
                except UnknownLogin:
                    self._note_end()
                    raise
                except DrdError:
                    pass  # it does not let anybody in yet
                else:
                    self._note_end()
                    return
            time.sleep(0.1)
        self._fail(child)

    def _note_end(self) -> None:
        for pattern in (_STOPPED, _LAST):
            if matches := pattern.findall(self._log.text()):
                self.last_transaction = matches[-1][:19]

    def _fail(self, child: Child) -> None:
        logged = self._log.text()
        if _NO_TARGET in logged and self.stopped:
            raise _TargetNotReached
        # Those of the sessions by which drd asks whether the server is ready say nothing.
        fatal = [f for f in _FATAL.findall(logged) if not f.startswith(_NOT_READY)]
        if _MINIMAL in logged:
            raise TargetError(
                "the log cannot be replayed to this place: the server wrote a part of it with "
                "wal_level=minimal",
                hint="choose a time before that part (--before TIME), or a restore point from "
                "after it (drd points PLAN shows them).",
            )
        if _TOO_EARLY in logged:
            raise TargetError(
                "the backup ended only after the place at which the replay should stop",
                hint="choose an older restore point, together with --before: --point ID --before "
                "TIME (drd points PLAN shows them).",
            )
        why = fence_failure(self._place) or (fatal[-1] if fatal else self.last_words())
        if says_no_space(logged):
            raise SandboxUnavailable(
                f"no space left for the sandbox in {self._place.directory}",
                hint="free space, or set work_dir to a larger disk.",
            )
        if child.exit_code is None:
            why = f"the recovery did not finish within {RECOVERY_S / 3600:.0f} hours"
        if (
            fence_failure(self._place)
            or self.was_killed_from_outside
            or any(w in why for w in _OF_THE_HOST)
        ):
            raise SandboxUnavailable(
                f"PostgreSQL {self.programs.version} cannot run the backup on this host: {why}",
                hint="check memory, and that this host has the locales of the source.",
            )
        raise DumpUnusable(
            f"PostgreSQL {self.programs.version} cannot recover the backup: {why}",
            hint="the backup or its WAL is damaged: choose another restore point (drd points "
            f"PLAN), and verify the repository: {self._verify}.",
        )

    @property
    def was_killed_from_outside(self) -> bool:
        return self._child is not None and self._child.exit_code == -signal.SIGKILL


def make_way(place: Path) -> None:
    """Free the name `place` for the tablespaces. Earlier recoveries may have left directories
    there. Empty ones are removed: their tablespaces were dropped. If files are left, `place` is
    renamed to `NAME.unused.N`."""
    if not place.is_dir() or place.is_symlink():
        return
    for directory, _, _ in os.walk(place, topdown=False):
        with suppress(OSError):
            Path(directory).rmdir()
    if place.is_dir():
        beside = (place.with_name(f"{place.name}.unused.{n}") for n in itertools.count(1))
        place.rename(next(name for name in beside if not os.path.lexists(name)))


class _TargetNotReached(Exception):
    """The log ends before the time at which the replay should stop."""


def _preloaded(data: Path) -> tuple[str, ...]:
    """Return the libraries that the source's server loads, as far as the backup says them."""
    libraries: dict[str, None] = {}
    for name in ("postgresql.conf", "postgresql.auto.conf"):
        file = data / name
        with suppress(OSError):
            if not file.is_symlink():
                with file.open("rb") as opened:
                    text = opened.read(_CONFIGURATION_BYTES).decode("utf-8", "replace")
                for listed in _PRELOADED.findall(text):
                    libraries |= dict.fromkeys(
                        w.strip(' "') for w in listed.split(",") if w.strip()
                    )
    return tuple(n for n in libraries if n.isprintable())[:20]

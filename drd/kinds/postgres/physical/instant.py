"""A sandbox whose server reads the mounted restore point: it starts at once, whatever the size, and
only what somebody asks for is read.

What the server opens, it opens for writing, so the layer above the mount gets a whole copy of that
file. That is what the evidence counts as read, with the files whose checksums are compared here."""

from __future__ import annotations

import errno
import json
import os
import pwd
import re
import signal
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from drd import process
from drd.errors import RepositoryDamaged, SandboxUnavailable
from drd.exhaustion import system_reason
from drd.instant.mounter import CHANGES, SHOWN
from drd.kinds.file_system import ANOTHER_POINT
from drd.kinds.postgres.abandoned import end_server
from drd.kinds.postgres.connection import words
from drd.kinds.postgres.physical.base_backup import MANIFEST
from drd.kinds.postgres.physical.combine import LINKS, Landed, verify
from drd.kinds.postgres.physical.landed import programs_of, require_known, require_plain
from drd.kinds.postgres.physical.manifest import DATA, SPACES
from drd.kinds.postgres.physical.sandbox import (
    ClusterSandbox,
    restored,
    server_of,
)
from drd.kinds.postgres.restored_server import RestoredServer
from drd.kinds.postgres.tools import PostgresPrograms
from drd.kinds.servers import end_servers, give
from drd.model.instant import Reading
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Restored, Workplace
from drd.process import rights
from drd.process.mounter import clear_room

ROOM = "instant"
"""The directory in the workplace that has the mounts."""

TABLES = ("base", LINKS)
"""Where the files of tables and indexes are: of these, only those are read that somebody asks for.
"""


_NOT_READ = re.compile(
    r'could not (?:open|read|access)\b[^"\n]*file "([^"\n]+)": Input/output error'
)


class InstantServer(RestoredServer):
    """Runs on the shown files, which stay where they are shown."""

    def run_over(self, files: Path) -> None:
        """Start it. Raises as `take_over` does."""
        end_server(self._base)
        self._make_directories()
        self._shown = files
        self._elsewhere = (files,)
        (self._base / DATA).symlink_to(files / DATA)
        with self._as_its_user():
            self._link_tablespaces()
            self._configure()
        self.settings |= self._as_its_source()
        while not self._runs():
            (self._base / "log").unlink(missing_ok=True)

    def not_read(self) -> set[str]:
        """Return the files that the server could not read, according to its log. Code in the
        restored data can write to this log as well."""
        return set(_NOT_READ.findall(self._log.text()))

    @property
    def _data(self) -> Path:
        return self._shown / DATA

    @property
    def _spaces(self) -> Path:
        return self._shown / SPACES

    @contextmanager
    def _as_its_user(self) -> Iterator[None]:
        """In the mounts there is no other user, not even root."""
        user = self._place.run_as
        if user is None:
            yield
            return
        account = pwd.getpwnam(user)
        with (
            rights.root(rights.Purpose.OWNERS),
            rights.as_user(rights.account(account.pw_uid, account.pw_gid)),
        ):
            yield


class InstantSandbox(ClusterSandbox):
    """Implements `Destination` and `ReadsInPlace`."""

    def __init__(
        self, component: str, bin_dir: str | None, snapshot: ComponentSnapshot, place: Workplace
    ) -> None:
        super().__init__(component, bin_dir, snapshot, place)
        self._read_anyway: frozenset[str] = frozenset()
        self._files: Mapping[str, int] = {}

    def user(self) -> tuple[int, int]:
        if self._place.run_as is None:
            return os.geteuid(), os.getegid()
        account = pwd.getpwnam(self._place.run_as)
        return account.pw_uid, account.pw_gid

    def room(self) -> Path:
        return self._place.directory / ROOM

    def own(self, place: Path) -> None:
        give(place, self._place.run_as)

    def below(self, snapshot: ComponentSnapshot) -> str:
        return str(snapshot.facts["place"]).strip("/")

    def _start(self, snapshot: ComponentSnapshot, on_tick: Callable[[], None]) -> Restored:
        programs = programs_of(snapshot, self._bin_dir)
        if os.geteuid() == 0 and self._place.run_as is None:
            raise SandboxUnavailable(
                "postgres refuses to run as root", hint="set run_as in drd.yaml to another user."
            )
        files = Path(os.path.realpath(self.room() / SHOWN))
        with _readable():
            self._prove(files, snapshot, programs)
        server = server_of(InstantServer, snapshot, programs, self._place, on_tick)
        self._server = server
        with _readable():
            server.run_over(files)
            return restored(snapshot, server)

    def _prove(self, files: Path, snapshot: ComponentSnapshot, programs: PostgresPrograms) -> None:
        """Prove what can be proven without reading the tables."""
        landed = Landed(files / DATA, files / SPACES)
        require_plain(landed, snapshot.facts["tablespaces"])
        require_known(landed, snapshot.facts["manifest_digest"])
        self._files = listed(landed)
        require_listed(landed, self._files)
        self._read_anyway = frozenset(n for n in self._files if not n.startswith(_TABLES))
        run_as = self._place.run_as
        verify(files, landed, programs, self._place, without=TABLES, user=run_as)

    def read(self) -> Reading:
        """Return what was read. The server does not write a file before it has opened it, and so
        the layer of changes has every file that it has opened."""
        changes = self.room() / CHANGES
        opened = {name for name in self._files if _is_there(changes / _path(name))}
        known = opened | self._read_anyway
        return Reading(
            self._component,
            sum(self._files[name] for name in known),
            sum(self._files.values()),
            len(known),
            len(self._files),
        )

    def unreadable(self) -> RepositoryDamaged | None:
        server, shown = self._server, self.room() / SHOWN
        if not isinstance(server, InstantServer):
            return None
        for name in sorted(server.not_read() & self._files.keys()):
            try:
                _read_through(shown / _path(name))
            except OSError as error:
                if error.errno == errno.EIO:
                    return RepositoryDamaged(
                        f"the server cannot read file {name} of the backup: {system_reason(error)}",
                        hint=ANOTHER_POINT,
                    )
        return None


def _read_through(file: Path) -> None:
    """Read a file to its end, to find out whether all of it can be read. Raises OSError if not."""
    with file.open("rb", buffering=0) as opened:
        while opened.read(_PIECE):
            process.check_cancelled()


_PIECE = 1 << 20
_UNREADABLE = ("58030", "XX001", "XX002")
"""What PostgreSQL calls a file that it cannot read, and a damaged page of a table or an index."""

_TABLES = tuple(f"{name}/" for name in TABLES)


@contextmanager
def _readable() -> Iterator[None]:
    """Raise RepositoryDamaged for files that drd or the server cannot read; a full disk keeps its
    own error."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate not in _UNREADABLE:
            raise
        raise RepositoryDamaged(
            f"the server cannot read the files of the backup: {words(error)}", hint=ANOTHER_POINT
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RepositoryDamaged(
            f"the files of the backup cannot be read: {system_reason(error)}", hint=ANOTHER_POINT
        ) from error


def _path(name: str) -> str:
    """Return where a file of the manifest of pg_basebackup lies in the copy. Files of a tablespace
    lie beside the data directory."""
    head, _, rest = name.partition("/")
    return f"{SPACES}/{rest}" if head == LINKS else f"{DATA}/{name}"


def _is_there(place: Path) -> bool:
    try:
        return stat.S_ISREG(place.lstat().st_mode)
    except OSError:
        return False


def listed(landed: Landed) -> dict[str, int]:
    """Return the sizes of the files by the names that the manifest of pg_basebackup gives them.
    The digest of that manifest is known to be right."""
    try:
        manifest = json.loads((landed.data / MANIFEST).read_bytes())
        return {_name(entry): int(entry["Size"]) for entry in manifest["Files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RepositoryDamaged(
            f"{MANIFEST} in the backup cannot be read", hint=ANOTHER_POINT
        ) from error


def _name(entry: Mapping[str, Any]) -> str:
    if "Path" in entry:
        return str(entry["Path"])
    return os.fsdecode(bytes.fromhex(entry["Encoded-Path"]))


_NOT_LISTED = (MANIFEST, "pg_wal/", "postgresql.auto.conf", "postgresql.conf")
"""What pg_verifybackup does not miss in the list, either: the WAL has a list of its own."""


def require_listed(landed: Landed, files: Mapping[str, int]) -> None:
    """Compare the names and sizes of all files with the list. Reads none of them."""
    missing = dict(files)
    for place, name in _found(landed):
        process.check_cancelled()
        size = missing.pop(name, None)
        if size is None and name.startswith(_NOT_LISTED):
            continue
        if size is None:
            raise _differs(f"{name} is a file too many")
        if (length := place.stat(follow_symlinks=False).st_size) != size:
            raise _differs(f"{name} has {length:,} bytes, and should have {size:,}")
    if missing:
        raise _differs(f"{min(missing)} is missing")


def _differs(what: str) -> RepositoryDamaged:
    return RepositoryDamaged(
        f"the backup is damaged or incomplete: {what}, by the list of pg_basebackup",
        hint=ANOTHER_POINT,
    )


def _found(landed: Landed) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Return all files, each with its name in the manifest."""
    waiting = [(str(landed.data), "")]
    if landed.spaces.is_dir():
        waiting.append((str(landed.spaces), f"{LINKS}/"))
    while waiting:
        directory, prefix = waiting.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_symlink():
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    yield entry, f"{prefix}{entry.name}"


def swept(directory: Path) -> list[str]:
    """Unmount what a killed drill has left in its workplace, and say it."""
    room = directory / ROOM
    if not room.is_dir() or room.is_symlink():
        return []
    end_servers(Path(os.path.realpath(room / SHOWN / DATA)), b"postgres", ask=signal.SIGQUIT)
    return [f"unmounted the restore point that was shown in {room}"] if clear_room(room) else []

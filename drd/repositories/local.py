"""A repository's place in a local directory."""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Literal

from drd import modes
from drd.errors import (
    RepositoryError,
    RepositoryMissing,
    RepositoryReadOnly,
    RepositoryUnreachable,
)
from drd.model.finding import Finding
from drd.model.finding_codes import PROTECTION
from drd.process import rights
from drd.process.mounts import mount_of, mounted
from drd.repositories.place import (
    CONTENTS,
    LARGEST_CONFIG,
    MOST_OBJECTS,
    NO_SPACE,
    Kept,
    StoredObject,
    config_lost,
    digest_of,
    is_id,
    lock_names,
)
from drd.users import user_name


class LocalPlace:
    """An absolute path that is, or will become, the directory of a repository."""

    by_file = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = str(path)

    def preflight(self, *, writing: bool = True) -> None:
        """Check that the directory may be written, or that it is missing and its parent may be
        written.

        Only the last part of the path is ever made: a missing parent is more likely a disk that is
        not mounted.
        """
        try:
            exists = self.path.exists()
        except OSError as error:
            raise self._unreachable(error) from error
        if exists and not self.path.is_dir():
            raise RepositoryError(
                f"{self.path} is not a directory",
                hint="give the repository the path of a directory.",
            )
        if not exists and not self.path.parent.is_dir():
            raise RepositoryMissing(
                f"directory {self.path.parent} does not exist",
                hint=f"mount the disk, or run: mkdir -p {shlex.quote(str(self.path.parent))}",
                state="gone",
            )
        try:
            empty = not (self.path / "config").exists()
        except OSError as error:
            raise self._unreachable(error) from error
        if writing or empty:
            _require_writable(self.path, exists=exists)
        self._require_readable()

    def probe(self) -> str | None:
        try:
            return digest_of(modes.read_regular(self.path / "config", LARGEST_CONFIG, how=0))
        except (FileNotFoundError, NotADirectoryError):
            if self._is_there():
                return None
        except OSError as error:
            raise self._unreachable(error) from error
        raise RepositoryMissing(
            f"directory {self.path} does not exist",
            hint="mount the disk, or find out who removed the directory.",
            state="gone",
        )

    def _is_there(self) -> bool:
        try:
            return self.path.is_dir()
        except OSError as error:
            raise self._unreachable(error) from error

    def try_to_make(self) -> bool:
        self.preflight()
        return True

    def read_only(self) -> bool:
        """Checked beforehand, because restic tries for minutes to write its lock."""
        return self.path.is_dir() and not os.access(self.path, os.W_OK, effective_ids=True)

    def clock_ahead_s(self) -> float | None:
        """Measured by the time that the file system gives to a new file. A file server takes it
        from its own clock.
        """
        try:
            made = _time_of_new_file(self.path)
        except OSError:
            return None
        return time.time() - made

    def free_bytes(self) -> int | None:
        """Return the free bytes of the file system where the directory is, or will be made; None if
        unknown. The reserve that only root can use does not count, as everywhere else, so that two
        findings about one disk agree."""
        there = next((p for p in (self.path, *self.path.parents) if p.exists()), None)
        if there is None:
            return None
        disk = os.statvfs(there)
        return disk.f_bavail * disk.f_frsize if disk.f_blocks else None

    def missing(self, snapshots: Sequence[str]) -> list[str]:
        return [s for s in snapshots if not (self.path / "snapshots" / s).exists()]

    def lock_files(self) -> Mapping[str, float]:
        now, ages = time.time(), {}
        try:
            for path in (self.path / "locks").iterdir():
                with suppress(FileNotFoundError):
                    ages[path.name] = now - path.stat().st_mtime
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise self._unreachable(error) from error
        return ages

    def locks(self) -> frozenset[str]:
        return lock_names(self.lock_files())

    def objects(self, below: Kept) -> Mapping[str, StoredObject]:
        try:
            with os.scandir(self.path / below) as entries:
                return dict(islice(_files(entries), MOST_OBJECTS))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise self._unreachable(error) from error

    def read(self, name: str, most: int) -> bytes | None:
        try:
            # Follow no link, and do not wait for a pipe that nobody writes into.
            fd = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(fd, "rb") as file:
                return file.read(most) if stat.S_ISREG(os.fstat(fd).st_mode) else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:  # of this one
            raise RepositoryError(
                f"cannot read {self.path / name}: {error.strerror}",
                hint="give the user that runs drd the right to read this file.",
            ) from error
        except OSError as error:
            raise self._unreachable(error) from error

    def unfinished_keys(self) -> list[str]:
        if (self.path / "config").exists() or not (self.path / "keys").is_dir():
            return []
        for name in CONTENTS:
            if any(p.is_file() for p in (self.path / name).rglob("*")):
                raise config_lost(self.url)
        return sorted(p.name for p in (self.path / "keys").iterdir())

    def put_mark(self, name: str) -> None:
        try:
            for directory in (self.path, self.path / "locks"):
                if not directory.is_dir():
                    rights.make_for_owner(directory)
            (self.path / "locks" / name).touch()
        except OSError as error:
            raise RepositoryError(
                f"cannot write below {self.path}: {error.strerror}",
                hint="check the disk, its mount, and the rights of the user that runs drd.",
            ) from error

    def remove(self, below: Literal["keys", "locks"], names: Iterable[str]) -> None:
        try:
            for name in names:
                (self.path / below / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._unreachable(error) from error

    def removal(self, name: str) -> str:
        return shlex.join(["rm", "-f", "--", str(self.path / name)])

    def list_command(self, below: Kept) -> str:
        return shlex.join(["ls", "-lctr", "--", str(self.path / below)])

    def findings(self, protection: str | None) -> list[Finding]:
        if protection in (None, "none"):
            return []
        detail = (
            f"the plan has `protection: {protection}`, but nothing protects a local directory from "
            "its owner"
        )
        hint = (
            "store a copy in a bucket with Object Lock; for this directory, set protection: none."
        )
        return [Finding(PROTECTION, "error", "", detail, hint)]

    def _require_readable(self) -> None:
        """List the directory: a network file system that is gone answers with an error only when it
        is read.
        """
        if self.path.is_dir():
            try:
                next(self.path.iterdir(), None)
            except OSError as error:
                raise self._unreachable(error) from error

    def _unreachable(self, error: OSError) -> RepositoryUnreachable:
        return RepositoryUnreachable(
            f"cannot read {self.path}: {error.strerror}",
            hint="check the disk and its mount, and the rights of the user that runs drd.",
        )


def _files(entries: Iterable[os.DirEntry[str]]) -> Iterator[tuple[str, StoredObject]]:
    for entry in entries:
        if not is_id(entry.name):
            continue
        with suppress(FileNotFoundError):
            told = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(told.st_mode):
                # ctime, because everybody can set mtime.
                yield entry.name, StoredObject(told.st_size, told.st_ctime)


def _time_of_new_file(directory: Path) -> float:
    """Use a file without a name, where the file system supports that."""
    try:
        fd = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        with tempfile.NamedTemporaryFile(prefix=".drd-clock-", dir=directory) as file:
            return os.fstat(file.fileno()).st_mtime
    try:
        return os.fstat(fd).st_mtime
    finally:
        os.close(fd)


def _require_writable(place: Path, *, exists: bool) -> None:
    needed = (place, *_directories(place)) if exists else (place.parent,)
    closed = next((p for p in needed if not rights.may_write(p)), None)
    if closed is None:
        _require_space(place if exists else place.parent)
        return
    if os.statvfs(closed).f_flag & os.ST_RDONLY:
        mount = mount_of(mounted(), str(closed.resolve()))
        if mount is not None and not mount.file_system_read_only:  # as ProtectSystem=strict
            raise RepositoryReadOnly(
                f"{closed} is mounted read-only for this program, but its file system is not",
                hint="if the service reports this, its unit does not allow the service to write "
                "there: drd doctor --as-service PLAN says what to change. Otherwise remount the "
                "directory with rw, or use another place.",
            )
        raise RepositoryReadOnly(
            f"{closed} is mounted read-only",
            hint="remount the file system with rw, or use another place.",
        )
    user = user_name(os.geteuid())
    hint = f"run as root, to make the directory: install -d -o {user} -m 700 {place}"
    if exists:
        hint = f"run as root, to give the repository to this user: chown -R {user} {place}"
    raise RepositoryReadOnly(f"user {user} cannot write in {closed}", hint=hint)


def _require_space(place: Path) -> None:
    """Require that the disk is not completely full: on a full disk, restic cannot even write a
    lock. Root can still use the reserve."""
    disk = os.statvfs(place)
    free = disk.f_bfree if rights.may_be_root() else disk.f_bavail
    if free == 0 and disk.f_blocks:
        raise RepositoryReadOnly(f"no space left for the repository at {place}", hint=NO_SPACE)


def _directories(place: Path) -> Iterator[Path]:
    """Return the directories in which restic makes files, as far as they are there: a user who
    owns only the repository itself could store nothing."""
    for name in ("keys", "locks", "snapshots", "index", "data"):
        if (place / name).is_dir():
            yield place / name
    with suppress(OSError):
        yield from (p for p in (place / "data").iterdir() if p.is_dir())

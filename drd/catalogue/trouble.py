"""Explain an error of a database or file system: what it means, and what to do. Standard library
only, because `drd status` uses it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from drd.errors import CatalogueError, NoCatalogue

OWNER_HINT = "only its owner and root can open it: run this command with sudo."
NOTHING_YET_HINT = "no plan was loaded yet; `drd backup PLAN` creates the catalogue."
_UNWRITABLE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM)


def no_catalogue(place: str) -> NoCatalogue:
    """Return the error for a catalogue that does not exist or has no tables."""
    return NoCatalogue(f"there is no catalogue of drd at {place}", hint=NOTHING_YET_HINT)


def disk_full(place: str) -> CatalogueError:
    return CatalogueError(
        f"the disk of drd's catalogue is full: {place}",
        hint="free space on this disk. drd's records are not lost.",
        trouble="full",
    )


def busy(place: str) -> CatalogueError:
    """Return the error for a locked catalogue. A retry can help, so it is not permanent."""
    error = CatalogueError(
        f"another process has locked drd's catalogue: {place}",
        hint="try again. To find the process that locks the catalogue: fuser -v " + place,
        trouble="busy",
    )
    error.permanent = False
    return error


def read_only(place: str) -> CatalogueError:
    return CatalogueError(
        f"the file system of drd's catalogue is read-only: {place}",
        hint="drd's records are not lost. Find the reason in `dmesg` and repair the disk, then: "
        "mount -o remount,rw MOUNTPOINT",
        trouble="read-only",
    )


def not_allowed(place: str) -> CatalogueError:
    return CatalogueError(
        f"this user may not use drd's catalogue: {place}", hint=OWNER_HINT, trouble="denied"
    )


def damaged(path: Path, why: object) -> CatalogueError:
    """Return the error for a damaged catalogue. It names the copies that migrations kept, if there
    are any."""
    copies = sorted(str(p) for p in path.parent.glob(f"{path.name}.before-*"))
    kept = ""
    if copies:
        aside = path.parent / "aside"
        kept = (
            f"kept copies: {', '.join(copies)}. To return to one, stop drd, "
            f"`mkdir -m 0700 {aside}`, `find {path.parent} -maxdepth 1 -name {path.name} -o "
            f"-name '{path.name}-*' | xargs mv -t {aside}`, `cp -p {copies[-1]} {path}`, start "
            "drd, `drd catalogue rebuild`. Without a copy, "
        )
    return CatalogueError(
        f"drd's catalogue is damaged: {path}: {why}",
        hint=f"{kept}`drd catalogue rebuild` renames this file, and makes a new catalogue with "
        "the restore points of the repositories.",
        trouble=f"damaged: {why}",
    )


def no_file(place: str) -> CatalogueError:
    return CatalogueError(
        f"drd's catalogue is not a regular file: {place}",
        hint=f"`ls -l {place}` shows its type and owner. Move it away, then: drd catalogue rebuild",
        trouble="no-file",
    )


def malformed(path: Path | None, place: str, what: str) -> CatalogueError:
    """Return the error for a malformed value; `what` names the value. `path` is None for a
    catalogue in PostgreSQL."""
    if path is not None:
        return damaged(path, what)
    return CatalogueError(
        f"drd's catalogue is damaged: {place}: {what}",
        hint="correct this row in PostgreSQL, or restore a backup of the catalogue's database.",
        trouble=f"damaged: {what}",
    )


def wrong_version(place: str, found: str, known: str) -> CatalogueError:
    """Return the error for tables of another version than this code's."""
    if found > known:
        hint = "install the newer version of drd again; or restore an older copy of the catalogue"
        hint += f": {place}.before-*" if place.startswith("/") else "'s database."
    else:
        hint = "`systemctl restart drd`, or the next `drd backup`, upgrades it."
    return CatalogueError(
        f"drd's catalogue {place} has version {found}, but this drd works only with version "
        f"{known}",
        hint=hint,
        trouble="version",
    )


def former_daemon(place: str, version: str) -> CatalogueError:
    """Return the error for tables that the running daemon of a former version still uses: it could
    not use them any more after an upgrade."""
    return CatalogueError(
        f"a daemon of an older version of drd is running, and needs version {version} of the "
        f"catalogue {place}. So this command does not upgrade the catalogue",
        hint="restart the daemon, for example with systemctl restart drd: the daemon of this "
        "version upgrades the catalogue.",
        trouble="version",
    )


def explain_os(error: OSError, place: str) -> CatalogueError:
    """Return the error for files and directories beside the database: locks, copies."""
    if error.errno in _FULL:
        return disk_full(place)
    if error.errno == errno.EROFS:
        return read_only(place)
    if error.errno in _DENIED:
        return not_allowed(place)
    trouble = f"os-{error.errno}"
    return CatalogueError(
        f"drd cannot use {place}: {error.strerror or error}",
        hint="check the path and its disk: ls -l, df, dmesg.",
        trouble=trouble,
    )


def explain_sqlite(error: sqlite3.Error, path: Path) -> CatalogueError | None:
    """Return the error for what SQLite reported; None if drd's own code is wrong (a constraint,
    wrong SQL): then no remedy must be shown."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name == "SQLITE_FULL" or (name.startswith("SQLITE_IOERR") and _is_full(path)):
        return disk_full(str(path))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return busy(str(path))
    undecodable = str(error).startswith("Could not decode to UTF-8")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or undecodable:
        return damaged(path, error)
    if name.startswith("SQLITE_CANTOPEN") and _is_missing(path):
        return no_catalogue(str(path))
    if name.startswith(_UNWRITABLE) and _is_read_only(path):
        return read_only(str(path))
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return not_allowed(str(path))
    if "no such table: alembic_version" in str(error):
        return no_catalogue(str(path))
    if name.startswith("SQLITE_IOERR"):
        return CatalogueError(
            f"drd cannot read or write its catalogue: {path}: {error}",
            hint="check the disk: dmesg, df.",
            trouble="disk",
        )
    return None


def _is_full(path: Path) -> bool:
    # The -shm file grows page by page, and SQLite reports a full disk there as an I/O error.
    try:
        return os.statvfs(path.parent).f_bavail == 0
    except OSError:
        return False


def _is_read_only(path: Path) -> bool:
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _is_missing(path: Path) -> bool:
    try:
        return not path.exists()
    except PermissionError:
        return False

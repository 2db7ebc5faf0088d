"""Functions that kinds in the file system share: space, owners, durable renames."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from drd.errors import DrdError, TargetError, UsageError
from drd.exhaustion import place_of
from drd.model.finding_codes import DISK_SPACE
from drd.model.text import counted
from drd.model.units import format_size
from drd.ports import Finding
from drd.process import group_name, user_name
from drd.process.mounts import mounted
from drd.process.room import filling


def is_root() -> bool:
    return os.geteuid() == 0


ANOTHER_POINT = (
    "choose another restore point: drd points PLAN. To check whether the repository is damaged: "
    "drd doctor PLAN, and drd verify PLAN (not all plans can be verified)."
)
"""The remedy if a restore point lacks something that it should contain."""


_FREE_WORK_DIR = "free space in work_dir, or set work_dir to another disk."

DUMP_IS_LARGER = "A dump of compressed tables is larger than their files."
_LEAST_FREE = 64 << 20

STANDBY = "/srv/standby"
"""The directory of the targets that `drd plan new` writes as examples."""


def beside(own: Path | None, into: str) -> Path:
    """Return the path that `--into` names: a path, or a name beside `own`. Raises UsageError."""
    path = Path(into)
    if path.is_absolute():
        place = Path(os.path.realpath(path))
    elif "/" in into or into in ("", ".", "..") or own is None:
        raise UsageError(
            f"--into {into} is not an absolute path",
            hint="give an absolute path"
            + (f", or a name without `/` for a copy beside {own}." if own else "."),
        )
    else:
        place = own.with_name(into)
    if own is not None and place == own:
        raise UsageError(
            f"--into {into} is the place where the component is now",
            hint="give another name, or leave out --into to restore to the place in the plan.",
        )
    return place


def named_path(path: str) -> str:
    """Return the absolute path of a path that somebody typed. Raises UsageError if nothing exists
    there.
    """
    absolute = os.path.abspath(path)  # noqa: PTH100 (resolve would follow links)
    if not os.path.lexists(absolute):
        raise UsageError(f"{absolute} does not exist", hint="give an existing file or directory.")
    return absolute


def existing_parent(path: Path) -> Path:
    """Return `path`, or the nearest directory above it that exists."""
    return next(p for p in (path, *path.parents) if p.exists())


def space_finding(directory: Path, need: int, *, what: str, hint: str) -> Finding:
    """Check whether `need` bytes fit below `directory` (which need not exist yet)."""
    free = shutil.disk_usage(existing_parent(directory)).free
    detail = f"{what} needs {format_size(need)}; {format_size(free)} are free in {directory}"
    return Finding(
        DISK_SPACE, "ok" if free > need else "error", "", detail, "" if free > need else hint
    )


def keeping_room(
    place: Path, title: str, error: type[DrdError] = TargetError, *, hint: str = ""
) -> Callable[[], None]:
    """Return a function that raises an error when the file system of a place gets full. What a
    server sends, or the dump of a restored one, may be larger than drd could know before."""
    low = filling(place, _LEAST_FREE)

    def check() -> None:
        if (free := low()) is not None:
            raise error(
                f"{title} has written until only {format_size(free)} were free in "
                f"{place_of(place)}",
                hint=f"{_FREE_WORK_DIR} {hint}".rstrip(),
            )

    return check


def work_finding(place: Path, need: int, *, what: str) -> Finding:
    """Check whether `need` bytes fit into a place in `work_dir`."""
    return space_finding(place, need, what=what, hint=_FREE_WORK_DIR)


def mounts_below(directory: Path) -> list[Path]:
    """Return where other file systems are mounted within a directory, without the directory
    itself.
    """
    return sorted({m.place for m in mounted() if directory in m.place.parents})


def may_own(uid: int, gid: int) -> bool:
    """Return whether this process may give files to this user and group."""
    return is_root() or (uid == os.geteuid() and gid in {os.getegid(), *os.getgroups()})


def owner_finding(foreign: int, *, no_owner: bool) -> Finding | None:
    """Return a finding if `foreign` entries belong to others and only root could restore their
    owners.
    """
    if is_root() or no_owner or not foreign:
        return None
    files = counted(foreign, "entry belongs", "entries belong")
    return Finding(
        "ownership",
        "error",
        "",
        f"{files} to other users, and only root can give files to others",
        "run the recovery as root, or let your own user own the files: --no-owner",
        rights=True,
    )


def no_directory(directory: Path, service: str | None = None) -> Finding | None:
    """Return a finding if there is no such directory, or this process cannot see it. `service` is
    the user of the server that has its data there, if one has."""
    place = shlex.quote(os.fspath(directory))
    hint = "" if is_root() else "as root: "
    if service is not None:
        hint += f"install -d -o {service} -g {service} -m 0750 {place}\nIf the server has another "
        hint += "user here, give that user and its group instead."
    else:
        hint += f"{_making(place)}\nIf a service must write into "
        hint += "this directory, give its user and group instead."
    try:
        if stat.S_ISDIR(directory.stat().st_mode):
            return None
    except PermissionError:
        hint = "run the recovery as a user who may read this directory, for instance root."
        return Finding("target", "error", "", f"cannot read {directory}", hint, rights=True)
    except OSError:
        pass
    # If a mount is missing, all targets below it say the same.
    above = [parent for parent in directory.parents if not os.path.lexists(parent)]
    missing = above[-1] if above else directory
    return Finding("target", "error", "", f"directory {missing} does not exist", hint)


def _making(place: str) -> str:
    """Return the command that makes a directory in which this process may write."""
    user, group = user_name(os.geteuid()), group_name(os.getegid())
    return f"install -d -o {user} -g {group} -m 0755 {place}"


def unwritable(directory: Path) -> Finding | None:
    """Return a finding if this process cannot create entries in a directory."""
    if os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        return None
    try:
        read_only = os.statvfs(directory).f_flag & os.ST_RDONLY
    except OSError:
        # Somebody removed or exchanged it meanwhile.
        return no_directory(directory)
    if read_only:
        hint = (
            f"findmnt --target {directory} shows the mount point; then: "
            "mount -o remount,rw MOUNTPOINT."
        )
        # The unit of the service sees most of the host read-only.
        text = f"{directory} is on a read-only file system"
        return Finding("target", "error", "", text, hint, rights=True)
    hint = "run the recovery as a user who may write to this directory, for instance root."
    return Finding("target", "error", "", f"cannot write to {directory}", hint, rights=True)


def fsync_path(path: Path) -> None:
    """Make a file's bytes, or the names in a directory, survive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fresh(directory: Path, *, parents: bool = False) -> Path:
    """Make an empty directory that only its owner can enter, for restic to fill. An existing one is
    removed.
    """
    remove(directory)
    directory.mkdir(mode=0o700, parents=parents)
    return directory


def remove(path: Path) -> None:
    """Remove a file or a whole directory; it may be missing. A symlink itself is removed.
    Directories whose restored modes exclude their owner are opened first.
    """
    if not path.is_dir() or path.is_symlink():
        with suppress(FileNotFoundError):
            path.unlink()
        return
    if not is_root():
        for directory, names, _ in os.walk(path):
            Path(directory).chmod(0o700)
            for name in names:
                below = Path(directory, name)
                if not below.is_symlink():
                    below.chmod(0o700)
    try:
        shutil.rmtree(path)
    except OSError as error:
        if error.errno is not None:
            raise
        # It became a link, and rmtree does not say which.
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path)) from error

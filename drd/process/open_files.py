"""Find the processes that have files open, if /proc shows this to the present process."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from drd.model.text import escaped
from drd.process import rights
from drd.process.numbers import pids

_GENERATIONS = 16
REMOVED = " (deleted)"
"""What the kernel appends to the path of an open file that was removed."""
OWN_UNIT = "drd.service"
"""The unit of drd's daemon and of the runs that it starts."""
_SERVICE = re.compile(r"[A-Za-z0-9:_.@\\-]+\.service")
"""The name of a unit, as systemd.unit(5) allows it."""


@dataclass(frozen=True, slots=True)
class FileUser:
    """A process and its systemd unit; each text is empty if it is unknown."""

    pid: int
    name: str
    unit: str

    @classmethod
    def of(cls, pid: int) -> FileUser:
        """Return the process with this number; 0 for an unknown one."""
        return cls(pid, _name(pid), unit_of(pid))

    @property
    def words(self) -> str:
        """`python3 (process 412, shop.service)`."""
        if not self.name:
            return "another process"
        return f"{self.name} (process {self.pid}{f', {self.unit}' if self.unit else ''})"


@rights.as_root(rights.Purpose.PROCESSES)
def users_of(paths: Iterable[Path]) -> dict[Path, list[FileUser]]:
    """Return, for each of these paths, the other processes that have this file open, or a file
    below this directory. If a path is inside another one, only the inner one counts. A path with
    `REMOVED` at its end stands for removed files that are still open: files whose path leads to
    another file now, and all files if the path itself is gone. Children of this process do not
    count. All processes of the host are examined once."""
    wanted = {os.fspath(path): path for path in paths}
    same = {p: info for p in wanted if (info := _stat(p)) is not None}
    users: dict[Path, list[FileUser]] = {path: [] for path in wanted.values()}
    for pid in pids():
        open_places = {
            one
            for path, number in _open(pid, same)
            if (one := _innermost(path, wanted)) is not None and _is_here(pid, number, path)
        }
        if open_places and not _is_ours(pid):
            user = FileUser.of(pid)
            for one in open_places:
                users[wanted[one]].append(user)
    return users


@rights.as_root(rights.Purpose.PROCESSES)
def written_files() -> dict[str, list[FileUser]]:
    """Return the files that other processes have open for writing, by their path on this host.
    Files in containers and removed files are left out, and so are files of this process's children.
    """
    files: dict[str, list[FileUser]] = {}
    for pid in pids():
        open_places = {path for path, number in _descriptors(pid) if _is_written(pid, number, path)}
        if open_places and not _is_ours(pid):
            user = FileUser.of(pid)
            for path in open_places:
                files.setdefault(path, []).append(user)
    return files


def unit_of(pid: int) -> str:
    """Return the system service that the process belongs to; empty if that is unknown. Below a
    service or a scope, such as a container's, others name the groups: any bytes, also a service's.
    """
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/cgroup").read_bytes().decode(errors="replace").splitlines()
        for line in lines:
            top, *below = line.split(":", 2)[-1].strip("/").split("/")
            if top == "system.slice" and below:
                unit = next((part for part in below if not part.endswith(".slice")), "")
                return unit if _SERVICE.fullmatch(unit) else ""
    return ""


def _is_here(pid: int, number: str, path: str) -> bool:
    """Return whether an open file is the one that this path leads to here: in namespaces of its own
    a process has other files by the same names. A removed file has no path to compare."""
    if path.endswith(REMOVED):
        return True
    with suppress(OSError):
        return os.path.samestat(os.stat(f"/proc/{pid}/fd/{number}"), os.stat(path))  # noqa: PTH116
    return False


def _is_written(pid: int, number: str, path: str) -> bool:
    with suppress(OSError, StopIteration, ValueError):
        opened = os.stat(f"/proc/{pid}/fd/{number}")  # noqa: PTH116
        if stat.S_ISREG(opened.st_mode) and os.path.samestat(opened, os.stat(path)):  # noqa: PTH116
            lines = Path(f"/proc/{pid}/fdinfo/{number}").read_text().splitlines()
            flags = next(line for line in lines if line.startswith("flags:")).split()[1]
            return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
    return False


def _open(pid: int, same: dict[str, os.stat_result]) -> Iterator[tuple[str, str]]:
    """Return the paths that the process has open, with the numbers. One that it knows by another
    path, as a container does, has the path of the wanted file."""
    for path, number in _descriptors(pid):
        yield path, number
        with suppress(OSError):
            for wanted, info in same.items():
                if os.path.basename(wanted) != os.path.basename(path):  # noqa: PTH119
                    continue
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{number}"), info):  # noqa: PTH116
                    yield wanted, number


def _descriptors(pid: int) -> Iterator[tuple[str, str]]:
    """Return the paths that the process has open, by its own names, with the numbers."""
    directory = f"/proc/{pid}/fd"
    with suppress(OSError):
        for number in os.listdir(directory):  # noqa: PTH208 - names
            with suppress(OSError):
                path = os.readlink(f"{directory}/{number}")  # noqa: PTH115 - no object for each
                if path.startswith("/"):
                    yield path, number


def _innermost(path: str, wanted: Mapping[str, Path]) -> str | None:
    """Return the path itself or the nearest directory above it, of those that are wanted."""
    at = former = path.removesuffix(REMOVED)
    while True:
        removed = f"{at}{REMOVED}"
        is_removed_here = former != path and removed in wanted
        # Only files at a wanted place are looked for: others may be on a server that is away.
        if is_removed_here and (os.path.lexists(former) or not os.path.lexists(at)):
            return removed
        if at in wanted and (at != former or former == path):
            return at
        if at == "/":
            return None
        at = at.rpartition("/")[0] or "/"


def _is_ours(pid: int) -> bool:
    """Return whether it is this process or descends from it."""
    return os.getpid() in lineage(pid)


def lineage(pid: int) -> Iterator[int]:
    """Yield the process, its parent, and so on, without the first process of the system."""
    for _ in range(_GENERATIONS):
        yield pid
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return
        pid = int(fields[1])
        if pid <= 1:
            return


def _stat(path: str) -> os.stat_result | None:
    with suppress(OSError):
        return os.stat(path)  # noqa: PTH116
    return None


def _name(pid: int) -> str:
    with suppress(OSError):
        return escaped(Path(f"/proc/{pid}/comm").read_text(errors="replace").strip())
    return ""

"""A control group for a sandbox, where this host allows drd to make one."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from drd.process import rights
from drd.process.mounts import Mounted, mounted

_FINAL_S = 2.0


@dataclass(frozen=True, slots=True)
class Group:
    """`places` are directories whose `cgroup.procs` a process joins: one directory with cgroup v2,
    one for each controller with v1."""

    places: tuple[str, ...]

    @classmethod
    @rights.as_root(rights.Purpose.PROCESSES)
    def made(cls, memory_bytes: int, processes: int) -> Group | None:
        """Make a group with these limits; None if that is not possible."""
        name = f"drd-sandbox-{os.getpid()}-{uuid4().hex[:8]}"
        for parent in (*_v2_groups(), *_v1_groups().values()):
            _sweep(parent)
        limits = {
            "memory": (("memory.max", memory_bytes), ("memory.limit_in_bytes", memory_bytes)),
            "pids": (("pids.max", processes), ("pids.max", processes)),
        }
        for parent in _v2_groups():
            made = _make(parent / name, [limits[n][0] for n in limits])
            if made is not None:
                return cls((made,))
        old = [_make(parent / name, [limits[n][1]]) for n, parent in _v1_groups().items()]
        if len(old) == len(limits) and all(old):
            return cls(tuple(str(o) for o in old))
        for place in old:
            if place is not None:
                _remove(Path(place))
        return None

    @rights.as_root(rights.Purpose.PROCESSES)
    def remove(self) -> None:
        """End the remaining processes in the group, and remove the group."""
        for place in self.places:
            _remove(Path(place))


def _sweep(parent: Path) -> None:
    """Remove the groups that a killed drd left; one that still holds processes stays."""
    for old in parent.glob("drd-sandbox-*-*"):
        if not Path("/proc", old.name.split("-")[2]).exists():
            with suppress(OSError):
                old.rmdir()


def _make(place: Path, limits: list[tuple[str, int]]) -> str | None:
    try:
        place.mkdir()
    except OSError:
        return None
    try:
        for name, value in limits:
            (place / name).write_text(f"{value}", encoding="ascii")
    except OSError:
        _remove(place)
        return None
    return str(place)


def _remove(place: Path) -> None:
    with suppress(OSError):
        (place / "cgroup.kill").write_text("1", encoding="ascii")
    limit = time.monotonic() + _FINAL_S
    while time.monotonic() < limit:
        try:
            place.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)
        else:
            return


def _mounts() -> list[Mounted]:
    with suppress(OSError):
        return mounted()
    return []


def _v2_groups() -> list[Path]:
    """Groups of v2 in which drd may make a limited group: the one that was delegated to the service
    (the service itself is in a group below it), drd's own, and for root the host's.
    """
    groups = []
    for mount in _mounts():
        if mount.kind != "cgroup2":
            continue
        own = Path(f"{mount.place}{_own_path()}")
        with suppress(OSError):
            if own != mount.place and _is_handed_over(own.parent):
                groups.append(own.parent)
        for parent in dict.fromkeys([own, mount.place]):
            with suppress(OSError):
                if os.access(parent, os.W_OK) and _limits(parent):
                    groups.append(parent)
    return groups


def _is_handed_over(parent: Path) -> bool:
    """Return whether this user owns the group (Delegate= of the unit), and groups below it can be
    limited, after enabling the controllers. Raises OSError.
    """
    if os.geteuid() == 0 or parent.stat().st_uid != os.geteuid():
        return False
    if not os.access(parent / "cgroup.procs", os.W_OK, effective_ids=True):
        return False  # processes could not be moved between the groups below it
    if not _limits(parent):
        (parent / "cgroup.subtree_control").write_text("+memory +pids", encoding="ascii")
    return True


def _limits(parent: Path) -> bool:
    """Return whether groups below it can be limited. Raises OSError."""
    text = (parent / "cgroup.subtree_control").read_text(encoding="ascii")
    return {"memory", "pids"} <= set(text.split())


def _own_path() -> str:
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):
                return line.removeprefix("0::").rstrip("/")
    return ""


def _v1_groups() -> dict[str, Path]:
    groups: dict[str, Path] = {}
    for mount in _mounts():
        if mount.kind != "cgroup":
            continue
        for name in {"memory", "pids"}.intersection(mount.file_system_options):
            if os.access(mount.place, os.W_OK):
                groups[name] = mount.place
    return groups

"""Read the mounts, as this process sees them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

_OCTAL = re.compile(rb"\\([0-7]{3})")


class Mounted(NamedTuple):
    """A line of /proc/self/mountinfo. The kernel may use the number again after an unmount; with
    the device it names one mount. `root` is the part of the file system that is mounted."""

    number: int
    device: str
    place: Path
    kind: str
    source: str
    root: str = "/"
    options: tuple[str, ...] = ()
    file_system_options: tuple[str, ...] = ()

    @property
    def read_only(self) -> bool:
        """Return whether nobody can write through this mount."""
        return "ro" in self.options

    @property
    def file_system_read_only(self) -> bool:
        """Return whether nobody can write to the file system, at any of its mounts."""
        return "ro" in self.file_system_options


def mounted() -> list[Mounted]:
    """Return all mounts. If there are several at one place, the last one is visible."""
    return parse_mounts(Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape"))


def parse_mounts(table: str) -> list[Mounted]:
    """Return the lines of a /proc/PID/mountinfo (proc(5)), in order."""
    return [_parsed(line) for line in table.splitlines() if " - " in line]


def mounted_at(place: Path) -> Mounted | None:
    """Return the mount at a place that has no link in its path. Does not access the file system, so
    a server that hangs does not matter."""
    return next((m for m in reversed(mounted()) if m.place == place), None)


def mount_of(mounts: list[Mounted], path: str) -> Mounted | None:
    """Return the mount that contains a path; if several are at one place, the last one is
    visible."""
    under = [m for m in mounts if Path(path).is_relative_to(m.place)]
    return max(enumerate(under), key=lambda i: (len(i[1].place.parts), i[0]))[1] if under else None


def _parsed(line: str) -> Mounted:
    # Fields without a fixed number end at the dash.
    fixed, _, rest = line.partition(" - ")
    number, _above, device, root, place, options = fixed.split(" ")[:6]
    kind, source, file_system_options = rest.split(" ")[:3]
    return Mounted(
        int(number),
        device,
        Path(_plain(place)),
        kind,
        _plain(source),
        _plain(root),
        tuple(options.split(",")),
        tuple(file_system_options.split(",")),
    )


def _plain(field: str) -> str:
    """Blanks and the like are octal escapes there."""
    raw = field.encode("utf-8", "surrogateescape")
    return os.fsdecode(_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), raw))

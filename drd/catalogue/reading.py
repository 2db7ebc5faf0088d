"""The functions that all readers of the catalogue use, with the standard library alone."""

from __future__ import annotations

import os
from stat import S_ISREG

from drd.errors import CatalogueError
from drd.model.state_place import StatePlace

STUMBLES = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""The errors that a malformed value in the catalogue causes, or a bug."""

HUGE = 1e15
"""Larger than every number in the catalogue: a thousand terabytes, and thirty million years."""


REMOVED = "removed"
"""The trouble of a catalogue whose file somebody removed."""


def lost_catalogue(place: str) -> CatalogueError:
    """Return the error for a catalogue that was there and is gone."""
    return CatalogueError(
        f"drd's catalogue {place} is gone, although drd has worked with it: somebody removed it. "
        "The restore points in the repositories are still there",
        hint="make a new catalogue, and let drd find the points in the repositories: "
        "systemctl restart drd && drd catalogue rebuild",
        trouble=REMOVED,
    )


def sqlite_file(url: str) -> str:
    """Return the file of a SQLite URL."""
    return url.removeprefix("sqlite:///").partition("?")[0]


def require_file(path: str) -> None:
    """Raise CatalogueError if something else than a regular file has this name."""

    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - no pathlib in a cold start
    except OSError:
        return  # who opens it is told why
    if not S_ISREG(mode):
        from drd.catalogue.trouble import no_file

        raise no_file(path)


def state_place(path: str) -> StatePlace:
    """Return the place of a catalogue in this file. Without the right to look, its inode is 0."""
    path = os.path.realpath(path)
    try:
        inode = os.stat(path).st_ino  # noqa: PTH116 - no pathlib in a cold start
    except OSError:
        inode = 0
    return StatePlace(_machine_id(), os.uname().nodename, path, inode)


def _machine_id() -> str:
    """Return the id that systemd gives to an installation; empty if there is none."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            with open(path, encoding="ascii") as file:  # noqa: PTH123
                machine = file.read().strip()
        except (OSError, ValueError):
            continue
        if machine:
            return machine
    return ""

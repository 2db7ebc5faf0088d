"""What all readers of the catalogue share, with the standard library alone."""

from __future__ import annotations

import os
from stat import S_ISREG

from drd.errors import CatalogueError

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

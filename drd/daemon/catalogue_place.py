"""Check whether the service still has the catalogue's file open that is at its path. A removed file
can be read and written until the service stops, but no other program sees its content."""

from __future__ import annotations

from collections.abc import Callable

from drd.errors import CatalogueError
from drd.model.state_place import StatePlace
from drd.presence import is_gone


class CataloguePlace:
    """`here` returns where the catalogue is now; None if it is in PostgreSQL."""

    def __init__(self, here: Callable[[], StatePlace | None]) -> None:
        self._here = here
        self._opened = here()

    def require(self) -> None:
        """Raise CatalogueError if somebody has removed or replaced the file since the start."""
        there = self._here()
        if there is None or self._opened is None or there[2:] == self._opened[2:]:
            return
        path = self._opened.path
        if is_gone(path):
            what, text = "removed", "what the service records now is lost when the service stops"
        elif there.inode:
            what, text = "replaced", "the service cannot use the new file before a restart"
        else:
            return  # it cannot be looked at now: who opens it is told why
        raise CatalogueError(
            f"somebody {what} {path} while the service was running: {text}. drd does not "
            "start backups and drills before a restart",
            hint="restart the service: if the catalogue does not exist, the service then "
            "makes a new one. After that, let drd find the restore points in the "
            "repositories.",
            trouble=what,
        )

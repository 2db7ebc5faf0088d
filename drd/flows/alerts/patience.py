"""When trouble with the catalogue becomes an alert: another process's lock only if it lasts."""

from __future__ import annotations

from datetime import datetime, timedelta

BUSY = "busy"
"""The trouble of a catalogue that another process has locked (`CatalogueError.trouble`)."""

BUSY_FOR = timedelta(seconds=30)
"""A catalogue that is locked for less is no alert: drd tries again. SQLite gives the lock to the
writer that happens to ask first: of twelve processes that wrote all the time on a busy machine, one
waited for 11 s, although each write took milliseconds."""


class Patience:
    """Knows since when the catalogue is locked. Each of its users tries again by itself."""

    def __init__(self) -> None:
        self._since: datetime | None = None

    def bears(self, trouble: str, now: datetime) -> bool:
        """Return whether this trouble may soon be over by itself, so that nobody is told yet."""
        if trouble != BUSY:
            self._since = None
            return False
        if self._since is None or now < self._since:  # or the clock was set back
            self._since = now
        return now - self._since < BUSY_FOR

    def ends(self) -> None:
        """Note that the catalogue works."""
        self._since = None

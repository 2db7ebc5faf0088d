"""The sign of life that the daemon leaves in the catalogue: that it works, and with which drd.yaml.

It also shows whether the catalogue can be written."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import drd
from drd.bootstrap import App
from drd.model.drd_facts import SIGN_OF_LIFE

EVERY_S = 30.0
"""Seconds between two signs of life."""

Stamp = tuple[int, int] | None
"""Identifies the content of drd.yaml; None if there is no file."""


class SignOfLife:
    """Belongs to the daemon's loop. Its methods raise CatalogueError."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._noted_at = -EVERY_S
        self._configuration = self.stamp()

    def last(self) -> datetime | None:
        """Return when a daemon last left a sign of life; None if no daemon ever did."""
        noted = self._app.catalogue.queue.noted(SIGN_OF_LIFE)
        return noted[0] if noted is not None else None

    def is_due(self) -> bool:
        return self._app.clock.monotonic() - self._noted_at >= EVERY_S

    def stamp(self) -> Stamp:
        """Return what identifies the content that drd.yaml has now."""
        file = self._app.settings.file
        with suppress(OSError):
            if file is not None:
                info = file.stat()
                return info.st_mtime_ns, info.st_size
        return None

    def applies(self, configuration: Stamp) -> None:
        """Say from now on that this drd.yaml is in force, soon."""
        self._configuration, self._noted_at = configuration, -EVERY_S

    def note(self, **what: str) -> None:
        value = {"version": drd.__version__, "configuration": self._configuration, **what}
        self._app.catalogue.queue.note(SIGN_OF_LIFE, value, self._app.clock.now())
        self._noted_at = self._app.clock.monotonic()

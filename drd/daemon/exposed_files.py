"""Find plans in force with secret files that others can read, or files that others can write."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from drd.bootstrap import App
from drd.config.exposed_files import Exposed, in_plan, secret_files
from drd.config.plan_path import PathWalker
from drd.model.text import counted

EVERY_S = 600.0
"""Seconds between two checks of the files of all plans. Files that were bad are checked every time,
so that their alert ends at once when they are corrected."""


class ExposedFiles:
    """The watch calls this at each check."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._checked_at: float | None = None
        self._bad: dict[str, tuple[str, tuple[str, ...]]] = {}

    def recheck_soon(self) -> None:
        """Check again soon, because the plans were read again."""
        self._checked_at = None

    def __call__(self) -> Mapping[str, Exposed]:
        """Return by plan name the first exposed file, with the number of further ones. The empty
        name stands for drd.yaml.
        """
        now = time.monotonic()
        watched = self._bad
        if self._checked_at is None or now - self._checked_at >= EVERY_S:
            self._checked_at = now
            watched = {
                row.name: (row.file, tuple(row.schedule.get("secret_files", ())))
                for row in self._app.catalogue.queue.plan_rows()
                if row.schedule is not None
            }
            settings = self._app.settings
            if settings.file is not None:
                watched[""] = (str(settings.file), tuple(secret_files(settings)))
        trusted = self._app.plans.trusted_users
        with PathWalker() as ways:
            exposed_files = {
                n: in_plan(f, files, trusted, ways) for n, (f, files) in watched.items()
            }
        self._bad = {n: watched[n] for n, exposed in exposed_files.items() if exposed}
        return {n: _all(exposed) for n, exposed in exposed_files.items() if exposed}


def _all(exposed: Sequence[Exposed]) -> Exposed:
    first, more = exposed[0], len(exposed) - 1
    if not more:
        return first
    others = counted(more, "other file is", "other files are")
    return replace(first, why=f"{first.why}, and {others} exposed, too: `drd doctor` lists all")

"""Find plans in force whose secret files can be read by others, or whose files can be written by
others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from drd.bootstrap import App
from drd.config.exposed_files import Exposed, in_plan, secret_files
from drd.config.plan_path import PathWalker
from drd.errors import CatalogueError
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
        self._all: dict[str, tuple[str, tuple[str, ...]]] | None = None
        self._secret_files: dict[str, str] = {}

    def recheck_soon(self) -> None:
        """Check again soon, because the plans were read again."""
        self._checked_at = None

    def __call__(self) -> Mapping[str, Exposed]:
        """Return, by plan name, the first exposed file with the number of further ones. The empty
        name stands for drd.yaml.
        """
        self._read()
        watched, self._all = self._bad if self._all is None else self._all, None
        trusted = self._app.plans.trusted_users
        with PathWalker() as ways:
            exposed_files = {
                n: in_plan(f, files, trusted, ways) for n, (f, files) in watched.items()
            }
        self._bad = {n: watched[n] for n, exposed in exposed_files.items() if exposed}
        return {n: _all(exposed) for n, exposed in exposed_files.items() if exposed}

    def secret_files(self) -> Mapping[str, str]:
        """Return the secret files of the plans in force and of drd.yaml, each with the plan that
        names it, or an empty text if several do. If the catalogue cannot be read, return the former
        result.
        """
        with suppress(CatalogueError):
            self._read()
        return self._secret_files

    def _read(self) -> None:
        """Read which files the plans have, if that is due: the next check is of all of them."""
        now = time.monotonic()
        if self._checked_at is not None and now - self._checked_at < EVERY_S:
            return
        watched = {
            row.name: (row.file, tuple(row.schedule.get("secret_files", ())))
            for row in self._app.catalogue.queue.plan_rows()
            if row.schedule is not None
        }
        settings = self._app.settings
        if settings.file is not None:
            watched[""] = (str(settings.file), tuple(secret_files(settings)))
        self._checked_at, self._all = now, watched
        self._secret_files = {}
        for name, (_, held) in watched.items():
            for file in held:
                self._secret_files[file] = (
                    name if self._secret_files.get(file, name) == name else ""
                )


def _all(exposed: Sequence[Exposed]) -> Exposed:
    first, more = exposed[0], len(exposed) - 1
    if not more:
        return first
    others = counted(more, "other file is", "other files are")
    return replace(first, why=f"{first.why}, and {others} exposed, too: `drd doctor` lists all")

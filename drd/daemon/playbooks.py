"""The playbooks in force: read at the start and at a reload, and which files differ since."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from drd import log
from drd.bootstrap import App
from drd.config.own_files import text_digest, yaml_files
from drd.config.playbooks import playbooks_of
from drd.config.reading import read_bytes
from drd.errors import CatalogueError, ConfigError
from drd.flows.alerts.watch import TIME_TO_RELOAD
from drd.flows.playbooks.in_force import Loaded, loaded, note_loaded
from drd.model.alerts import Condition
from drd.model.playbook_conditions import not_loaded
from drd.model.text import escaped
from drd.model.units import format_time

_EVERY = timedelta(minutes=1)
_log = log.get()


def load_playbooks(app: App) -> tuple[str, ...]:
    """Load the files of playbooks. Returns the names of playbooks that were refused: of each, the
    text that was loaded before stays in force."""
    playbooks = playbooks_of(app.settings)
    refused = {name: str(problems[0]) for name, problems in playbooks.broken.items() if problems}
    for problem in playbooks.problems:
        _log.error("playbook.refused", error=str(problem), hint=problem.hint)
        if problem.file == str(app.settings.playbooks_dir):
            refused[problem.file] = str(problem)
    own = [one for one in playbooks.known.values() if one.own]
    seen = {os.path.abspath(path): _digest(path) for path in _files(app)}  # noqa: PTH100
    note_loaded(app.catalogue.queue, own, refused, seen, app.clock.now())
    return tuple(refused)


def _files(app: App) -> list[Path]:
    directory = app.settings.playbooks_dir
    return yaml_files(directory) if directory is not None else []


def _digest(path: Path) -> str:
    """Return the digest of a file; an empty text if drd cannot read the file."""
    try:
        return text_digest(read_bytes(path, what="playbook")[0])
    except ConfigError:
        return ""


class PlaybookWatch:
    """Compares the files with the loaded texts, once a minute. While the catalogue cannot be read,
    it reports its last result."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._last: tuple[Condition, ...] = ()
        self._differs_since: dict[str, datetime] = {}

    def conditions(self, app: App, now: datetime) -> tuple[Condition, ...]:
        if self._at is not None and abs(now - self._at) < _EVERY:
            return self._last
        with suppress(CatalogueError):
            there = loaded(app.catalogue.queue)
            self._last = tuple(self._found(_files(app), there, now)) if there is not None else ()
            self._at = now
        return self._last

    def _found(self, files: Iterable[Path], there: Loaded, now: datetime) -> Iterator[Condition]:
        for name, why in sorted(there.refused.items()):
            yield not_loaded(name, f"drd refused the file at the last reload: {escaped(why)}")
        differs = _differing(files, there.seen)
        self._differs_since = {file: self._differs_since.get(file, now) for file in differs}
        for file, what in sorted(differs.items()):
            if now - self._differs_since[file] >= TIME_TO_RELOAD:
                at = format_time(there.at)
                why = f"{escaped(file)} was {what} after the daemon loaded the playbooks at {at}"
                yield not_loaded(Path(file).stem, why)


def _differing(files: Iterable[Path], seen: Mapping[str, str]) -> dict[str, str]:
    """Return the files that differ from what was loaded, and what happened to them."""
    now = {os.path.abspath(path): _digest(path) for path in files}  # noqa: PTH100
    edited = {f: "edited" for f in now.keys() & seen.keys() if now[f] != seen[f]}
    added = dict.fromkeys(now.keys() - seen.keys(), "added")
    return {**edited, **added, **dict.fromkeys(seen.keys() - now.keys(), "removed")}

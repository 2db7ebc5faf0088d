"""The kind `sqlite`: one database file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd.kinds.file_system import beside, work_finding
from drd.kinds.kept_files import Beside, KeptPlaces
from drd.kinds.one_file import OneFileKind
from drd.kinds.sqlite import SPEC
from drd.kinds.sqlite.copy import discard
from drd.kinds.sqlite.destination import FORM, SqliteSandbox, SqliteTargetDestination
from drd.kinds.sqlite.manifest import require_written
from drd.kinds.sqlite.open_by import require_unused_for_exchange
from drd.kinds.sqlite.settings import SqliteSettings
from drd.kinds.sqlite.settings import SqliteTarget as TargetSettings
from drd.kinds.sqlite.shared_directory import SIDE_FILES
from drd.kinds.sqlite.source import COPY, SqliteSource
from drd.kinds.sqlite.tables import SqliteTables, live, narrow
from drd.kinds.untrusted_dirs import resolved
from drd.model.contents import Contents, tables
from drd.model.plan import Component
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, Fingerprint
from drd.ports import AS_IT_IS, Finding, RestoreOptions, Workplace, mark_of


class SqliteKind(OneFileKind):
    """Implements the port `Kind`."""

    spec = SPEC
    form = FORM

    def require_written(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        require_written(snapshot, private)

    def source(self, component: Component, place: Workplace) -> SqliteSource:
        return SqliteSource(component.name, _settings(component), place)

    def sandbox(
        self,
        component: Component,
        snapshot: ComponentSnapshot,  # noqa: ARG002 - any version of SQLite reads any file
        place: Workplace,
    ) -> SqliteSandbox:
        return SqliteSandbox(component.name, place)

    def target(
        self,
        component: Component,
        settings: object,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> SqliteTargetDestination | SqliteTables:
        assert isinstance(settings, TargetSettings | SqliteSettings)
        part = options.part
        if part is not None and part.tables:
            return SqliteTables(component.name, settings.path, place, part)
        path = _path_of(settings, part)
        return SqliteTargetDestination(component.name, path, place, options)

    def kept(
        self,
        component: Component,
        settings: object,
        snapshot: ComponentSnapshot | None,  # noqa: ARG002 - the path says it all
        run: str,
        *,
        part: Part | None = None,
    ) -> KeptPlaces:
        assert isinstance(settings, TargetSettings | SqliteSettings)
        target = resolved(_path_of(settings, part))
        way = Beside(target, mark_of(run), SIDE_FILES)
        return KeptPlaces(component.name, [way], guard=require_unused_for_exchange)

    def narrow(self, snapshot: ComponentSnapshot, part: Part) -> tuple[Part, ComponentSnapshot]:
        return narrow(snapshot, part)

    def contents(self, snapshot: ComponentSnapshot, within: str | None) -> Contents:
        return tables(
            snapshot,
            within,
            selects=lambda name, asked: name.lower() == asked.lower(),
            separator="/",
            lister="sqlite3 FILE .tables",
        )

    def live(
        self,
        component: Component,
        part: Part,
        like: Fingerprint,
        budget_s: float,
    ) -> Fingerprint:
        return live(Path(_settings(component).path), part, like, budget_s)

    def sweep(self, directory: Path) -> list[str]:
        notes = []
        copy = directory / COPY
        if copy.exists():
            discard(copy)
            notes.append(f"removed {copy}: a temporary copy that a killed run left")
        return notes + super().sweep(directory)

    def tools(self, component: Component, snapshot: ComponentSnapshot) -> Mapping[str, str]:  # noqa: ARG002 - the same for all
        return {"SQLite": sqlite3.sqlite_version}

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:
        path = Path(_settings(component).path)
        size = path.stat().st_size if path.is_file() else 0
        return [work_finding(place.directory, size, what=f"a sandbox for {component.name}")]


def _settings(component: Component) -> SqliteSettings:
    assert isinstance(component.settings, SqliteSettings)
    return component.settings


def _path_of(settings: TargetSettings | SqliteSettings, part: Part | None) -> str:
    """Return the file; with `--into` one of another name beside it."""
    if part is None or not part.is_whole or part.into is None:
        return settings.path
    return str(beside(Path(settings.path), part.into))

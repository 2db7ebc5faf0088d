"""The kind `files`: paths with everything below them."""

from __future__ import annotations

import os
from pathlib import Path

from drd.kinds.files import in_place
from drd.kinds.files.destination import LANDING, SANDBOX, FilesSandbox, FilesTarget, announced
from drd.kinds.files.in_place import FilesInPlace
from drd.kinds.files.settings import FilesSettings, overlapping
from drd.kinds.files.settings import FilesTarget as TargetSettings
from drd.kinds.files.source import ESTIMATE_S, FilesSource, selection_of
from drd.kinds.files.walk import walk
from drd.kinds.places import remove, space_finding
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Finding, Workplace


class FilesKind:
    """Implements the port `Kind`."""

    name = "files"

    def source(self, component: Component, place: Workplace) -> FilesSource:  # noqa: ARG002 - nothing is copied
        return FilesSource(component.name, _settings(component))

    def sandbox(
        self,
        component: Component,
        snapshot: ComponentSnapshot,  # noqa: ARG002 - any tree fits into a directory
        place: Workplace,
    ) -> FilesSandbox:
        return FilesSandbox(component.name, place)

    def target(
        self, component: Component, settings: object, place: Workplace, *, no_owner: bool
    ) -> FilesTarget | FilesInPlace:
        if isinstance(settings, FilesSettings):
            return FilesInPlace(component.name, place, no_owner=no_owner)
        assert isinstance(settings, TargetSettings)
        return FilesTarget(component.name, settings.path, place, no_owner=no_owner)

    def same_place(self, component: Component, settings: object, place: Workplace) -> str | None:  # noqa: ARG002 - paths say it all
        assert isinstance(settings, TargetSettings)
        paths = [os.path.realpath(p) for p in _settings(component).paths]
        return overlapping(paths, os.path.realpath(settings.path))

    def sweep(self, directory: Path) -> list[str]:
        found = []
        for name in (LANDING, SANDBOX):
            if (directory / name).is_dir():
                remove(directory / name)
                found.append(f"removed {directory / name}, a killed run's restored files")
        publication = announced(directory)
        return found + (publication.undo() if publication else in_place.sweep(directory))

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:
        seen = walk(selection_of(_settings(component)), limit_s=ESTIMATE_S)
        return [
            space_finding(
                place.directory,
                seen.bytes,
                what=f"a sandbox for {component.name}",
                hint="make room in work_dir, or set work_dir to another disk.",
            )
        ]


def _settings(component: Component) -> FilesSettings:
    assert isinstance(component.settings, FilesSettings)
    return component.settings

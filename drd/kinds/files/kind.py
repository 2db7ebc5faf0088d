"""The kind `files`: paths with everything below them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd.kinds.file_system import beside, remove, work_finding
from drd.kinds.files import SPEC, in_place
from drd.kinds.files.contents import contents
from drd.kinds.files.destination import (
    LANDING,
    SANDBOX,
    FilesSandbox,
    FilesTargetDestination,
    announced,
)
from drd.kinds.files.holes import holes
from drd.kinds.files.in_place import FilesInPlace
from drd.kinds.files.manifest import outside, require_written
from drd.kinds.files.narrow import named_paths, narrow
from drd.kinds.files.part import FilesPart, finals, live, sweep
from drd.kinds.files.settings import FilesSettings, overlapping
from drd.kinds.files.settings import FilesTarget as TargetSettings
from drd.kinds.files.source import ESTIMATE_S, FilesSource, selection_of
from drd.kinds.files.walk import to_text, walk
from drd.kinds.kept_files import Beside, KeptPlaces, Within
from drd.kinds.untrusted_dirs import resolved
from drd.model.contents import Contents
from drd.model.plan import Component
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, Fingerprint
from drd.ports import AS_IT_IS, Finding, Kind, RestoreOptions, Workplace, mark_of


class FilesKind(Kind):
    """Implements the port `Kind`."""

    spec = SPEC

    def require_written(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        require_written(snapshot, private)

    def outside(self, component: Component, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        return outside(snapshot.facts["paths"], _named(component))

    def source(self, component: Component, place: Workplace) -> FilesSource:  # noqa: ARG002 - nothing is copied
        settings, may_be_empty = _settings(component), component.may_be_empty
        return FilesSource(component.name, settings, may_be_empty=may_be_empty)

    def sandbox(
        self,
        component: Component,
        snapshot: ComponentSnapshot,  # noqa: ARG002 - any tree fits into a directory
        place: Workplace,
    ) -> FilesSandbox:
        return FilesSandbox(component.name, place)

    def target(
        self,
        component: Component,
        settings: object,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> FilesTargetDestination | FilesInPlace | FilesPart:
        part, no_owner, keep = options.part, options.no_owner, options.keep
        base, own = _restore_directory(settings, part)
        if part is not None and base is not None:
            return FilesPart(component.name, base, part, place, no_owner=no_owner, keep=keep)
        if own is None:
            paths = _settings(component).paths
            return FilesInPlace(component.name, paths, place, no_owner=no_owner, keep=keep)
        return FilesTargetDestination(component.name, own, place, no_owner=no_owner, keep=keep)

    def kept(
        self,
        component: Component,
        settings: object,
        snapshot: ComponentSnapshot | None,
        run: str,
        *,
        part: Part | None = None,
    ) -> KeptPlaces:
        base, own = _restore_directory(settings, part)
        if part is not None and base is not None:
            roots = list(finals(part, base).values())
        elif own is not None:
            roots = [resolved(own)]
        else:
            whole = snapshot.facts["paths"] if snapshot else _settings(component).paths
            paths = named_paths(part) if part is not None else whole
            roots = [in_place.real_place(p) for p in paths]
        mark = mark_of(run)
        return KeptPlaces(
            component.name, [w for r in roots for w in (Beside(r, mark), Within(r, mark))]
        )

    def narrow(self, snapshot: ComponentSnapshot, part: Part) -> tuple[Part, ComponentSnapshot]:
        return narrow(snapshot, part)

    def contents(self, snapshot: ComponentSnapshot, within: str | None) -> Contents:
        return contents(snapshot, within)

    def live(
        self,
        component: Component,
        part: Part,
        like: Fingerprint,  # noqa: ARG002 - there is one kind of it
        budget_s: float,
    ) -> Fingerprint:
        settings = _settings(component)
        if part.paths:
            settings = settings.model_copy(update={"paths": list(part.paths)})
        return live(selection_of(settings), budget_s)

    def same_place(self, component: Component, settings: object, place: Workplace) -> str | None:  # noqa: ARG002 - paths say it all
        assert isinstance(settings, TargetSettings)
        paths = [os.path.realpath(p) for p in _settings(component).paths]
        return overlapping(paths, os.path.realpath(settings.path))

    def sweep(self, directory: Path) -> list[str]:
        notes = []
        for name in (LANDING, SANDBOX):
            if (directory / name).is_dir():
                remove(directory / name)
                notes.append(f"removed {directory / name}: restored files that a killed run left")
        publication = announced(directory)
        undone = publication.undo() if publication else in_place.sweep(directory)
        return [*notes, *undone, *sweep(directory)]

    def tools(self, component: Component, snapshot: ComponentSnapshot) -> Mapping[str, str]:  # noqa: ARG002 - restic does it all
        return {}

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:
        seen = walk(selection_of(_settings(component)), limit_s=ESTIMATE_S)
        need = max(0, seen.bytes - holes(seen.sparse))
        return [work_finding(place.directory, need, what=f"a sandbox for {component.name}")]


def _named(component: Component) -> tuple[str, ...]:
    """Return the plan's paths as they are stored."""
    return tuple(to_text(r) for r in selection_of(_settings(component)).roots)


def _restore_directory(settings: object, part: Part | None) -> tuple[Path | None, str | None]:
    """Return the directory to restore into. For single paths they go below it; else it contains the
    whole tree. None: each path is restored in place.
    """
    own = settings.path if isinstance(settings, TargetSettings) else None
    if part is None:
        return None, own
    if part.paths and (own or part.into):
        return Path(own or "/"), None
    if part.into is not None:
        own = str(beside(Path(own) if own else None, part.into))
    return None, own


def _settings(component: Component) -> FilesSettings:
    assert isinstance(component.settings, FilesSettings)
    return component.settings

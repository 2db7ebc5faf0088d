"""The kind `command`: what commands of a plan dump and restore."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd.errors import DrdError, UsageError
from drd.kinds.command import SPEC
from drd.kinds.command.destination import CommandSandbox, CommandTargetDirectory, at_target
from drd.kinds.command.kept_dump import KeptDump
from drd.kinds.command.manifest import require_written
from drd.kinds.command.run import Runner, require_program
from drd.kinds.command.service import LANDING, CommandService, kept_dump
from drd.kinds.command.settings import CommandSettings, CommandTarget
from drd.kinds.command.source import CommandSource
from drd.kinds.file_system import beside, remove
from drd.kinds.kept_files import Beside, KeptPlaces
from drd.kinds.publish import publication_of
from drd.kinds.untrusted_dirs import resolved
from drd.model.finding import Finding
from drd.model.plan import Component
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot
from drd.ports import AS_IT_IS, Ability, Kind, RestoreOptions, Workplace, mark_of


class CommandKind(Kind):
    """Implements the port `Kind`."""

    spec = SPEC

    def source(self, component: Component, place: Workplace) -> CommandSource:
        return CommandSource(component.name, _settings(component), place)

    def sandbox(
        self,
        component: Component,
        snapshot: ComponentSnapshot,  # noqa: ARG002 - any dump fits into a directory
        place: Workplace,
    ) -> CommandSandbox:
        return CommandSandbox(component.name, _settings(component), place)

    def target(
        self,
        component: Component,
        settings: object,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> CommandTargetDirectory | CommandService:
        own, place_of = _settings(component), _place_of(settings)
        if own.loads:
            if place_of.address is None:
                raise UsageError(
                    f"the target for component {component.name} has no `address`",
                    hint="add `address`: the restore command of this component loads the "
                    "dump into a running service.",
                )
            return CommandService(component.name, own, place_of, place, keep=options.keep)
        path = _path_of(component, place_of, options.part)
        # Nobody serves what is restored beside a component.
        at = CommandTarget(path=str(path)) if options.part is not None else place_of
        return CommandTargetDirectory(component.name, own, at, place, path=path, keep=options.keep)

    def kept_copies(
        self,
        component: Component,
        settings: object,
        snapshot: ComponentSnapshot | None,  # noqa: ARG002 - the place says it all
        place: Workplace,
        *,
        part: Part | None = None,
    ) -> KeptPlaces | KeptDump:
        own, at, name = _settings(component), _place_of(settings), component.name
        if not own.loads:
            target = resolved(str(_path_of(component, at, part)))
            return KeptPlaces(name, [Beside(target, mark_of(place.run))])
        self.spec.of(own).require(Ability.KEEP, component=name)
        return kept_dump(at_target(Runner(name, own, {}, place, "target"), at), at, place)

    def same_place(self, component: Component, settings: object, place: Workplace) -> str | None:  # noqa: ARG002 - paths say it all
        own, at = _settings(component), _place_of(settings)
        if own.loads:
            return own.address if own.address == at.address else None
        if own.path is None or at.path is None:
            return None
        here = str(Path(own.path).resolve())
        return here if here == str(Path(at.path).resolve()) else None

    def require_written(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        super().require_written(snapshot, private)
        require_written(snapshot)

    def sweep(self, directory: Path) -> list[str]:
        publication, landing = publication_of(directory), directory / LANDING
        notes = publication.undo() if publication else []
        if landing.exists():
            remove(landing)
            notes.append(f"removed {landing}, which an unfinished run left")
        return notes

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:  # noqa: ARG002 - no room is known
        name, settings = component.name, _settings(component)
        wanted = {"restores the data": ("restore", settings.restore)}
        if settings.serve is not None:
            wanted["serves the data"] = ("serve", settings.serve.command)
        findings = []
        for does, (key, words) in wanted.items():
            try:
                text = f"{require_program(name, key, words)} {does}"
                findings.append(Finding("sandbox", "ok", name, text))
            except DrdError as error:
                findings.append(Finding("sandbox", "error", name, error.message, error.hint))
        if Path(settings.restore[0]).name == "sqlite3" and not _SAFE & set(settings.restore):
            text = "a line `.shell` in the dump makes sqlite3 run any program"
            findings.append(Finding("sandbox", "warning", name, text, _USE_SAFE))
        return findings


_SAFE = {"-safe", "--safe"}
_USE_SAFE = (
    "write `restore: [sqlite3, -safe, …]`. With that, sqlite3 cannot load virtual tables: if "
    "the database has virtual tables, dump it with `.backup`, which makes a SQLite file."
)


def _settings(component: Component) -> CommandSettings:
    assert isinstance(component.settings, CommandSettings)
    return component.settings


def _place_of(settings: object) -> CommandTarget | CommandSettings:
    """Return the settings of a target, or the component's own."""
    assert isinstance(settings, CommandTarget | CommandSettings)
    return settings


def _path_of(component: Component, at: CommandTarget | CommandSettings, part: Part | None) -> Path:
    """Return the directory; with `--into` one of another name beside it."""
    own = Path(at.path) if at.path is not None else None
    if part is not None and part.is_whole and part.into is not None:
        return beside(own, part.into)
    if own is None:
        raise UsageError(
            f"the target for component {component.name} has no `path`",
            hint="add `path`: the restore command of this component writes into a directory.",
        )
    return own

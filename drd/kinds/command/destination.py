"""Destinations of a component: a directory of a drill, or the named directory of a target."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from drd.errors import DrdError, SandboxUnavailable, SourceError, TargetError, TargetNotEmpty
from drd.kinds.armed_files import disarm
from drd.kinds.command.inspect import CommandInspector
from drd.kinds.command.manifest import filename
from drd.kinds.command.ownership import as_before
from drd.kinds.command.run import Runner, require_program, run_on, said, values_of
from drd.kinds.command.server import Server, served
from drd.kinds.command.settings import ADDRESS, DUMP, PATH, CommandSettings, CommandTarget
from drd.kinds.file_system import (
    fresh,
    no_directory,
    remove,
    space_finding,
    unwritable,
    work_finding,
)
from drd.kinds.one_file import NOT_EMPTY, landed_file
from drd.kinds.open_files import usage
from drd.kinds.publish import JOURNAL, Publication, is_nothing
from drd.kinds.untrusted_dirs import content, make_landing, resolved, working
from drd.model.copy_names import COPY
from drd.model.finding import Finding
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import escaped, some
from drd.model.values import references
from drd.ports import (
    Destination,
    NamedDestination,
    OnProgress,
    Progress,
    Restored,
    Usage,
    Workplace,
)
from drd.process import MEMORY_HINT
from drd.process.fence import refused_hint, require_up

ROOM = 2
"""How many times the size of the dump a restore needs: for the dump, and for the data made from
it."""


def restore_from(landed: Path, runner: Runner, *, made: Path | None) -> None:
    """Run the restore command on a fetched dump. Raises TargetError if the command fails, or if
    `made` shows that it made nothing."""
    settings, words = runner.settings, runner.settings.restore
    command = runner.command("restore", words, deadline_s=settings.timeout, dump=str(landed))
    done = run_on(command, landed)
    if command.fence is not None:
        require_up(command.fence, done.exit_code)
    if done.exit_code != 0:
        refused = refused_hint("\n".join(done.says)) if command.fence is not None else ""
        hint = MEMORY_HINT if done.killed else refused or runner.by_hand_hint(words)
        raise TargetError(f"{command.title} {said(done)}", hint=hint)
    if made is not None and not any(made.iterdir()):
        raise TargetError(
            f"{command.title} exited with 0 but wrote nothing into ${{path}}",
            hint="the command must write its files into ${path}, which is its working directory.",
        )


class CommandSandbox(Destination):
    """A directory in the run's workplace, for a drill. The commands run behind its fence."""

    def __init__(self, component: str, settings: CommandSettings, place: Workplace) -> None:
        self._component = component
        self._settings = settings
        self._place = place
        self._landing = place.directory / "landing"
        self._sandbox = place.directory / "sandbox"
        self._data = self._sandbox / component
        self._server: Server | None = None

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:  # noqa: ARG002 - nothing to overwrite
        what = f"{self._component} restored"
        return [work_finding(self._landing, ROOM * snapshot.bytes, what=what)]

    def prepare(self) -> None:
        try:
            require_program(self._component, "restore", self._settings.restore)
        except SourceError as error:
            raise SandboxUnavailable(error.message, hint=error.hint) from error

    def landing(self) -> Path:
        return fresh(self._landing)

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing of it is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        landed = landed_file(self._landing, snapshot, filename(self._component))
        for directory in (self._sandbox, self._home, self._data):
            fresh(directory)
        inside = self._home / landed.name
        landed.rename(inside)  # the fence lets commands read nothing else of the workplace
        if self._settings.loads:
            self._serve()
        restore_from(inside, self._known(), made=self._data)
        remove(inside)
        remove(self._landing)
        self._serve()
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return Restored()

    def inspector(self) -> CommandInspector:
        return CommandInspector(self._known())

    def _serve(self) -> None:
        serve = self._settings.serve
        if serve is not None and self._server is None:
            self._server = served(self._runner(), serve, self._sandbox / "serve.log")

    def _known(self) -> Runner:
        return self._server.runner if self._server is not None else self._runner()

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None
        remove(self._landing)
        remove(self._sandbox)

    @property
    def _home(self) -> Path:
        return self._sandbox / "home"

    def _runner(self) -> Runner:
        values = {PATH: str(self._data)}
        return Runner(
            self._component,
            self._settings,
            values,
            self._place,
            "sandbox",
            cwd=self._data,
            home=self._home,
        )


class CommandTargetDirectory(NamedDestination):
    """A named directory, which is replaced as a whole."""

    def __init__(
        self,
        component: str,
        settings: CommandSettings,
        at: CommandTarget | CommandSettings,
        place: Workplace,
        *,
        path: Path,
        keep: bool,
    ) -> None:
        self._component = component
        self._settings = settings
        self._place = place
        self._at = at
        target = resolved(str(path))
        self._publication = Publication(
            target,
            target.with_name(f".{place.mark}.{component}"),
            place.directory / JOURNAL,
            place.mark,
            keep=keep,
        )

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        target = self._publication.target
        if self._publication.published():
            return [Finding("target", "ok", "", f"{target} has been restored by this run")]
        if not overwrite:
            self._refuse_content()
        self._publication.announce(overwrite=overwrite)
        return self.check_access(snapshot)

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        target = self._publication.target
        wrong = no_directory(target.parent) or unwritable(target.parent)
        if wrong is not None:
            return [wrong]
        what, hint = f"{self._component} restored", f"free space in {target.parent}."
        space = space_finding(target.parent, ROOM * snapshot.bytes, what=what, hint=hint)
        return [
            Finding("target", "ok", "", f"{target} can be written"),
            space,
            *missing_programs(self._component, self._settings),
        ]

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:  # noqa: ARG002 - one directory
        return (os.fspath(self._publication.target),)

    def in_use(self, snapshot: ComponentSnapshot) -> list[Usage]:  # noqa: ARG002 - one directory
        return usage([self._publication])

    def landing(self) -> Path:
        self._publication.announce(overwrite=self._publication.may_overwrite())
        return make_landing(self._publication.landing)

    @working
    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing of it is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        publication = self._publication
        notes: list[str] = []
        if publication.published():
            publication.tidy()
        else:
            if not publication.may_overwrite():
                self._refuse_content()
            fetched = content(publication.landing)
            remove(fetched / "new")
            landed = landed_file(fetched, snapshot, filename(self._component))
            made = fresh(fetched / "new")
            restore_from(landed, self._runner(made), made=made)
            notes = [*self._disarmed(snapshot, made), *as_before(made, publication.target)]
            os.sync()
            publication.publish(made)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return Restored(notes=(*notes, *publication.appeared()))

    def _disarmed(self, snapshot: ComponentSnapshot, made: Path) -> list[str]:
        """Leave no program with the rights of its owner in what was made of a dump that another
        tool has made. Returns what to tell about that.
        """
        had = disarm(os.fsencode(made)) if COPY in snapshot.facts else []
        if not had:
            return []
        names = some([escaped(os.fsdecode(p)[len(str(made)) + 1 :]) for p in had])
        what = "set-user-ID and set-group-ID bits, capabilities, or device nodes"
        why = "another tool made the dump, so drd does not know who added these"
        return [f"drd removed {what}: {names}, because {why}"]

    def inspector(self) -> CommandInspector:
        runner = self._runner(self._publication.target)
        return CommandInspector(at_target(runner, self._at))

    def _runner(self, path: Path) -> Runner:
        values = {PATH: str(path)}
        return Runner(self._component, self._settings, values, self._place, "target", cwd=path)

    def _refuse_content(self) -> None:
        target = self._publication.target
        if os.path.lexists(target) and not target.is_dir():
            hint = "`path` of the target must name a directory."
            raise TargetError(f"{target} is not a directory", hint=hint)
        if not is_nothing(target):
            raise TargetNotEmpty(f"target {target} is not empty", hint=NOT_EMPTY)


def missing_programs(component: str, settings: CommandSettings) -> list[Finding]:
    """Return a finding if this host lacks the restore command, or others could replace it."""
    try:
        require_program(component, "restore", settings.restore)
    except DrdError as error:
        return [Finding("program", "error", "", error.message, error.hint)]
    return []


def at_target(runner: Runner, at: CommandTarget | CommandSettings) -> Runner:
    """Return a runner whose commands reach the service of a target, with its secrets."""
    if at.address is None:
        return runner
    files = {name: value.encode() for name, value in values_of(at.secret_files).items()}
    known = runner.knowing({ADDRESS: at.address})
    return replace(known, secret=values_of(at.secrets), secret_files=files)


def needs_file(settings: CommandSettings) -> bool:
    """Return whether the restore command reads the dump from a file."""
    return any(DUMP in references(word) for word in settings.restore)

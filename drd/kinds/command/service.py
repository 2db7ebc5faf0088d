"""A running service as the target: the restore command loads the dump into it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd.errors import DrdError, TargetError, TargetNotEmpty
from drd.kinds.command.counts import count
from drd.kinds.command.destination import at_target, missing_programs, restore_from
from drd.kinds.command.inspect import CommandInspector
from drd.kinds.command.kept_dump import KeptDump
from drd.kinds.command.manifest import filename
from drd.kinds.command.run import Runner
from drd.kinds.command.settings import CommandSettings, CommandTarget
from drd.kinds.file_system import fresh, remove, work_finding
from drd.kinds.one_file import NOT_EMPTY, landed_file
from drd.model.finding import Finding
from drd.model.snapshot import ComponentSnapshot
from drd.ports import NamedDestination, OnProgress, Progress, Restored, Workplace

LANDING = "landing"

_TO_REPLACE = "replace"

_LOOK_S = 30.0


class CommandService(NamedDestination):
    """The restore command itself replaces the data of the service. The workplace notes that the
    command may have begun, and that it is done.
    """

    def __init__(
        self,
        component: str,
        settings: CommandSettings,
        at: CommandTarget | CommandSettings,
        place: Workplace,
        *,
        keep: bool,
    ) -> None:
        self._keep = keep
        self._component = component
        self._settings = settings
        self._at = at
        self._place = place
        self._landing = place.directory / LANDING
        self._accepted = place.directory / "accepted"
        self._done = place.directory / "restored"

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        if self._done.exists():
            text = f"{self._at.address} has been restored by this run"
            return [Finding("target", "ok", "", text)]
        findings = self.check_access(snapshot)
        if not any(f.failed for f in findings):
            self._accept(overwrite=overwrite)
        return findings

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        what = f"the dump of {self._component}"
        room = work_finding(self._landing, snapshot.bytes, what=what)
        return [room, *missing_programs(self._component, self._settings), *self._reached()]

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:  # noqa: ARG002 - one service
        return (str(self._at.address),)

    def lands_apart(self, snapshot: ComponentSnapshot) -> bool:
        return not work_finding(self._landing, snapshot.bytes, what="").failed

    def landing(self) -> Path:
        return fresh(self._landing)

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing of it is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        if not self._done.exists():
            landed = landed_file(self._landing, snapshot, filename(self._component))
            if not self._accepted.exists():
                self._accept(overwrite=False)
                self._accepted.touch()  # from here on the service has a part of it
            if self._keep and self._accepted.read_text() == _TO_REPLACE:
                kept_dump(self._runner(), self._at, self._place).keep()
            restore_from(landed, self._runner(), made=None)
            self._done.touch()
        remove(self._landing)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return Restored()

    def inspector(self) -> CommandInspector:
        return CommandInspector(self._runner())

    def _runner(self) -> Runner:
        bare = Runner(self._component, self._settings, {}, self._place, "target")
        return at_target(bare, self._at)

    def _reached(self) -> list[Finding]:
        """Return whether the service answers, if a command can say it."""
        if self._settings.count is None:
            return []
        try:
            count(self._runner(), budget_s=_LOOK_S)
        except DrdError as error:
            return [Finding("target", "error", "", error.message, error.hint)]
        return [Finding("target", "ok", "", f"{self._at.address} answers")]

    def _accept(self, *, overwrite: bool) -> None:
        """Note that the content may be replaced. Raises TargetNotEmpty if it may not."""
        if not overwrite and not self._accepted.exists():
            self._refuse_content()
        if overwrite:
            self._accepted.write_text(_TO_REPLACE)

    def _refuse_content(self) -> None:
        address, name = self._at.address, self._component
        if self._settings.count is None:
            raise TargetNotEmpty(
                f"drd cannot check whether {address} is empty, because component {name} has no "
                "`count`",
                hint=NOT_EMPTY,
            )
        content = count(self._runner(), budget_s=_LOOK_S)
        if any(state.rows for state in content.tables.values()):
            raise TargetNotEmpty(f"target {address} is not empty", hint=NOT_EMPTY)


def kept_dump(runner: Runner, at: CommandTarget | CommandSettings, place: Workplace) -> KeptDump:
    """Return the dump by which a run keeps the data of a service. Raises TargetError if the place
    has no directory for it."""
    if place.keep is None:
        raise TargetError(
            "drd has no directory for kept copies in this run",
            hint="to recover without kept copies, give --no-undo.",
        )
    return KeptDump(runner, str(at.address), place.keep, place.mark)

"""The source of a component: what a dump command prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drd.errors import DrdError, DumpFailed, ImplausibleDump, SourceMissing
from drd.kinds.command.counts import count
from drd.kinds.command.ending import Ending
from drd.kinds.command.inspect import ask
from drd.kinds.command.manifest import facts_of
from drd.kinds.command.run import Runner, require_program, values_of
from drd.kinds.command.settings import ADDRESS, PATH, CommandSettings
from drd.masking import beginning
from drd.model.finding import Finding
from drd.model.recovery_command import IF_LOST
from drd.model.snapshot import Fingerprint, StoredSnapshot
from drd.model.text import counted
from drd.ports import PlainCapture, Probe, Source, Stream, Workplace

COUNT_S = 300.0
OBSERVE_S = 60.0
"""Time limits for the `count` command and for each query at the source."""

_LOOK_S = 10.0
_SAID = 600


class CommandCapture(PlainCapture):
    """The output of the dump command. The counts are taken while the output is being stored: a
    change in this time may be only in one of the two."""

    def __init__(self, runner: Runner, stream: Stream, ending: Ending | None) -> None:
        facts = facts_of(runner.component, runner.settings)
        super().__init__(datetime.now(UTC), stream, facts)
        self._runner = runner
        self._ending = ending

    def fingerprint(self) -> Fingerprint | None:
        if self._runner.settings.count is None:
            return None
        return count(self._runner, budget_s=COUNT_S)

    def observe(self, queries: Mapping[str, str]) -> Mapping[str, Any]:
        answers = {}
        for name, query in queries.items():
            with suppress(DrdError):
                answers[name] = ask(self._runner, query, timeout_s=OBSERVE_S)
        return answers

    def verify(self, stored: StoredSnapshot, fingerprint: Fingerprint | None) -> Fingerprint | None:
        name = self._runner.component
        if stored.bytes == 0:
            raise ImplausibleDump(
                f"the dump command of {name} printed nothing, and ended with exit 0",
                hint=self._runner.by_hand_hint(self._runner.settings.dumping),
            )
        if self._ending is not None:
            self._ending.require(name)
        return fingerprint


class CommandSource(Source):
    """The source that the dump command reads; drd does not know what it is."""

    def __init__(self, component: str, settings: CommandSettings, place: Workplace) -> None:
        self._component = component
        self._settings = settings
        self._place = place

    def probe(self) -> Probe:
        self._require_path()
        for key, words in (("dump", self._settings.dumping), ("count", self._settings.count),
                           ("query", self._settings.query)):  # fmt: skip
            if words is not None:
                require_program(self._component, key, words)
        return Probe()

    def doctor(self) -> list[Finding]:
        name, settings = self._component, self._settings
        try:
            self.probe()
            runner = self._runner()
        except DrdError as error:
            return [Finding("source", "error", name, error.message, error.hint)]
        program = require_program(name, "dump", settings.dumping)
        text = f"{program} makes the dump; drd runs this program only for a backup"
        findings = [Finding("source", "ok", name, text)]
        if settings.count is not None:
            findings.append(self._counted(runner))
        if settings.count is None:
            text = "has no `count`: a drill cannot compare the restored data with the source"
            findings.append(Finding("source", "ok", name, text))
        return findings

    @contextmanager
    def open(self) -> Iterator[CommandCapture]:
        self._require_path()
        settings, runner = self._settings, self._runner()
        require_program(self._component, "dump", settings.dumping)
        command = runner.command("dump", settings.dumping, deadline_s=settings.timeout)
        with ExitStack() as stack:
            ending = None
            if settings.ends_with is not None:
                ending = Ending(settings.ends_with, self._place.directory)
                stack.enter_context(ending.kept())
                command = ending.watching(command)
            stream = Stream(command, f"{self._component}.dump")
            try:
                yield CommandCapture(runner, stream, ending)
            except DumpFailed as error:
                hint = runner.by_hand_hint(settings.dumping)
                raise DumpFailed(beginning(error.message, _SAID), hint=hint) from error

    def _runner(self) -> Runner:
        settings = self._settings
        files = {n: v.encode() for n, v in values_of(settings.secret_files).items()}
        known = {PATH: settings.path, ADDRESS: settings.address}
        values = {name: value for name, value in known.items() if value is not None}
        return Runner(
            self._component,
            settings,
            values,
            self._place,
            "source",
            secret=values_of(settings.secrets),
            secret_files=files,
        )

    def _require_path(self) -> None:
        path = self._settings.path
        if path is not None and not Path(path).is_dir():
            raise SourceMissing(
                f"{path} is not a directory",
                hint=f"{IF_LOST} Otherwise correct `path` of component {self._component}, or start "
                "its service.",
            )

    def _counted(self, runner: Runner) -> Finding:
        try:
            counted_items = count(runner, budget_s=_LOOK_S)
        except DrdError as error:
            return Finding("source", "error", self._component, error.message, error.hint)
        assert counted_items is not None
        total = sum(state.rows for state in counted_items.tables.values())
        text = f"the count command found {counted(total, 'entry', 'entries')}"
        return Finding("source", "ok", self._component, text)

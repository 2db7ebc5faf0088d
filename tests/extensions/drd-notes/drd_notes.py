"""Notes: a file of lines. An example of a kind of component in a package of its own."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from drd.fields import AbsolutePath, Settings
from drd.kinds.one_file import FileForm, FileInspector, OneFileKind, file_facts, require_file
from drd.model.plan import Component
from drd.model.snapshot import DatabaseFingerprint, Fingerprint, TableState
from drd.ports import KindSpec, PlainCapture, Probe, Source, Stream, Workplace
from drd.process import Command


class NotesSettings(Settings):
    """Notes: one file of lines."""

    kind: Literal["notes"]
    path: AbsolutePath = Field(description="The file.")


class NotesTarget(Settings):
    """Where notes are restored to."""

    path: AbsolutePath = Field(description="The file to restore to.")


class NotesInspector(FileInspector):
    def fingerprint(self, like: Fingerprint | None = None, budget_s: float = 60.0) -> Fingerprint:
        data = self._path.read_bytes()
        state = TableState(len(data.splitlines()), hashlib.sha256(data).hexdigest())
        return DatabaseFingerprint("digest", {"notes": state})


class NotesCapture(PlainCapture):
    def fingerprint(self) -> Fingerprint:
        assert isinstance(self.payload, Stream)
        return NotesInspector(Path(self.payload.command.argv[-1])).fingerprint()


class NotesSource(Source):
    def __init__(self, component: Component, place: Workplace) -> None:
        assert isinstance(component.settings, NotesSettings)
        self._name, self._path = component.name, Path(component.settings.path)
        self._copy = place.directory / "copy.notes"

    def probe(self) -> Probe:
        return Probe(require_file(self._name, self._path).st_size)

    @contextmanager
    def open(self) -> Iterator[NotesCapture]:
        facts = file_facts(str(self._path), f"{self._name}.notes", self._path.stat())
        now = datetime.now(UTC)
        try:
            self._copy.write_bytes(self._path.read_bytes())
            stream = Stream(Command(("cat", "--", str(self._copy))), facts["filename"])
            yield NotesCapture(now, stream, facts)
        finally:
            self._copy.unlink(missing_ok=True)


class NotesKind(OneFileKind):
    form = FileForm("notes", NotesInspector)

    def source(self, component: Component, place: Workplace) -> NotesSource:
        return NotesSource(component, place)


SPEC = NotesKind.spec = KindSpec(
    name="notes",
    settings=NotesSettings,
    target=NotesTarget,
    adapter="drd_notes:NotesKind",
    comparison="rows",
)

"""The step `note`: add a line to a file of this host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import Field

from drd.actions.settings import Rehearsed, Text
from drd.errors import StepFailed
from drd.fields import AbsolutePath
from drd.model.finding import Finding
from drd.model.runbook import Step
from drd.model.values import filled
from drd.ports.action import ActionContext, ActionKind, StepByHand


class NoteSettings(Rehearsed):
    """A line in a file."""

    file: AbsolutePath = Field(description="The file; drd creates a missing one.")
    line: str = Field(min_length=1, description="The line to add.")

    def all_texts(self) -> Iterator[Text]:
        yield ("line",), self.line


class Note:
    """The line ends with the key of the step, so that another try does not add it again."""

    def preflight(self, step: Step) -> list[Finding]:
        assert isinstance(step.settings, NoteSettings)
        directory = Path(step.settings.file).parent
        if directory.is_dir():
            return []
        text = f"directory {directory} does not exist"
        return [Finding("directory", "warning", "", text, f"mkdir {directory}")]

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, NoteSettings)
        file = Path(settings.file)
        line = f"{filled(settings.line, context.value)} ({context.key})"
        try:
            if not file.exists() or line not in file.read_text().splitlines():
                with file.open("a") as out:
                    out.write(f"{line}\n")
        except OSError as error:
            raise StepFailed(
                f"{file}: {error.strerror}", hint=f"check who may write to {file}."
            ) from error
        return {"line": line}


def _by_hand(note: NoteSettings, hand: StepByHand) -> Iterator[str]:
    yield f"echo {hand.word(note.line)} >>{quote(note.file)}"


SPEC = ActionKind(
    "note",
    NoteSettings,
    Note(),
    summary="Add a line to a file of this host.",
    about="The file and the line.",
    in_words=lambda note: f"note in {note.file}: {note.line}",
    by_hand=_by_hand,
    gives=("line",),
    frees_ports=False,
)

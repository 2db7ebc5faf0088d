"""Parts of a screen: texts with a style, and sentences with a command."""

from __future__ import annotations

from drd.named import NamedTuple


class Cell(NamedTuple):
    """Text with a style: `good`, `warn`, `bad`, `dim`, `bold` or none."""

    text: str
    style: str = ""


class Note(NamedTuple):
    """A sentence about `subject`, in a colour, with the command to run next."""

    subject: str
    text: Cell
    command: str

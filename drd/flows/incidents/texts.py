"""The texts that people type into an incident: not empty, and not endless."""

from __future__ import annotations

from drd.errors import UsageError
from drd.model.incidents.entries import LONGEST_TEXT
from drd.model.text import counted

LONGEST_NAME = 200
_LONGEST_REASON = 1000


def text_of(text: str, what: str = "the text", most: int = LONGEST_TEXT) -> str:
    """Return the text without spaces around it. Raises UsageError."""
    text = text.strip()
    if not text:
        raise UsageError(f"{what} is empty", hint="write what happened, in quotes.")
    if len(text) > most:
        raise UsageError(
            f"{what} has {counted(len(text), 'character')}",
            hint=f"write at most {most:,}; put the rest into a second entry.",
        )
    return text


def name_of(name: str) -> str:
    """Return the name of a person. Raises UsageError."""
    return text_of(name, "the name", LONGEST_NAME)


def reason_of(reason: str, *, needed: bool = True) -> str:
    """Return the reason; empty if none is given and none is `needed`. Raises UsageError."""
    if needed or reason.strip():
        return text_of(reason, "the reason", _LONGEST_REASON)
    return ""

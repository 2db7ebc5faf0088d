"""What rows before version 7 of the catalogue said in sentences, and rows have as fields since.

For the migration, and for records of these versions outside of the catalogue. Nothing else reads
such a sentence, and this module does not change any more.
"""

from __future__ import annotations

_OF_A_SUBJECT = {
    ("capture", "capture "),
    ("restore", "restore "),
    ("rollback", "rollback "),
    ("forget", "forget in "),
}
"""Kinds of drd's own steps, and how their names began. Names of steps of a runbook have no
blanks."""


def subject_of(kind: str, name: str) -> str:
    """Return what a step was about, by its name; "" if it was about nothing in particular."""
    for known, lead in _OF_A_SUBJECT:
        if kind == known and name.startswith(lead):
            return name.removeprefix(lead)
    if kind == "copy" and name.startswith("copy "):
        return name.split(" ")[1]
    return ""

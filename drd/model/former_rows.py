"""What rows before versions 7, 8 and 10 of the catalogue said in sentences. Rows now have fields.

This is for the migration, for JSON in rows that the migration does not change, and for records and
documents that these versions made. No other code reads such a sentence, and this module does not
change any more.
"""

from __future__ import annotations

import re

_OF_A_SUBJECT = {
    ("capture", "capture "),
    ("restore", "restore "),
    ("rollback", "rollback "),
    ("forget", "forget in "),
}
"""Kinds of drd's own steps, and how their names began. Names of steps of a runbook have no
blanks."""


def subject_of(kind: str, name: str) -> str:
    """Return the subject of a step by its name; "" if it had no particular subject."""
    for known, lead in _OF_A_SUBJECT:
        if kind == known and name.startswith(lead):
            return name.removeprefix(lead)
    if kind == "copy" and name.startswith("copy "):
        return name.split(" ")[1]
    return ""


_REMEDY = "remedy: "


def contains_remedy(error: str) -> bool:
    """Return whether a recorded error contains remedies in separate lines below the fact."""
    return f"\n{_REMEDY}" in error


def joined(fact: str, remedy: str) -> str:
    """Return both as they stood together in a recorded error."""
    return "\n".join([fact, *(_REMEDY + line for line in remedy.split("\n") if remedy)])


def cause_of(error: str) -> tuple[str, str]:
    """Return the fact of a recorded error, and its remedies, one a line. They were in separate
    lines below the fact and the output of a program; several facts were below their number. A text
    of one line, or without a fact, is returned unchanged.
    """
    lines = error.strip().split("\n")
    facts = [line for line in lines if not line.startswith(_REMEDY)]
    if "\n" not in error or not facts:
        return error, ""
    remedies = [line.removeprefix(_REMEDY) for line in lines if line.startswith(_REMEDY)]
    first, *others = facts
    if first.endswith(":"):
        first, others = f"{first} {'; '.join(line.strip() for line in others)}", []
    return "\n".join([first, *others]), "\n".join(remedies)


def problems_of(error: str) -> str:
    """Return the first of the problems of a file, which stood in a line each, and their number."""
    first, *others = error.strip().split("\n")
    return first + (f" (and {len(others)} more)" if others else "")


_NUMBER = re.compile(r"-?[0-9][0-9,]*(?:\.[0-9]+)?")


def bound_of(expected: str) -> bool:
    """Return whether the expectation of a check is a comparison: `> 0`."""
    return expected.startswith(("<", ">", "=", "!"))


def figure_of(observed: str, expected: str) -> str | None:
    """Return the number that a check observed, if its expectation is about a number."""
    compared = bound_of(expected) or expected.startswith("within ")
    return observed.replace(",", "") if compared and _NUMBER.fullmatch(observed) else None

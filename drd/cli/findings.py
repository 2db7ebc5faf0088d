"""Print findings for a person, as `drd doctor` and `drd readiness` do."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from drd.cli import output
from drd.cli.render import terminal_width
from drd.model.cells import Cell
from drd.model.units import from_rfc3339

_MARKS = {"ok": ("ok", "good"), "warning": ("WARN", "warn"), "error": ("FAILED", "bad")}
_BESIDE = 12
"""Columns for the mark of a finding, and for the gaps beside its name."""
_TEXT = 40
_LEAST = 12


def print_findings(findings: Iterable[Mapping[str, Any]], *, width: int, colour: bool) -> None:
    """Print the documents of findings; the names get `width` columns."""
    for finding in findings:
        _print(finding, width, colour)


def worth_showing(findings: Iterable[Mapping[str, Any]], *, quiet: bool) -> list[Mapping[str, Any]]:
    """Return the findings; if `quiet`, without the findings that are in order."""
    return [f for f in findings if not (quiet and f["severity"] == "ok")]


def name_width(findings: Iterable[Mapping[str, Any]]) -> int:
    """Return the columns for the names: as many as the longest name has, but on a narrow terminal
    at least `_TEXT` are left for the texts. A name that is longer gets a line of its own."""
    longest = max((len(f["name"]) for f in findings), default=0)
    return min(longest, max(_LEAST, terminal_width(sys.stdout) - _BESIDE - _TEXT))


def _print(finding: Mapping[str, Any], width: int, colour: bool) -> None:
    word, style = _MARKS[finding["severity"]]
    accepted = finding.get("exception")
    if accepted:
        word, style = "known", "warn"
    mark, name = Cell(f"{word:<6}", style), str(finding["name"])
    # A daemon of the former version has only the former key.
    text = finding["text"] if "text" in finding else finding["evidence"]
    first, *rest = text.splitlines() or [""]
    indent = " " * (width + _BESIDE)
    if len(name) > width:
        output.say_marked(mark, name, left="  ", right="  ", colour=colour)
        rest.insert(0, first)
    else:
        output.say_marked(mark, first, left="  ", right=f"  {name:<{width}}  ", colour=colour)
    for line in rest:
        output.say_below(indent, line)
    if accepted:
        last = from_rfc3339(accepted["until"]) - timedelta(seconds=1)
        output.say_below(indent, f"accepted until {last:%Y-%m-%d}: {accepted['reason']}")
    elif finding["remedy"] and finding["severity"] != "ok":
        output.say_remedy(f"{indent}HINT: ", finding["remedy"])

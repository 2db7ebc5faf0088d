"""Print findings for a person, as `drd doctor` and `drd readiness` do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from drd.cli import output
from drd.model.units import from_rfc3339

_MARKS = {"ok": ("ok", "good"), "warning": ("WARN", "warn"), "error": ("FAILED", "bad")}


def print_findings(findings: Iterable[Mapping[str, Any]], *, width: int, colour: bool) -> None:
    """Print the documents of findings; the names get `width` columns."""
    for finding in findings:
        _print(finding, width, colour)


def worth_showing(findings: Iterable[Mapping[str, Any]], *, quiet: bool) -> list[Mapping[str, Any]]:
    """Return the findings; if `quiet`, without the findings that are in order."""
    return [f for f in findings if not (quiet and f["severity"] == "ok")]


def name_width(findings: Iterable[Mapping[str, Any]]) -> int:
    """Return the length of the longest name."""
    return max((len(f["name"]) for f in findings), default=0)


def _print(finding: Mapping[str, Any], width: int, colour: bool) -> None:
    word, style = _MARKS[finding["severity"]]
    accepted = finding.get("exception")
    if accepted:
        word, style = "known", "warn"
    mark = output.paint(f"{word:<6}", style, colour)
    # A daemon of the former version has only the former key.
    text = finding["text"] if "text" in finding else finding["evidence"]
    first, *rest = text.splitlines() or [""]
    output.say(f"  {mark}  {finding['name']:<{width}}  {first}")
    indent = " " * (width + 12)
    for line in rest:
        output.say(indent + line)
    if accepted:
        last = from_rfc3339(accepted["until"]) - timedelta(seconds=1)
        output.say(f"{indent}accepted until {last:%Y-%m-%d}: {accepted['reason']}")
    elif finding["remedy"] and finding["severity"] != "ok":
        for number, line in enumerate(finding["remedy"].splitlines()):
            output.say(indent + ("HINT: " if not number else "      ") + line)

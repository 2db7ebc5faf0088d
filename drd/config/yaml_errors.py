"""Explain in plain words the errors of libyaml about a text that is not YAML."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import yaml

from drd.errors import Problem

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The fastest loader that makes no objects."""
_QUOTE = 'put the value in quotes, like `expect: "> 0"` or `cron: "*/10 * * * *"`.'


_CLOSING = {'"': "closing quote", "'": "closing quote", "[": '"]"', "{": '"}"'}


def syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """Return what is wrong in a text that libyaml could not parse, with the line and a remedy."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return _character_problem(text, file)
    lines = text.splitlines() or [""]
    row = min(mark.line, len(lines) - 1)
    at = lines[row][mark.column : mark.column + 1]
    reason = str(getattr(error, "problem", "") or "")
    context = str(getattr(error, "context", "") or "")
    if at == "\t":
        return Problem(file, row + 1, "", "a tab indents this line", "indent with spaces.")
    if at in ("@", "`", "%") or "alias" in context or "block scalar" in context:
        return Problem(file, row + 1, "", f"is not YAML: {reason}", _QUOTE)
    if (late := _late_quote(text, row)) is not None:
        began, quote = late
        fact = f"is not YAML: the text that begins with {quote} in this line ends in line {row + 1}"
        return Problem(file, began + 1, "", fact, f"add the closing {quote} to this line.")
    if "mapping values are not allowed" in reason:
        return _wrong_colon(lines, row, file)
    start = getattr(error, "context_mark", None)
    opened = min(start.line, len(lines) - 1) if start else row
    opening = lines[opened][start.column : start.column + 1] if start else ""
    if opening in _CLOSING and ("end of stream" in reason or "flow" in context):
        message = f"is not YAML: the {opening} in this line has no {_CLOSING[opening]}"
        end = f"line {row + 1}" if row + 1 < len(lines) else "the end of the file"
        return Problem(
            file,
            opened + 1,
            "",
            message,
            f"add the {_CLOSING[opening]}. drd searched for it until {end}.",
        )
    if "did not find expected" in reason and "block" in context:
        message = "is not YAML: the indentation of this line, or a bracket in it, is wrong"
        return Problem(
            file,
            row + 1,
            "",
            message,
            "indent this line like the other lines of the same level, and check the brackets.",
        )
    where = f"{context}: " if context else ""
    hint = "check indentation, quotes and brackets on this line and the one before."
    return Problem(file, row + 1, "", f"is not YAML: {where}{reason}", hint)


def _late_quote(text: str, row: int) -> tuple[int, str] | None:
    """Return the line and the mark of a quote that ends in the line `row`, but began in one before:
    somebody forgot its end, and it ended where the next one should have begun."""
    late = None
    with suppress(yaml.YAMLError):
        for token in yaml.scan(text, Loader=LOADER):
            if token.start_mark.line > row:
                break
            if isinstance(token, yaml.ScalarToken) and token.style in ("'", '"'):
                ends_late = token.start_mark.line < token.end_mark.line == row
                late = (token.start_mark.line, token.style) if ends_late else late
    return late


def _wrong_colon(lines: Sequence[str], row: int, file: str) -> Problem:
    """Report a `: ` that is not possible: the line before may be the one that lacks it."""
    before = next((n for n in range(row - 1, -1, -1) if lines[n].split("#")[0].strip()), None)
    if before is not None and ":" not in lines[before]:
        hint = "write `key: value`, or `key:` and indented lines below it."
        return Problem(file, before + 1, "", 'is not YAML: this line has no ":"', hint)
    hint = "check the indentation, and put text that contains `: ` in quotes."
    return Problem(file, row + 1, "", "is not YAML: a second `:` is not allowed here", hint)


def _character_problem(text: str, file: str) -> Problem:
    for number, line in enumerate(text.split("\n"), start=1):
        for character in line:
            if unicodedata.category(character) == "Cc" and character not in "\t\r\x85":
                message = f"contains the control character U+{ord(character):04X}"
                return Problem(file, number, "", message, "remove it.")
    return Problem(file, 1, "", "is not YAML: a character is not allowed", "remove it.")

"""What commands print: JSON documents, complaints, tables of a few columns."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

SCHEMA = 1


def print_json(document: Mapping[str, Any]) -> None:
    """One document, `schema` first. Text that is not UTF-8 is escaped, never a crash."""
    print(json.dumps({"schema": SCHEMA, **document}, indent=2, ensure_ascii=True))


def unmarked(text: str) -> str:
    """Text with bytes that are not UTF-8 shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def masked(text: str) -> str:
    """Secrets that this process resolved are hidden; free when none was (nothing is imported)."""
    log = sys.modules.get("drd.log")
    return str(log.masked(text)) if log is not None else text


def complain(message: str, hint: str = "") -> None:
    """`drd: fact` and `HINT: remedy`, on stderr."""
    print(f"drd: {unmarked(masked(message))}", file=sys.stderr)
    if hint:
        print(f"HINT: {unmarked(masked(hint))}", file=sys.stderr)


def warn(message: str) -> None:
    print(f"drd: warning: {unmarked(masked(message))}", file=sys.stderr)


def say(text: str = "") -> None:
    print(unmarked(text))


def colours(no_color: bool) -> bool:
    """Whether stdout gets colours: a terminal, and nobody objects."""
    return sys.stdout.isatty() and not no_color and "NO_COLOR" not in os.environ


_CODES = {"good": "32", "warn": "33", "bad": "31", "dim": "2", "bold": "1"}


def paint(text: str, style: str, on: bool) -> str:
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if on and text else text


def table(rows: Sequence[Sequence[str]], *, header: Sequence[str] = ()) -> str:
    """Left-aligned columns, two spaces apart, no trailing blanks."""
    lines = [list(header), *map(list, rows)] if header else [list(r) for r in rows]
    if not lines:
        return ""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            unmarked(cell).ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )

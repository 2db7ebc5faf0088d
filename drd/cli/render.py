"""Lay out text for a terminal: tables that drop columns, lines with a command at the right.

Widths are those before colouring; text from outside (errors, names) loses its control characters
here, so that it can neither move the cursor nor break a column."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from itertools import zip_longest

from drd.model.cells import Cell, Note

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from typing import TextIO

GAP = 2
NO_LIMIT = 10_000
"""Width of an output that is not a terminal: a pipe drops no column and breaks no line."""
_SHORTEST = 12
"""A text that is cut to less is useless."""
_COMMANDS_AT = 90
"""Commands are aligned behind texts up to this long; a longer one moves its own."""

_CODES = {"good": "32", "warn": "33", "bad": "31", "dim": "2", "bold": "1"}


def terminal_width(out: TextIO) -> int:
    """Columns of the terminal, `NO_LIMIT` for anything else; `COLUMNS` overrides a terminal's."""
    if not out.isatty():
        return NO_LIMIT
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except OSError:
        return 80


def terminal_height(out: TextIO) -> int | None:
    """Lines of the terminal, None for anything else; `LINES` overrides a terminal's."""
    if not out.isatty():
        return None
    given = os.environ.get("LINES", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(out.fileno()).lines or None
    except OSError:
        return None


def paint(text: str, style: str, colour: bool) -> str:
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if colour and style and text else text


def shown(text: str, *, painted: bool = False) -> str:
    """Lines for people: nothing in a name, an address or an error moves a cursor, hides or turns
    text, or names the terminal. The colours of `paint` stay in what is `painted`."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    from drd.model.text import escaped

    whole = text.encode("utf-8", "backslashreplace").decode()
    if not painted or "\x1b" not in whole:
        return "\n".join(map(escaped, whole.split("\n")))
    parts = _painted().split(whole)
    return "".join(part if n % 2 else shown(part) for n, part in enumerate(parts))


@cache
def _painted() -> re.Pattern[str]:
    import re

    return re.compile(r"(\x1b\[(?:0|1|2|31|32|33)m)")


def plain(text: str) -> str:
    """One line: control characters become spaces, bytes that are not UTF-8 become escapes."""
    if text.isascii() and text.isprintable():
        return text
    import unicodedata

    shown = "".join(" " if unicodedata.category(c) in {"Cc", "Cf"} else c for c in text)
    return shown.encode("utf-8", "backslashreplace").decode()


def measure(text: str) -> int:
    """Columns that `text` takes on a terminal: wide East Asian characters take two."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    width: int,
    keep: int,
    colour: bool,
    shorten: bool = False,
) -> list[str]:
    """Aligned lines, the header first; columns are dropped from the right, but never the first
    `keep`, even if these alone are wider than `width`. `shorten` cuts the texts of the last
    column before it is dropped."""
    if not colour and not shorten and (plainly := _uncoloured(header, rows, width, keep)):
        return plainly
    lines = [[Cell(h, "dim") for h in header]]
    lines += [[Cell(plain(c.text), c.style) for c in row] for row in rows]
    widths = [max(measure(line[i].text) for line in lines) for i in range(len(header))]
    room = width - sum(widths[:-1]) - GAP * (len(header) - 1)
    if shorten and _SHORTEST <= room < widths[-1]:
        lines = [[*line[:-1], Cell(cut(line[-1].text, room), line[-1].style)] for line in lines]
        widths[-1] = room
    shown = _shown(widths, width, keep)
    return [_row(line[:shown], widths, colour) for line in lines]


def _uncoloured(
    header: Sequence[str], rows: Sequence[Sequence[Cell]], width: int, keep: int
) -> list[str] | None:
    """Return the same for thousands of rows; None if a text has more than printable ASCII."""
    texts = [tuple(header), *(tuple([cell[0] for cell in row]) for row in rows)]
    everything = "".join(map("".join, texts))
    if not (everything.isascii() and everything.isprintable()):
        return None
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    shown = _shown(widths, width, keep)
    form = (" " * GAP).join([*(f"%-{w}s" for w in widths[: shown - 1]), "%s"])
    if shown == len(header):
        return [(form % text).rstrip() for text in texts]
    return [(form % text[:shown]).rstrip() for text in texts]


def _shown(widths: Sequence[int], width: int, keep: int) -> int:
    """Return how many columns fit."""
    shown = len(widths)
    while shown > keep and sum(widths[:shown]) + GAP * (shown - 1) > width:
        shown -= 1
    return shown


def cut(text: str, width: int) -> str:
    """At most `width` columns of `text`, with … as the last one if something was cut."""
    if measure(text) <= width:
        return text
    while text and measure(text) >= width:
        text = text[:-1]
    return text.rstrip() + "…"


def _row(cells: Sequence[Cell], widths: Sequence[int], colour: bool) -> str:
    parts = []
    for i, cell in enumerate(cells):
        last = i == len(cells) - 1
        pad = "" if last else " " * (widths[i] - measure(cell.text) + GAP)
        parts.append(paint(cell.text, cell.style, colour) + pad)
    return "".join(parts).rstrip()


def spread(left: str, right: str, width: int) -> str:
    """`left` and, at the right end of `width`, `right`; on its own line if it does not fit."""
    space = width - measure(left) - measure(right)
    return f"{left}{' ' * space}{right}" if space >= GAP else f"{left}\n{right}"


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width`, broken at spaces; a longer word stands alone and overflows."""
    words = plain(text).split()
    whole = " ".join(words)
    if measure(whole) <= width:
        return [whole]
    lines: list[str] = []
    for word in words:
        if lines and measure(lines[-1]) + 1 + measure(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def notes(items: Sequence[Note], *, width: int, colour: bool) -> list[str]:
    """Sentences under a table: subject (once for all of its sentences), text, command at the right.

    On a narrow terminal the text is broken, and the command stands below it; nothing is cut."""
    if not items:
        return []
    left = max(measure(i.subject) for i in items) + GAP
    right = max((measure(line) for i in items for line in i.command.splitlines()), default=0)
    longest = max(measure(plain(i.text.text)) for i in items)
    beside = left + GAP + right + min(longest, 36) <= width
    room = max(20, width - left - (GAP + right if beside and right else 0))
    column = left + min(longest, room, _COMMANDS_AT)
    lines: list[str] = []
    before = None
    for item in items:
        subject = "" if item.subject == before else plain(item.subject)
        before = item.subject
        commands = item.command.splitlines()
        parts = wrap(item.text.text, room)
        for i, (part, command) in enumerate(
            zip_longest(parts, commands if beside else (), fillvalue="")
        ):
            head = (subject if i == 0 else "").ljust(left)
            line = head + paint(part, item.text.style, colour)
            if command:
                line += " " * max(0, column - left - measure(part)) + " " * GAP + command
            lines.append(line)
        if not beside:
            lines += [" " * left + f"> {command}" for command in commands]
    return lines

"""Lay out text for a terminal: tables, lines with a command at the right.

Widths are those before colouring; text from outside (errors, names) loses its control characters
here, so that it can neither move the cursor nor break a column."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from itertools import zip_longest

from drd import record_writer
from drd.cli.command_lines import command_lines, is_command
from drd.model.cells import Cell, Note
from drd.model.text import escaped, readable
from drd.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from typing import TextIO

GAP = 2
NO_LIMIT = 10_000
"""Width of an output that is not a terminal: a pipe drops no column and breaks no line."""
_LONG = 20
"""Only a name that is longer gets a line of its own, and only if this is enough to shorten the last
column."""
_SHORTEST = 12
"""A text in a narrower column is useless."""
_BELOW = 4
"""How far lines below a row are indented relative to the row."""
_COMMANDS_AT = 90
"""Commands are aligned behind texts up to this long; a longer one moves its own."""

_COMMAND = "> "
"""What stands before a command below a text."""
_COMMANDS = r"(?:^|(?<=\s))\s*\(?`([^`]+)`[).;,]*(?:\s+|$)"
"""A command in a text, with what encloses it."""
_SEVERAL_WORDS = r"(?:--)?[a-z][\w./-]* "
"""How a command begins; behind a key there is a colon."""
_SPACES = {ord(c): " " for c in "\t\n\r\v\f"}
_PAINTED = r"(\x1b\[(?:0|1|2|31|32|33)m)"
"""The codes of `paint`."""
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
    """Make lines for people: no character in a name, an address or an error can move the cursor,
    hide or turn text, or name the terminal. The colours of `paint` stay in the texts that are
    `painted`."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    whole = readable(text)
    if not painted or "\x1b" not in whole:
        return "\n".join(map(escaped, whole.split("\n")))
    parts = _pattern(_PAINTED).split(whole)
    return "".join(part if n % 2 else shown(part) for n, part in enumerate(parts))


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    import re

    return re.compile(pattern)


def plain(text: str) -> str:
    """Return one line: line breaks and tabs become spaces, and what `escaped` escapes is
    escaped."""
    if text.isascii() and text.isprintable():
        return text
    return escaped(text.translate(_SPACES))


def measure(text: str) -> int:
    """Columns that `text` takes on a terminal: wide East Asian characters take two."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int) -> list[str]:
    """Aligned lines, the header first, in `width` columns. Nothing is left out: a text of the last
    column that does not fit is put below its row. Columns at the right for which there is no room
    are put there too, with their headers."""
    texts = [[Cell(cell) for cell in row] for row in rows]
    plainly = _uncoloured(header, texts, NO_LIMIT, len(header))
    if plainly is not None and max(map(len, plainly)) <= width:
        return plainly
    lines = [list(header), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(map(measure, column)) for column in zip(*lines, strict=True)]
    room = width - _total(widths[:-1]) - GAP
    if max(_SHORTEST, measure(header[-1])) <= room < widths[-1]:
        widths[-1] = room
    shown = _shown(widths, width, 1)
    labels = [measure(name) for name in header[shown:]] or [0]
    return [
        text
        for row in lines
        for text in _stacked(row, lines[0], widths[:shown], max(labels), width)
    ]


def fits(header: Sequence[str], rows: Sequence[Sequence[Cell]], width: int) -> bool:
    """Return whether the whole table fits into `width` columns."""
    texts = [header, *([plain(cell.text) for cell in row] for row in rows)]
    return _total([max(map(measure, column)) for column in zip(*texts, strict=True)]) <= width


def _stacked(
    row: Sequence[str], header: Sequence[str], widths: Sequence[int], label: int, width: int
) -> list[str]:
    """Return the lines of a row of which only the columns with `widths` stand beside each other."""
    cells, below = list(row[: len(widths)]), list(zip(header, row, strict=True))[len(widths) :]
    if row is header:
        return [_row([Cell(text) for text in cells], widths, False)]
    if len(cells) > 1 and measure(cells[-1]) > widths[-1]:
        below.insert(0, ("", cells[-1]))
        cells[-1] = ""
    indent = " " * (measure(row[0]) - measure(row[0].lstrip()) + _BELOW)
    lines = [_row([Cell(text) for text in cells], widths, False)]
    for name, text in below:
        head = f"{name.lower().ljust(label)}{' ' * GAP}" if name else ""
        space = max(_SHORTEST, width - len(indent) - measure(head))
        for number, part in enumerate(wrap(text, space) if text.strip() else ()):
            lines.append(indent + (head if number == 0 else " " * measure(head)) + part)
    return lines


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
    head = _pieces(text, width - 1)[0]
    return (head.rstrip() if measure(head) < width else "") + "…"


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


def hanging(head: str, text: str, width: int) -> list[str]:
    """Return lines of at most `width` characters. The first begins with `head`; the others are
    indented like the text. A word that is longer than a line is not broken, because people copy
    paths. If one line is not enough, each `command` gets a line of its own, without its quotes,
    because people copy it."""
    whole = f"{head}{plain(text)}"
    if measure(whole) <= width:
        return [whole]
    room = " " * measure(head)
    lines: list[str] = []
    for number, part in enumerate(_with_commands(plain(text))):
        if number % 2:
            lines.append(f"{room}{part}")
            continue
        first, *words = part.strip().split(" ")
        lines += [f"{room}{first}"] if first else []
        for word in words:
            if measure(lines[-1]) + 1 + measure(word) <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(f"{room}{word}")
    lines = lines or [room]
    return [f"{head}{lines[0][measure(head) :]}", *lines[1:]]


def _with_commands(text: str) -> list[str]:
    """Return a text without its commands, and its commands, in turns. A key of a plan in quotes is
    no command, and stays in the text."""
    parts, begin = [], 0
    for command in _pattern(_COMMANDS).finditer(text):
        if _pattern(_SEVERAL_WORDS).match(command[1]) or is_command(command[1]):
            parts += [text[begin : command.start()], command[1]]
            begin = command.end()
    return [*parts, text[begin:]]


def remedy(head: str, text: str, width: int) -> list[str]:
    """Return the lines of a remedy, which may have several: `head` before the first, the others
    indented like it. A command that is too long continues behind a backslash, a sentence as
    `hanging` says."""
    lines: list[str] = []
    for line in text.splitlines():
        left = (" " * measure(head) if lines else head) + line[: -len(line.lstrip()) or None]
        if is_command(line):
            room = max(_LONG, width - measure(left))
            parts = command_lines(plain(line.lstrip()), room, measure)
            lines += [f"{left}{parts[0]}", *(" " * measure(left) + part for part in parts[1:])]
        else:
            lines += hanging(left, line.lstrip(), width)
    return lines


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width`, broken at spaces; a word that is longer is broken, too."""
    words = plain(text).split()
    whole = " ".join(words)
    if measure(whole) <= width:
        return [whole]
    lines: list[str] = []
    for word in [piece for whole_word in words for piece in _pieces(whole_word, width)]:
        if lines and measure(lines[-1]) + 1 + measure(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _pieces(word: str, width: int) -> list[str]:
    """Return the parts of a word that fit into `width`; at least one letter each."""
    if measure(word) <= width:
        return [word]
    pieces, start, used = [], 0, 0
    for at, letter in enumerate(word):
        taken = measure(letter)
        if used + taken > width and at > start:
            pieces.append(word[start:at])
            start, used = at, 0
        used += taken
    return [*pieces, word[start:]]


def sentence(note: Note, *, width: int, colour: bool, indent: int = 2) -> list[str]:
    """Return the lines of a text, broken at `width`, and below them the lines of its commands,
    which a person can copy."""
    left = " " * indent
    parts = wrap(note.text.text, max(20, width - indent))
    lines = [left + paint(part, note.text.style, colour) for part in parts]
    return [*lines, *_below(_commands(note), left, width)]


def _below(commands: Sequence[str], left: str, width: int) -> list[str]:
    """Return the lines of commands below a text; a mark shows where each of them begins."""
    room = max(20, width - len(left) - len(_COMMAND))
    marks = (_COMMAND, " " * len(_COMMAND))
    return [
        f"{left}{marks[number > 0]}{part}"
        for command in commands
        for number, part in enumerate(command_lines(command, room, measure))
    ]


def _commands(note: Note) -> list[str]:
    """Return the lines of the command, in root's terminal those that root may paste."""
    if not note.command or record_writer.stranger() is None:
        return note.command.splitlines()
    from drd.cli import vouched

    return vouched.lines(note.command)


class Fitted(NamedTuple):
    """A table that fits: the lines of the header, the lines of each row, and the headers of columns
    that did not fit."""

    head: list[str]
    rows: list[list[str]]
    left_out: list[str]


def fitted(
    header: Sequence[str], rows: Sequence[Sequence[Cell]], *, width: int, keep: int, colour: bool
) -> Fitted:
    """Lay out a table in `width` columns. A header may be broken where it has a newline. If the
    table is still too wide, a long text of the first column gets a line of its own, and the texts
    of the last column get several lines. If that is not enough, columns are left out from the
    right, but never the first `keep`."""
    flat = [name.replace("\n", " ") for name in header]
    plainly = None if colour else _uncoloured(flat, rows, NO_LIMIT, keep)
    if plainly is not None and max(map(len, plainly)) <= width:
        return Fitted(plainly[:1], [[line] for line in plainly[1:]], [])
    cells = [[Cell(plain(c.text), c.style) for c in row] for row in rows]
    body = [max((measure(row[i].text) for row in cells), default=0) for i in range(len(flat))]
    widths = [max(measure(name), b) for name, b in zip(flat, body, strict=True)]
    heads = [flat]
    if _total(widths) > width and any("\n" in name for name in header):
        parts = [name.split("\n") for name in header]
        heads = [[p[0] if len(p) > 1 else "" for p in parts], [p[-1] for p in parts]]
        widths = [max(b, *map(measure, p)) for b, p in zip(body, parts, strict=True)]
    shown = _fit(widths, width, keep)
    lines = [_row([Cell(name, "dim") for name in head[:shown]], widths, colour) for head in heads]
    return Fitted(lines, [_folded(row[:shown], widths, colour) for row in cells], flat[shown:])


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _fit(widths: list[int], width: int, keep: int) -> int:
    """Narrow the first and the last column where that helps; return how many columns fit."""
    least = min(widths[0], _SHORTEST)
    for shown in range(len(widths), keep, -1):
        room = width - _total(widths[:shown]) + widths[0]
        last = widths[-1] - _SHORTEST if shown == len(widths) else 0
        if room < widths[0] <= min(_LONG, room + last):
            widths[-1] -= widths[0] - room
            return shown
        if room < least <= room + last:
            widths[-1] -= least - room
            room = least
        if room >= least:
            widths[0] = min(widths[0], room)
            return shown
    return keep


def _folded(row: Sequence[Cell], widths: Sequence[int], colour: bool) -> list[str]:
    """Return the lines of a row: several if its first or its last text is too long for its
    column."""
    texts = wrap(row[-1].text, widths[len(row) - 1])
    left = " " * (_total(widths[: len(row) - 1]) + GAP)
    more = [left + paint(text, row[-1].style, colour) for text in texts[1:]]
    row = [*row[:-1], row[-1]._replace(text=texts[0])]
    if measure(row[0].text) <= widths[0]:
        return [_row(row, widths, colour), *more]
    below = _row([Cell(""), *row[1:]], widths, colour)
    return [paint(row[0].text, row[0].style, colour), below, *more]


def notes(items: Sequence[Note], *, width: int, colour: bool) -> list[str]:
    """Sentences under a table: subject (once for all of its sentences), text, and the command at
    the right. On a narrow terminal the text is broken, and the command is put below it; nothing is
    cut."""
    if not items:
        return []
    left = max(measure(i.subject) for i in items) + GAP
    all_commands = [_commands(item) for item in items]
    right = max((measure(line) for lines in all_commands for line in lines), default=0)
    longest = max(measure(plain(i.text.text)) for i in items)
    beside = left + GAP + right + min(longest, 36) <= width
    room = max(20, width - left - (GAP + right if beside and right else 0))
    column = left + min(longest, room, _COMMANDS_AT)
    lines: list[str] = []
    before = None
    for item, commands in zip(items, all_commands, strict=True):
        subject = "" if item.subject == before else plain(item.subject)
        before = item.subject
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
            lines += _below(commands, " " * left, width)
    return lines

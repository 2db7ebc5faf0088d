"""Print what commands return: JSON documents, errors, tables of a few columns."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from drd import masking
from drd.cli import render
from drd.cli.render import paint, shown
from drd.model.text import escaped, readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from drd.model.cells import Cell

SCHEMA = 1
__all__ = [
    "colours",
    "complain",
    "masked",
    "over",
    "paint",
    "print_json",
    "say",
    "say_below",
    "say_marked",
    "say_remedy",
    "shown",
    "table",
    "unmarked",
    "warn",
]


_clear: list[Callable[[], None]] = []


def over(clear: Callable[[], None]) -> None:
    """Let `clear` remove a progress line before anything is printed from now on."""
    _clear[:] = [clear]


def _clear_line() -> None:
    for clear in _clear:
        clear()


def print_json(document: Mapping[str, Any]) -> None:
    """One document, `schema` first. Text that is not UTF-8 is escaped and never causes a crash."""
    _clear_line()
    print(json_text(document))


def json_text(document: Mapping[str, Any]) -> str:
    """Return a document as `print_json` prints it."""
    import json

    return json.dumps({"schema": SCHEMA, **document}, indent=2, ensure_ascii=True)


def error_document(message: str, hint: str, code: int) -> dict[str, Any]:
    """Return an error as a part of a document: without secrets, and with its exit code."""
    return {"message": unmarked(masked(message)), "hint": unmarked(masked(hint)), "exit": code}


def unmarked(text: str) -> str:
    """Text with bytes that are not UTF-8 shown as escapes."""
    return readable(text)


def masked(text: str) -> str:
    """Return the text, with the secrets that this process resolved masked."""
    return masking.masked(text)


def complain(message: str, hint: str = "", *, untouched: bool = False) -> None:
    """Print `drd: fact` and `HINT: remedy` on stderr. `untouched`: the command has changed
    nothing."""
    _clear_line()
    _print_below("drd: ", shown(masked(message)))
    if untouched:
        print("     drd changed no data.", file=sys.stderr)
    if hint:
        width = render.terminal_width(sys.stderr)
        for line in render.remedy("HINT: ", shown(masked(hint)), width):
            print(line, file=sys.stderr)


def warn(message: str) -> None:
    _clear_line()
    _print_below("drd: warning: ", shown(masked(message)))


def _print_below(head: str, text: str) -> None:
    """Print a text on stderr; on a terminal that is narrower, it goes on below itself."""
    first, *more = text.split("\n")
    width = render.terminal_width(sys.stderr)
    for line in (*render.hanging(head, first, width), *more):
        print(line, file=sys.stderr)


def say(text: str = "", *, beside: bool = False) -> None:
    """A line on stdout; `beside` a document, which needs stdout for itself, on stderr."""
    _clear_line()
    painted = sys.stdout.isatty()
    print(shown(text, painted=painted), file=sys.stderr if beside else sys.stdout)


def say_below(head: str, text: str, *, beside: bool = False) -> None:
    """Say `head` and a text, which goes on below itself on a terminal that is narrower; `beside` a
    document, on stderr."""
    out = sys.stderr if beside else sys.stdout
    for line in render.hanging(head, shown(text), render.terminal_width(out)):
        say(line, beside=beside)


def say_remedy(head: str, text: str) -> None:
    """Say what to do, in one line or several, with `head` before the first."""
    for line in render.remedy(head, text, render.terminal_width(sys.stdout)):
        say(line)


def say_marked(mark: Cell, text: str, *, left: str = "", right: str = "", colour: bool) -> None:
    """Say `left`, a coloured mark, `right` and a text, which goes on below itself as in
    `say_below`."""
    head = f"{left}{mark.text}"
    first, *more = render.hanging(f"{head}{right}", text, render.terminal_width(sys.stdout))
    say(f"{left}{paint(mark.text, mark.style, colour)}{first[len(head) :]}")
    for line in more:
        say(line)


def colours(no_color: bool) -> bool:
    """Return whether stdout gets colours: on a terminal, unless switched off."""
    return sys.stdout.isatty() and not no_color and not os.environ.get("NO_COLOR")


def table(rows: Sequence[Sequence[str]], *, header: Sequence[str] = ()) -> str:
    """Aligned columns, one line a row: a line break in a name is an escape. If a text has no room
    on a narrow terminal, it is put below its row; a pipe has room for everything. The first column
    may be indented."""
    if not rows:
        return ""
    cells = [[escaped(cell) for cell in row] for row in rows]
    names = header or [""] * len(rows[0])
    lines = render.table(names, cells, width=render.terminal_width(sys.stdout))
    return "\n".join(lines if header else lines[1:])

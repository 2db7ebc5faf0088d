#!/usr/bin/env python3
"""Draw docs/recording.svg: what a terminal shows of the demo's status, drill and recovery."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

COLUMNS, LINES = 120, 2000
SHOWN = (
    ("drd status", 0),
    ("drd drill orders-api", 0),
    ("drd recover orders-api --target standby --yes", 0),
    ("drd status", -1),
)
"""Commands of the demo, and which of several equal ones."""
IMAGE = Path(__file__).parents[1] / "docs/recording.svg"


def main() -> None:
    run = f"stty cols {COLUMNS} rows 50; exec {sys.executable} -m demo.run"
    words = ["script", "-qefc", run, "/dev/null"]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
    blocks = list(commands(screen(re.sub(rb"/tmp/drd-\w+", b"/srv", done.stdout))))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for command, number in SHOWN:
        block = [lines for words, lines in blocks if words == command][number]
        for line in [*block, Text()]:
            console.print(line, no_wrap=True)
    image = console.export_svg(title="drd")
    # Without the fonts that it would load from elsewhere.
    IMAGE.write_text(re.sub(r"@font-face \{.*?\}\s*", "", image, flags=re.DOTALL))


def screen(said: bytes) -> list[Text]:
    """The lines that are left on a terminal that has room for all of them."""
    terminal = pyte.Screen(COLUMNS, LINES)
    pyte.ByteStream(terminal).feed(said)
    lines = []
    for number in range(LINES):
        line = Text()
        cells = [terminal.buffer[number][column] for column in range(COLUMNS)]
        for (colour, bold), same in groupby(cells, lambda cell: (cell.fg, cell.bold)):
            style = "" if colour == "default" else {"brown": "yellow"}.get(colour, colour)
            line.append("".join(cell.data for cell in same), f"{'bold ' * bold}{style}")
        line.rstrip()
        lines.append(line)
    return lines


def commands(lines: list[Text]) -> list[tuple[str, list[Text]]]:
    """Each command that the demo shows, with its line and all that it printed."""
    found: list[tuple[str, list[Text]]] = []
    telling = False
    for line, after in zip(lines, [*lines[1:], Text()], strict=True):
        if line.plain.startswith("$ "):
            found.append((line.plain[2:], []))
            telling = False
        elif not line.plain and (after.plain.startswith("  ") or not after.plain):
            telling = True  # the demo's own words follow
        if after.plain and set(after.plain) == {"─"}:
            telling = True
        if found and not telling:
            found[-1][1].append(line)
    return found


if __name__ == "__main__":
    main()

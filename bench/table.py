"""Print the result: one line for each figure, with its baseline, its target and whether it
was met.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.measure import Run, cpu_of_programs, cpu_seconds

_HEADER = ("WHAT", "DRD", "BASELINE", "RATIO", "TARGET", "")


@dataclass(frozen=True, slots=True)
class Row:
    """`met` None: measured for comparison, without a target."""

    what: str
    drd: str
    baseline: str
    ratio: float | None
    target: str
    met: bool | None


def text(rows: Sequence[Row]) -> str:
    cells = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
    met = {True: "met", False: "MISSED", None: ""}[row.met]
    return (row.what, row.drd, row.baseline, ratio, row.target, met)


def cpu(what: str, left: Sequence[Run], right: Sequence[Run]) -> list[Row]:
    """Return rows with the processor time of both, and of the programs that both started: without
    drd's own time, and that of the script's shell. None if it was not counted."""
    found = []
    for of, counted in ((what, cpu_seconds), (f"{what}, programs only", cpu_of_programs)):
        ours, theirs = counted(left), counted(right)
        if ours is not None and theirs:
            found.append(
                Row(f"  processor time of {of}", f"{ours:.2f} s", f"{theirs:.2f} s",
                    ours / theirs, "", None)
            )  # fmt: skip
    return found


def mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"

"""Segments of the WAL: names, positions, and what their first page says. Pure, except for reading
files."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
HISTORY = re.compile(r"([0-9A-F]{8})\.history")
PARTIAL = ".partial"

SMALLEST, LARGEST = 1 << 20, 1 << 30
"""The smallest and the largest size of a segment, in bytes."""

_HEADER = struct.Struct("<HHIQII QII")
"""The long header of the first page of a segment: magic, flags, timeline, address, rest, padding;
system identifier, size of a segment, size of a page."""
_LONG = 0x0002
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_LINE = re.compile(r"\s*(\d+)\s+([0-9A-F]{1,8}/[0-9A-F]{1,8})")


def position(text: str) -> int:
    """Read `0/3000028`. Raises ValueError."""
    match = _LSN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a position in the WAL, like 0/3000028")
    return int(match[1], 16) << 32 | int(match[2], 16)


def show(at: int) -> str:
    """Write a position as PostgreSQL does."""
    return f"{at >> 32:X}/{at & 0xFFFFFFFF:X}"


class Segment(NamedTuple):
    """A segment: its timeline, and its number from the beginning of the WAL."""

    line: int
    number: int

    def name(self, size: int) -> str:
        per_file = (1 << 32) // size
        return f"{self.line:08X}{self.number // per_file:08X}{self.number % per_file:08X}"

    def begin(self, size: int) -> int:
        return self.number * size


def segment_of(name: str, size: int) -> Segment | None:
    """Return the segment that a file contains, by its name; None for another file."""
    match = SEGMENT.fullmatch(name.removesuffix(PARTIAL))
    if match is None:
        return None
    line, log, low = (int(part, 16) for part in match.groups())
    return Segment(line, log * ((1 << 32) // size) + low)


def ending_at(at: int, line: int, size: int) -> Segment:
    """Return the segment that has the last byte before a position."""
    return Segment(line, max(0, at - 1) // size)


@dataclass(frozen=True, slots=True)
class FirstPage:
    """What the first page of a segment says of it."""

    line: int
    begin: int
    source: str
    size: int


def first_page(file: Path) -> FirstPage | None:
    """Read the first page; None if there is none, or it is damaged."""
    with file.open("rb") as opened:
        data = opened.read(_HEADER.size)
    if len(data) < _HEADER.size:
        return None
    magic, flags, line, begin, _, _, source, size, page = _HEADER.unpack(data)
    sound = magic >> 8 == 0xD1 and flags & _LONG and page and SMALLEST <= size <= LARGEST
    return FirstPage(line, begin, str(source), size) if sound else None


def wrong(file: Path, name: str, source: str) -> str | None:
    """Return what is wrong with a segment of this name and server, in words; None if its first page
    is as it has to be."""
    page = first_page(file)
    if page is None:
        return f"WAL segment {name} is damaged: its first page is not one of a segment"
    if page.source != source:
        return (
            f"WAL segment {name} is of another server: its system identifier is {page.source}, "
            f"that of the base backup is {source}"
        )
    named = segment_of(name, page.size)
    assert named is not None
    if page.begin != named.begin(page.size):
        return f"WAL segment {name} contains the WAL from {show(page.begin)}, which is another one"
    # The first segment of a timeline begins with pages of the timeline before.
    if page.line > named.line:
        return f"WAL segment {name} contains WAL of timeline {page.line}"
    return None


def switches(history: str) -> list[tuple[int, int]]:
    """Return the timelines that came before, each with the position at which it ended."""
    points = []
    for text in history.splitlines():
        match = _LINE.match(text)
        if match is not None:
            points.append((int(match[1]), position(match[2])))
    return points


def contiguous(numbers: set[int], last: int) -> int:
    """Return the first of the segments that lead to the last one without a gap."""
    while last - 1 in numbers:
        last -= 1
    return last

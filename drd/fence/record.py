"""What the fences of one drill write down, for each other and for drd: a line an event.

The file is in memory and only ever appended to. Fenced processes do not have it.
"""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST = 4 << 20
_LONGEST = 300


class Record:
    """An appending descriptor. What is there already is not written again; after some ten thousand
    different lines nothing more is, whatever a fenced process does."""

    def __init__(self, descriptor: int, by: str) -> None:
        self._descriptor = descriptor
        self._by = by
        self._known: set[str] = set()

    def write(self, event: str, **what: Any) -> None:
        line = marshal.dumps({"event": event, "by": self._by, **what}).hex()
        if line in self._known or os.fstat(self._descriptor).st_size > _LARGEST:
            return
        self._known.add(line)
        os.write(self._descriptor, line.encode() + b"\n")

    def tried(self, what: str, to: str = "") -> None:
        """Something outside that a fenced process asked for and did not get."""
        self.write("tried", what=what, to=plain(to))

    def read(self) -> list[dict[str, Any]]:
        return read(self._descriptor)


def read(descriptor: int) -> list[dict[str, Any]]:
    """Every whole line so far."""
    data = os.pread(descriptor, 2 * _LARGEST, 0)
    lines = data.split(b"\n")[:-1]
    return [marshal.loads(bytes.fromhex(line.decode())) for line in lines]  # noqa: S302 - ours


def plain(text: str) -> str:
    """One line of what a fenced process has said, for people: nothing in it does anything."""
    return "".join(c if c.isprintable() else "?" for c in text)[:_LONGEST]

"""The record of a drill's fences, for each other and for drd: one line for each event.

The file is in memory and only ever appended to. Fenced processes cannot open it.
"""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DESTINATIONS = 128
"""The number of recorded tries of each kind (tcp, dns, …) for a command; further tries are only
counted.
"""
_LISTENERS = 4096
_LONGEST = 300


class Record:
    """An appending descriptor, for one command. Existing entries are not written again, and each
    kind of try has its own limit: many tries of one kind do not hide another.
    """

    def __init__(self, descriptor: int, by: str) -> None:
        self._descriptor = descriptor
        self._by = by
        self._known: set[tuple[tuple[str, Any], ...]] | None = None
        self._lines: dict[str, int] = {}
        self._more: dict[str, int] = {}

    def write(self, event: str, **what: Any) -> None:
        self._write({"event": event, **what}, event, _LISTENERS)

    def tried(self, what: str, to: str = "") -> None:
        """Record a refused access of a fenced process to something outside."""
        event = {"event": "tried", "what": what, "to": plain(to)}
        if not self._write(event, f"tried {what}", DESTINATIONS):
            self._count(what)

    def _write(self, event: dict[str, Any], kind: str, most: int) -> bool:
        """Return whether it is recorded, now or before; False when its kind has reached its
        limit."""
        if self._known is None:
            self._known = self._read_earlier()
        event = {**event, "by": self._by}
        known = tuple(sorted(event.items()))
        if known in self._known:
            return True
        if self._lines.get(kind, 0) >= most:
            return False
        self._lines[kind] = self._lines.get(kind, 0) + 1
        self._known.add(known)
        os.write(self._descriptor, _line(event))
        return True

    def _count(self, what: str) -> None:
        """Count a try of a kind that has reached its limit. Writes a line at every doubling: the
        reader then knows that there were more, and about how many, even if we are killed.
        """
        more = self._more[what] = self._more.get(what, 0) + 1
        if more & (more - 1) == 0:
            line = {"event": "tried more", "what": what, "count": more, "by": self._by}
            os.write(self._descriptor, _line(line))

    def _read_earlier(self) -> set[tuple[tuple[str, Any], ...]]:
        """Read this command's entries from an earlier fence: both share one limit."""
        earlier = set()
        for event in self.read():
            if event["by"] != self._by:
                continue
            if event["event"] == "tried more":
                self._more[event["what"]] = max(event["count"], self._more.get(event["what"], 0))
                continue
            name = event["event"]
            kind = f"tried {event['what']}" if name == "tried" else name
            self._lines[kind] = self._lines.get(kind, 0) + 1
            earlier.add(tuple(sorted(event.items())))
        return earlier

    def read(self) -> list[dict[str, Any]]:
        return read(self._descriptor)


def _line(event: dict[str, Any]) -> bytes:
    return marshal.dumps(event).hex().encode() + b"\n"


def read(descriptor: int) -> list[dict[str, Any]]:
    """Return every complete line so far."""
    data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    lines = data.split(b"\n")[:-1]
    return [marshal.loads(bytes.fromhex(line.decode())) for line in lines]  # noqa: S302 - ours


def plain(text: str) -> str:
    """One line of a fenced process's output, for people, without control characters."""
    return "".join(c if c.isprintable() else "?" for c in text)[:_LONGEST]

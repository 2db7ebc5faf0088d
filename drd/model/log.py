"""The log of a server (PostgreSQL's WAL): batches of it in a repository, and how far they lead.

A position is a number that only grows; its kind knows how a person writes it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd.model import strict
from drd.model.units import from_rfc3339, to_rfc3339

LOG_TAG = "drd-log"
"""The tag of every snapshot with a part of a log. They do not have the tag of restore points."""

_MOST = 1 << 63
_SOURCE = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEX = re.compile(r"[0-9a-f]{1,16}")


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """How a log is kept: what arrived goes to the repository every `every_s` seconds."""

    every_s: float


@dataclass(frozen=True, slots=True)
class LogMark:
    """Everything that was committed before `at` is in the log before `position`. `line` is the
    timeline."""

    position: int
    line: int
    at: datetime


@dataclass(frozen=True, slots=True)
class LogTarget:
    """Where a replay stops: before the first transaction that was committed at this time or later,
    before this position, or before the commit of this transaction. Without all of them, at the end
    of what is there. One that `rehearses` stops before the last transaction instead, so that both
    sides of the place can be proven."""

    before: datetime | None = None
    position: int | None = None
    transaction: int | None = None
    rehearses: bool = False

    @property
    def is_end(self) -> bool:
        return self.before is None and self.position is None and self.transaction is None


@dataclass(frozen=True, slots=True)
class LogBatch:
    """A snapshot that has the log of `source` from `begin` to the mark `end`, without a gap. A
    later snapshot of the same `number` has all of it, and more."""

    snapshot: str
    component: str
    source: str
    number: int
    begin: int
    end: LogMark

    def tags(self, plan: str) -> list[str]:
        """Return the tags by which a machine without a catalogue knows the batch."""
        return [
            LOG_TAG,
            f"plan:{plan}",
            f"component:{self.component}",
            f"log-source:{self.source}",
            f"log-number:{self.number:x}",
            f"log-begin:{self.begin:x}",
            f"log-end:{self.end.position:x}",
            f"log-line:{self.end.line:x}",
            f"log-at:{to_rfc3339(self.end.at)}",
        ]


def batch_of(snapshot: str, tags: Iterable[str]) -> LogBatch:
    """Read the tags of a snapshot. Raises ValueError for tags that drd does not write."""
    found: dict[str, str] = {}
    for tag in tags:
        key, _, value = tag.partition(":")
        found.setdefault(key, value)
    place = f"tags of snapshot {snapshot[:8]}"

    def number(key: str) -> int:
        text = strict.matching(strict.member(found, key, place), place, _HEX, "number")
        return strict.count(int(text, 16), place, most=_MOST)

    source = strict.matching(
        strict.member(found, "log-source", place), place, _SOURCE, "name of a server"
    )
    at = from_rfc3339(str(strict.member(found, "log-at", place)))
    begin, end = number("log-begin"), number("log-end")
    if end < begin:
        raise strict.UnexpectedValue(f"{place}: the log ends before it begins")
    component = str(strict.member(found, "component", place))
    mark = LogMark(end, number("log-line"), at)
    return LogBatch(snapshot, component, source, number("log-number"), begin, mark)


def newest_of_each(batches: Iterable[LogBatch]) -> list[LogBatch]:
    """Return the snapshot of each batch that has most of it, in the order of the log."""
    best: dict[tuple[str, int], LogBatch] = {}
    for batch in batches:
        known = best.get((batch.source, batch.number))
        if known is None or batch.end.position >= known.end.position:
            best[batch.source, batch.number] = batch
    return sorted(best.values(), key=lambda b: (b.number, b.begin))


@dataclass(frozen=True, slots=True)
class LogRange:
    """A part of the log without a gap: its batches. `since` is the mark from which it is known to
    lead on."""

    batches: tuple[LogBatch, ...]

    @property
    def source(self) -> str:
        return self.batches[0].source

    @property
    def begin(self) -> int:
        return self.batches[0].begin

    @property
    def end(self) -> LogMark:
        return self.batches[-1].end

    def holds(self, source: str, position: int) -> bool:
        """Return whether a replay can begin at this position."""
        return self.source == source and self.begin <= position <= self.end.position

    def is_behind(self, source: str, position: int) -> bool:
        """Return whether this part ends before a position of its server."""
        return self.source == source and self.end.position < position

    def up_to(self, position: int, target: LogTarget) -> tuple[LogBatch, ...]:
        """Return the batches that a replay from a position to a target needs."""
        needed = []
        for batch in self.batches:
            if batch.end.position < position:
                continue
            needed.append(batch)
            if target.before is not None and batch.end.at > target.before:
                break
            if target.position is not None and batch.end.position >= target.position:
                break
        return tuple(needed)


def ranges(batches: Iterable[LogBatch]) -> list[LogRange]:
    """Return the parts of the log without a gap, oldest first."""
    found: list[list[LogBatch]] = []
    for batch in newest_of_each(batches):
        last = found[-1][-1] if found else None
        follows = (
            last is not None
            and last.source == batch.source
            and batch.begin <= last.end.position
            and batch.end.line >= last.end.line
        )
        if follows:
            found[-1].append(batch)
        else:
            found.append([batch])
    return [LogRange(tuple(group)) for group in found]


def reaching(known: Sequence[LogRange], source: str, position: int) -> LogRange | None:
    """Return the part of the log that leads on from a position of a server; None: a gap."""
    return next((r for r in reversed(known) if r.holds(source, position)), None)


@dataclass(frozen=True, slots=True)
class LogState:
    """What drd last knew of the log of a component, as it is kept in the catalogue. `ranges` are
    pairs of times; `complete_at` is the last time of which everything is in the repository. `doing`
    is what the receiver does, `trouble` what is wrong, with the remedy and a `code`. `reaches` is
    the newest time to which the component can be recovered."""

    doing: str
    since: datetime
    every_s: float
    complete_at: datetime | None = None
    end: str = ""
    spans: tuple[tuple[datetime, datetime], ...] = ()
    trouble: str = ""
    remedy: str = ""
    code: str = ""
    reaches: datetime | None = None

    def to_json(self) -> Mapping[str, Any]:
        return {
            "doing": self.doing,
            "since": to_rfc3339(self.since),
            "every_s": self.every_s,
            "complete_at": to_rfc3339(self.complete_at) if self.complete_at else None,
            "end": self.end,
            "spans": [[to_rfc3339(a), to_rfc3339(b)] for a, b in self.spans],
            "trouble": self.trouble,
            "remedy": self.remedy,
            "code": self.code,
            "reaches": to_rfc3339(self.reaches) if self.reaches else None,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> LogState:
        at, reaches = said.get("complete_at"), said.get("reaches")
        return cls(
            doing=str(said["doing"]),
            since=from_rfc3339(said["since"]),
            every_s=float(said["every_s"]),
            complete_at=from_rfc3339(at) if at else None,
            end=str(said.get("end", "")),
            spans=tuple((from_rfc3339(a), from_rfc3339(b)) for a, b in said.get("spans", ())),
            trouble=str(said.get("trouble", "")),
            remedy=str(said.get("remedy", "")),
            code=str(said.get("code", "")),
            reaches=from_rfc3339(reaches) if reaches else None,
        )


def noted_as(plan: str, component: str) -> str:
    """Return the key of what the catalogue keeps of the log of a component."""
    return f"log:{plan}:{component}"

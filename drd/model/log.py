"""The log of a server (such as PostgreSQL's WAL): its batches in a repository, and the positions
that a replay of these batches can reach.

A position in the log is a number that only grows. The component's kind knows how people write a
position. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd.model import strict
from drd.model.units import from_rfc3339, to_rfc3339

LOG_TAG = "drd-log"
"""The tag of every snapshot with a part of a log. Such snapshots do not have the tag of restore
points."""

_MOST = 1 << 63
_SOURCE = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEX = re.compile(r"[0-9a-f]{1,16}")


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """How often drd stores the received log in the repository: every `every_s` seconds."""

    every_s: float


@dataclass(frozen=True, slots=True)
class LogMark:
    """A mark in the log: everything that was committed before `at` is in the log before `position`.
    `line` is the timeline."""

    position: int
    line: int
    at: datetime


@dataclass(frozen=True, slots=True)
class LogTarget:
    """Where a replay stops: before the first transaction that was committed at the time `before` or
    later, before `position`, or before the commit of `transaction`. If all three are None, the
    replay stops at the end of the stored log. If it `rehearses`, it stops before the last
    transaction, so that a drill can prove that it stops exactly there."""

    before: datetime | None = None
    position: int | None = None
    transaction: int | str | None = None
    rehearses: bool = False

    @property
    def is_end(self) -> bool:
        return self.before is None and self.position is None and self.transaction is None


@dataclass(frozen=True, slots=True)
class LogBatch:
    """A snapshot that contains the log of the server `source` from `begin` to the mark `end`,
    without a gap. A later snapshot with the same `number` contains all of this, and more. `lines`
    are the timelines before the timeline of `end`, each with the position at which the log left it.
    A batch that is `anew` does not continue the batches before it, whatever its positions are.
    In a log that is `dated`, a timeline is named by the second in which it began, and a copy by the
    second of its data: such a copy is on the last timeline that began before the copy.
    `stored_at` is the time of the snapshot by drd's clock."""

    snapshot: str
    component: str
    source: str
    number: int
    begin: int
    end: LogMark
    lines: tuple[tuple[int, int], ...] = ()
    anew: bool = False
    dated: bool = False
    bytes: int | None = None
    stored_at: datetime | None = None

    @property
    def size(self) -> int:
        """Return the bytes of the batch's files. If the tags of the snapshot do not have this
        number, return `end` minus `begin`: about the same if positions count bytes."""
        return self.bytes if self.bytes is not None else self.end.position - self.begin

    def leaves(self, line: int) -> int | None:
        """Return the position at which the log left the timeline `line` before it came to this
        batch; None if the log was never on this timeline."""
        if self.dated:
            return _MOST if self.end.line <= line <= self.end.at.timestamp() else None
        return _MOST if line == self.end.line else dict(self.lines).get(line)

    def tags(self, plan: str) -> list[str]:
        """Return the tags of the snapshot, from which a machine without a catalogue reads the
        batch.
        """
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
            *(f"log-left:{line:x}-{position:x}" for line, position in self.lines),
            *(["log-anew:1"] if self.anew else []),
            *(["log-dated:1"] if self.dated else []),
            *([f"log-bytes:{self.bytes:x}"] if self.bytes is not None else []),
        ]


def batch_of(snapshot: str, tags: Iterable[str]) -> LogBatch:
    """Read a batch from the tags of its snapshot. Raises ValueError for tags that drd does not
    write.
    """
    values: dict[str, str] = {}
    left: list[str] = []
    for tag in tags:
        key, _, value = tag.partition(":")
        values.setdefault(key, value)
        if key == "log-left":
            left.append(value)
    place = f"tags of snapshot {snapshot[:8]}"

    def number(key: str) -> int:
        text = strict.matching(strict.member(values, key, place), place, _HEX, "number")
        return strict.count(int(text, 16), place, most=_MOST)

    source = strict.matching(
        strict.member(values, "log-source", place), place, _SOURCE, "name of a server"
    )
    at = from_rfc3339(str(strict.member(values, "log-at", place)))
    begin, end = number("log-begin"), number("log-end")
    if end < begin:
        raise strict.UnexpectedValue(f"{place}: the log ends before it begins")
    component = str(strict.member(values, "component", place))
    mark = LogMark(end, number("log-line"), at)
    lines = tuple(sorted(_left(value, place) for value in left))
    return LogBatch(
        snapshot,
        component,
        source,
        number("log-number"),
        begin,
        mark,
        lines=lines,
        anew="log-anew" in values,
        dated="log-dated" in values,
        bytes=number("log-bytes") if "log-bytes" in values else None,
    )


def _left(value: str, place: str) -> tuple[int, int]:
    line, _, position = value.partition("-")
    for part in (line, position):
        strict.matching(part, place, _HEX, "number")
    return int(line, 16), int(position, 16)


def newest_of_each(batches: Iterable[LogBatch]) -> list[LogBatch]:
    """Return the longest snapshot of each batch, in the order of the log."""
    best: dict[tuple[str, int], LogBatch] = {}
    for batch in batches:
        known = best.get((batch.source, batch.number))
        if known is None or batch.end.position >= known.end.position:
            best[batch.source, batch.number] = batch
    return sorted(best.values(), key=lambda b: (b.number, b.begin))


@dataclass(frozen=True, slots=True)
class LogRange:
    """A part of the log without a gap, as its batches."""

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

    def holds(self, source: str, position: int, line: int = 1) -> bool:
        """Return whether a replay that begins at this position of a timeline reaches the end of
        this part.
        """
        last = self.batches[-1]
        if last.dated and position == last.end.position:
            line = min(line, int(last.end.at.timestamp()))  # nothing was written since
        leaves = last.leaves(line)
        return (
            self.source == source
            and leaves is not None
            and self.begin <= position <= min(leaves, self.end.position)
        )

    def is_behind(self, source: str, position: int, line: int = 1) -> bool:
        """Return whether this part ends before this position of the same server. A dated part that
        ends at the position is also behind if its mark is older than the copy at this position."""
        if self.source != source or self.end.line > line:
            return False
        return self.end.position < position or (
            self.batches[-1].dated
            and self.end.position == position
            and self.end.at.timestamp() <= line + 1
        )

    def leads_on(self, position: int) -> bool:
        """Return whether this part continues after a position. A dated part that ends at the
        position counts, too: it shows that the server wrote nothing more."""
        return self.end.position > position or (
            self.batches[-1].dated and self.end.position == position
        )

    def after(self, last: LogBatch) -> tuple[LogBatch, ...]:
        """Return the batches after one of this part."""
        return self.batches[self.batches.index(last) + 1 :]

    def up_to(self, position: int, target: LogTarget, line: int = 1) -> tuple[LogBatch, ...]:
        """Return the batches that a replay from a position of a timeline to a target needs."""
        needed = []
        for batch in self.batches:
            if batch.end.position < position or (batch.end.line < line and not batch.dated):
                continue
            needed.append(batch)
            if target.before is not None and batch.end.at > target.before:
                break
            leaves = self.batches[-1].leaves(batch.end.line) or 0
            if target.position is not None and (min(batch.end.position, leaves) >= target.position):
                break
        return tuple(needed)


def ranges(batches: Iterable[LogBatch]) -> list[LogRange]:
    """Return the parts of the log that have no gap, oldest first. If a server was recovered, or a
    standby took over, it may continue from a position before the end of the stored log. Then there
    are two parts with the same beginning: one leads to the old end, the other to the new end."""
    groups: list[list[LogBatch]] = []
    for batch in newest_of_each(batches):
        way = _way_to(batch, groups[-1]) if groups else []
        if way and way[-1].end.position <= (batch.leaves(way[-1].end.line) or 0):
            groups[-1].append(batch)
        else:
            groups.append([*way, batch])
    return [LogRange(tuple(group)) for group in groups]


def _way_to(batch: LogBatch, before: Sequence[LogBatch]) -> list[LogBatch]:
    """Return those of the earlier batches that `batch` continues."""
    last = before[-1]
    leaves = batch.leaves(last.end.line)
    if last.source != batch.source or batch.anew or leaves is None:
        return []
    if batch.begin > min(last.end.position, leaves):
        return []
    if last.end.position <= leaves:
        return list(before)
    return [b for b in before if b.begin <= leaves]


def reaching(
    known: Sequence[LogRange], source: str, position: int, line: int = 1
) -> LogRange | None:
    """Return the part of the log that a replay from this position of a server's timeline can use;
    None if there is no such part, because the log has a gap at this position."""
    return next((r for r in reversed(known) if r.holds(source, position, line)), None)


KIND = "log"
"""The kind of the alert about a log that does not arrive at drd, or that a recovery cannot use."""


@dataclass(frozen=True, slots=True)
class LogState:
    """What drd last knew about the log of a component; the catalogue keeps it. `doing` is what the
    receiver does. `spans` are the intervals of time to which the component can be recovered,
    `reaches` is the newest such time. Everything that was committed before `complete_at` is in the
    repository. `trouble` is the text of the present problem, `remedy` its remedy, `code` its code.
    `error` is the code of the error that made it, if there was one. `event` is the last change of
    the log that a person must know, at `event_at`: a gap, or a change of the server to another
    timeline. `repository` is the repository of the plan beside which this log is; empty if an
    earlier version of drd noted the state."""

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
    event: str = ""
    event_at: datetime | None = None
    repository: str = ""
    error: str = ""

    @property
    def reachable(self) -> tuple[tuple[datetime, datetime], ...]:
        """The `spans`, of which the last one leads on to `reaches` if nothing was written since."""
        if not self.spans or self.reaches is None:
            return self.spans
        *before, (begin, end) = self.spans
        return (*before, (begin, max(end, self.reaches)))

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
            "event": self.event,
            "event_at": to_rfc3339(self.event_at) if self.event_at else None,
            "repository": self.repository,
            "error": self.error,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> LogState:
        at, reaches, event_at = (said.get(k) for k in ("complete_at", "reaches", "event_at"))
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
            event=str(said.get("event", "")),
            event_at=from_rfc3339(event_at) if event_at else None,
            repository=str(said.get("repository", "")),
            error=str(said.get("error", "")),
        )


def noted_as(plan: str, component: str) -> str:
    """Return the key under which the catalogue keeps the state of a component's log."""
    return f"log:{plan}:{component}"


def copy_noted_as(plan: str, repository: str = "", component: str = "") -> str:
    """Return the key under which the catalogue keeps the state of the copy of a component's log in
    a repository with `copy_of`; without these names, the beginning of all keys of the plan."""
    return f"log-copy:{plan}:" + (f"{repository}:{component}" if repository else "")

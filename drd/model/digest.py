"""One message instead of many: what a channel missed while it did not work.

A digest can include an earlier digest, so only one message of limited size waits for a channel,
however long it fails. It contains each alert in its last state, and the number of runs by kind and
outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from drd.model.message import DIGEST, SEVERITIES, Message, Urgency
from drd.model.text import left_out, shortened, some
from drd.model.titles import titled
from drd.model.units import format_rfc3339, format_time, from_rfc3339, to_rfc3339

ENTRIES = 200
"""How many alerts a digest lists; the others are counted."""

SHOWN = 30
"""How many of these alerts the text for people lists."""

LONGEST_MESSAGE = 300
"""Characters of the text of one alert."""

_OVER = "resolved"


@dataclass
class _Missed:
    """What the messages say together. `last` has the newest message of each subject by key, `runs`
    counts by plan, kind and outcome.
    """

    since: datetime
    last: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    left_out: int = 0
    messages: int = 0

    def add(self, message: Message) -> None:
        if message.event == DIGEST:
            self._take_up(message.details)
            return
        self.messages += 1
        self.since = min(self.since, message.at)
        if message.run is not None:
            outcome = message.details.get("result") or message.details.get("state") or "over"
            key = f"{message.event} {outcome}"
            self.runs[key] = self.runs.get(key, 0) + 1
            if message.severity == "info":
                return
        self._put(message.alert or message.run or message.id, _entry(message))

    def _take_up(self, earlier: Mapping[str, Any]) -> None:
        self.since = min(self.since, from_rfc3339(earlier["since"]))
        for entry in earlier["entries"]:
            self._put(entry["alert"] or entry["run"] or entry["id"], entry)
        for key, count in earlier["runs"].items():
            self.runs[key] = self.runs.get(key, 0) + count
        self.left_out += earlier["left_out"]
        self.messages += earlier["messages"]

    def _put(self, key: str, entry: dict[str, Any]) -> None:
        """Store the newest message of a subject at the end."""
        self.last.pop(key, None)
        self.last[key] = entry

    def bounded(self) -> list[dict[str, Any]]:
        """Drop messages beyond the limit: resolved alerts first, then the oldest."""
        entries = list(self.last.values())
        surplus = len(entries) - ENTRIES
        if surplus <= 0:
            return entries
        expendable = sorted(
            entries, key=lambda e: (e["event"] != _OVER, e["severity"] == "critical")
        )
        dropped = {id(e) for e in expendable[:surplus]}
        self.left_out += surplus
        return [e for e in entries if id(e) not in dropped]


def digest(messages: Sequence[Message], at: datetime) -> Message:
    """Make one message of these messages, in order of time. Its severity is the worst of the alerts
    that are not resolved.
    """
    missed = _Missed(at)
    for message in messages:
        missed.add(message)
    entries = missed.bounded()
    plans = {e["plan"] for e in entries}
    return Message(
        event=DIGEST,
        plan=plans.pop() if len(plans) == 1 else "",
        severity=_worst(e["severity"] for e in entries if e["event"] != _OVER),
        title=_title(missed.messages, entries),
        text="\n".join(_lines(missed, entries)),
        at=at,
        details={
            "since": to_rfc3339(missed.since),
            "messages": missed.messages,
            "entries": entries,
            "runs": dict(sorted(missed.runs.items())),
            "left_out": missed.left_out,
        },
    )


def _entry(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "event": message.event,
        "plan": message.plan,
        "severity": message.severity,
        "title": message.title,
        "message": shortened(str(message.details.get("message") or ""), LONGEST_MESSAGE),
        "at": to_rfc3339(message.at),
        "alert": message.alert,
        "run": message.run,
    }


def _worst(severities: Iterable[str]) -> Urgency:
    severities_given = set(severities)
    return next((s for s in SEVERITIES if s in severities_given), "info")


def _title(messages: int, entries: Sequence[Mapping[str, Any]]) -> str:
    if len(entries) == 1 and entries[0]["alert"]:
        return str(entries[0]["title"])
    last = sum(1 for e in entries if e["event"] == "firing")
    over = sum(1 for e in entries if e["event"] == _OVER)
    parts = [f"{last} firing"] if last else []
    parts += [f"{over} resolved meanwhile"] if over else []
    about = some([plan or "drd" for plan in sorted({e["plan"] for e in entries})], 2) or "drd"
    what = f"{messages} messages in one" + (f": {', '.join(parts)}" if parts else "")
    return titled(about, what)


def _lines(missed: _Missed, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    since = format_time(missed.since)
    lines = [
        f"The channel could not send these messages one by one; the first is from {since}.",
        "",
    ]
    standing = [e for e in reversed(entries) if e["event"] != _OVER]
    over = [e for e in reversed(entries) if e["event"] == _OVER]
    shown = [*standing, *over][:SHOWN]
    for entry in shown:
        lines.append(f"{format_rfc3339(entry['at'])}  {entry['event']}: {entry['title']}")
        if entry["event"] != _OVER and entry.get("message"):
            lines.append(f"  {entry['message']}")
    more = len(entries) - len(shown) + missed.left_out
    lines += [f"{left_out(more).strip()}; see `drd alerts` and `drd runs`"] if more else []
    lines += ["", "runs:"] if missed.runs else []
    lines += [f"  {count} {key}" for key, count in sorted(missed.runs.items())]
    return lines

"""What an investigation has shown: hypotheses, indicators, items of evidence, and the root cause.

It follows from the entries of the incident, and of incidents that continue in it. Each thing has
the number of the entry that recorded it. An entry that was redacted, or that somebody changed, has
no effect. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from drd.model.incidents import entries as kinds
from drd.model.incidents.fold import time_in
from drd.model.incidents.indicators import IndicatorType, Value
from drd.model.records import Entry, body_of
from drd.model.text import some


class Standing(StrEnum):
    """What people think about a hypothesis."""

    OPEN = "open"
    SUPPORTED = "supported"
    REFUTED = "refuted"


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """An explanation of what happened. `reason` and `evidence` belong to its last change."""

    entry: int
    at: datetime
    by: str
    text: str
    standing: Standing = Standing.OPEN
    reason: str = ""
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Indicator:
    """A sign that a system was compromised. `hash` is the hash of its entry, by which others
    recognise it. `seen` is when it was first seen, `expires` until when it means something; None:
    unknown. `withdrawn`: it was recorded by mistake."""

    entry: int
    hash: str
    at: datetime
    changed_at: datetime
    by: str
    value: Value
    text: str = ""
    seen: datetime | None = None
    expires: datetime | None = None
    withdrawn: bool = False

    def is_valid(self, now: datetime) -> bool:
        """Return whether the indicator is still valid."""
        return not self.withdrawn and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """An item of evidence: what it is, where it is kept, and the SHA-256 of its contents, if drd
    has read it. `taken_at` is when it was taken, `run` is the run whose evidence it is, if it is a
    run's."""

    entry: int
    at: datetime
    by: str
    text: str
    where: str = ""
    sha256: str = ""
    size: int | None = None
    taken_at: datetime | None = None
    run: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """The root cause, and the entries of the evidence and hypotheses that show it."""

    entry: int
    at: datetime
    by: str
    text: str
    evidence: tuple[int, ...]
    hypotheses: tuple[int, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Investigation:
    """The whole investigation. It is empty if there are no entries about it."""

    hypotheses: tuple[Hypothesis, ...] = ()
    indicators: tuple[Indicator, ...] = ()
    evidence: tuple[EvidenceItem, ...] = ()
    cause: Cause | None = None
    corrected: Mapping[int, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.hypotheses or self.indicators or self.evidence or self.cause)

    def indicator(self, value: Value) -> Indicator | None:
        """Return the indicator with this value, unless it was withdrawn; else None."""
        same = (i for i in self.indicators if i.value == value and not i.withdrawn)
        return next(same, None)


def investigation(entries: Iterable[Entry]) -> Investigation:
    """Return the investigation by the entries of an incident, in their order."""
    state = Investigation()
    for entry in entries:
        change = _CHANGES.get(entry.header.kind)
        if change is not None and (body := body_of(entry)):
            with suppress(KeyError, ValueError, TypeError, AttributeError):
                state = change(state, entry, body)
    return _with_corrections(state)


def _with_corrections(found: Investigation) -> Investigation:
    said = found.corrected
    if not said:
        return found
    cause = found.cause
    return replace(
        found,
        hypotheses=tuple(replace(h, text=said.get(h.entry, h.text)) for h in found.hypotheses),
        evidence=tuple(replace(e, text=said.get(e.entry, e.text)) for e in found.evidence),
        cause=replace(cause, text=said.get(cause.entry, cause.text)) if cause else None,
    )


def _by(entry: Entry, body: Mapping[str, Any]) -> str:
    return str(body.get("by") or entry.header.actor_name)


def _numbers(body: Mapping[str, Any], key: str) -> tuple[int, ...]:
    return tuple(int(number) for number in body.get(key) or ())


def _thought(found: Investigation, entry: Entry, body: Mapping[str, Any]) -> Investigation:
    if body.get("entry") is None:
        made = Hypothesis(entry.seq, entry.header.at, _by(entry, body), str(body["text"]))
        return replace(found, hypotheses=(*found.hypotheses, made))
    about, to = int(body["entry"]), Standing(body["to"])
    reason, shown = str(body.get("reason") or ""), _numbers(body, "evidence")
    told = (
        replace(h, standing=to, reason=reason, evidence=shown) if h.entry == about else h
        for h in found.hypotheses
    )
    return replace(found, hypotheses=tuple(told))


def _noticed(found: Investigation, entry: Entry, body: Mapping[str, Any]) -> Investigation:
    at = entry.header.at
    if (about := body.get("entry")) is not None:
        told = (
            replace(i, withdrawn=True, changed_at=at) if i.entry == int(about) else i
            for i in found.indicators
        )
        return replace(found, indicators=tuple(told))
    value = Value(IndicatorType(body["type"]), str(body["value"]))
    seen, expires = time_in(body, "seen"), time_in(body, "expires")
    text = str(body.get("text") or "")
    if (known := found.indicator(value)) is not None:
        times = [each for each in (known.seen, seen) if each is not None]
        again = replace(
            known,
            changed_at=at,
            seen=min(times, default=None),
            expires=expires or known.expires,
            text=text or known.text,
        )
        told = (again if i.entry == known.entry else i for i in found.indicators)
        return replace(found, indicators=tuple(told))
    by = _by(entry, body)
    made = Indicator(entry.seq, entry.hash, at, at, by, value, text, seen, expires)
    return replace(found, indicators=(*found.indicators, made))


def _collected(found: Investigation, entry: Entry, body: Mapping[str, Any]) -> Investigation:
    size = body.get("bytes")
    made = EvidenceItem(
        entry.seq,
        entry.header.at,
        _by(entry, body),
        str(body["text"]),
        str(body.get("where") or ""),
        str(body.get("sha256") or ""),
        int(size) if size is not None else None,
        time_in(body, "taken_at"),
        str(body.get("run") or ""),
    )
    return replace(found, evidence=(*found.evidence, made))


def _explained(found: Investigation, entry: Entry, body: Mapping[str, Any]) -> Investigation:
    cause = Cause(
        entry.seq,
        entry.header.at,
        _by(entry, body),
        str(body["text"]),
        _numbers(body, "evidence"),
        _numbers(body, "hypotheses"),
        str(body.get("reason") or ""),
    )
    return replace(found, cause=cause)


def _corrected(found: Investigation, _: Entry, body: Mapping[str, Any]) -> Investigation:
    said = {**found.corrected, int(body["entry"]): str(body["text"])}
    return replace(found, corrected=said)


_CHANGES: Mapping[str, Callable[[Investigation, Entry, Mapping[str, Any]], Investigation]] = {
    kinds.HYPOTHESIS: _thought,
    kinds.INDICATOR: _noticed,
    kinds.EVIDENCE: _collected,
    kinds.CAUSE: _explained,
    kinds.CORRECT: _corrected,
}


def shown_by(evidence: Sequence[Any]) -> str:
    """Return which entries show something: `; evidence 11, 12`."""
    return f"; evidence {some(evidence, 20)}" if evidence else ""


def hypothesis_words(body: Mapping[str, Any]) -> str:
    """Return what an entry about a hypothesis says, for the timeline."""
    if body.get("entry") is None:
        return f"hypothesis: {body['text']}"
    because = f": {body['reason']}" if body.get("reason") else ""
    return f"hypothesis {body['entry']}: {body['to']}{because}{shown_by(body.get('evidence', ()))}"


def indicator_words(body: Mapping[str, Any]) -> str:
    """Return what an entry about an indicator says, for the timeline."""
    if body.get("entry") is not None:
        return f"indicator {body['entry']} withdrawn: {body['reason']}"
    text = f": {body['text']}" if body.get("text") else ""
    return f"indicator: {body['type']} {body['value']}{text}"


def evidence_words(body: Mapping[str, Any]) -> str:
    """Return what an entry about an item of evidence says, for the timeline."""
    where = f"; at {body['where']}" if body.get("where") else ""
    run = f"; run {body['run']}" if body.get("run") else ""
    digest = f"; SHA-256 {body['sha256']}" if body.get("sha256") else ""
    return f"evidence: {body['text']}{where}{run}{digest}"


def cause_words(body: Mapping[str, Any]) -> str:
    """Return what an entry about the root cause says, for the timeline."""
    because = f" ({body['reason']})" if body.get("reason") else ""
    return f"root cause: {body['text']}{because}{shown_by(body['evidence'])}"

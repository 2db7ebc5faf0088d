"""What an investigation has shown, on the screen and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

from drd.model.incidents.investigation import (
    Cause,
    EvidenceItem,
    Hypothesis,
    Indicator,
    Investigation,
    Standing,
    shown_by,
)
from drd.model.text import counted, escaped, some
from drd.model.units import format_size, format_time

HYPOTHESES = ("entry", "state", "hypothesis")
INDICATORS = ("entry", "type", "value", "seen", "until", "what")
EVIDENCE = ("entry", "taken", "what")
_MOST = 5


def summary(found: Investigation, now: datetime) -> Iterator[tuple[str, str]]:
    """Return the root cause and the numbers of findings, for the head of an incident."""
    if found.cause is not None:
        yield "cause", cause_text(found.cause)
    elif found.hypotheses:
        open_ones = [h for h in found.hypotheses if h.standing is not Standing.REFUTED]
        words = [f"{escaped(h.text)} ({h.standing}, entry {h.entry})" for h in open_ones]
        yield "cause", f"not known; {some(words, _MOST, between='; ') or 'each hypothesis refuted'}"
    valid = sum(i.is_valid(now) for i in found.indicators)
    parts = [counted(valid, "valid indicator")] if found.indicators else []
    parts += [counted(len(found.evidence), "item") + " of evidence"] if found.evidence else []
    if parts:
        yield "found", ", ".join(parts)


def cause_text(cause: Cause) -> str:
    """Return the root cause with the entries of what shows it."""
    supposed = f"; hypothesis {some(cause.hypotheses, 20)}" if cause.hypotheses else ""
    return f"{escaped(cause.text)}{shown_by(cause.evidence)}{supposed}"


def hypothesis_row(one: Hypothesis) -> tuple[str, ...]:
    because = f": {escaped(one.reason)}" if one.reason else ""
    text = f"{escaped(one.text)}{because}{shown_by(one.evidence)}"
    return str(one.entry), str(one.standing), text


def indicator_row(one: Indicator, now: datetime, zone: tzinfo) -> tuple[str, ...]:
    until = format_time(one.expires, zone=zone) if one.expires is not None else "-"
    if one.withdrawn:
        until = "withdrawn"
    elif not one.is_valid(now):
        until += " (expired)"
    return (
        str(one.entry),
        str(one.value.type),
        escaped(one.value.text),
        format_time(one.seen, zone=zone) if one.seen is not None else "-",
        until,
        escaped(one.text) or "-",
    )


def evidence_row(one: EvidenceItem, zone: tzinfo) -> tuple[str, ...]:
    parts = [escaped(one.text)]
    if one.where:
        size = f" ({format_size(one.size)})" if one.size is not None else ""
        parts.append(f"at {escaped(one.where)}{size}")
    if one.run:
        parts.append(f"run {escaped(one.run)}")
    if one.sha256:
        parts.append(f"SHA-256 {escaped(one.sha256)}")
    return str(one.entry), format_time(one.taken_at or one.at, zone=zone), "; ".join(parts)

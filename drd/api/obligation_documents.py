"""The documents of duties to report and of their clocks."""

from __future__ import annotations

from datetime import date

from drd.api.values import Document, text_of, time_of
from drd.model.obligations.clocks import ClockState
from drd.model.obligations.regime import Regime
from drd.model.obligations.words import time_limit


def regime_document(regime: Regime) -> Document:
    """Return one regime."""
    return {
        "id": regime.id,
        "title": text_of(regime.title),
        "jurisdiction": regime.jurisdiction,
        "status": str(regime.status),
        "applies_from": _day(regime.applies_from),
        "applies_to": _day(regime.applies_to),
        "trigger": text_of(regime.trigger),
        "if": [c.text for c in regime.when.needs],
        "unless": [c.text for c in regime.when.excludes],
        "anchors": [str(anchor) for anchor in regime.anchors],
        "time_limit": time_limit(regime),
        "has_clock": regime.has_clock,
        "zone": regime.zone or None,
        "recipient": {"role": regime.recipient.role, "contact": regime.recipient.contact},
        "submission": {"how": regime.how, "form": regime.form},
        "content": [
            {"key": item.key, "text": item.text, "from": item.source} for item in regime.content
        ],
        "phases": regime.phases,
        "late_needs_reasons": regime.late_needs_reasons,
        "holds": [{"kind": str(hold.kind), "cite": hold.cite} for hold in regime.holds],
        "call": regime.call,
        "note": regime.note,
        "sources": [{"cite": source.cite, "url": source.url} for source in regime.sources],
        "checked": _day(regime.checked),
        "checked_by": regime.checked_by or None,
        "confidence": regime.confidence,
        "extends": regime.extends or None,
        "own": regime.own,
        "file": regime.file,
    }


def clock_document(state: ClockState) -> Document:
    """Return the clock of one regime. `target_at` is by the strictest reading of the rule, `due_at`
    by its letter. If the period ends with a day, `last_day` is this day."""
    return {
        "id": state.regime.id,
        "title": text_of(state.regime.title),
        "recipient": text_of(str(state.regime.recipient)),
        "state": str(state.kind),
        "late": state.late,
        "late_reason": text_of(state.late_reason) or None,
        "started_at": time_of(state.started_at),
        "target_at": time_of(state.target_at),
        "due_at": time_of(state.due_at),
        "last_day": _day(state.last_day),
        "prompt_at": time_of(state.prompt_at),
        "hold_until": time_of(state.hold_until),
        "submitted_at": time_of(state.submitted_at),
        "proposed": state.proposed,
        "because": list(state.because),
        "missing": list(state.missing),
        "awaits": [str(anchor) for anchor in state.awaits],
        "relieved_by": state.relieved_by or None,
        "no_clock": state.no_clock or None,
        "reason": text_of(state.reason) or None,
        "outdated": state.outdated,
    }


def _day(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None

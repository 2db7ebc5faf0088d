"""The document of what an investigation has shown."""

from __future__ import annotations

from drd.api.values import Document, text_of, time_of
from drd.model.incidents.investigation import Cause, EvidenceItem, Hypothesis, Indicator
from drd.model.incidents.investigation import Investigation as Found


def investigation_document(found: Found) -> Document:
    """Return all of it; each thing has the number of the entry that recorded it."""
    return {
        "hypotheses": [_hypothesis(one) for one in found.hypotheses],
        "indicators": [_indicator(one) for one in found.indicators],
        "evidence": [_evidence(one) for one in found.evidence],
        "cause": _cause(found.cause) if found.cause is not None else None,
    }


def _hypothesis(one: Hypothesis) -> Document:
    return {
        "entry": one.entry,
        "at": time_of(one.at),
        "by": text_of(one.by),
        "text": text_of(one.text),
        "state": str(one.standing),
        "reason": text_of(one.reason or None),
        "evidence": list(one.evidence),
    }


def _indicator(one: Indicator) -> Document:
    return {
        "entry": one.entry,
        "at": time_of(one.at),
        "by": text_of(one.by),
        "type": str(one.value.type),
        "value": text_of(one.value.text),
        "text": text_of(one.text or None),
        "seen_at": time_of(one.seen),
        "expires_at": time_of(one.expires),
        "withdrawn": one.withdrawn,
    }


def _evidence(one: EvidenceItem) -> Document:
    return {
        "entry": one.entry,
        "at": time_of(one.at),
        "by": text_of(one.by),
        "text": text_of(one.text),
        "where": text_of(one.where or None),
        "sha256": text_of(one.sha256 or None),
        "bytes": one.size,
        "taken_at": time_of(one.taken_at),
        "run": text_of(one.run or None),
    }


def _cause(one: Cause) -> Document:
    return {
        "entry": one.entry,
        "at": time_of(one.at),
        "by": text_of(one.by),
        "text": text_of(one.text),
        "evidence": list(one.evidence),
        "hypotheses": list(one.hypotheses),
        "reason": text_of(one.reason or None),
    }

"""The document of what an investigation has shown, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drd.api.values import Document, text_of, time_of
from drd.model.incidents.indicators import IndicatorType, Value
from drd.model.incidents.investigation import Cause, EvidenceItem, Hypothesis, Indicator, Standing
from drd.model.incidents.investigation import Investigation as Found
from drd.model.units import from_rfc3339


def investigation_document(found: Found) -> Document:
    """Return the whole investigation; each thing has the number of the entry that recorded it.
    `hash` is the hash of an indicator's entry, from which its id in STIX is made."""
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
        "changed_at": time_of(one.changed_at),
        "hash": one.hash,
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


def investigation_of(document: Mapping[str, Any]) -> Found:
    """Return the investigation of a document."""
    cause = document["cause"]
    return Found(
        tuple(map(_hypothesis_of, document["hypotheses"])),
        tuple(map(_indicator_of, document["indicators"])),
        tuple(map(_evidence_of, document["evidence"])),
        _cause_of(cause) if cause is not None else None,
    )


def _hypothesis_of(one: Mapping[str, Any]) -> Hypothesis:
    return Hypothesis(
        one["entry"],
        from_rfc3339(one["at"]),
        one["by"],
        one["text"],
        Standing(one["state"]),
        one["reason"] or "",
        tuple(one["evidence"]),
    )


def _indicator_of(one: Mapping[str, Any]) -> Indicator:
    return Indicator(
        one["entry"],
        one["hash"],
        from_rfc3339(one["at"]),
        from_rfc3339(one["changed_at"]),
        one["by"],
        Value(IndicatorType(one["type"]), one["value"]),
        one["text"] or "",
        _time(one["seen_at"]),
        _time(one["expires_at"]),
        one["withdrawn"],
    )


def _evidence_of(one: Mapping[str, Any]) -> EvidenceItem:
    return EvidenceItem(
        one["entry"],
        from_rfc3339(one["at"]),
        one["by"],
        one["text"],
        one["where"] or "",
        one["sha256"] or "",
        one["bytes"],
        _time(one["taken_at"]),
        one["run"] or "",
    )


def _cause_of(one: Mapping[str, Any]) -> Cause:
    return Cause(
        one["entry"],
        from_rfc3339(one["at"]),
        one["by"],
        one["text"],
        tuple(one["evidence"]),
        tuple(one["hypotheses"]),
        one["reason"] or "",
    )


def _time(text: str | None) -> datetime | None:
    return from_rfc3339(text) if text is not None else None

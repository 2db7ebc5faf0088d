"""The webhook of Prometheus's Alertmanager, version 4."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from drd.errors import UsageError
from drd.model.intake.json_parts import Part, elements, member
from drd.model.intake.signal import Signal, labels_of, made, time_of, whole, word

SOURCE = "alertmanager"
VERSION = "4"


def is_alertmanager(value: object) -> bool:
    """Return whether a document looks like a document of Alertmanager."""
    return isinstance(value, Mapping) and "alerts" in value and "version" in value


def signals(text: str, document: Part) -> Iterator[Signal]:
    """Return the alerts of a document. Raises UsageError."""
    version = document.value["version"]
    if str(version) != VERSION:
        raise UsageError(
            f"the webhook of Alertmanager has version {word(version)!r}, but drd reads only "
            f"version {VERSION}",
            hint=f"use an Alertmanager whose webhook has version {VERSION}, or a newer drd, or "
            "name a file that says how to read the message: --mapping FILE.",
        )
    alerts = member(text, document.start, "alerts")
    if alerts is None or not isinstance(alerts.value, list):
        raise UsageError(
            "`alerts` of the webhook of Alertmanager is not a list",
            hint="send the message of Alertmanager unchanged.",
        )
    for number, part in enumerate(elements(text, alerts.start), 1):
        yield _signal(part.value, text[part.start : part.end], number)


def _signal(alert: Any, raw: str, number: int) -> Signal:
    if not isinstance(alert, Mapping) or not isinstance(alert.get("labels"), Mapping):
        raise UsageError(
            f"alert {number} of the webhook of Alertmanager has no `labels`",
            hint="send the message of Alertmanager unchanged.",
        )
    labels, notes = labels_of(alert["labels"]), labels_of(alert.get("annotations"))
    name = labels.get("alertname", "")
    summary = notes.get("summary") or notes.get("title") or name or "alert"
    return made(
        SOURCE,
        unique=whole(alert.get("fingerprint")) or _fingerprint(alert["labels"]),
        title=summary if name in summary else f"{name}: {summary}",
        text=notes.get("description") or notes.get("message") or "",
        severity=labels.get("severity", ""),
        resolved=alert.get("status") == "resolved",
        started_at=time_of(alert.get("startsAt")),
        ended_at=time_of(alert.get("endsAt")) if alert.get("status") == "resolved" else None,
        labels=labels,
        raw=raw,
    )


def _fingerprint(labels: Any) -> str:
    """Return an id by the labels, which are what makes an alert the same for Alertmanager."""
    return sha256(json.dumps(labels, sort_keys=True, default=str).encode()).hexdigest()[:16]

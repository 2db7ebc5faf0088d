"""Alerts of any other system, by a mapping: where in its JSON the parts of a signal are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from drd.errors import UsageError
from drd.model.intake.json_parts import Part, elements
from drd.model.intake.signal import Signal, labels_of, made, time_of, whole, word


@dataclass(frozen=True, slots=True)
class Mapped:
    """Paths are keys and positions in lists, with dots between them: `alert.items.0.name`. `alerts`
    leads to a list of alerts; if it is empty, the document itself is an alert, or a list of alerts.
    `severities` translate words; a signal is over if its `status` is one of `resolved`."""

    source: str
    id: str
    title: str
    alerts: str = ""
    text: str = ""
    severity: str = ""
    time: str = ""
    plan: str = ""
    status: str = ""
    labels: str = ""
    resolved: tuple[str, ...] = ("resolved", "closed")
    severities: Mapping[str, str] = field(default_factory=dict)

    def keys(self) -> dict[str, Any]:
        """Return the keys of a mapping file with the same meaning."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**{k: v for k, v in told.items() if v}, "resolved": list(self.resolved)}


PLAN = "plan"
"""The label that a mapping's `plan` becomes."""


def signals(text: str, document: Part, mapping: Mapped) -> Iterator[Signal]:
    """Return the alerts of a document. Raises UsageError."""
    if mapping.alerts:
        alerts = at_path(document.value, mapping.alerts)
        if not isinstance(alerts, list):
            raise UsageError(
                f"there is no list at `{mapping.alerts}` of the JSON",
                hint="correct `alerts` of the mapping.",
            )
        for number, value in enumerate(alerts, 1):
            yield _signal(value, text[document.start : document.end], mapping, number)
    elif isinstance(document.value, list):
        for number, part in enumerate(elements(text, document.start), 1):
            yield _signal(part.value, text[part.start : part.end], mapping, number)
    else:
        yield _signal(document.value, text[document.start : document.end], mapping, 1)


def at_path(value: Any, path: str) -> Any:
    """Return the value at a path; None if there is none. A key that contains dots is found, too."""
    while path:
        if isinstance(value, Mapping) and path in value:
            return value[path]
        key, _, path = path.partition(".")
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _signal(alert: Any, raw: str, mapping: Mapped, number: int) -> Signal:
    def found(path: str) -> Any:
        return at_path(alert, path) if path else None

    unique = whole(found(mapping.id))
    if not unique:
        raise UsageError(
            f"alert {number} of the JSON has no text at `{mapping.id}`",
            hint="correct `id` of the mapping: drd needs the id to recognise the same alert later.",
        )
    severity = word(found(mapping.severity))
    labels = labels_of(found(mapping.labels))
    if plan := word(found(mapping.plan)):
        labels[PLAN] = plan
    text = found(mapping.text)
    return made(
        mapping.source,
        unique=unique,
        title=word(found(mapping.title)),
        text=text if isinstance(text, str) else word(text),
        severity=mapping.severities.get(severity, severity),
        resolved=word(found(mapping.status)).lower() in mapping.resolved,
        started_at=time_of(found(mapping.time)),
        labels=labels,
        raw=raw,
    )

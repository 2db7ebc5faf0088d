"""Findings in the Open Cybersecurity Schema Framework: detection and incident findings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from drd.errors import UsageError
from drd.model.intake.signal import Signal, labels_of, made, time_of, whole, word
from drd.model.text import storable

SOURCE = "ocsf"
CLASSES = {2001: "security finding", 2004: "detection finding", 2005: "incident finding"}
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 30
_CLOSE = 3
"""`activity_id` of a finding that is closed."""
_OVER = frozenset({4, 5})
"""`status_id`: resolved, and archived or closed."""
_SEVERITIES = {1: "informational", 2: "low", 3: "medium", 4: "high", 5: "critical", 6: "critical"}


def is_ocsf(value: object) -> bool:
    """Return whether a value looks like an event of OCSF."""
    return isinstance(value, Mapping) and "class_uid" in value


def signal(event: Mapping[str, Any], raw: str) -> Signal:
    """Return the signal of a finding. Raises UsageError for events of other classes, and for a
    finding that does not say which one it is."""
    uid = event.get("class_uid")
    if not isinstance(uid, int) or uid not in CLASSES:
        known = ", ".join(f"{number} ({name})" for number, name in CLASSES.items())
        raise UsageError(
            f"drd does not support OCSF events of class {word(uid) or 'none'}",
            hint=f"drd supports these classes: {known}.",
        )
    info, metadata = _finding(event), _mapping(event.get("metadata"))
    unique = whole(info.get("uid")) or whole(metadata.get("uid")) or whole(event.get("uid"))
    if not unique:
        raise UsageError(
            "an OCSF finding does not have a uid: `finding_info.uid` and `metadata.uid` "
            "are missing",
            hint="send a uid: drd needs it to recognise the same finding later.",
        )
    number = event.get("severity_id")
    known_severity = _SEVERITIES.get(number, "") if isinstance(number, int) else ""
    status = event.get("status_id")
    over = event.get("activity_id") == _CLOSE or (isinstance(status, int) and status in _OVER)
    now = _time(event, "time")
    return made(
        _source(metadata),
        unique=unique,
        title=_text(info.get("title")) or _text(event.get("message")) or CLASSES[uid],
        text=_text(info.get("desc")) or _text(event.get("desc")) or _text(event.get("message")),
        severity=known_severity or word(event.get("severity")).lower(),
        resolved=over,
        started_at=_time(info, "first_seen_time") or _time(info, "created_time")
        or _time(event, "start_time") or now,
        ended_at=(_time(event, "end_time") or now) if over else None,
        labels=dict(_labels(event, metadata)),
        raw=raw,
    )  # fmt: skip


def _source(metadata: Mapping[str, Any]) -> str:
    """Return the name of the product, because each product has limits of its own. It is short and
    has no spaces. If a part of the sender's name was left out, a digest keeps different products
    apart."""
    product = _mapping(metadata.get("product"))
    parts = [whole(product.get(name)) for name in ("vendor_name", "name", "uid")]
    if not any(parts):
        return SOURCE
    shown = [_NO_NAME.sub("-", part)[:_LONGEST_NAME] for part in parts[:2]]
    name = "/".join([SOURCE, *filter(None, shown)])
    if [*shown, ""] == parts and parts[1]:
        return name
    return f"{name}~{sha256(storable(chr(0).join(parts)).encode()).hexdigest()[:8]}"


def _finding(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is found: of an incident finding, the incident itself, else its first finding."""
    for name in ("finding_info", "finding"):
        if isinstance(event.get(name), Mapping):
            return _mapping(event[name])
    several = event.get("finding_info_list")
    first = _mapping(several[0]) if isinstance(several, list) and several else {}
    unique = _mapping(event.get("metadata")).get("uid") or first.get("uid")
    return {**first, "uid": unique}


def _labels(event: Mapping[str, Any], metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    product = _mapping(metadata.get("product"))
    yield "product", word(product.get("name"))
    yield "class", CLASSES[event["class_uid"]]
    resources = event.get("resources")
    holders = [metadata, *(resources if isinstance(resources, list) else ())]
    for holder in map(_mapping, holders):
        yield from labels_of(holder.get("tags")).items()
        for label in _several(holder.get("labels")) + _several(holder.get("tags")):
            if isinstance(label, Mapping):
                yield word(label.get("name")), word(label.get("value"))
                continue
            name, sep, value = word(label).partition("=")
            if not sep:
                name, _, value = name.partition(":")
            yield name.strip(), value.strip()
    yield from labels_of(event.get("unmapped")).items()


def _several(value: object) -> list[Any]:
    return value[:64] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _time(holder: Mapping[str, Any], name: str) -> Any:
    return time_of(holder.get(f"{name}_dt")) or time_of(holder.get(name))

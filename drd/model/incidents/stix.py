"""The indicators of an incident as a bundle of STIX 2.1, for other systems. Pure.

Each indicator has the same id in each bundle, so that a system that reads them again recognises it.
Times have milliseconds, as STIX 2.1 section 3.2 wants them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from drd.model.incidents.indicators import pattern
from drd.model.incidents.investigation import Indicator

_VERSION = "2.1"
_STEP = timedelta(milliseconds=1)


def bundle(indicators: Iterable[Indicator]) -> dict[str, Any]:
    """Return the bundle; what STIX has no pattern for is left out (`left_out`)."""
    objects = [each for each in map(_object, indicators) if each is not None]
    names = "\n".join(f"{each['id']} {each['modified']}" for each in objects)
    made: dict[str, Any] = {"type": "bundle", "id": f"bundle--{_uuid(f'bundle {names}')}"}
    return {**made, "objects": objects} if objects else made


def bundle_text(indicators: Iterable[Indicator]) -> str:
    """Return the bundle as a file has it: without `schema`, which STIX does not allow there."""
    return f"{json.dumps(bundle(indicators), indent=2)}\n"


def left_out(indicators: Iterable[Indicator]) -> list[Indicator]:
    """Return the indicators that STIX has no pattern for."""
    return [each for each in indicators if pattern(each.value) is None]


def _object(indicator: Indicator) -> dict[str, Any] | None:
    matches = pattern(indicator.value)
    if matches is None:
        return None
    valid_from = indicator.seen or indicator.at
    made: dict[str, Any] = {
        "type": "indicator",
        "spec_version": _VERSION,
        "id": f"indicator--{_uuid(f'indicator {indicator.hash}')}",
        "created": _time(indicator.at),
        "modified": _time(max(indicator.changed_at, indicator.at)),
        "name": f"{indicator.value.type} {indicator.value.text}",
        "indicator_types": ["malicious-activity"],
        "pattern": matches,
        "pattern_type": "stix",
        "pattern_version": _VERSION,
        "valid_from": _time(valid_from),
    }
    if indicator.text:
        made["description"] = indicator.text
    if indicator.expires is not None:
        made["valid_until"] = _time(max(indicator.expires, valid_from + _STEP))
    if indicator.withdrawn:
        made["revoked"] = True
    return made


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%S')}.{at.microsecond // 1000:03d}Z"


def _uuid(name: str) -> UUID:
    """Return a UUID that nobody can guess who does not know the name: the hash of an entry covers
    the salt of its body."""
    return UUID(bytes=sha256(f"drd stix {name}".encode()).digest()[:16], version=4)

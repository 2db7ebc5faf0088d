"""Remove the bodies of entries after the time for which drd.yaml keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from drd.errors import UsageError
from drd.model.actor import Actor
from drd.model.incidents.entries import number_of
from drd.model.records import NEEDED, Entry
from drd.model.units import format_duration
from drd.ports import Catalogue

AT_ONCE = 500
"""The largest number of bodies that one call removes. Each removal takes a transaction and a
record."""


def remove_expired(
    catalogue: Catalogue, keep_s: float, now: datetime, actor: Actor, *, most: int = AT_ONCE
) -> list[int]:
    """Redact the entries whose bodies were kept for `keep_s` seconds, the oldest ones first; return
    their numbers. The entries of an incident are kept while it is open, and until its newest entry
    has been kept for this time. Raises UsageError if the record of a removal cannot be signed."""
    expired, limit = list[int](), now - timedelta(seconds=keep_s)
    reason = f"records.keep_bodies of drd.yaml: {format_duration(keep_s)}"
    incidents: dict[int, bool] = {}
    for entry in _before(catalogue, limit):
        number = number_of(entry.header.subject)
        if number is not None and number not in incidents:
            incidents[number] = _is_over(catalogue, number, limit)
        if number is None or incidents[number]:
            expired.append(entry.seq)
        if len(expired) == most:
            break
    for seq in expired:
        catalogue.records.redact(seq, reason=reason, at=now, actor=actor)
    return expired


def _before(catalogue: Catalogue, limit: datetime) -> Iterator[Entry]:
    """Yield the entries with bodies that can be removed, up to the first one after the limit."""
    for entry in catalogue.records.read():
        if entry.header.at >= limit:
            return
        if entry.header.kind not in NEEDED and (entry.body is not None or entry.sealed):
            yield entry


def _is_over(catalogue: Catalogue, number: int, limit: datetime) -> bool:
    """Return whether the incident is closed, and no entry is about it since the limit. An incident
    that the catalogue does not know is not over."""
    with suppress(UsageError):
        incident = catalogue.incidents.get(number)
        newest = max((e.header.at for e in catalogue.incidents.entries(incident)), default=limit)
        return incident.closed_at is not None and newest < limit
    return False

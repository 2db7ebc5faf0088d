"""Which credentials of a service were replaced since the first sign of an incident, and which an
attacker can still know. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd.model.incidents import entries as kinds
from drd.model.incidents.fold import time_in
from drd.model.inventory import Credential
from drd.model.records import Entry, body_of
from drd.model.text import some


@dataclass(frozen=True, slots=True)
class Rotation:
    """A credential of these plans was replaced at a time. `entry` is the number of the entry."""

    entry: int
    at: datetime
    by: str
    credential: str
    plans: tuple[str, ...]


def rotations(entries: Iterable[Entry]) -> tuple[Rotation, ...]:
    """Return the rotations that the entries of an incident record, without withdrawn ones. An entry
    that was redacted, or that somebody changed, has no effect."""
    by_entry: dict[int, Rotation] = {}
    for entry in entries:
        if entry.header.kind != kinds.ROTATED:
            continue
        body = body_of(entry)
        if isinstance(wrong := body.get("entry"), int):
            by_entry.pop(wrong, None)
        elif (made := _rotation(entry, body)) is not None:
            by_entry[entry.seq] = made
    return tuple(by_entry.values())


def _rotation(entry: Entry, body: Mapping[str, Any]) -> Rotation | None:
    plans, name = body.get("plans"), body.get("credential")
    if not isinstance(plans, list) or not isinstance(name, str):
        return None
    at, by = time_in(body, "at") or entry.header.at, str(body.get("by") or entry.header.actor_name)
    return Rotation(entry.seq, at, by, name, tuple(map(str, plans)))


def since(found: Iterable[Rotation], plan: str, credential: str, sign: datetime) -> Rotation | None:
    """Return the last rotation of a credential of a plan since the first sign; None: an attacker
    can still know it."""
    fit = [r for r in found if r.credential == credential and plan in r.plans and r.at >= sign]
    return max(fit, key=lambda r: r.at, default=None)


def known_to_attacker(
    credentials: Iterable[Credential], plan: str, found: Iterable[Rotation], sign: datetime
) -> tuple[Credential, ...]:
    """Return the credentials of a plan that were not replaced since the first sign."""
    told = list(found)
    return tuple(one for one in credentials if since(told, plan, one.name, sign) is None)


def rotation_words(body: Mapping[str, Any]) -> str:
    """Return the words of an entry about a rotation, for the timeline."""
    if body.get("entry") is not None:
        return f"entry {body['entry']} withdrawn, the credential was not rotated: {body['reason']}"
    return f"credential {body['credential']} of {some(body['plans'], 10)} was rotated"

"""The chain of records: what an entry contains, and which part of it is hashed and signed.

An entry's hash covers its header, and the header has the hash of the entry before, so nobody can
change, remove or reorder entries without changing every hash that follows. The header has only a
salted digest of the body, so that a body can be removed while the chain still verifies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from typing import Any

import rfc8785

from drd.model.actor import Actor
from drd.model.text import storable

FORMAT = "drd-record-1"
"""The first word of what is signed, so that no signature of anything else is valid for an entry."""

FIRST = ""
"""The hash before the first entry."""

KEY = "key"
REDACTION = "redaction"
CONTINUED = "continued"
NEEDED = frozenset({KEY, REDACTION, CONTINUED})
"""Kinds whose bodies a check needs: they are in each export, and are never redacted."""

_LARGEST_INTEGER = 2**53 - 1


def key_id(raw: bytes) -> str:
    """Return the id of a public key, by which records and people identify it: the first 16 digits
    of the SHA-256 of its 32 bytes."""
    return sha256(raw).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be recorded. `subject` is a plan, `PLAN/RUN`, `PLAN/POINT`, `entry:SEQUENCE` or
    `key:ID`. `actor` is who did it; None for drd itself.
    """

    kind: str
    subject: str
    body: Mapping[str, Any]
    at: datetime
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """The body of an entry, as the text that was hashed, and its salt."""

    salt: str
    text: str

    @classmethod
    def of(cls, values: Mapping[str, Any], salt: str) -> Body:
        return cls(salt, canonical(values).decode())

    @classmethod
    def read(cls, whole: bytes) -> Body:
        """Return the body of which `whole` are all bytes. Raises ValueError."""
        salt, line, text = whole.decode().partition("\n")
        if not line or not text.endswith("\n"):
            raise ValueError("not a body")
        return cls(salt, text.removesuffix("\n"))

    @property
    def whole(self) -> bytes:
        """Return the bytes that are digested, and that are encrypted where others may not read
        them."""
        return f"{self.salt}\n{self.text}\n".encode()

    @property
    def digest(self) -> str:
        """Return the salted digest: without the salt, nobody can guess a short body by trying."""
        return sha256(self.whole).hexdigest()


@dataclass(frozen=True, slots=True)
class Header:
    """The part of an entry that is hashed and signed. `actor_kind` is `person`, `schedule` or
    `drd`, `actor_name` the system's name of the user, `came` how the request came.
    """

    seq: int
    at: datetime
    actor_kind: str
    actor_name: str
    came: str
    subject: str
    kind: str
    digest: str
    previous: str

    def message(self) -> bytes:
        """Return the bytes that are hashed and signed: canonical JSON (RFC 8785)."""
        return canonical(
            {
                "format": FORMAT,
                "seq": self.seq,
                "at": moment(self.at),
                "actor": {"kind": self.actor_kind, "name": self.actor_name, "came": self.came},
                "subject": self.subject,
                "kind": self.kind,
                "digest": self.digest,
                "previous": self.previous,
            }
        )

    @property
    def hash(self) -> str:
        return sha256(self.message()).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the chain. `hash` is the recorded hash. `key` is the id of the key that signed
    the entry; without a signature, `key` and `signature` are empty. `body` is None if it was
    removed or left out, or if it is `sealed`: encrypted for people, as base64 of an age file.
    """

    header: Header
    hash: str
    key: str = ""
    signature: str = ""
    body: Body | None = None
    sealed: str = ""

    @property
    def seq(self) -> int:
        return self.header.seq

    @property
    def is_altered(self) -> bool:
        """Whether somebody changed the body after it was recorded: its digest differs from the
        recorded one."""
        return self.body is not None and self.body.digest != self.header.digest


def body_of(entry: Entry) -> dict[str, Any]:
    """Return the body of an entry; empty if it was redacted, if drd did not write it, or if it
    differs from the recorded one."""
    return {} if entry.is_altered else written(entry)


def written(entry: Entry) -> dict[str, Any]:
    """Return the body of an entry, even if somebody changed it; empty if drd did not write it."""
    if entry.body is None:
        return {}
    try:
        body = json.loads(entry.body.text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def header_of(draft: Draft, body: Body, *, seq: int, previous: str) -> Header:
    """Return the header of the entry that follows the entry with the hash `previous`."""
    actor = draft.actor
    kind = "drd" if actor is None else "schedule" if actor.came == "schedule" else "person"
    return Header(
        seq=seq,
        at=draft.at.astimezone(UTC),
        actor_kind=kind,
        actor_name=storable(actor.user) if actor is not None else "drd",
        came=actor.came if actor is not None else "",
        subject=storable(draft.subject),
        kind=draft.kind,
        digest=body.digest,
        previous=previous,
    )


def canonical(values: Any) -> bytes:
    """Return canonical JSON (RFC 8785). Values that it cannot express become text."""
    return rfc8785.dumps(plain(values))


def moment(at: datetime) -> str:
    """Format a time in UTC, always with microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain(value: Any) -> Any:
    """Convert a value, also of dataclasses, to what canonical JSON can express."""
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        return storable(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_INTEGER else str(value)
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    return _composed(value)


def _composed(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Actor):
        return plain(value.to_json())
    if isinstance(value, Mapping):
        return {storable(str(key)): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        ordered = sorted(value) if isinstance(value, set | frozenset) else value
        return [plain(each) for each in ordered]
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    return storable(str(value))

"""The signature in a manifest, by which a recovery distinguishes a point that drd made from a point
that somebody with the repository's password made. Pure.

It is the last member of the document, and covers every byte before it. The message names the plan
and the point, so that the signature of one point is not valid for another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from drd.model.units import from_rfc3339

FORMAT = "drd-manifest-1"
MALFORMED = "malformed"
"""The id of the key in a signature that drd did not write."""

_END = b"\n}"
_SIGNATURE = re.compile(
    rb',\n "signature": \{"key": "([0-9a-f]{16})", "signed": "([A-Za-z0-9+/]{86}==)"\}\n\}\Z'
)

Accepts = Callable[[str, bytes, str], bool]
"""Whether a public key (base64) accepts a message with a signature (base64)."""


@dataclass(frozen=True, slots=True)
class Endorsement:
    """The record that a new key (`public`, base64) replaced the key with the id `former`. The
    former key has `signed` the new key and the time `at` (RFC 3339; older records have no time)."""

    public: str
    former: str
    signed: str
    at: str = ""

    def message(self) -> bytes:
        """Return the bytes that the former key signed."""
        return of_new_key(self.public, self.at)

    def to_json(self) -> dict[str, str]:
        said = {"public": self.public, "former": self.former, "signed": self.signed}
        return said | ({"at": self.at} if self.at else {})


@dataclass(frozen=True, slots=True)
class Replaced:
    """When another key replaced a key of drd: the time, and the entry of the records that says so.
    Without an entry, only the two keys themselves say so."""

    at: datetime
    seq: int | None = None


class Trust(StrEnum):
    """How far a manifest is drd's own."""

    SIGNED = "signed"
    """By a key that this host knows as drd's."""
    UNCONFIRMED = "unconfirmed"
    """Signed by a key that only the repository says is drd's."""
    UNSIGNED = "unsigned"
    UNCHECKED = "unchecked"
    """This host has not read the manifest yet."""
    UNKNOWN_KEY = "unknown key"
    """Signed by a key that does not belong to drd."""
    REPLACED_KEY = "replaced key"
    """Signed by a key of drd that another key has replaced, and the point's data is of a later
    time, or the point is missing in the record of the key's points."""
    WRONG = "wrong signature"
    NOT_OURS = "not drd's"
    """A copy that another tool made: there is no manifest in the repository."""


@dataclass(frozen=True, slots=True)
class ManifestSignature:
    """The signature of a manifest with the SHA-256 `digest`. `key` is the id of the key; it is
    empty without a signature. `public` is the public key (base64) with which the signature is
    valid, if this host has found one.
    """

    digest: str
    key: str = ""
    signed: str = ""
    public: str = ""

    def same(self, other: ManifestSignature) -> bool:
        """Return whether both are of the same manifest."""
        mine, theirs = (self.digest, self.key, self.signed), (other.digest, other.key, other.signed)
        return mine == theirs


@dataclass(frozen=True, slots=True)
class ManifestKeys:
    """The public keys by their ids: keys that belong to drd (`confirmed`), and keys that only a
    repository says are drd's (`claimed`). `ends` says when a key was replaced by another one, if
    this host knows that. `points` has, for a replaced key, the marks (`mark_of`) of all manifests
    that it had signed by then, if the record of the new key names them. `before_kit` are the keys
    that the recovery kit names as replaced; the kit lists the points of these keys.
    """

    confirmed: Mapping[str, str] = field(default_factory=dict)
    claimed: Mapping[str, str] = field(default_factory=dict)
    ends: Mapping[str, datetime] = field(default_factory=dict)
    points: Mapping[str, frozenset[str]] = field(default_factory=dict)
    before_kit: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.confirmed or self.claimed)

    def of(self, key: str) -> str | None:
        return self.confirmed.get(key) or self.claimed.get(key)


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """What this host knows about drd's keys, by their ids: from a recovery kit, and from the keys
    themselves. The records up to entry `after` came out of a repository; None if none did.
    `replaced` says when another key has replaced a key."""

    keys: Mapping[str, str] = field(default_factory=dict)
    after: int | None = None
    replaced: Mapping[str, Replaced] = field(default_factory=dict)


NO_SIGNATURE = ManifestSignature("")
"""The signature of a manifest that was not read from bytes."""

_MARK = 32


def mark_of(digest: str) -> str:
    """Return the first 128 bits of a manifest's digest, by which the record of a new key identifies
    it."""
    return digest[:_MARK]


def message(plan: str, point: str, digest: str) -> bytes:
    """Return the bytes that are signed."""
    return f"{FORMAT}\n{plan}\n{point}\n{digest}\n".encode()


def signed_manifest(
    data: bytes, plan: str, point: str, key: str, sign: Callable[[bytes], str]
) -> bytes:
    """Return the bytes of a manifest with its signature."""
    assert data.endswith(_END), "a manifest ends with a brace in a line of its own"
    signed = sign(message(plan, point, sha256(data).hexdigest()))
    member = f',\n "signature": {{"key": "{key}", "signed": "{signed}"}}'.encode("ascii")
    return data[: -len(_END)] + member + _END


def signature_of(data: bytes, *, has_member: bool) -> ManifestSignature:
    """Return the signature in the bytes of a manifest. `has_member` says whether the document
    contains a signature at all, even at a place where drd does not write it."""
    signature = _SIGNATURE.search(data)
    if signature is None:
        return ManifestSignature(sha256(data).hexdigest(), MALFORMED if has_member else "")
    digest = sha256(data[: signature.start()] + _END).hexdigest()
    return ManifestSignature(digest, signature[1].decode(), signature[2].decode())


def of_new_key(public: str, at: str = "") -> bytes:
    """Return the bytes that a key signs when another one replaces it at this time (RFC 3339); older
    ones have no time."""
    said = f"drd-key-2\n{public}\n{at}\n" if at else f"drd-key-1\n{public}\n"
    return said.encode()


def following(
    keys: Mapping[str, str],
    endorsed: Iterable[Endorsement],
    accepts: Accepts,
    id_of: Callable[[str], str],
    replaced: Collection[str] = (),
) -> tuple[dict[str, str], dict[str, Replaced]]:
    """Return the keys, and the keys by which they were replaced, in the order of the endorsements;
    and when, if an endorsement says it. A key is replaced only once: keys that are `replaced`
    already cannot endorse another key."""
    followed, gone = dict(keys), set(replaced)
    ends: dict[str, Replaced] = {}
    for one in endorsed:
        if one.former not in gone and accepts(
            followed.get(one.former, ""), one.message(), one.signed
        ):
            followed[id_of(one.public)] = one.public
            gone.add(one.former)
            if one.at:
                ends[one.former] = Replaced(from_rfc3339(one.at))
    return followed, ends


def accepted_by(
    signature: ManifestSignature, plan: str, point: str, keys: ManifestKeys, accepts: Accepts
) -> str:
    """Return the key of drd with which the signature is valid; empty if there is none."""
    public = keys.of(signature.key)
    said = message(plan, point, signature.digest)
    return public if public is not None and accepts(public, said, signature.signed) else ""


def trust_in(
    signature: ManifestSignature,
    keys: ManifestKeys,
    data_time: datetime | None = None,
    *,
    by_kit: bool = False,
) -> Trust:
    """Return how far a manifest with this signature was made by drd. `data_time` is the data time
    of its point; with None, a replaced key is accepted as well. `by_kit`: the host was made from a
    recovery kit that lists the plan's points, but not this point."""
    if not signature.key:
        return Trust.UNSIGNED
    if signature.key == MALFORMED:
        return Trust.WRONG
    known_key = _by_known_key(signature, keys)
    if known_key is Trust.WRONG or data_time is None:
        return known_key
    unlisted = is_unlisted(signature, keys, by_kit=by_kit)
    late = is_late(signature, keys, data_time)
    return Trust.REPLACED_KEY if late or unlisted else known_key


def is_late(signature: ManifestSignature, keys: ManifestKeys, data_time: datetime) -> bool:
    """Return whether the key had been replaced before this time."""
    end = keys.ends.get(signature.key)
    return end is not None and data_time > end


def is_unlisted(signature: ManifestSignature, keys: ManifestKeys, *, by_kit: bool) -> bool:
    """Return whether a replaced key has signed a manifest that the record of its replacement, or
    the recovery kit, does not list: the manifest appeared later, whatever time it has."""
    listed = keys.points.get(signature.key)
    not_named = listed is not None and mark_of(signature.digest) not in listed
    return not_named or (by_kit and signature.key in keys.before_kit)


def _by_known_key(signature: ManifestSignature, keys: ManifestKeys) -> Trust:
    if signature.public and keys.confirmed.get(signature.key) == signature.public:
        return Trust.SIGNED
    if signature.public and keys.claimed.get(signature.key) == signature.public:
        return Trust.UNCONFIRMED
    if keys.of(signature.key) is not None:
        return Trust.WRONG
    if not keys or (signature.public and keys.claimed):  # it followed a claimed one
        return Trust.UNCONFIRMED
    return Trust.UNKNOWN_KEY

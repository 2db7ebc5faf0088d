"""A signed statement of the state of a chain of records, stored away from the host.

It is a tag of a snapshot, so that a listing alone shows all anchors of a repository. Anybody with
the repository's password can store one, so nothing in it is trusted without a signature of a key of
the chain.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from drd.model.chain import Accepts, ChainReport, Continuation, Fault, in_force
from drd.model.records import canonical, moment
from drd.model.units import format_time, from_rfc3339

FORMAT = "drd-checkpoint-1"
HOST = "drd_records"
"""The host of the snapshots: no plan can have this name."""
TAG = "drd-records"
_PREFIX = "checkpoint."
_LONGEST = 2000
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/=]{1,100}", re.ASCII)
_NAME = re.compile(r"[^\x00-\x1f\x7f]{0,255}")


@dataclass(frozen=True, slots=True)
class Carried:
    """The entries in the snapshot of a checkpoint: the entries after entry `after`, up to the entry
    of the checkpoint, in a file of so many bytes."""

    after: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Entry `seq` of the chain that begins with the entry of the hash `chain` has the `hash`.
    `state` identifies the installation: its machine and the path of its catalogue. `carried` are
    the entries that were stored with the checkpoint, if there are any."""

    chain: str
    seq: int
    hash: str
    at: datetime
    host: str
    state: str
    public: str
    key: str
    signature: str = ""
    carried: Carried | None = None

    def message(self) -> bytes:
        """Return the bytes that are signed."""
        return canonical({"format": FORMAT, **self._values()})

    def _values(self) -> dict[str, Any]:
        carried = {} if self.carried is None else {"carried": asdict(self.carried)}
        return {
            **carried,
            "chain": self.chain,
            "seq": self.seq,
            "hash": self.hash,
            "at": moment(self.at),
            "host": self.host,
            "state": self.state,
            "public": self.public,
            "key": self.key,
        }

    def tag(self) -> str:
        text = canonical({**self._values(), "signature": self.signature})
        return _PREFIX + urlsafe_b64encode(text).decode().rstrip("=")

    def to_json(self) -> dict[str, Any]:
        return {**self._values(), "signature": self.signature}


def read_tag(tag: str) -> Checkpoint | None:
    """Return the checkpoint in a tag; None if drd does not write such tags."""
    if not tag.startswith(_PREFIX) or len(tag) > _LONGEST:
        return None
    code = tag[len(_PREFIX) :]
    try:
        data = json.loads(urlsafe_b64decode(code + "=" * (-len(code) % 4)))
        return from_json(data)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def from_json(data: Any) -> Checkpoint:
    """Read a checkpoint strictly. Raises ValueError, KeyError or TypeError."""
    if not isinstance(data, Mapping):
        raise TypeError("no checkpoint")
    seq = data["seq"]
    if not isinstance(seq, int) or isinstance(seq, bool) or not 0 < seq < 2**53:
        raise ValueError("not the number of an entry")
    return Checkpoint(
        chain=_match(_HASH, data["chain"]),
        seq=seq,
        hash=_match(_HASH, data["hash"]),
        at=from_rfc3339(_match(_NAME, data["at"])),
        host=_match(_NAME, data["host"]),
        state=_match(_ID, data["state"]),
        public=_match(_BASE64, data["public"]),
        key=_match(_ID, data["key"]),
        signature=_match(_BASE64, data["signature"]),
        carried=_carried(data["carried"], seq) if "carried" in data else None,
    )


def _carried(data: Any, seq: int) -> Carried:
    after, size = data["after"], data["size"]
    if any(not isinstance(n, int) or isinstance(n, bool) for n in (after, size)):
        raise ValueError("not numbers")
    if not (0 <= after < seq and 0 < size < 2**53):
        raise ValueError("not a range of entries")
    return Carried(after, size, _match(_HASH, data["sha256"]))


def _match(pattern: re.Pattern[str], value: Any) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError("not as drd writes it")
    return value


@dataclass(frozen=True, slots=True)
class Anchor:
    """A checkpoint, and where it was found: `place` names the repository, `snapshot` is its id
    there. It is `weak` if this host's own key may delete it. If it is `trusted`, it needs no
    signature, because a person kept it."""

    checkpoint: Checkpoint
    place: str
    snapshot: str = ""
    weak: bool = True
    trusted: bool = False


@dataclass(slots=True)
class Vouched:
    """What anchors prove about a chain. `confirmed` agree with it, oldest first. `strangers` belong
    to other chains and keys, which is not a fault; `explained` contradict it, and a signed record
    explains why; the other anchors that contradict it (`contradicting`) are faults. `unreached` are
    the places that could not be read, with the reason."""

    confirmed: list[Anchor] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    strangers: list[Anchor] = field(default_factory=list)
    explained: list[Anchor] = field(default_factory=list)
    contradicting: list[Anchor] = field(default_factory=list)
    unreached: dict[str, str] = field(default_factory=dict)

    @property
    def newest(self) -> Anchor | None:
        """Return the anchor of the highest entry; if there are several, a strong one."""
        return max(self.confirmed, key=lambda a: (a.checkpoint.seq, not a.weak), default=None)

    @property
    def newest_strong(self) -> Anchor | None:
        strong = (a for a in self.confirmed if not a.weak)
        return max(strong, key=lambda a: a.checkpoint.seq, default=None)


def judge(
    report: ChainReport,
    hashes: Mapping[int, str],
    anchors: Iterable[Anchor],
    state: str,
    accepts: Accepts,
    *,
    rotated: Mapping[str, int] | None = None,
    own: str | None = None,
) -> Vouched:
    """Compare a chain with the anchors. `hashes` are the hashes of the entries that the anchors
    name, `state` is this installation. `own` is the public key of this host, None if it cannot be
    read: it shows that a chain was this host's even if the first entries of this chain are lost.
    `rotated` has the public keys that this chain does not name, but that one of its keys signed as
    its successor, each with the entry that contains this signature."""
    vouched = Vouched()
    public = {(key.id, key.public) for key in report.keys}
    for anchor in sorted(anchors, key=lambda a: (a.checkpoint.seq, a.checkpoint.at)):
        point = anchor.checkpoint
        if is_explained(point, report.continuations):
            vouched.explained.append(anchor)
            continue
        signed = anchor.trusted or accepts(point.public, point.message(), point.signature)
        known = anchor.trusted or (point.key, point.public) in public
        if point.chain == report.chain and signed and known:
            _compare(vouched, report, hashes, anchor)
        elif signed and point.chain == report.chain:
            vouched.faults.append(of_unknown_key(anchor, (rotated or {}).get(point.public)))
            vouched.contradicting.append(anchor)
        elif signed and (known or point.state == state or point.public == own):
            text = _gone(anchor) if report.last is None else _replaced(anchor, public)
            vouched.faults.append(Fault(point.seq, "replaced", text))
            vouched.contradicting.append(anchor)
        else:
            vouched.strangers.append(anchor)
    return vouched


def is_explained(point: Checkpoint, continuations: Iterable[Continuation]) -> bool:
    """Return whether a signed record of the chain explains that this entry belongs to another copy
    of the chain."""
    return any(one.explains(point.chain, point.seq) for one in continuations)


def _compare(
    vouched: Vouched, report: ChainReport, hashes: Mapping[int, str], anchor: Anchor
) -> None:
    point = anchor.checkpoint
    assert report.last is not None  # an anchor of this chain: it has entries
    last = report.last.seq
    known = f"the anchor in {anchor.place} of {format_time(point.at, seconds=True)}"
    if point.seq > last:
        text = f"the chain ends with entry {last}, but {known} is for entry {point.seq}"
        if _is_of_former_key(anchor, report):
            text += (
                f". The key of this anchor, {point.key}, had been replaced before: the anchor "
                "was stored by somebody who has the former key and the repository's "
                "password, or by an older copy of this host"
            )
        vouched.faults.append(Fault(point.seq, "truncated", text))
        vouched.contradicting.append(anchor)
    elif hashes.get(point.seq) != point.hash:
        text = f"{known} does not match entry {point.seq}: the chain was rewritten, or two hosts "
        vouched.faults.append(Fault(point.seq, "rewritten", f"{text}continued the same chain"))
        vouched.contradicting.append(anchor)
    elif _is_of_former_key(anchor, report):
        vouched.strangers.append(anchor)
    else:
        vouched.confirmed.append(anchor)


def _is_of_former_key(anchor: Anchor, report: ChainReport) -> bool:
    """Whether a rotation had replaced its key by then: who has the former key confirms nothing. An
    anchor by a key that was lost is of the time before the loss, whatever the numbers are now."""
    point = anchor.checkpoint
    keys = [key for key in report.keys if key.attested or key.id == point.key]
    return not anchor.trusted and not in_force(keys, point.key, point.seq)


def _gone(anchor: Anchor) -> str:
    point = anchor.checkpoint
    return (
        f"{anchor.place} has an anchor of entry {point.seq} of "
        f"{format_time(point.at, seconds=True)}, stored by host {point.host} and signed with "
        f"key {point.key}, but this host has no records: somebody removed them, or they were "
        "lost. To restore the records that the repositories contain, and record the rest as "
        "lost: drd records continue --reason TEXT. If another installation uses the same "
        "key, give that installation a key of its own"
    )


def _replaced(anchor: Anchor, public: Collection[tuple[str, str]]) -> str:
    point = anchor.checkpoint
    if (point.key, point.public) in public:
        return (
            f"{anchor.place} has an anchor of entry {point.seq} of another chain "
            f"({format_time(point.at, seconds=True)}, host {point.host}) by a key of this "
            f"chain, {point.key}: the chain was replaced, or was lost and started again. If "
            "another installation uses the same key, give that installation a key of its own"
        )
    return (
        f"{anchor.place} has an anchor of entry {point.seq} of another chain of this installation "
        f"({format_time(point.at, seconds=True)}, key {point.key}). No entry of this chain has "
        "that key: the chain was replaced, or was lost and started again. Or the anchor is false: "
        "somebody with the repository's password stored it"
    )


def of_unknown_key(anchor: Anchor, rotation: int | None) -> Fault:
    """Return the fault of an anchor of this chain whose key the chain does not name. `rotation` is
    the entry in which a key of the chain named this key; None if drd found no such entry."""
    point = anchor.checkpoint
    known = (
        f"{anchor.place} has an anchor of entry {point.seq} of this chain "
        f"({format_time(point.at, seconds=True)}, host {point.host}), signed with key {point.key}"
    )
    if rotation is not None:
        text = (
            f"{known}. Beside the anchor is entry {rotation}, by which the key of this chain was "
            "replaced with that key. This chain does not have that entry: the chain was cut off "
            f"before entry {rotation}, or is an older copy"
        )
        return Fault(point.seq, "truncated", text)
    text = (
        f"{known}, which no entry of this chain names. So the chain was cut off before its key was "
        "replaced, or the chain is an older copy. If neither is true, the anchor is false: "
        "somebody who knows the repository's password stored it"
    )
    return Fault(point.seq, "replaced", text)


def carrying(anchors: Iterable[Anchor]) -> list[Anchor]:
    """Return the anchors whose entries, one after the other, reach furthest from the first entry of
    the chain; use as few anchors as possible."""
    carried: list[Anchor] = []
    left = list(_with_entries(anchors))
    reached = 0
    while True:
        fit = [a for after, a in left if after <= reached < a.checkpoint.seq]
        if not fit:
            return carried
        carried.append(max(fit, key=lambda a: (a.checkpoint.seq, a.checkpoint.at)))
        reached = carried[-1].checkpoint.seq


def with_redacted(anchors: Iterable[Anchor], redactions: Mapping[int, int]) -> list[Anchor]:
    """Return the anchors that carry the body of an entry that was redacted since. `redactions` has
    for each redacted entry the entry that says so."""
    return [
        anchor
        for after, anchor in _with_entries(anchors)
        if any(
            after < entry <= anchor.checkpoint.seq < record for entry, record in redactions.items()
        )
    ]


def _with_entries(anchors: Iterable[Anchor]) -> Iterator[tuple[int, Anchor]]:
    """Return the anchors that carry entries, each after the number after which these begin."""
    for anchor in anchors:
        if anchor.checkpoint.carried is not None:
            yield anchor.checkpoint.carried.after, anchor


def to_take_back(
    anchors: Sequence[Anchor], needed: Collection[Anchor] = (), spoiled: Collection[Anchor] = ()
) -> list[Anchor]:
    """Return the anchors of one chain in one repository that are not needed any more, because later
    ones cover them. Not returned are the newest anchor of each day (UTC), the newest of all, and
    the anchors whose entries are `needed`. Anchors that are `spoiled` are returned unless they are
    needed."""
    kept: dict[object, Anchor] = {}
    ordered = sorted(anchors, key=lambda a: (a.checkpoint.seq, a.checkpoint.at))
    for anchor in ordered:
        kept[anchor.checkpoint.at.date()] = anchor
    stays = {id(a) for a in kept.values()} - {id(a) for a in spoiled}
    stays |= {id(a) for a in (*ordered[-1:], *needed)}
    return [a for a in ordered if id(a) not in stays]

"""Checks a chain of records: a pure function of its entries, in the order in which they were found.

It finds each entry that was changed, removed or moved, and each signature that the key has not
made. It cannot find out that the end of a chain was cut off, or that a chain was replaced by
another complete one: only an anchor elsewhere shows this.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from drd.model.records import CONTINUED, FIRST, KEY, NEEDED, REDACTION, Entry, key_id, written

Accepts = Callable[[str, bytes, str], bool]
"""Whether a public key (base64) accepts a message with a signature (base64)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an entry. Codes: `missing`, `order`, `changed`, `unlinked`, `body`,
    `removed_body`, `sealed`, `signature`, `key`, `anchor`, `incident` (its row says other),
    `file` (a file of an export).
    """

    seq: int
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key of the chain, and the entry from which on it signs. If it is not `attested`, it
    replaced a lost key: only its own signature says that it belongs to drd.
    """

    id: str
    public: str
    since: int
    attested: bool


def in_force(keys: Sequence[KnownKey], key: str, seq: int) -> bool:
    """Return whether this key was still in use at entry `seq`: no other key of the chain (`keys`,
    the first one first) had replaced it. For a key that the chain does not have, no later key is
    known."""
    place = max((n for n, known in enumerate(keys) if known.id == key), default=len(keys))
    return all(later.since > seq for later in keys[place + 1 :])


@dataclass(frozen=True, slots=True)
class Continuation:
    """A signed record by which an installation continues its chain after it came back from a copy,
    or lost its chain. `entry` follows entry `after`; the last anchor that was found is the anchor
    of entry `seq` of the chain `chain`. Up to entry `common`, both chains agree. The entries after
    it in the other chain are lost."""

    entry: int
    at: datetime
    after: int
    common: int
    chain: str
    seq: int
    hash: str

    def explains(self, chain: str, seq: int) -> bool:
        """Return whether this record explains an anchor of this entry of the chain."""
        return chain == self.chain and self.common < seq <= self.seq


def continuation(entry: Entry) -> Continuation | None:
    """Return the continuation in the body of an entry; None if the entry is not such a record."""
    values = _values(entry)
    try:
        numbers = [int(values[name]) for name in ("after", "common", "seq")]
        texts = [str(values[name]) for name in ("chain", "hash")]
    except (KeyError, ValueError, TypeError):
        return None
    after, common, seq = numbers
    chain, digest = texts
    return Continuation(entry.seq, entry.header.at, after, common, chain, seq, digest)


CAME_SEALED = "sealed"
"""The code of the fault that a signed record of the restored entries ends."""


@dataclass(slots=True)
class ChainReport:
    """What a check found. `unsigned` are the numbers of the entries without a signature, `redacted`
    of entries whose bodies were removed by a record, `withheld` of entries whose bodies an export
    left out, `sealed` of entries that were restored encrypted.
    """

    entries: int = 0
    first_at: datetime | None = None
    last: Entry | None = None
    chain: str = ""
    faults: list[Fault] = field(default_factory=list)
    keys: list[KnownKey] = field(default_factory=list)
    continuations: list[Continuation] = field(default_factory=list)
    unsigned: list[int] = field(default_factory=list)
    redacted: list[int] = field(default_factory=list)
    withheld: list[int] = field(default_factory=list)
    sealed: list[int] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Return the id of the newest key; empty if there is none."""
        return self.keys[-1].id if self.keys else ""


class ChainCheck:
    """The check, entry by entry. `withheld` are the entries whose bodies an export left out."""

    def __init__(self, accepts: Accepts, withheld: Iterable[int] = ()) -> None:
        self.report = ChainReport()
        self._accepts = accepts
        self._withheld = frozenset(withheld)
        self._without_body: list[int] = []
        self._redactions: set[int] = set()
        self._hashes: dict[int, str] = {}
        self._wanted: frozenset[int] = frozenset()

    def keeping(self, seqs: Iterable[int]) -> ChainCheck:
        """Remember the hashes of these entries, which anchors name."""
        self._wanted = frozenset(seqs)
        return self

    @classmethod
    def going_on(cls, accepts: Accepts, last: Entry | None, keys: Iterable[KnownKey]) -> ChainCheck:
        """Check only what follows an entry, with the keys of the chain up to there."""
        made = cls(accepts)
        made.report.last = last
        made.report.keys += keys
        return made

    @property
    def hashes(self) -> Mapping[int, str]:
        """The hashes of the wanted entries, by number."""
        return self._hashes

    def add(self, entry: Entry) -> None:
        report, last = self.report, self.report.last
        goes_on = continuation(entry) if entry.header.kind == CONTINUED else None
        self._place(entry, last, goes_on)
        computed = entry.header.hash
        if computed != entry.hash:
            self._fault(entry, "changed", "its content does not have the recorded hash")
        self._body(entry)
        self._signature(entry)
        if goes_on is not None and entry.signature:
            report.continuations.append(goes_on)
        if last is None:
            report.chain, report.first_at = computed, entry.header.at
        if entry.seq in self._wanted:
            self._hashes[entry.seq] = computed
        report.entries += 1
        report.last = entry

    def _place(self, entry: Entry, last: Entry | None, goes_on: Continuation | None) -> None:
        after = last.seq if last is not None else 0
        told = goes_on is not None and (goes_on.after, goes_on.seq) == (after, entry.seq - 1)
        if entry.seq <= after:
            self._fault(entry, "order", f"it comes after entry {after}")
        elif entry.seq > after + 1 and not (told and entry.signature):
            one = entry.seq == after + 2
            gone = f"entry {after + 1} is" if one else f"entries {after + 1} to {entry.seq - 1} are"
            self._fault(entry, "missing", f"{gone} missing before it")
        previous = last.hash if last is not None else FIRST
        if entry.header.previous != previous:
            self._fault(
                entry, "unlinked", "this entry does not contain the hash of the entry before it"
            )

    def _body(self, entry: Entry) -> None:
        if entry.body is None:
            if entry.sealed:
                self.report.sealed.append(entry.seq)
            elif entry.seq in self._withheld:
                self.report.withheld.append(entry.seq)
            else:
                self._without_body.append(entry.seq)
        elif entry.body.digest != entry.header.digest:
            self._fault(entry, "body", "its body does not have the recorded digest")

    def _signature(self, entry: Entry) -> None:
        values = _values(entry)
        if entry.header.kind == KEY:
            self._new_key(entry, values)
            return
        if not entry.signature:
            self.report.unsigned.append(entry.seq)
            return
        redacted = values.get("entry") if entry.header.kind == REDACTION else None
        if self._signed_by(entry, self.report.keys[-1:]) and isinstance(redacted, int):
            self._redactions.add(redacted)

    def _new_key(self, entry: Entry, values: dict[str, Any]) -> None:
        public, lost = str(values.get("public") or ""), bool(values.get("lost"))
        key = KnownKey(str(values.get("key") or ""), public, entry.seq, attested=not lost)
        if not _is_id_of(key.id, public):
            # People compare the id: otherwise another key could have that of drd's key.
            self._fault(entry, "key", "its key has another id than the entry says")
            return
        former = self.report.keys[-1:]
        signers = [key] if lost or not former else former
        if self._signed_by(entry, signers):
            self.report.keys.append(key)

    def _signed_by(self, entry: Entry, keys: Sequence[KnownKey]) -> bool:
        message = entry.header.message()
        if any(
            k.id == entry.key and self._accepts(k.public, message, entry.signature) for k in keys
        ):
            return True
        known = keys[-1].id if keys else "none"
        text = (
            f"its signature is not valid, or was not made by the key that was in use then ({known})"
        )
        self._fault(entry, "key" if entry.header.kind == KEY else "signature", text)
        return False

    def _fault(self, entry: Entry, code: str, text: str) -> None:
        self.report.faults.append(Fault(entry.seq, code, text))

    def done(self) -> ChainReport:
        """Finish the check. This must be last, because a redaction comes after the entry that it is
        about, and so does the record that entries were restored, some of them encrypted."""
        back = max((c.after for c in self.report.continuations), default=0)
        for seq in self.report.sealed:
            if seq > back and seq not in self._withheld:
                text = (
                    "its body is encrypted, and no signed record says that the body was restored "
                    "in encrypted form (drd records continue)"
                )
                self.report.faults.append(Fault(seq, CAME_SEALED, text))
        for seq in self._without_body:
            if seq in self._redactions:
                self.report.redacted.append(seq)
            else:
                text = "its body is gone, and no signed record says who removed it"
                self.report.faults.append(Fault(seq, "removed_body", text))
        return self.report


def _is_id_of(named: str, public: str) -> bool:
    """Return whether this is the id of a public key (base64)."""
    try:
        return key_id(b64decode(public, validate=True)) == named
    except ValueError:
        return False


def _values(entry: Entry) -> dict[str, Any]:
    """The body of an entry that the check needs."""
    return written(entry) if entry.header.kind in NEEDED else {}


def check(entries: Iterable[Entry], accepts: Accepts, withheld: Iterable[int] = ()) -> ChainReport:
    """Check a whole chain."""
    checking = ChainCheck(accepts, withheld)
    for entry in entries:
        checking.add(entry)
    return checking.done()

"""Chains of records for tests: made by the same code as real ones, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from drd.model.actor import Actor
from drd.model.chain import ChainReport, check
from drd.model.record_drafts import of_key, of_redaction
from drd.model.records import FIRST, Body, Draft, Entry, header_of
from drd.signing import Signer, accepts, new_key

BEGUN = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
ANNA = Actor(1000, "anna", 1000, "db1", "terminal", "anna")


def key() -> Signer:
    return Signer(new_key(), "a key of the tests")


class Chain:
    """A chain that grows. Whoever has a list of its entries can attack it."""

    def __init__(self, signer: Signer | None = None) -> None:
        self.entries: list[Entry] = []
        self.signer: Signer | None = None
        if signer is not None:
            self.new_key(signer)

    def add(self, draft: Draft, signer: Signer | None = None, *, beyond: int = 0) -> Entry:
        last = self.entries[-1] if self.entries else None
        seq, previous = (last.seq + 1, last.hash) if last else (1, FIRST)
        seq = max(seq, beyond + 1)
        body = Body.of(draft.body, f"{seq:032x}")
        header = header_of(draft, body, seq=seq, previous=previous)
        entry = signed(Entry(header, header.hash, body=body), signer or self.signer)
        self.entries.append(entry)
        return entry

    def note(self, **body: Any) -> Entry:
        at = BEGUN + timedelta(minutes=len(self.entries))
        return self.add(Draft("evidence", "shop/1a2b3c4d", body, at, ANNA))

    def new_key(self, signer: Signer, *, lost: bool = False) -> Entry:
        former = self.signer.public.id if self.signer is not None else ""
        draft = of_key(signer.public.id, signer.public.text, former, BEGUN, ANNA, lost=lost)
        entry = self.add(draft, signer if lost or self.signer is None else self.signer)
        self.signer = signer
        return entry

    def redact(self, seq: int) -> None:
        entry = self.entries[seq - 1]
        self.add(of_redaction(seq, entry.header.digest, "asked for", BEGUN, ANNA))
        self.entries[seq - 1] = replace(entry, body=None)


def signed(entry: Entry, signer: Signer | None) -> Entry:
    if signer is None:
        return replace(entry, key="", signature="")
    return replace(entry, key=signer.public.id, signature=signer.sign(entry.header.message()))


def chained(entries: Sequence[Entry], signer: Signer | None) -> list[Entry]:
    """What somebody makes of a chain who numbers, hashes and signs everything anew."""
    made: list[Entry] = []
    for seq, entry in enumerate(entries, 1):
        previous = made[-1].hash if made else FIRST
        header = replace(entry.header, seq=seq, previous=previous)
        made.append(signed(replace(entry, header=header, hash=header.hash), signer))
    return made


def judged(entries: Sequence[Entry]) -> ChainReport:
    return check(entries, accepts)


def codes(entries: Sequence[Entry]) -> set[tuple[int, str]]:
    return {(fault.seq, fault.code) for fault in judged(entries).faults}

"""The preserved evidence of an incident: sets of copies, and the chain of custody of each set.

drd derives the sets from the entries of the incident. The first entry of a set is written when drd
begins, so that the set of a killed run is visibly not whole; the second when all is stored; and one
for each later act. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from drd.model.incidents import entries as kinds
from drd.model.records import Entry, body_of
from drd.model.text import counted


class Act(StrEnum):
    """What was done with a set."""

    BEGIN = "begin"
    TAKEN = "taken"
    VERIFIED = "verified"
    EXPORTED = "exported"
    RELEASED = "released"
    REHEARSED = "rehearsed"  # only of a run: no entry has it


@dataclass(frozen=True, slots=True)
class Item:
    """One copy in a set: its name, its kind, its snapshot, and the number of its files."""

    name: str
    what: str
    snapshot: str
    files: int


@dataclass(frozen=True, slots=True)
class Custody:
    """One act in the chain of custody. `entry` is the entry that recorded it."""

    entry: int
    act: Act
    at: datetime
    by: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Preserved:
    """A set of evidence. `id` is the id of the run that took the set. `digests` is the snapshot
    with the list of digests, and `sha256` the digest of this list; empty if the set is not whole.
    `missing` names what drd could not read. `altered`: the last verification found that a file was
    changed or is missing."""

    id: str
    plan: str
    repository: str
    reason: str
    items: tuple[Item, ...]
    digests: str
    sha256: str
    missing: tuple[str, ...]
    custody: tuple[Custody, ...]
    altered: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether drd stored the whole set and read it back."""
        return bool(self.sha256)

    @property
    def is_released(self) -> bool:
        return any(one.act is Act.RELEASED for one in self.custody)

    @property
    def state(self) -> str:
        """Return the state of the set in words."""
        if self.is_released:
            return "released"
        if not self.is_whole:
            return "not whole"
        return "not as it was taken" if self.altered else "held"


def preserved(entries: Iterable[Entry]) -> tuple[Preserved, ...]:
    """Return the sets that the entries of an incident describe, the oldest first."""
    by_id: dict[str, Preserved] = {}
    for entry in entries:
        if entry.header.kind != kinds.PRESERVE:
            continue
        body = body_of(entry)
        with suppress(KeyError, ValueError, TypeError, AttributeError):
            _apply(by_id, entry, body)
    return tuple(by_id.values())


def _apply(found: dict[str, Preserved], entry: Entry, body: Mapping[str, Any]) -> None:
    act, name = Act(body["act"]), str(body["set"])
    by = str(body.get("by") or entry.header.actor_name)
    step = Custody(entry.seq, act, entry.header.at, by, _WORDS[act](body))
    if act is Act.BEGIN:
        plan, where = str(body["plan"]), str(body["repository"])
        found[name] = Preserved(name, plan, where, str(body["reason"]), (), "", "", (), (step,))
        return
    known = found[name]
    if act is Act.TAKEN:
        items = tuple(
            Item(str(i["item"]), str(i["what"]), str(i["snapshot"]), int(i["file_count"]))
            for i in body["items"]
        )
        known = replace(
            known,
            items=items,
            digests=str(body["digests"]),
            sha256=str(body["sha256"]),
            missing=tuple(map(str, body["missing"])),
        )
    if act is Act.VERIFIED:
        known = replace(known, altered=bool(body["wrong"]))
    found[name] = replace(known, custody=(*known.custody, step))


def _taken(body: Mapping[str, Any]) -> str:
    items = counted(len(body["items"]), "item")
    missing = f", without {counted(len(body['missing']), 'thing')} that drd could not read"
    left = missing if body["missing"] else ""
    return f"{items}{left}; SHA-256 of the list of digests {body['sha256']}"


def _verified(body: Mapping[str, Any]) -> str:
    wrong = body["wrong"]
    return f"NOT as it was taken: {wrong[0]}" if wrong else "every file is as it was taken"


_WORDS: Mapping[Act, Callable[[Mapping[str, Any]], str]] = {
    Act.BEGIN: lambda b: str(b["reason"]),
    Act.TAKEN: _taken,
    Act.VERIFIED: _verified,
    Act.EXPORTED: lambda b: f"to {b['to']}",
    Act.RELEASED: lambda b: str(b["reason"]),
}


def preservation_words(body: Mapping[str, Any]) -> str:
    """Return what an entry about a set says, for the timeline."""
    act = Act(body["act"])
    verb = "begins" if act is Act.BEGIN else str(act)
    of = f" of {body['plan']}" if act is Act.BEGIN else ""
    return f"preserved evidence {body['set']}{of} {verb}: {_WORDS[act](body)}"

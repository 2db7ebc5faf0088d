"""Anchors of a chain by keys that the chain does not name: the chain was cut off before its key was
replaced, or is an older copy. Or somebody who has the repository's password made them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from drd.errors import DrdError
from drd.flows.records import segments
from drd.model.chain import Continuation
from drd.model.checkpoint import Anchor, is_explained, of_unknown_key
from drd.model.malformed import Malformed
from drd.model.records import KEY, Entry, written
from drd.ports import Repository
from drd.signing import accepts

_MOST_FILES = 20


@dataclass(frozen=True, slots=True)
class Unknown:
    """The newest anchor with an unknown key, and what it says. It `is_proven` if entries stored
    with it contain the record of its key, signed by a key of the chain."""

    anchor: Anchor
    text: str
    is_proven: bool


def find_unknown(
    here: Sequence[Anchor],
    chain: str,
    keys: Mapping[str, str],
    told: Sequence[Continuation],
    repository: Repository,
) -> Unknown | None:
    """Return the newest unknown anchor of a repository; a proven one comes first. None if there is
    none, or if records of the chain (`told`) explain it. `keys` are the public keys of the chain by
    id."""
    strange = [
        a
        for a in here
        if a.checkpoint.chain == chain
        and (a.checkpoint.key, a.checkpoint.public) not in keys.items()
        and not is_explained(a.checkpoint, told)
        and accepts(a.checkpoint.public, a.checkpoint.message(), a.checkpoint.signature)
    ]
    if not strange:
        return None
    named = rotations(keys, chain, strange, {a.place: repository for a in strange})
    worst = max(strange, key=lambda a: (a.checkpoint.public in named, a.checkpoint.seq))
    rotation = named.get(worst.checkpoint.public)
    return Unknown(worst, of_unknown_key(worst, rotation).text, rotation is not None)


def rotations(
    keys: Mapping[str, str],
    chain: str,
    anchors: Sequence[Anchor],
    opened: Mapping[str, Repository],
) -> Mapping[str, int]:
    """Return the keys that anchors of this chain use but the chain does not name, if an entry in an
    anchor names them and a key that is known by then has signed this entry; each key with the
    number of the entry. `keys` are the public keys of the chain by id, `opened` are the
    repositories by place."""
    known = dict(keys)
    strange = [
        a
        for a in anchors
        if a.checkpoint.chain == chain
        and a.checkpoint.carried is not None
        and a.checkpoint.public not in known.values()
        and a.place in opened
    ]
    named: dict[str, int] = {}
    for anchor in sorted(strange, key=lambda a: a.checkpoint.seq)[:_MOST_FILES]:
        with suppress(DrdError, Malformed, ValueError, TypeError, KeyError, RecursionError):
            for entry in segments.carried_by(anchor, opened[anchor.place]):
                by, body = known.get(entry.key), written(entry)
                if entry.header.kind == KEY and by is not None and _is_signed(entry, by):
                    public = str(body["public"])
                    known[str(body["key"])] = public
                    named.setdefault(public, entry.seq)
    return named


def _is_signed(entry: Entry, public: str) -> bool:
    is_whole = entry.body is not None and not entry.is_altered
    return is_whole and accepts(public, entry.header.message(), entry.signature)

"""The entries that anchors carry: files in the format of an export, which together have the whole
chain, so that a repository alone gives it back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from drd.flows.records.restricted import is_restricted, restricted_incidents, restricted_later
from drd.model.checkpoint import Anchor, Carried, carrying, with_redacted
from drd.model.malformed import Malformed
from drd.model.record_file import (
    FIRST_LINE,
    LONGEST_LINE,
    Hides,
    hides_nothing,
    lines_of_one,
    read,
)
from drd.model.records import REDACTION, Entry
from drd.ports import Catalogue, Repository

FILE = "records.txt"
SMALL = 128 << 10
"""While the newest file of a repository is smaller than this number of bytes, the next file
contains its entries, too, so that the smaller file can be removed: many small changes then leave
few files."""
PART = 4 << 20
"""The size in bytes at which a file ends and the next one begins."""
LARGEST = 64 << 20
"""No file is larger: an entry has at most 16 MiB."""
_MOST_REDACTIONS = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """A file with entries of the chain, the newest of which is `last`."""

    last: Entry
    carried: Carried
    data: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """The anchors of a repository, which carry entries. The anchors in `needed` carry the entries
    up to `reach`; the anchors in `spoiled` carry a body that was redacted or became restricted
    after they were stored."""

    needed: Sequence[Anchor]
    spoiled: Sequence[Anchor]

    @property
    def reach(self) -> int:
        return self.needed[-1].checkpoint.seq if self.needed else 0

    @property
    def begins_after(self) -> int:
        """The entry after which the next file begins."""
        again = [a for a in self.needed if a in self.spoiled]
        last = [a for a in self.needed[-1:] if _size(a) < SMALL]
        for anchor in (*again[:1], *last):
            if anchor.checkpoint.carried is not None:
                return anchor.checkpoint.carried.after
        return self.reach

    @property
    def is_spoiled(self) -> bool:
        return any(a in self.spoiled for a in self.needed)

    def lacks(self, seq: int) -> bool:
        """Return whether an entry is not in it, or a redacted body still is."""
        return self.reach < seq or self.is_spoiled


def _size(anchor: Anchor) -> int:
    carried = anchor.checkpoint.carried
    return carried.size if carried is not None else 0


def held(catalogue: Catalogue, anchors: Iterable[Anchor], anew: int = 0) -> Held:
    """Return what these anchors of one repository carry; they agree with the catalogue. Anchors
    that were stored up to the entry `anew` count as spoiled if they carry restricted entries."""
    known = list(anchors)
    gone = {**restricted_later(catalogue), **_redactions(catalogue)}
    if anew:
        gone |= dict.fromkeys(_restricted(catalogue), anew + 1)
    return Held(carrying(known), with_redacted(known, gone))


def _restricted(catalogue: Catalogue) -> Iterator[int]:
    incidents = restricted_incidents(catalogue)
    return (e.seq for e in catalogue.records.read() if is_restricted(e, incidents))


def _redactions(catalogue: Catalogue) -> Mapping[int, int]:
    numbers: dict[int, int] = {}
    for record in catalogue.records.newest(kind=REDACTION, limit=_MOST_REDACTIONS):
        with suppress(ValueError, TypeError, AttributeError):
            body = json.loads(record.body.text) if record.body is not None else {}
            numbers[int(body.get("entry") or 0)] = record.seq
    return numbers


def parts(
    catalogue: Catalogue, after: int, until: int, hides: Hides = hides_nothing
) -> Iterator[Part]:
    """The files with the entries after `after`, up to `until`."""
    lines, size, begun, last = [f"{FIRST_LINE}\n"], 0, after, None
    for entry in catalogue.records.read(after=after, until=until):
        some = [f"{line}\n" for line in lines_of_one(entry, hides)]
        grown = sum(map(len, some))
        if last is not None and size + grown > PART:
            yield _part(lines, begun, last)
            lines, size, begun = [f"{FIRST_LINE}\n"], 0, last.seq
        lines += some
        size, last = size + grown, entry
    if last is not None:
        yield _part(lines, begun, last)


def carried_by(anchor: Anchor, repository: Repository) -> list[Entry]:
    """Return the entries that are stored with an anchor. Raises Malformed or ValueError if the file
    is not as drd wrote it, DrdError if the repository cannot be read."""
    carried = anchor.checkpoint.carried
    assert carried is not None
    if carried.size > LARGEST:
        raise Malformed(f"its file has {carried.size:,} bytes")
    data = repository.read_file(anchor.snapshot, FILE)
    if len(data) != carried.size or sha256(data).hexdigest() != carried.sha256:
        raise Malformed("its file differs from the file that was signed")
    lines = data.decode().split("\n")
    if max(map(len, lines)) > LONGEST_LINE or lines.pop():
        raise Malformed("its file is incomplete")
    return read(lines).entries


def _part(lines: Iterable[str], after: int, last: Entry) -> Part:
    data = "".join(lines).encode()
    return Part(last, Carried(after, len(data), sha256(data).hexdigest()), data)

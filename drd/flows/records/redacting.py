"""Find the entries that can contain the text of another entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drd.model.incidents.entries import CORRECT, PREFIX
from drd.model.records import Entry, body_of
from drd.ports import Catalogue


@dataclass(frozen=True, slots=True)
class SameText:
    """The entries that can contain the text of an entry. `known` are its corrections and the
    entries that it corrects. `sealed` are corrections that are encrypted on this host: here nobody
    can find out which entry they correct. Entries without a body are left out; the oldest come
    first."""

    known: Sequence[Entry] = ()
    sealed: Sequence[Entry] = ()


def with_same_text(catalogue: Catalogue, entry: Entry) -> SameText:
    """Return the entries that can contain the text of this entry, directly or through other
    entries."""
    subject = entry.header.subject
    if not entry.header.kind.startswith(f"{PREFIX}."):
        return SameText()
    made = catalogue.records.about(subject, kind=CORRECT)
    pairs = [(one.seq, corrected_by(one)) for one in made]
    group, before = {entry.seq}, 0
    while len(group) > before:
        before = len(group)
        group |= {n for pair in pairs for n in pair if n is not None and group & {*pair}}
    others = (catalogue.records.get(seq) for seq in sorted(group - {entry.seq}))
    known = [e for e in others if e.header.subject == subject and (e.body or e.sealed)]
    sealed = [one for one in reversed(made) if one.sealed and one.seq not in group]
    return SameText(known, sealed)


def corrected_by(entry: Entry) -> int | None:
    """Return the entry that this entry corrects; None if it is not a correction, or cannot be
    read."""
    number = body_of(entry).get("entry") if entry.header.kind == CORRECT else None
    return number if isinstance(number, int) else None

"""Reasons why drd's words about an incident may be wrong or incomplete: entries that drd cannot
read here, and entries that somebody has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from drd.model.incidents.incident import Incident
from drd.model.records import Entry
from drd.model.text import noun, some

UNSEAL = "drd records unseal --identity FILE"


def altered(entries: Iterable[Entry]) -> tuple[int, ...]:
    """Return the entries whose body differs from the recorded one: nothing in such a body
    counts."""
    return tuple(entry.seq for entry in entries if entry.is_altered)


def unread(incident: Incident) -> str:
    """Return a sentence about entries that cannot be read on this host, because they are encrypted;
    empty if there are none."""
    if not incident.sealed:
        return ""
    count = incident.sealed
    words = f"{count} {noun(count, 'entry', 'entries')}"
    return (
        f"{words} of incident {incident.number} cannot be read on this host, so drd may not "
        "know all deadlines"
    )


def doubts(incident: Incident, changed: Sequence[int]) -> Iterator[str]:
    """Return a sentence for what cannot be read here, and for entries that were `changed`."""
    if told := unread(incident):
        yield f"{told}. To read encrypted entries: {UNSEAL}"
    if changed:
        one = len(changed) == 1
        yield (
            f"{noun(len(changed), 'entry', 'entries')} "
            f"{some([str(seq) for seq in changed], 10)} {'was' if one else 'were'} changed "
            f"after {'it was' if one else 'they were'} recorded, so drd ignores what is "
            "written there now. To check the records: drd records verify"
        )

"""What the catalogue notes about the anchors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from drd.errors import CatalogueError
from drd.model.chain import Fault
from drd.model.drd_facts import RECORDS_CHECK, STORED_ENTRIES, records_faults
from drd.ports import Catalogue

NOTED = "anchors"
"""The key of the noted facts: by the URL of each repository its newest entry, and what went
wrong."""

NOTED_SOON = STORED_ENTRIES
"""The key of the same facts about the repositories that also get the entries while an incident is
open."""


def forked(noted: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the first repository that has other records of this chain; None if
    there is none."""
    places = noted.get("places", {}).values()
    return next((str(place["error"]) for place in places if place.get("forked")), None)


def note_check(
    catalogue: Catalogue,
    at: datetime,
    here: Sequence[Fault],
    anchors: Sequence[Fault] | None,
) -> None:
    """Note what a check of the records found, for status and alerts; `anchors` is None if they were
    not compared: then the former result for them stays. Does nothing if the catalogue cannot be
    written."""
    with suppress(CatalogueError):
        known = catalogue.queue.noted(RECORDS_CHECK)
        noted = dict(known[1]) if known is not None else {}
        noted["here"] = records_faults([(fault.seq, fault.code) for fault in here])
        if anchors is not None:
            noted["anchors"] = records_faults([(fault.seq, fault.code) for fault in anchors])
        catalogue.queue.note(RECORDS_CHECK, noted, at)

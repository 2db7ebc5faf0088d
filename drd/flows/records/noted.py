"""What the catalogue remembers of the anchors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.model.drd_facts import STORED_ENTRIES

NOTED = "anchors"
"""The key of it: by the URL of each repository its newest entry, and what went wrong."""

NOTED_SOON = STORED_ENTRIES
"""The same, of the repositories that get the entries, too, while an incident is open."""


def forked(noted: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the first repository that knows other records of this chain; None
    if there is none."""
    places = noted.get("places", {}).values()
    return next((str(place["error"]) for place in places if place.get("forked")), None)

"""What a deadline counts from: a moment of the incident, a report that was submitted, or another
deadline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from drd.model.incidents.instants import Instant
from drd.model.malformed import Malformed

ID = r"[a-z0-9][a-z0-9.-]*"
_REFERENCE = re.compile(rf"(submitted|due)\(({ID})\)")


class Source(StrEnum):
    """The source of the time of an anchor."""

    INSTANT = "instant"
    SUBMITTED = "submitted"
    """When the report of another regime was submitted."""
    DUE = "due"
    """When the report of another regime is due, while that was not submitted."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A time from which a deadline counts; `name` is the name of an instant, or the id of a
    regime."""

    source: Source
    name: str

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """Return the anchor of `aware`, `submitted(ID)` or `due(ID)`. Raises Malformed."""
        if match := _REFERENCE.fullmatch(text):
            return cls(Source(match[1]), match[2])
        if text in set(Instant):
            return cls(Source.INSTANT, text)
        raise Malformed(
            f'"{text}" is not a moment of an incident',
            f"write submitted(ID), due(ID), or one of {', '.join(Instant)}",
        )

    def __str__(self) -> str:
        return self.name if self.source is Source.INSTANT else f"{self.source}({self.name})"

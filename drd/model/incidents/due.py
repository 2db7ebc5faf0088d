"""A time that counts from a moment of the incident: `aware + 30m`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from drd.model.incidents.instants import Instant
from drd.model.malformed import Malformed
from drd.model.units import format_duration, parse_duration

_DUE = re.compile(r"([a-z_]+)(?:\s*\+\s*([0-9.smhdw]+))?")


@dataclass(frozen=True, slots=True)
class Due:
    """When a task is due: `after_s` seconds after a moment of the incident."""

    instant: Instant
    after_s: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Due:
        """Read `aware + 30m`. Raises Malformed."""
        match = _DUE.fullmatch(text.strip())
        known = {i.value: i for i in Instant}
        if match is None or match[1] not in known:
            raise Malformed(
                f'"{text}" is not a valid due time',
                f"write a moment and a duration, for example `aware + 30m`; the moments are "
                f"{', '.join(known)}",
            )
        return cls(known[match[1]], parse_duration(match[2]) if match[2] else 0.0)

    def at(self, instants: Mapping[Instant, datetime]) -> datetime | None:
        """Return when the task is due; None while nobody has stated the moment."""
        moment = instants.get(self.instant)
        return moment + timedelta(seconds=self.after_s) if moment is not None else None

    def __str__(self) -> str:
        later = f" + {format_duration(self.after_s)}" if self.after_s else ""
        return f"{self.instant}{later}"

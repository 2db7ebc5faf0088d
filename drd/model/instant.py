"""What the evidence says about an instant drill, such as how much of the restore point it has read.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from drd.model.units import format_sizes


@dataclass(frozen=True, slots=True)
class Reading:
    """What an instant drill has read of a component, in bytes and in files. `read_bytes` counts
    whole files: those whose checksums drd compared, and those that the server opened."""

    component: str
    read_bytes: int
    whole_bytes: int
    read_files: int
    whole_files: int

    @property
    def share(self) -> str:
        """Return which share of the bytes was read, as in `12 %`. It is rounded down: only a
        complete read is 100 %.
        """
        if self.read_bytes >= self.whole_bytes:
            return "100 %"
        percent = 100 * self.read_bytes / self.whole_bytes
        if percent < 0.1:
            return "less than 0.1 %"
        return f"{int(percent * 10) / 10 if percent < 10 else int(percent):g} %"

    @property
    def words(self) -> str:
        """Return what was read as a sentence for the evidence."""
        read, whole = format_sizes(self.read_bytes, self.whole_bytes)
        return (
            f"read {self.share} of the bytes ({read} of {whole}, in {self.read_files:,} of "
            f"{self.whole_files:,} files)"
        )


@dataclass(frozen=True, slots=True)
class InstantDrill:
    """What the evidence says about an instant drill. `ready_s` is the time until the server
    answered, `answered_s` the time until all checks were done. `projected_rta_s` is the time that a
    whole recovery would take: it is computed, not measured, from the whole drill with the id
    `projected_from`. Both are None if there is no such drill."""

    readings: tuple[Reading, ...]
    ready_s: float
    answered_s: float
    projected_rta_s: float | None = None
    projected_from: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON; `from_json` is the inverse."""
        return {
            "ready_s": self.ready_s,
            "answered_s": self.answered_s,
            "projected_rta_s": self.projected_rta_s,
            "projected_from": self.projected_from,
            "readings": [asdict(r) for r in self.readings],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> InstantDrill:
        """Convert from plain JSON. Unknown keys, which later versions write, are left out."""
        names = ("read_bytes", "whole_bytes", "read_files", "whole_files")
        return cls(
            readings=tuple(
                Reading(str(r["component"]), *(int(r[name]) for name in names))
                for r in data["readings"]
            ),
            ready_s=float(data["ready_s"]),
            answered_s=float(data["answered_s"]),
            projected_rta_s=_number(data.get("projected_rta_s")),
            projected_from=data.get("projected_from"),
        )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)

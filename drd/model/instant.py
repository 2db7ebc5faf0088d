"""What the evidence says of an instant drill: how much of a restore point was read. Pure."""

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
        """Return the share of the bytes, as a person writes it; never rounded up to all."""
        if self.read_bytes >= self.whole_bytes:
            return "100 %"
        percent = 100 * self.read_bytes / self.whole_bytes
        if percent < 0.1:
            return "less than 0.1 %"
        return f"{int(percent * 10) / 10 if percent < 10 else int(percent):g} %"

    @property
    def words(self) -> str:
        """Return the sentence for the evidence."""
        read, whole = format_sizes(self.read_bytes, self.whole_bytes)
        return (
            f"read {self.share} of the bytes ({read} of {whole}, in {self.read_files:,} of "
            f"{self.whole_files:,} files)"
        )


@dataclass(frozen=True, slots=True)
class InstantDrill:
    """What the evidence says of an instant drill: `answered_s` is the time until all checks were
    done, `ready_s` until the server answered. `projected_rta_s` is what a whole recovery would
    take, computed and not measured: None without a whole drill to compute it from, which is
    `projected_from`."""

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
        """Read it; unknown keys are of later versions."""
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

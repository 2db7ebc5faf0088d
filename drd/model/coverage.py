"""How much of a runbook a drill executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drd.model.text import counted


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many steps a drill executed. `simulated` are steps with the command that ran instead,
    `granted` are the approvals that the drill gave itself: both count as rehearsed. The evidence
    names every other step with the reason.
    """

    rehearsed: int
    steps: int
    simulated: tuple[tuple[str, str], ...] = ()
    granted: tuple[str, ...] = ()

    def words(self) -> str:
        """Return the coverage in words: `7 of 9 steps rehearsed`."""
        return f"{self.rehearsed} of {counted(self.steps, 'step')} rehearsed"

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON; `from_json` is the inverse."""
        return {
            "rehearsed": self.rehearsed,
            "of": self.steps,
            "simulated": [{"step": s, "with": w} for s, w in self.simulated],
            "granted": list(self.granted),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Coverage:
        return cls(
            data["rehearsed"],
            data["of"],
            tuple((s["step"], s["with"]) for s in data["simulated"]),
            tuple(data["granted"]),
        )

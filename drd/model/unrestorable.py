"""Restore points whose data a drill could not restore. Read in a cold start of `drd status`."""

from __future__ import annotations

from datetime import datetime

from drd.model.units import format_time
from drd.named import NamedTuple


def left_out_words(point: str, run: str, at: datetime, *, drd: str = "drd") -> str:
    """Say which point drd leaves out, and why. `drd` is the command on this host."""
    return (
        f"drd leaves out restore point {point}: the drill of {format_time(at, seconds=True)} could "
        f"not restore it ({drd} run show {run})"
    )


class UnrestorableFacts(NamedTuple):
    """The newest complete point, if a drill could not restore its data: `run` is the last such
    drill, which ended at `at`."""

    point: str
    run: str
    at: datetime

    def words(self) -> str:
        """Say which point, and which drill showed it."""
        return (
            f"restore point {self.point} cannot be restored, as the drill of "
            f"{format_time(self.at, seconds=True)} showed (drd run show {self.run})"
        )

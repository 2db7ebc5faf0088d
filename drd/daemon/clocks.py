"""Detect that the wall clock was set, or that the host slept."""

from __future__ import annotations

import time
from dataclasses import dataclass

from drd.model.units import format_duration

JUMP_S = 2.0
"""Seconds of difference that no slewing makes between two checks of the clocks."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Seconds by which the wall clock was set, and for which the host slept."""

    set_s: float
    slept_s: float

    def __str__(self) -> str:
        parts = []
        if abs(self.set_s) >= JUMP_S:
            way = "forward" if self.set_s > 0 else "back"
            parts.append(f"the clock was set {way} by {format_duration(abs(self.set_s))}")
        if self.slept_s >= JUMP_S:
            parts.append(f"the host slept for {format_duration(self.slept_s)}")
        return " and ".join(parts)


class Clocks:
    """Compares the wall clock with the clock that counts during sleep, and the latter with the
    clock that does not."""

    def __init__(self) -> None:
        self._last = self._read_clocks()

    def check(self) -> Jump | None:
        """Return what happened since the last check; None if nothing happened."""
        before, now = self._last, self._read_clocks()
        self._last = now
        wall, boot, awake = (n - b for n, b in zip(now, before, strict=True))
        jump = Jump(wall - boot, boot - awake)
        return jump if abs(jump.set_s) >= JUMP_S or jump.slept_s >= JUMP_S else None

    @staticmethod
    def _read_clocks() -> tuple[float, float, float]:
        return (time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic())

"""Find out that a file system is nearly full, so that work can stop before it is full."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

_ROOM = 512 << 20


def filling(place: Path, least: int = _ROOM) -> Callable[[], int | None]:
    """Return a function that says how many bytes are free when the file system of a place gets
    full, and None before: for work that does not know how much it will write. `least` bytes stay
    free, but no more than half of what is free now."""
    least = min(least, shutil.disk_usage(place).free // 2)

    def low() -> int | None:
        free = shutil.disk_usage(place).free
        return free if free < least else None

    return low

"""The numbers of the processes that run."""

from __future__ import annotations

import os


def pids() -> list[int]:
    """Return the process numbers that /proc shows, the smallest first. A process may end at any
    time after that."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 - names

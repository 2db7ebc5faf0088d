"""Who goes first when the host runs out of memory."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

EXPENDABLE = 500
"""Added to a run's badness of at most 1000: it goes before whatever the host is for."""


def offer_to_oom_killer() -> None:
    """Let the kernel kill this process, and all it starts from now on, rather than another.

    One run is lost then, and done again; the daemon and the services beside it stay. Where the
    kernel has no such setting, nothing happens.
    """
    score = Path("/proc/self/oom_score_adj")
    with suppress(OSError, ValueError):
        if int(score.read_text(encoding="ascii")) < EXPENDABLE:
            score.write_text(f"{EXPENDABLE}", encoding="ascii")

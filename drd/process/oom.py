"""Choose which process the kernel kills first when the host runs out of memory."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

EXPENDABLE = 500
"""Added to a run's badness of at most 1000: the kernel kills the run before the host's services."""


def offer_to_oom_killer() -> None:
    """When memory is short, let the kernel kill this process, and all processes that it starts from
    now on, before others.

    Then one run is lost and repeated; the daemon and the services beside it stay. Does nothing
    where the kernel has no such setting.
    """
    score = Path("/proc/self/oom_score_adj")
    with suppress(OSError, ValueError):
        if int(score.read_text(encoding="ascii")) < EXPENDABLE:
            score.write_text(f"{EXPENDABLE}", encoding="ascii")

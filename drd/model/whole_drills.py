"""Which drills of a plan with instant drills restore everything, and what these say about the time
of a whole recovery. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drd.model.instant import Reading
from drd.model.run import CheckResult, CheckVerdict, DrillResult, Evidence
from drd.model.units import format_duration, format_time


def not_verified(reading: Reading) -> CheckResult:
    """Return the row about what pg_verifybackup and the like did not examine, because nobody read
    it. It is about a part, and so does not change the result."""
    return CheckResult(
        f"all files of {reading.component} are as at backup",
        reading.component,
        CheckVerdict.NOT_RUN,
        f"an instant drill {reading.words}; of the other files it compared only names and sizes",
        "whole restore",
        part=True,
        looked_at_data=False,
    )


def last_whole(
    drills: Sequence[Evidence], scenario: str, proof: str, repository: str
) -> Evidence | None:
    """Return the newest of these drills that restored everything of this plan and passed; they are
    in any order. If the drill that begins is limited to a `repository`, those with the same limit
    count: what another repository contains proves nothing about this one."""
    whole = [
        d
        for d in drills
        if d.result is DrillResult.PASSED
        and d.instant is None
        and d.rta_s is not None
        and (d.scenario, d.plan_digest, d.target) == (scenario, proof, None)
        and repository in ("", d.repository)
    ]
    return max(whole, key=lambda d: d.finished_at, default=None)


def why_whole(
    last: Evidence | None, now: datetime, full_every_s: float, interval_s: float | None
) -> str | None:
    """Return why the drill that begins now has to restore everything; None for an instant one. It
    has to as well if the next drill of its scenario, after `interval_s`, would come too late for
    it."""
    every = format_duration(full_every_s)
    if last is None:
        return f"no whole restore of this plan has passed yet, and the plan wants one every {every}"
    age_s = (now - last.finished_at).total_seconds()
    was = f"the last whole restore was at {format_time(last.finished_at)}, and the plan wants one "
    if age_s < 0 or age_s > full_every_s:
        return f"{was}every {every}"
    if age_s + (interval_s or 0.0) > full_every_s:
        return (
            f"{was}every {every} (`full_every`): the next drill, after "
            f"{format_duration(interval_s or 0.0)}, would be too late for it"
        )
    return None


def projected_s(whole: Evidence, whole_bytes: int, checks_s: float) -> float | None:
    """Return how long a whole recovery of `whole_bytes` would take: the time that the last whole
    drill took before its checks, which grows with the data, and the time for the checks of this
    drill. On the safe side: those checks have fetched what they read."""
    if whole.rta_s is None:
        return None
    before_s = max(0.0, whole.rta_s - whole.phases.get("validate_s", 0.0))
    growth = max(1.0, whole_bytes / whole.restored_bytes) if whole.restored_bytes else 1.0
    return round(before_s * growth + checks_s, 3)

"""What the screen says of a plan of which there is nothing to say, without judging it again.

Of thousands of plans most are met and have no reason, alert or running copy to name. What `assess()`
said of such a one stays true until a moment that is known (`held`), and its row is made of a few
figures, which age as they do in an assessment. Any other plan is judged anew each time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from drd.model.compliance import assess
from drd.model.facts import AlertFacts, PlanFacts
from drd.model.verdicts import Assessment, CopyAssessment, Reason, Verdict

_SHORTEST_S = 1.0
"""What holds for less is not worth being written down."""
_LONGEST_S = 366 * 86400.0
Course = tuple[float, float, float, float]
"""Of a figure that ages, as `held` has it: (a + b·t) / (c + d·t)."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Brief(NamedTuple):
    """A plan that is met, from `since` and before `until`. Times are microseconds of the epoch, since
    differences of these are exact. `file` with its time and size is the plan file as it was loaded.
    `copied` is the data time of the copy that is furthest behind, None without copies; `attainment`
    its course since `since`."""

    plan: str
    since: int
    until: int
    file: str
    file_mtime_ns: int
    file_size: int
    readiness: str
    rpo_s: float
    data: int
    rto_s: float
    projected_s: float
    drilled: int
    rehearsed: tuple[int, int] | None
    copied: int | None
    attained: Course | None

    # What a full assessment would have in these places, so that either can stand for a plan.

    @property
    def verdict(self) -> Verdict:
        return Verdict.MET

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return ()

    @property
    def alerts(self) -> tuple[AlertFacts, ...]:
        return ()

    @property
    def copies(self) -> tuple[CopyAssessment, ...]:
        return ()

    def attainment(self, now: int) -> float | None:
        """As `assess()` works it out."""
        if self.attained is None:
            return None
        a, b, c, d = self.attained
        later = (now - self.since) / 1e6
        return (a + b * later) / (c + d * later)


def microseconds(at: datetime) -> int:
    """Since the epoch."""
    return (at - _EPOCH) // _MICROSECOND


def brief_of(facts: PlanFacts, now: datetime) -> Brief | None:
    """None for a plan that is not met, has something to be said of it, or is about to change."""
    from drd.model.held import course, holds

    if facts.load_error is not None or facts.file_gone or facts.alerts or facts.holds:
        return None
    found, for_s = holds(lambda at: assess(facts, at), now)
    drill, newest = found.drill, facts.newest
    if not _is_quiet(found) or for_s < _SHORTEST_S or newest is None or drill.last_at is None:
        return None
    projected_s, share = found.rto.projected_s, found.rpo.attainment
    attained = course(share) if share is not None else None
    if projected_s is None or drill.result != "passed" or (attained is None) != (share is None):
        return None
    since = microseconds(now)
    copied = [microseconds(copy.data_time) for copy in facts.copies if copy.data_time is not None]
    return Brief(
        plan=facts.plan,
        since=since,
        until=since + int(min(for_s, _LONGEST_S) * 1e6),
        file=facts.file,
        file_mtime_ns=facts.file_mtime_ns,
        file_size=facts.file_size,
        readiness=found.readiness.value,
        rpo_s=facts.rpo_s,
        data=microseconds(newest.data_time),
        rto_s=facts.rto_s,
        projected_s=float(projected_s),
        drilled=microseconds(drill.last_at),
        rehearsed=drill.rehearsed,
        copied=min(copied, default=None),
        attained=attained,
    )


def _is_quiet(found: Assessment) -> bool:
    """Whether there is nothing but a row to show, with a time in it that ages evenly."""
    verdicts = [found.verdict, found.rpo.verdict, found.rto.verdict, found.drill.verdict]
    verdicts += [copy.verdict for copy in found.copies]
    return set(verdicts) == {Verdict.MET} and not found.reasons and not found.alerts


def briefs_from(rows: list[list[Any]]) -> list[Brief]:
    """What `json` made of some. Raises TypeError or ValueError for anything else."""
    return [Brief._make(row) for row in rows]

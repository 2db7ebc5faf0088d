"""How much one retention may forget: the limit, what waits, and that no sound plan ever reaches
it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.config.plan_file import load_plan
from drd.model.policies import RetentionPolicy
from drd.model.retention import OVER, allowance, limited, plan_retention
from drd.model.snapshot import RestorePoint
from tests.unit.test_retention import kept, point, point_lists, policies

START = datetime(2026, 3, 1, tzinfo=UTC)  # a change of the clocks lies within the sixty days
DAYS = 60
EXAMPLES = sorted((Path(__file__).parents[2] / "plans").glob("*.yaml"))


@pytest.mark.parametrize(
    ("completed", "there", "may_go"), [(0, 0, 1), (0, 1, 1), (0, 7, 1), (0, 8, 2), (5, 100, 30)]
)
def test_limit_is_what_was_completed_and_a_quarter_of_what_is_there(
    completed: int, there: int, may_go: int
) -> None:
    assert allowance(completed, there) == may_go


def test_oldest_go_first_and_the_rest_waits_for_a_person() -> None:
    points = [point(START + timedelta(hours=h), f"p{h}") for h in range(8)]
    now = START + timedelta(hours=8)
    chosen = plan_retention(points, RetentionPolicy(last=1), now)
    first = limited(chosen, 2)
    assert (set(first.forget), first.over) == ({"p0", "p1"}, ("p6", "p5", "p4", "p3", "p2"))
    assert all(k.reasons == (OVER,) for k in first.keep if k.id in first.over)
    left = [p for p in points if p.id not in first.forget]
    again = limited(plan_retention(left, RetentionPolicy(last=1), now), 2, first.over)
    assert again.forget == ()
    # What becomes superfluous later does not wait with them.
    newer = [*left, point(now, "p8")]
    now += timedelta(hours=1)
    later = limited(plan_retention(newer, RetentionPolicy(last=1), now), 2, first.over)
    assert later.forget == ("p7",)


@given(
    point_lists,
    policies,
    st.integers(0, 12),
    st.sets(st.sampled_from([f"p{i}" for i in range(25)])),
)
def test_limit_is_kept_and_newest_proven_and_held_points_stay(
    points: list[RestorePoint], policy: RetentionPolicy, limit: int, held: set[str]
) -> None:
    now = START + timedelta(days=900)
    chosen = plan_retention(points, policy, now, held=held)
    some = limited(chosen, limit)
    assert len(some.forget) <= limit
    assert not held & set(some.forget)
    assert sorted(kept(some) + list(some.forget)) == sorted(p.id for p in points)
    complete = sorted((p for p in points if p.complete), key=lambda p: p.data_time)
    proven = [p for p in complete if p.proven_by]
    for best in (complete[-1:], proven[-1:]):
        if best:
            same = {p.id for p in points if p.data_time == best[0].data_time}
            assert same & set(kept(some))


@given(point_lists, policies, st.floats(0, 400))
def test_time_that_passes_without_backups_makes_nothing_older(
    points: list[RestorePoint], policy: RetentionPolicy, days: float
) -> None:
    now = START + timedelta(days=900)
    later = now + timedelta(days=days)
    assert plan_retention(points, policy, later) == plan_retention(points, policy, now)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda f: f.stem)
def test_example_plans_never_reach_the_limit_in_sixty_days(file: Path) -> None:
    plan = load_plan(file, {}).plan
    if plan.retention.keeps_everything:
        pytest.skip("it keeps everything")
    every = timedelta(seconds=plan.retention.every_s or 86400.0)
    interval = timedelta(seconds=min(plan.backup.interval_s or 86400.0, 86400.0))
    there: list[RestorePoint] = []
    now, next_backup, looked_at, forgotten = START, START, None, 0
    while now < START + timedelta(days=DAYS):
        now += every
        while next_backup < now:
            there.append(_made(next_backup))
            next_backup += interval
        new = sum(looked_at is None or p.available_at > looked_at for p in there)
        chosen = plan_retention(there, plan.retention, now, timezone=plan.backup.timezone)
        some = limited(chosen, allowance(new, len(there)))
        assert some.over == (), f"{file.stem}, after {now - START}"
        forgotten += len(some.forget)
        there = [p for p in there if p.id not in some.forget]
        looked_at = now
    assert forgotten > 0, "else this shows nothing"


def _made(at: datetime, **changes: Any) -> RestorePoint:
    return point(at, f"{at:%m%d%H%M%S}", available_at=at + timedelta(minutes=1), **changes)

"""Which restore points stay: whole points, by data time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.model.policies import RetentionPolicy
from drd.model.retention import RetentionPlan, plan_retention
from drd.model.snapshot import ComponentSnapshot, RestorePoint, newest_complete

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def point(data_time: datetime, name: str = "", **changes: Any) -> RestorePoint:
    fields: dict[str, Any] = {
        "id": name or f"{data_time:%m%dT%H%M}",
        "plan": "orders-api",
        "data_time": data_time,
        "available_at": data_time + timedelta(minutes=5),
        "complete": True,
        "plan_digest": "d",
        "components": (),
    }
    return RestorePoint(**{**fields, **changes})


def kept(plan: RetentionPlan) -> list[str]:
    return [k.id for k in plan.keep]


def why(plan: RetentionPlan, name: str) -> tuple[str, ...]:
    return next(k.reasons for k in plan.keep if k.id == name)


def test_no_policy_keeps_everything() -> None:
    points = [point(NOW - HOUR - i * 400 * DAY, f"p{i}") for i in range(4)]
    plan = plan_retention(points, RetentionPolicy(), NOW)
    assert plan.forget == ()
    assert kept(plan) == ["p0", "p1", "p2", "p3"]
    assert why(plan, "p3") == ("no retention policy",)


def test_last_keeps_the_newest_by_data_time_and_not_by_arrival() -> None:
    """The slow run's data is older although it arrived last."""
    slow = point(NOW - 3 * HOUR, "slow", available_at=NOW - timedelta(minutes=1))
    points = [slow, point(NOW - 2 * HOUR, "b"), point(NOW - HOUR, "a")]
    plan = plan_retention(points, RetentionPolicy(last=2), NOW)
    assert kept(plan) == ["a", "b"]
    assert plan.forget == ("slow",)


@pytest.mark.parametrize(("age_s", "stays"), [(7200.0, True), (7200.001, False)])
def test_keep_within_counts_from_the_newest_complete_point(age_s: float, stays: bool) -> None:
    """Counted from the newest complete point: an outage makes nothing older."""
    newest = NOW - 40 * DAY
    points = [
        point(NOW - 39 * DAY, "half", complete=False),
        point(newest, "new"),
        point(newest - timedelta(seconds=age_s), "old"),
    ]
    plan = plan_retention(points, RetentionPolicy(keep_within_s=7200), NOW)
    assert ("old" in kept(plan)) is stays
    assert ("old" in plan.forget) is not stays


@pytest.mark.parametrize(
    ("rule", "times", "expected"),
    [
        ("hourly", ["11-25T11:00", "11-25T10:59", "11-25T10:01", "11-25T09:59"], [0, 1]),
        ("daily", ["11-25T01:00", "11-24T23:59", "11-24T00:00", "11-23T12:00"], [0, 1]),
        ("weekly", ["11-23T00:00", "11-22T23:59", "11-16T00:00", "11-15T23:59"], [0, 1]),
        ("monthly", ["11-01T00:00", "10-31T23:59", "10-01T00:00", "09-30T23:59"], [0, 1]),
    ],
)
def test_the_newest_of_each_period_fills_its_slot(
    rule: str, times: list[str], expected: list[int]
) -> None:
    """Two slots and four points in three periods: the second and third share one."""
    points = [
        point(datetime.fromisoformat(f"2026-{t}+00:00"), f"p{i}") for i, t in enumerate(times)
    ]
    plan = plan_retention(points, RetentionPolicy(**{rule: 2}), NOW)
    assert kept(plan) == [f"p{i}" for i in expected]
    assert rule in why(plan, "p1")


def test_yearly_and_periods_without_a_point_use_no_slot() -> None:
    years = [2026, 2025, 2022, 2019]
    points = [point(datetime(y, 6, 1, tzinfo=UTC), f"y{y}") for y in years]
    assert kept(plan_retention(points, RetentionPolicy(yearly=3), NOW)) == [
        "y2026",
        "y2025",
        "y2022",
    ]


def test_iso_week_of_the_turn_of_the_year_is_one_week() -> None:
    """2024-12-30 and 2025-01-02 are both in week 1 of 2025."""
    points = [
        point(datetime(2025, 1, 2, tzinfo=UTC), "thursday"),
        point(datetime(2024, 12, 30, tzinfo=UTC), "monday"),
        point(datetime(2024, 12, 29, tzinfo=UTC), "sunday"),
    ]
    assert kept(plan_retention(points, RetentionPolicy(weekly=2), NOW)) == ["thursday", "sunday"]


def test_same_week_of_another_year_is_another_week() -> None:
    points = [point(datetime(y, 6, 3, tzinfo=UTC), f"y{y}") for y in (2026, 2025)]
    assert {p.data_time.isocalendar().week for p in points} == {23}
    assert plan_retention(points, RetentionPolicy(weekly=2), NOW).forget == ()


def test_days_are_those_of_utc_whatever_the_zone_of_the_time() -> None:
    tokyo = timezone(9 * HOUR)
    points = [
        point(datetime(2026, 11, 24, 8, 30, tzinfo=tokyo), "23rd in utc"),
        point(datetime(2026, 11, 24, 9, 30, tzinfo=tokyo), "24th in utc"),
    ]
    assert plan_retention(points, RetentionPolicy(daily=2), NOW).forget == ()


def test_days_are_those_of_the_zone_in_which_backups_are_scheduled() -> None:
    """Nightly at 01:30 in Berlin: the first two of these are of one day in UTC, by the change of
    the clocks, but of two nights."""
    berlin = ZoneInfo("Europe/Berlin")
    nights = [datetime(2026, 3, day, 1, 30, tzinfo=berlin) for day in (29, 30, 31)]
    points = [point(night, f"night {night.day}") for night in nights]
    policy = RetentionPolicy(daily=3)
    assert plan_retention(points, policy, NOW).forget == ("night 29",)
    assert plan_retention(points, policy, NOW, timezone="Europe/Berlin").forget == ()


def test_hour_that_comes_twice_is_two_hours() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    points = [
        point(datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold), f"fold {fold}")
        for fold in (0, 1)
    ]
    policy = RetentionPolicy(hourly=2)
    assert plan_retention(points, policy, NOW, timezone="Europe/Berlin").forget == ()


def test_run_that_crosses_midnight_stays_whole() -> None:
    """restic's `--keep-daily 1` keeps the files taken after midnight and drops the database."""
    before, after = datetime(2026, 11, 24, 23, 59, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)
    components = tuple(
        ComponentSnapshot(n, "files", "captured", data_time=t, snapshot=n)
        for n, t in (("db", before), ("files", after + timedelta(minutes=2)))
    )
    crossing = point(before, "crossing", components=components, available_at=after + HOUR)
    earlier = point(before - HOUR, "earlier")
    plan = plan_retention([earlier, crossing], RetentionPolicy(daily=1), NOW)
    assert kept(plan) == ["crossing"]
    assert plan.forget == ("earlier",)


def test_incomplete_point_fills_no_slot_and_goes_once_a_newer_one_is_complete() -> None:
    points = [
        point(NOW - HOUR, "newest"),
        point(NOW - 2 * HOUR, "incomplete", complete=False),
        point(NOW - DAY, "yesterday"),
    ]
    plan = plan_retention(points, RetentionPolicy(daily=2, keep_within_s=1e9), NOW)
    assert plan.forget == ("incomplete",)


def test_incomplete_point_stays_while_it_is_the_newest() -> None:
    points = [
        point(NOW - HOUR, "half", complete=False),
        point(NOW - 2 * HOUR, "whole"),
        point(NOW - 3 * HOUR, "old half", complete=False),
    ]
    plan = plan_retention(points, RetentionPolicy(last=1), NOW)
    assert kept(plan) == ["half", "whole"]
    assert why(plan, "half") == ("incomplete, but no newer point is complete",)
    assert plan.forget == ("old half",)


def test_incomplete_point_of_the_same_moment_has_nothing_newer() -> None:
    points = [point(NOW - HOUR, "z"), point(NOW - HOUR, "a", complete=False)]
    assert plan_retention(points, RetentionPolicy(last=1), NOW).forget == ()


def test_of_two_points_with_the_same_data_the_one_made_last_is_the_newest() -> None:
    """A dump that the other tool copies twice."""
    for first, second in (("a", "z"), ("z", "a")):
        last = point(NOW - HOUR, second, available_at=NOW - timedelta(minutes=1))
        points = [point(NOW - HOUR, first), last]
        assert plan_retention(points, RetentionPolicy(last=1), NOW).forget == (first,)
        assert newest_complete(points) is last


def test_only_incomplete_points_all_stay() -> None:
    points = [point(NOW - i * HOUR, f"p{i}", complete=False) for i in range(1, 4)]
    assert plan_retention(points, RetentionPolicy(last=1), NOW).forget == ()


def test_newest_point_that_passed_a_drill_is_never_forgotten() -> None:
    points = [
        point(NOW - HOUR, "newest"),
        point(NOW - 300 * DAY, "proven", proven_by="e2"),
        point(NOW - 400 * DAY, "proven before", proven_by="e1"),
    ]
    plan = plan_retention(points, RetentionPolicy(keep_within_s=3600), NOW)
    assert kept(plan) == ["newest", "proven"]
    assert why(plan, "proven") == ("passed a drill",)
    assert plan.forget == ("proven before",)


def test_point_that_the_caller_knows_as_proven_counts_as_well() -> None:
    points = [point(NOW - i * DAY, f"p{i}") for i in range(1, 5)]
    plan = plan_retention(points, RetentionPolicy(last=1), NOW, ["p4", "p3"])
    assert kept(plan) == ["p1", "p3"]


def test_newest_complete_point_is_never_forgotten() -> None:
    plan = plan_retention([point(NOW - 900 * DAY, "only")], RetentionPolicy(keep_within_s=60), NOW)
    assert kept(plan) == ["only"]
    assert why(plan, "only") == ("within 1m", "newest")


def test_forgotten_points_are_not_looked_at() -> None:
    gone = point(NOW - HOUR, "gone", forgotten_at=NOW)
    plan = plan_retention([gone, point(NOW - DAY, "there")], RetentionPolicy(last=1), NOW)
    assert kept(plan) == ["there"]
    assert plan.forget == ()


@pytest.mark.parametrize(
    ("late", "snapshots", "says"),
    [
        ({"data_time": NOW + HOUR}, [], "restore point late is dated 2026-11-25 13:05:00 UTC"),
        ({"available_at": NOW + HOUR}, [], "1h in the future"),
        ({}, [("abcdef0123456789", NOW + 400 * DAY)], "snapshot abcdef01 is dated"),
    ],
)
def test_refuses_while_anything_lies_in_the_future(
    late: dict[str, datetime], snapshots: list[tuple[str, datetime]], says: str
) -> None:
    times = {"data_time": NOW - HOUR, **late}
    points = [point(name="late", **times), point(NOW - 90 * DAY, "old")]
    plan = plan_retention(points, RetentionPolicy(last=1), NOW, snapshot_times=snapshots)
    assert plan.forget == ()
    assert plan.refused is not None
    assert says in plan.refused
    assert kept(plan) == ["late", "old"]


def test_a_few_seconds_of_skew_do_not_count_as_the_future() -> None:
    ahead = point(NOW + timedelta(seconds=4), "ahead", available_at=NOW + timedelta(seconds=5))
    plan = plan_retention([ahead, point(NOW - DAY, "old")], RetentionPolicy(last=1), NOW)
    assert plan.refused is None
    assert plan.forget == ("old",)


# --- for every set of points ------------------------------------------------------------------

policies = st.builds(
    RetentionPolicy,
    keep_within_s=st.none() | st.floats(1, 1e7),
    last=st.integers(0, 4),
    hourly=st.integers(0, 4),
    daily=st.integers(0, 4),
    weekly=st.integers(0, 4),
    monthly=st.integers(0, 4),
    yearly=st.integers(0, 4),
)
point_lists = st.lists(
    st.tuples(st.integers(10, 60 * 24 * 900), st.booleans(), st.booleans()), max_size=25
).map(
    lambda rows: [
        point(NOW - timedelta(minutes=m), f"p{i}", complete=c, proven_by="e" if c and p else None)
        for i, (m, c, p) in enumerate(rows)
    ]
)


@given(point_lists, policies)
def test_every_point_is_either_kept_or_forgotten_and_the_best_stay(
    points: list[RestorePoint], policy: RetentionPolicy
) -> None:
    plan = plan_retention(points, policy, NOW)
    assert sorted(kept(plan) + list(plan.forget)) == sorted(p.id for p in points)
    assert all(k.reasons for k in plan.keep)
    complete = [p for p in points if p.complete]
    if complete:
        newest = max(p.data_time for p in complete)
        assert any(p.id in kept(plan) for p in complete if p.data_time == newest)
    proven = [p for p in points if p.proven_by]
    if proven:
        newest = max(p.data_time for p in proven)
        assert any(p.id in kept(plan) for p in proven if p.data_time == newest)


@given(point_lists, policies)
def test_retention_is_done_after_one_go_and_does_not_depend_on_order(
    points: list[RestorePoint], policy: RetentionPolicy
) -> None:
    plan = plan_retention(points, policy, NOW)
    left = [p for p in points if p.id in kept(plan)]
    again = plan_retention(left, policy, NOW)
    assert again.forget == ()
    assert plan_retention(points[::-1], policy, NOW) == plan


@given(point_lists, policies)
def test_each_rule_keeps_the_newest_of_its_newest_periods(
    points: list[RestorePoint], policy: RetentionPolicy
) -> None:
    """Counted anew, day by day, as a person would."""
    if policy == RetentionPolicy():
        return
    plan = plan_retention(points, policy, NOW)
    complete = [p for p in points if p.complete]
    days = sorted({p.data_time.date() for p in complete}, reverse=True)[: policy.daily]
    for day in days:
        newest = max(p.data_time for p in complete if p.data_time.date() == day)
        keepers = [k.id for k in plan.keep if "daily" in k.reasons]
        assert any(p.id in keepers for p in complete if p.data_time == newest)
    assert sum("daily" in k.reasons for k in plan.keep) == len(days)


@given(point_lists, policies, st.integers(1, 3))
def test_a_wider_policy_never_forgets_more(
    points: list[RestorePoint], policy: RetentionPolicy, more: int
) -> None:
    if policy == RetentionPolicy():
        return
    narrow = set(kept(plan_retention(points, policy, NOW)))
    wide = set(kept(plan_retention(points, replace(policy, weekly=policy.weekly + more), NOW)))
    assert narrow <= wide


def test_a_point_that_no_drill_could_restore_takes_no_place_from_another_of_its_day() -> None:
    points = [point(NOW - i * DAY - n * HOUR, f"{i}-{n - 1}") for i in range(3) for n in (1, 2)]
    plan = plan_retention(points, RetentionPolicy(daily=2), NOW, spoilt={"0-0", "1-0", "1-1"})
    assert kept(plan) == ["0-0", "0-1", "1-0"]
    assert why(plan, "0-0") == ("newest",)
    assert why(plan, "0-1") == why(plan, "1-0") == ("daily",)

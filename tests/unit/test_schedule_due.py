"""When a job is due: regular times, work that was missed, retries, blackouts, clocks that jump."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.model.due import Situation, next_due, share
from drd.model.policies import Blackout
from drd.model.schedule import Job, Timing
from tests.schedule_support import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    Daemon,
    ago,
    ahead,
    changed,
    due,
    history,
    job,
    situation,
)

NIGHT = Blackout(22 * 60, 6 * 60)
YEARS = timedelta(days=10 * 365)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- every --------------------------------------------------------------------------------------


def test_next_start_is_an_interval_after_the_last() -> None:
    found = due(job(every_s=15 * MINUTE), history(last_started_at=ago(6 * MINUTE)))
    assert found.at == ahead(9 * MINUTE)
    assert found.why == "every 15m, last start 00:25"
    assert found.trigger == "schedule"


def test_first_start_is_soon_after_the_first_load_and_not_for_all_at_once() -> None:
    new = situation(first_loaded_at=ago(0))
    starts = {due(job(plan=f"p{n}", jitter_s=300.0), new).at for n in range(50)}
    assert len(starts) == 50
    assert all(NOW <= at < ahead(300) for at in starts)
    assert due(job(), new).at == NOW
    assert due(job(), new).why == "every 5m: the first run"


def test_readiness_runs_at_once_after_relevant_changes() -> None:
    looked = history(last_started_at=ago(6 * MINUTE), news=(ago(MINUTE), "drill"))
    found = due(job("readiness", every_s=DAY), looked)
    assert (found.at, found.why) == (ago(MINUTE), "drill at 00:30, which may change the result")
    older = replace(looked, news=(ago(7 * MINUTE), "drill"))
    assert due(job("readiness", every_s=DAY), older).at == ahead(DAY - 6 * MINUTE)
    same = replace(looked, news=(ago(6 * MINUTE), "drill"))
    assert due(job("readiness", every_s=DAY), same).at == ahead(DAY - 6 * MINUTE)
    not_believed = replace(looked, news=(ahead(DAY), "drill"))
    assert due(job("readiness", every_s=DAY), not_believed).at == ahead(DAY - 6 * MINUTE)


def test_every_fifteen_minutes_for_a_day() -> None:
    daemon = Daemon(job(every_s=15 * MINUTE), NOW)
    starts = daemon.run(24 * 60)
    assert starts == [NOW + timedelta(minutes=15 * n) for n in range(96)]


@pytest.mark.parametrize("kind", ["drill", "copy", "retention", "prune", "verification"])
def test_without_a_restore_point_only_backups_and_readiness_are_due(kind: str) -> None:
    new = situation(first_loaded_at=ago(DAY))
    timing = {"follows": True} if kind == "copy" else {"every_s": DAY}
    assert next_due(job(kind, **timing), new, NOW) is None
    assert next_due(job(kind, **timing), replace(new, data_time=ago(HOUR)), NOW) is not None
    assert next_due(job("readiness"), new, NOW) is not None


# --- after an undo ------------------------------------------------------------------------------


@pytest.mark.parametrize("timing", [{"every_s": HOUR}, {"cron": "40 * * * *"}, {"auto": True}])
def test_after_an_undo_a_backup_is_due_by_the_newest_point_that_counts(
    timing: dict[str, object],
) -> None:
    made = job(rpo_s=HOUR, **timing)
    backed_up = history(last_started_at=ago(6 * MINUTE), data_time=ago(6 * MINUTE))
    assert due(made, backed_up).at > NOW
    old = due(made, replace(backed_up, undone=(ago(MINUTE), ago(2 * HOUR))))
    assert old.at <= NOW
    assert old.trigger == "catch-up"
    assert old.why.endswith("; the undo at 00:30 removed the data that newer points have")
    young = due(made, replace(backed_up, undone=(ago(MINUTE), ago(20 * MINUTE))))
    assert young.at > NOW
    assert young.deadline < due(made, backed_up).deadline
    again = history(last_started_at=ago(0), data_time=ago(6 * MINUTE))
    assert due(made, replace(again, undone=(ago(MINUTE), ago(2 * HOUR)))).at > NOW


# --- what was missed ----------------------------------------------------------------------------

TIMINGS = [
    {"every_s": 15 * MINUTE},
    {"cron": "*/15 * * * *"},
    {"cron": "0 3 * * *", "timezone": "Europe/Berlin"},
    {"auto": True},
]


@pytest.mark.parametrize("timing", TIMINGS, ids=str)
@pytest.mark.parametrize("down", [timedelta(hours=30), YEARS], ids=["suspend", "years"])
def test_missed_work_is_done_once(timing: dict[str, object], down: timedelta) -> None:
    daemon = Daemon(job(**timing), NOW)
    daemon.run(24 * 60)
    daemon.now += down
    back = daemon.now
    first = next_due(daemon.job, daemon.history, back)
    assert first is not None
    assert first.at < back
    starts = daemon.run(1)
    assert starts == [back]
    assert daemon.starts[-1] == (back, "catch-up")
    following = next_due(daemon.job, daemon.history, back)
    assert following is not None
    assert following.at > back


@pytest.mark.parametrize("timing", TIMINGS, ids=str)
@pytest.mark.parametrize("back", [timedelta(hours=5), YEARS], ids=["hours", "years"])
def test_clock_that_is_set_back_neither_stops_nor_floods(
    timing: dict[str, object], back: timedelta
) -> None:
    daemon = Daemon(job(**timing), NOW)
    usual = len(daemon.run(48 * 60))
    last, _ = daemon.starts[-1]
    daemon.now -= back
    again = daemon.now
    starts = daemon.run(48 * 60)
    assert (starts[0] == again) == (last > again)
    assert usual <= len(starts) <= usual + 2
    assert all(b > a for a, b in pairwise(starts))


@pytest.mark.parametrize("timing", TIMINGS, ids=str)
def test_a_small_clock_correction_changes_nothing(timing: dict[str, object]) -> None:
    """A last start in the future by less than a minute counts; the next one waits for its time."""
    last = history(last_started_at=ahead(50), last_finished_at=ahead(51), data_time=ahead(50))
    found = due(job(**timing), last)
    assert found.at > ahead(50)
    assert "set back" not in found.why


def test_clock_that_was_set_back_is_reported() -> None:
    future = history(last_started_at=ahead(DAY), data_time=ahead(DAY))
    words = "the last start is dated 1d in the future: a clock was set back"
    assert due(job(every_s=HOUR), future).why == f"every 1h, {words}"
    assert due(job(cron="0 3 * * *"), future).why == f"cron 0 3 * * * UTC, {words}"
    words = "the newest restore point is dated 1d in the future: a clock was set back"
    assert due(job(auto=True), future).why == f"rpo 15m, {words}"


def test_first_load_in_the_future_does_not_wait_for_it() -> None:
    for timing in TIMINGS:
        assert due(job(**timing, jitter_s=300.0), situation(first_loaded_at=ahead(DAY))).at == NOW


def test_restore_point_in_the_future_leaves_the_interval_between_backups() -> None:
    """The newest point stays the one from the future, however many backups follow."""
    known = history(data_time=ahead(DAY), last_started_at=ago(MINUTE))
    assert due(job(auto=True), known).at == ago(MINUTE) + timedelta(seconds=675)


# --- cron ---------------------------------------------------------------------------------------


def test_cron_says_its_line_and_zone() -> None:
    found = due(job(cron="0 3 * * *", timezone="Europe/Berlin"), history())
    assert found.at == utc("2026-11-25T02:00:00")
    assert found.why == "cron 0 3 * * * Europe/Berlin"


def test_cron_that_never_ran_waits_for_its_first_time() -> None:
    found = due(job(cron="0 3 * * *"), situation(first_loaded_at=ago(HOUR)))
    assert found.at == utc("2026-11-25T03:00:00")


def test_jitter_of_a_cron_is_the_same_every_day() -> None:
    late = Job("orders-api", "backup", Timing(cron="0 3 * * *", jitter_s=HOUR), HOUR)
    daemon = Daemon(late, utc("2026-11-20T12:00:00"))
    starts = daemon.run(5 * 24 * 60)
    assert len(starts) == 5
    assert len({at.time() for at in starts}) == 1
    assert timedelta(hours=3) < starts[0] - utc("2026-11-21T00:00:00") < timedelta(hours=4)
    other = Daemon(replace(late, plan="billing"), utc("2026-11-20T12:00:00"))
    assert other.run(24 * 60)[0] != starts[0]


@pytest.mark.parametrize(
    ("cron", "timezone", "day", "starts"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-03-29", ["28 01:30", "29 01:00", "30 00:30"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25", ["24 00:30", "25 00:30", "26 01:30"]),
        ("30 2 * * *", "America/New_York", "2026-03-08", ["07 07:30", "08 07:00", "09 06:30"]),
        ("30 1 * * *", "America/New_York", "2026-11-01", ["31 05:30", "01 05:30", "02 06:30"]),
    ],
)
def test_nightly_backup_runs_once_a_night_when_the_clocks_change(
    cron: str, timezone: str, day: str, starts: list[str]
) -> None:
    daemon = Daemon(job(cron=cron, timezone=timezone), utc(day) - timedelta(days=1))
    found = daemon.run(3 * 24 * 60)
    assert [at.strftime("%d %H:%M") for at in found] == starts
    assert {trigger for _, trigger in daemon.starts} == {"schedule"}


def test_cron_drills_a_scenario_that_never_was_without_waiting_for_its_time() -> None:
    weekly = job("drill", cron="0 3 * * 0")
    ran = history(last_started_at=ago(DAY), drilled_at=ago(DAY - 60), undrilled=("host-loss",))
    found = due(weekly, ran)
    assert (found.at, found.why) == (ago(DAY - 60), "host-loss was never drilled")
    assert found.deadline == utc("2026-11-29T03:00:00")
    late = changed(ran, drilled_at=ahead(30))  # as clocks differ
    assert due(weekly, late).at == ahead(30)
    sunday = utc("2026-11-29T03:00:00")
    assert due(weekly, changed(ran, undrilled=())).at == sunday
    assert due(job("backup", cron="0 3 * * 0"), ran).at == sunday
    at_once = changed(ran, drilled_at=ago(DAY))
    assert due(weekly, at_once).at == ago(DAY), "it ended when it began"
    unproven = changed(ran, drilled_at=None)
    assert due(weekly, unproven).at == sunday, "it left no evidence"


def test_cron_that_was_due_while_a_scenario_was_undrilled_keeps_its_time() -> None:
    ran = history(last_started_at=ago(2 * HOUR), drilled_at=ago(MINUTE), undrilled=("host-loss",))
    found = due(job("drill", cron="0 * * * *"), ran)
    assert (found.at, found.why) == (utc("2026-11-24T23:00:00"), "cron 0 * * * * UTC")


def test_the_first_drill_of_a_scenario_does_not_wait_for_its_share() -> None:
    new = situation(ago(HOUR), data_time=ago(60), undrilled=("host-loss",))
    found = due(job("drill", every_s=DAY, jitter_s=HOUR), new)
    assert (found.at, found.why) == (ago(HOUR), "host-loss was never drilled")
    set_back = replace(new, first_loaded_at=ahead(DAY))
    assert due(job("drill", every_s=DAY, jitter_s=HOUR), set_back).at == NOW
    assert due(job("prune", every_s=DAY, jitter_s=HOUR), new).at > ago(HOUR)


# --- pauses between jobs ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forgot_s", "at_s", "pauses"),
    [
        (MINUTE, HOUR - MINUTE, True),
        (HOUR - 1, 1, True),
        (HOUR, 0, False),
        (2 * HOUR, 0, False),
        (-60, HOUR + 60, True),  # as clocks differ
        (-61, 0, False),  # a clock was set back: nobody believes it
    ],
)
def test_prune_begins_some_time_after_the_last_retention(
    forgot_s: float, at_s: float, pauses: bool
) -> None:
    known = history(last_started_at=ago(DAY), forgot_at=ago(forgot_s), apart_s=HOUR)
    found = due(job("prune", every_s=DAY), known)
    assert found.at == ahead(at_s)
    words = "; delayed, because it must run some time after retention" if pauses else ""
    assert found.why == f"every 1d, last start 2026-11-24 00:31{words}"


def test_readiness_waits_for_the_first_point_as_long_as_that_may_take() -> None:
    new = situation(first_loaded_at=ago(MINUTE))
    soon = job("readiness", every_s=DAY, jitter_s=900.0)
    assert due(soon, new).at == ago(MINUTE) + timedelta(seconds=900)
    assert due(soon, replace(new, data_time=ago(30))).at < ago(MINUTE) + timedelta(seconds=900)
    assert due(job(jitter_s=900.0), new).at < ago(MINUTE) + timedelta(seconds=900)


@pytest.mark.parametrize(("late_s", "trigger"), [(60, "schedule"), (61, "catch-up")])
def test_a_start_that_is_more_than_a_minute_late_was_missed(late_s: float, trigger: str) -> None:
    known = history(last_started_at=ago(5 * MINUTE + late_s))
    assert due(job(), known).trigger == trigger


@pytest.mark.parametrize(("ahead_s", "believed"), [(60, True), (61, False)])
def test_times_up_to_a_minute_ahead_are_those_of_another_clock(
    ahead_s: float, believed: bool
) -> None:
    known = history(last_started_at=ahead(ahead_s))
    assert ("set back" in due(job(), known).why) is not believed


# --- auto ---------------------------------------------------------------------------------------


def test_auto_is_as_late_as_the_rpo_allows() -> None:
    known = history(data_time=ago(6 * MINUTE), last_started_at=ago(6 * MINUTE), p95_s=2 * MINUTE)
    found = due(job(auto=True), known)
    assert found.at == known.data_time + timedelta(minutes=15 - 2, seconds=-225)  # type: ignore[operator]
    assert found.why == "rpo 15m: data of 00:25 + 15m - 2m for the backup - 3m 45s in reserve"
    assert found.deadline == known.data_time + timedelta(minutes=13)  # type: ignore[operator]


@pytest.mark.parametrize("takes_s", [0.0, 60.0, 300.0, 420.0])
def test_auto_keeps_its_promise_with_few_backups(takes_s: float) -> None:
    daemon = Daemon(job(auto=True), NOW, takes_s=takes_s)
    starts = daemon.run(24 * 60)
    # A minute more: the daemon of this test looks once a minute.
    assert daemon.most_exposed_s <= max(675.0, 2 * takes_s) + 60
    between_s = max(675.0 - takes_s, 225.0, takes_s)
    assert len(starts) == pytest.approx(DAY / (between_s + 30), rel=0.15)


def test_failing_auto_backups_are_retried_without_spinning() -> None:
    daemon = Daemon(job(auto=True, retries=5), NOW, fails=lambda at: at > ahead(HOUR))
    daemon.run(60)
    starts = daemon.run(6 * 60)
    gaps = [(b - a).total_seconds() for a, b in pairwise(starts)]
    assert min(gaps) >= 60
    assert max(gaps) <= 675 + 60


def test_auto_after_a_permanent_failure_waits_for_the_interval() -> None:
    known = history(
        data_time=ago(HOUR),
        last_started_at=ago(60),
        last_finished_at=ago(50),
        tries=1,
        permanent=True,
    )
    assert due(job(auto=True), known).at == ago(60) + timedelta(seconds=675)


def test_auto_after_a_backup_without_a_new_point_waits_an_interval() -> None:
    for early_s, at in ((0, ahead(675)), (1, ago(1))):
        known = history(data_time=ago(675 + early_s), last_started_at=ago(2 * early_s))
        assert due(job(auto=True), known).at == at


def test_run_by_hand_that_failed_does_not_put_off_the_next_one() -> None:
    known = history(data_time=ago(10 * MINUTE), last_started_at=ago(60), tries=1, permanent=True)
    assert due(job(auto=True), known).at == ago(10 * MINUTE) + timedelta(seconds=675)


# --- blackouts ----------------------------------------------------------------------------------


def test_start_in_a_blackout_moves_to_its_end_and_says_so() -> None:
    found = due(job(every_s=15 * MINUTE, blackout=(NIGHT,)), history())
    assert found.at == utc("2026-11-25T06:00:00")
    assert found.why == (
        "every 15m, last start 00:26; at 06:00, when the blackout 22:00-06:00 ends"
    )


def test_a_blackout_in_another_zone_names_the_zone_of_each_time() -> None:
    tonight = job(every_s=15 * MINUTE, blackout=(NIGHT,), timezone="Europe/Berlin")
    assert due(tonight, history()).why == (
        "every 15m, last start 00:26 UTC; at 05:00 UTC, when the blackout 22:00-06:00 "
        "Europe/Berlin ends"
    )


def test_a_job_that_came_due_before_a_blackout_waits_for_its_end() -> None:
    known = history(last_started_at=utc("2026-11-24T21:44:00"))
    found = due(job(every_s=15 * MINUTE, blackout=(NIGHT,)), known)
    assert found.at == utc("2026-11-25T06:00:00")
    assert found.trigger == "schedule"
    awake = due(job(every_s=15 * MINUTE, blackout=(NIGHT,)), known, utc("2026-11-25T06:30:00"))
    assert awake.at == utc("2026-11-24T21:59:00")
    assert awake.trigger == "catch-up"
    within = history(last_started_at=utc("2026-11-24T21:50:00"))
    late = due(job(every_s=15 * MINUTE, blackout=(NIGHT,)), within, utc("2026-11-25T06:30:00"))
    assert late.at == utc("2026-11-25T06:00:00")
    assert late.why.endswith("when the blackout 22:00-06:00 ends")


def test_retry_waits_for_the_end_of_a_blackout() -> None:
    known = history(tries=1, last_finished_at=ago(30), last_error="cannot connect")
    found = due(job(every_s=DAY, blackout=(NIGHT,)), known)
    assert found.at == utc("2026-11-25T06:00:00")
    assert found.trigger == "retry"


@pytest.mark.parametrize(
    "timing",
    [{"every_s": 7 * MINUTE}, {"cron": "*/5 * * * *"}, {"auto": True}],
    ids=str,
)
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_nothing_starts_in_a_blackout_and_all_goes_on_after_it(
    timing: dict[str, object], day: str
) -> None:
    """Also on the days when the clocks change; 22:00-06:00 in Berlin."""
    offsets = {"2026-03-29": (1, 2), "2026-10-25": (2, 1)}[day]
    begin = utc(day) - timedelta(hours=2 + offsets[0])
    end = utc(day) + timedelta(hours=6 - offsets[1])
    tonight = job(**timing, blackout=(NIGHT,), timezone="Europe/Berlin")
    daemon = Daemon(tonight, begin - timedelta(hours=6))
    starts = daemon.run(24 * 60)
    assert [at for at in starts if begin <= at < end] == []
    assert min(at for at in starts if at >= begin) == end


def test_backup_by_the_rpo_is_made_before_a_blackout_that_would_break_it() -> None:
    lunch = Blackout(12 * 60, 12 * 60 + 10)
    for start in range(20):
        daemon = Daemon(
            job(auto=True, blackout=(lunch,)),
            utc("2026-11-25T11:00:00") + timedelta(minutes=start),
            takes_s=60,
        )
        daemon.run(3 * 60)
        assert daemon.most_exposed_s <= 15 * MINUTE


def test_backup_by_the_rpo_waits_for_the_end_of_a_blackout_that_keeps_the_rpo() -> None:
    short = Blackout(12 * 60, 12 * 60 + 3)
    now = utc("2026-11-25T11:50:00")
    found = due(job(auto=True, blackout=(short,)), history(data_time=now, last_started_at=now), now)
    assert found.at == utc("2026-11-25T12:03:00")
    assert "before the blackout" not in found.why


@pytest.mark.parametrize(("minutes", "earlier"), [(14, False), (15, False), (16, True)])
def test_a_blackout_that_ends_when_the_rpo_does_needs_no_earlier_backup(
    minutes: int, earlier: bool
) -> None:
    """Data of 11:45, RPO 15m, usual 0s: the backup has to begin by 12:00."""
    quiet = Blackout(11 * 60 + 50, 11 * 60 + 45 + minutes)
    now = utc("2026-11-25T11:46:00")
    known = history(data_time=utc("2026-11-25T11:45:00"), last_started_at=None)
    found = due(job(auto=True, blackout=(quiet,)), known, now)
    assert ("before the blackout" in found.why) == earlier
    if earlier:
        assert found.at == utc("2026-11-25T11:49:00")


def test_backup_before_a_blackout_is_made_once() -> None:
    daemon = Daemon(job(auto=True, blackout=(NIGHT,)), utc("2026-11-25T20:00:00"), takes_s=60)
    starts = daemon.run(12 * 60)
    last = [at for at in starts if at < utc("2026-11-25T22:00:00")]
    assert last[-1] >= utc("2026-11-25T21:45:00")
    assert (last[-1] - last[-2]).total_seconds() >= 60
    assert len(last) <= 13


def test_backup_that_began_just_before_a_blackout_is_not_begun_again() -> None:
    began = utc("2026-11-24T21:59:00")
    night = job(auto=True, blackout=(NIGHT,))
    for at_s, before in ((0, False), (1, True)):
        known = history(data_time=began - timedelta(seconds=at_s), last_started_at=None)
        found = due(night, known, began)
        assert (found.why == "rpo 15m: early, to be done before the blackout begins") == before
        assert found.at == (began if before else utc("2026-11-25T06:00:00"))
    again = history(data_time=began - timedelta(minutes=5), last_started_at=began)
    assert due(night, again, began).at == utc("2026-11-25T06:00:00"), "it made no point"


# --- retries ------------------------------------------------------------------------------------


def failed(tries: int, **changes: object) -> Situation:
    known = history(
        last_started_at=ago(60),
        last_finished_at=NOW,
        tries=tries,
        last_state="failed",
        last_error="cannot connect\nand more",
    )
    return changed(known, **changes)  # type: ignore[arg-type]


def wait_s(found: datetime) -> float:
    return (found - NOW).total_seconds()


def test_retries_come_later_and_later_and_end() -> None:
    daily = job(every_s=DAY, retries=5)
    waits = [wait_s(due(daily, failed(tries)).at) for tries in range(1, 6)]
    for number, waited in enumerate(waits):
        usual = 432 * 2**number
        assert usual <= waited <= usual * 1.25
    assert wait_s(due(daily, failed(6)).at) == DAY - 60
    assert due(daily, failed(2)).why == "retry 2 of 5, because the last run failed: cannot connect"
    assert due(daily, failed(2)).trigger == "retry"
    assert due(daily, failed(6)).trigger == "schedule"


@pytest.mark.parametrize(
    ("every_s", "tries", "usual"),
    [
        (HOUR, 1, 60),  # at least a minute
        (HOUR, 4, 480),
        (HOUR, 5, 900),  # at most a quarter of the period
        (2 * MINUTE, 3, 60),
        (30 * DAY, 1, 1800),  # at first at most half an hour
        (30 * DAY, 4, 4 * HOUR),
        (30 * DAY, 5, 6 * HOUR),  # never more than six hours
    ],
)
def test_the_wait_for_a_retry_is_bounded(every_s: float, tries: int, usual: float) -> None:
    since_start = wait_s(due(job(every_s=every_s, retries=5), failed(tries)).at)
    assert usual <= since_start <= usual * 1.25


def test_each_regular_time_has_its_own_retries() -> None:
    daemon = Daemon(
        job(cron="0 3 * * *", retries=3), utc("2026-11-20T12:00:00"), fails=lambda _: True
    )
    daemon.run(3 * 24 * 60)
    assert [trigger for _, trigger in daemon.starts] == ["schedule", *["retry"] * 3] * 3


def test_retry_never_comes_later_than_the_regular_time() -> None:
    for tries in range(1, 12):
        for timing in (*TIMINGS, {"every_s": 2 * MINUTE}):
            regular = due(job(**timing), failed(0))
            assert due(job(**timing), failed(tries)).at <= regular.at


def test_jitter_of_retries_is_stable_and_differs_by_plan() -> None:
    def retries(plan: str) -> list[datetime]:
        return [due(job(plan=plan, every_s=DAY), failed(tries)).at for tries in (1, 2, 3)]

    assert retries("orders-api") == retries("orders-api")
    assert retries("orders-api") != retries("billing")


@pytest.mark.parametrize("changes", [{"permanent": True}, {"last_state": "cancelled"}])
def test_permanent_failures_wait_for_the_regular_time(changes: dict[str, object]) -> None:
    found = due(job(every_s=DAY), failed(1, **changes))
    assert (wait_s(found.at), found.trigger) == (DAY - 60, "schedule")


def test_no_retries_means_none() -> None:
    assert wait_s(due(job(every_s=DAY, retries=0), failed(1)).at) == DAY - 60


def test_run_that_died_without_an_end_is_tried_again_after_its_start() -> None:
    known = failed(1, last_finished_at=ago(DAY), last_error=None, last_state="interrupted")
    found = due(job(every_s=DAY), known)
    assert found.why == "retry 1 of 3, because the last run failed: interrupted"
    assert found.at > known.runs.last_started_at + timedelta(seconds=432)  # type: ignore[operator]


def test_rare_jobs_are_not_given_up_within_minutes() -> None:
    weekly = job("verification", every_s=7 * DAY)
    waits = [wait_s(due(weekly, failed(tries)).at) for tries in (1, 2, 3)]
    assert waits[0] >= 30 * MINUTE
    assert sum(waits) >= 3 * HOUR


def test_share_is_the_same_everywhere() -> None:
    """Another value would move every plan's starts with an upgrade."""
    assert share("orders-api", "backup", "") == pytest.approx(0.267910, abs=1e-6)
    assert share("a", "b") != share("ab", "")
    assert all(0 <= share(str(n)) < 1 for n in range(1000))


# --- copies -------------------------------------------------------------------------------------

COPY = replace(job("copy", follows=True, retries=2), subject="offsite")


def test_copy_is_due_as_soon_as_there_is_a_new_point() -> None:
    found = due(COPY, history(last_started_at=None, last_finished_at=None))
    assert found.at == ago(5 * MINUTE)
    assert found.why == "copy offsite does not have the restore point of 00:26 yet"
    assert next_due(COPY, history(copied_time=ago(5 * MINUTE)), NOW) is None


def test_point_that_was_stored_while_a_copy_ran_is_copied_next() -> None:
    """Its data time lies before the start of that copy."""
    known = history(
        copied_time=ago(20 * MINUTE),
        data_time=ago(5 * MINUTE),
        last_started_at=ago(4 * MINUTE),
        last_finished_at=ago(3 * MINUTE),
    )
    assert due(COPY, known).at == ago(2 * MINUTE)


def test_empty_copy_runs_are_not_repeated_without_end() -> None:
    known = history(copied_time=ago(DAY), last_started_at=ago(1), last_finished_at=NOW)
    assert due(COPY, known).at == ahead(60)


@pytest.mark.parametrize("changes", [{"permanent": True}, {"last_state": "cancelled"}])
def test_copy_that_a_retry_cannot_help_waits_for_the_next_point_or_an_rpo(
    changes: dict[str, object],
) -> None:
    known = failed(1, copied_time=ago(DAY), **changes)
    found = due(COPY, known)
    assert found.at == ago(60) + timedelta(minutes=15)
    newer = changed(known, data_time=ago(10))
    assert due(COPY, newer).at <= ahead(60)


def test_copy_that_somebody_cancelled_waits_for_the_next_point_or_an_rpo() -> None:
    def at(**known: object) -> datetime:
        cancelled = history(
            copied_time=ago(DAY),
            last_started_at=ago(60),
            last_finished_at=ago(50),
            last_state="cancelled",
        )
        return due(COPY, changed(cancelled, **known)).at  # type: ignore[arg-type]

    assert at(data_time=ago(61)) == ago(60) + timedelta(minutes=15)
    assert at(data_time=ago(60)) == ago(60) + timedelta(minutes=15)
    assert at(data_time=ago(59)) == ahead(10), "a minute after the last"
    assert at(last_started_at=None) == ahead(10)
    assert at(last_started_at=ahead(DAY)) == ahead(10), "a clock was set back"


def test_copy_of_a_point_from_the_future_does_not_wait_for_it() -> None:
    known = history(data_time=ahead(DAY), last_started_at=None, last_finished_at=None)
    found = due(COPY, known)
    assert (found.at, found.why) == (
        NOW,
        "copy offsite does not have the restore point of 00:31 yet",
    )


def test_failed_copy_is_retried() -> None:
    found = due(COPY, failed(2, copied_time=ago(DAY)))
    assert found.trigger == "retry"
    assert ahead(120) <= found.at <= ahead(150)


@pytest.mark.parametrize(
    ("timing", "at", "why"),
    [
        ({"every_s": DAY}, ago(MINUTE) + timedelta(days=1), "every 1d, last start 00:30"),
        ({"cron": "0 3 * * *"}, datetime(2026, 11, 25, 3, tzinfo=UTC), "cron 0 3 * * * UTC"),
    ],
)
def test_copies_with_a_schedule_of_their_own_do_not_follow_backups(
    timing: dict[str, object], at: datetime, why: str
) -> None:
    """Not even when there is something new, and also when there is nothing: older points may
    lack."""
    mine = replace(job("copy", **timing), subject="offsite")
    for copied in (None, ago(DAY), ago(5 * MINUTE)):
        found = due(mine, history(copied_time=copied, last_started_at=ago(MINUTE)))
        assert (found.at, found.why) == (at, why)
        assert found.deadline > found.at
    assert next_due(mine, history(data_time=None), NOW) is None


# --- deadlines ----------------------------------------------------------------------------------


def test_backup_has_to_begin_so_that_it_is_done_within_the_rpo() -> None:
    known = history(data_time=ago(4 * MINUTE), p95_s=60.0)
    assert due(job(), known).deadline == ahead(10 * MINUTE)


def test_plan_without_a_point_counts_from_its_first_load() -> None:
    assert due(job(), situation(first_loaded_at=ago(HOUR))).deadline == ago(45 * MINUTE)


@pytest.mark.parametrize(
    ("timing", "period_s"), [({"every_s": 7 * DAY}, 7 * DAY), ({"cron": "0 3 * * *"}, DAY)]
)
def test_others_have_until_their_next_regular_time(
    timing: dict[str, object], period_s: float
) -> None:
    found = due(job("drill", **timing), history())
    assert (found.deadline - found.at).total_seconds() == period_s


def test_deadline_counts_from_now_where_no_time_is_believed() -> None:
    future = situation(first_loaded_at=ahead(DAY), data_time=ahead(DAY))
    assert due(job(), future).deadline == ahead(15 * MINUTE)


def test_copy_has_to_begin_within_the_rpo_of_what_it_holds() -> None:
    known = history(copied_time=ago(10 * MINUTE), p95_s=60.0)
    assert due(COPY, known).deadline == ahead(4 * MINUTE)


# --- properties ---------------------------------------------------------------------------------

offsets = st.floats(-20 * 365 * DAY, 20 * 365 * DAY) | st.floats(-DAY, DAY)
moments = st.none() | offsets.map(ahead)
histories = st.builds(
    situation,
    first_loaded_at=offsets.map(ahead),
    last_started_at=moments,
    last_finished_at=moments,
    last_success_at=moments,
    data_time=moments,
    copied_time=moments,
    tries=st.integers(0, 30),
    permanent=st.booleans(),
    p95_s=st.none() | st.floats(0, DAY),
    last_state=st.sampled_from([None, "succeeded", "failed", "cancelled", "interrupted"]),
    last_error=st.sampled_from([None, "", "cannot connect"]),
)
WEEKEND = Blackout(0, 24 * 60, (5, 6))
timings = st.builds(
    Timing,
    every_s=st.floats(60, 7 * DAY),
    timezone=st.sampled_from(["UTC", "Europe/Berlin"]),
    blackout=st.sampled_from([(), (NIGHT,), (NIGHT, WEEKEND)]),
    jitter_s=st.floats(0, 3600),
    retries=st.integers(0, 5),
) | st.builds(
    Timing,
    cron=st.sampled_from(["*/5 * * * *", "30 2 * * *", "0 3 * * 0"]),
    auto=st.just(value=False),
    timezone=st.sampled_from(["UTC", "Europe/Berlin"]),
    blackout=st.sampled_from([(), (NIGHT,)]),
    jitter_s=st.floats(0, 3600),
)
timings |= st.builds(Timing, auto=st.just(value=True), blackout=st.sampled_from([(), (NIGHT,)]))
timings |= st.builds(Timing, follows=st.just(value=True))
kinds = st.sampled_from(["backup", "copy", "drill", "prune", "verification", "readiness"])
rpos = st.floats(60, 7 * DAY)


@given(kinds, timings, rpos, histories)
def test_no_job_ever_waits_for_years(
    kind: str, timing: Timing, rpo_s: float, known: Situation
) -> None:
    """At most a period (a week), what follows of it, and the longest blackout."""
    found = next_due(Job("orders-api", kind, timing, rpo_s, "offsite"), known, NOW)
    if found is not None:
        assert (found.at - NOW).total_seconds() <= 16 * DAY
        assert found.why


@given(kinds, timings, rpos, histories, st.booleans())
def test_whatever_happened_a_run_that_just_ended_is_not_due_again(
    kind: str, timing: Timing, rpo_s: float, known: Situation, failed: bool
) -> None:
    """No flood: also where the newest point stays in the future, or nothing gets copied."""
    known = changed(
        known,
        first_loaded_at=min(known.first_loaded_at, NOW),
        last_started_at=NOW,
        last_finished_at=NOW,
        tries=known.runs.tries + 1 if failed else 0,
        last_state="failed" if failed else "succeeded",
    )
    if kind == "backup" and not failed and known.data_time is not None:
        known = changed(known, data_time=max(known.data_time, NOW))
    found = next_due(Job("orders-api", kind, timing, rpo_s, "offsite"), known, NOW)
    assert found is None or found.at > NOW


@given(kinds, timings, rpos, histories, st.integers(0, 3 * 86400))
def test_a_result_stays_right_while_nothing_changes(
    kind: str, timing: Timing, rpo_s: float, known: Situation, later_s: int
) -> None:
    """So the daemon need not work it out again each tick: later it is the same, or already past."""
    subject = Job("orders-api", kind, replace(timing, blackout=()), rpo_s, "offsite")
    times = {
        "first_loaded_at": known.first_loaded_at,
        "last_started_at": known.runs.last_started_at,
        "last_finished_at": known.runs.last_finished_at,
        "data_time": known.data_time,
    }
    past = changed(known, **{n: min(at, NOW) for n, at in times.items() if at is not None})
    now, later = (next_due(subject, past, NOW + timedelta(seconds=s)) for s in (0, later_s))
    assert (now is None) == (later is None)
    if now is not None and later is not None:
        assert later.at == now.at

"""The bounds, tolerances and spans by which drd decides: each is changed on purpose only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from drd.checks import documents, files, sql, words
from drd.flows.restore import point_choice
from drd.flows.upkeep import retention_plan, retention_share
from drd.model import (
    actor,
    adopted,
    backups_ahead,
    checkpoint,
    clock,
    compliance,
    conditions,
    copy_exposure,
    cron,
    digest,
    due,
    entry_difference,
    exposure,
    holds,
    host_conditions,
    kit,
    kit_index,
    manifest,
    pauses,
    read_progress,
    record_file,
    records,
    repair,
    risks,
    scenarios,
    schedule,
    single_item,
    snapshot,
    status_line,
    strict,
    titles,
    validity,
    windows,
)
from drd.model.incidents import entries, indicators, rules
from drd.model.obligations import calendars, icalendar, upkeep

SECOND, MINUTE, HOUR, DAY = 1.0, 60.0, 3600.0, 86400.0
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def test_clocks_may_differ_by_seconds_and_hosts_by_minutes() -> None:
    assert clock.AGE_TOLERANCE_S == 5 * SECOND
    assert timedelta(seconds=5) == clock.OWNER_SKEW
    assert clock.SCHEDULE_TOLERANCE_S == clock.SERVER_SKEW_S == clock.DATA_SKEW_S == MINUTE
    assert clock.JUMP_S == 2 * MINUTE
    assert timedelta(minutes=2) == clock.SNAPSHOT_SKEW
    assert timedelta(hours=1) == clock.FAR_AHEAD
    assert timedelta(hours=2) == clock.LONGEST_WAIT
    assert timedelta(days=366) == clock.LONGEST_GAP
    assert datetime(2026, 1, 1, tzinfo=UTC) == clock.EARLIEST == cron._ANY_DAY
    assert validity._ROUNDING_S == 0.001


def test_objectives_are_at_risk_before_they_are_missed() -> None:
    assert exposure.AT_RISK_SHARE == 0.8
    assert copy_exposure.COPY_BOUND == 2
    assert timedelta(days=1) == exposure.RECENT == adopted.OLDER
    assert exposure.MEANINGFUL_S == DAY
    assert compliance.MEASURABLE_BYTES == 64 * MIB
    assert schedule.MARGIN_SHARE == 0.25
    assert schedule.MARGIN_AT_LEAST_S == 30 * SECOND


def test_a_pass_counts_for_two_turns_or_for_ninety_days() -> None:
    assert scenarios.VALID_TURNS == 2
    assert scenarios.VALID_WITHOUT_SCHEDULE_S == 90 * DAY
    assert point_choice.DEFAULT_RANDOM_WITHIN_S == 30 * DAY


def test_jobs_are_late_after_a_minute_and_retried_for_hours() -> None:
    assert due.CATCH_UP_AFTER_S == due.COPY_PAUSE_S == MINUTE
    assert due.RETRY_FIRST_S == (MINUTE, 30 * MINUTE)
    assert due.RETRY_SHARE == 0.005
    assert due.RETRY_LONGEST_S == 6 * HOUR
    assert due.RETRY_JITTER == 0.25
    assert backups_ahead.UNKNOWN_DURATION_S == MINUTE
    assert backups_ahead.FIRST_DURATION_S == 10 * MINUTE
    assert backups_ahead.FRESH_SHARE == 0.9


def test_drds_own_jobs_have_these_times() -> None:
    assert schedule.READINESS_EVERY_S == DAY
    assert schedule.READINESS_SOON_S == 15 * MINUTE
    assert schedule.READINESS_TIMEOUT_S == 5 * MINUTE
    assert schedule.RETENTION_TIMEOUT_S == HOUR
    assert schedule.KIT_TIMEOUT_S == 30 * MINUTE
    assert schedule.CONTROL_LONGER_S == MINUTE
    assert schedule._SPREAD == 0.1
    assert cron._MOST_STARTS == 12_000
    assert windows.DAY_MIN == 1440
    assert schedule.LISTING_SHARE == 0.1
    assert (schedule.LISTING_SHORTEST_S, schedule.LISTING_LONGEST_S) == (MINUTE, HOUR)
    assert documents._BUDGET_S == files._BUDGET_S == HOUR


def test_alerts_wait_an_hour_or_a_day_for_what_may_still_come() -> None:
    hour = timedelta(hours=1)
    assert hour == host_conditions.TOLD_FOR == host_conditions.OVERDUE_AFTER
    assert hour == host_conditions.TO_MAKE_UP
    assert timedelta(days=1) == conditions.FIRST_DRILL
    assert host_conditions.DISK_SHARE == 0.05
    assert host_conditions.DISK_CRITICAL_SHARE == 0.01


def test_messages_and_results_stay_short() -> None:
    assert (digest.ENTRIES, digest.SHOWN, digest.LONGEST_MESSAGE) == (200, 30, 300)
    assert (pauses._IN_A_COMMAND, pauses._NAMED) == (200, 5)
    assert (words.LONGEST, words.NAMED) == (80, 5)
    assert retention_plan.MOST_NAMED == 200
    assert holds.LONGEST_REASON == 2000
    assert single_item.NEAR == 3
    assert repair._IN_A_COMMAND == 5
    assert titles.LONGEST == 79
    assert strict._SHOWN == 60


def test_data_from_others_has_these_bounds() -> None:
    assert strict.MOST_BYTES == GIB
    assert strict.MOST_DEPTH == 24
    assert strict.MOST_ITEMS == 20_000_000
    assert strict.LONGEST_TEXT == 4 * KIB
    assert strict.LONGEST_SQL == 64 * MIB
    assert strict.MOST == 2**63 - 1
    assert manifest.MOST_COMPONENTS == 1000
    assert manifest.MOST_ANSWERS == 10_000
    assert manifest._MOST_ID == 2**32 - 1
    assert manifest._LONG == 16 * KIB
    assert (kit_index._MOST, kit_index._MOST_FILES) == (100_000, 1_000_000)
    assert single_item._MANY == 20_000
    assert sql._MOST_DIGITS == 40
    assert (status_line._SHORTEST_S, status_line._LONGEST_S) == (SECOND, 366 * DAY)
    assert (record_file.LONGEST_LINE, record_file.MOST_ENTRIES) == (16 * MIB, 5_000_000)
    assert records._LARGEST_INTEGER == 2**53 - 1
    assert checkpoint._LONGEST == 2000
    assert (strict._EARLIEST.year, strict._LATEST.year) == (2000, 2200)
    assert (strict._EARLIEST.timetuple()[1:5], strict._LATEST.timetuple()[1:5]) == (
        (1, 1, 0, 0),
        (1, 1, 0, 0),
    )
    assert entry_difference._SET_ID == 0o6000


def test_entries_of_an_incident_stay_short() -> None:
    assert (entries.LONGEST_TITLE, entries.LONGEST_TEXT) == (200, 10_000)
    assert (entries._MOST_DIGITS, rules._LONGEST_TITLE, indicators.LONGEST_VALUE) == (15, 160, 2000)


def test_duties_are_reviewed_twice_a_year_and_risks_once() -> None:
    assert (upkeep.STALE_DAYS, upkeep.AHEAD_DAYS, risks.REVIEW_DAYS) == (180, 60, 365)
    assert (calendars.SATURDAY, icalendar._OCTETS) == (5, 75)


def test_documents_have_the_version_that_other_hosts_read() -> None:
    assert snapshot.MANIFEST_SCHEMA == 1
    assert kit.KIT_SCHEMA == 1
    assert actor.NO_LOGIN == 2**32 - 1


def test_retention_and_verification_take_these_shares() -> None:
    assert snapshot.TORN_SHARE == 0.1
    assert read_progress.MOST_PARTS == 256
    assert read_progress.LATE_SHARE == 0.1
    assert timedelta(days=1) == retention_share.FOREIGN_LEFTOVER
    assert retention_share.KEEP_OWN == 48

"""From which second on the log of a component raises an alert, and with which words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drd.model.alerts import Condition
from drd.model.log import LogState
from drd.model.log_conditions import left_condition, log_condition, log_copy_condition

T0 = datetime(2026, 11, 28, 12, tzinfo=UTC)
WELL = LogState("receives", T0, 30.0)
UNREACHABLE = replace(WELL, code="log-unreachable", trouble="no route")


def of(state: LogState | None, after_s: float, noted_s: float | None = None) -> Condition | None:
    """After so many seconds, of which the receiver reported in `noted_s`, or just now."""
    now = T0 + timedelta(seconds=after_s)
    noted_at = now if noted_s is None else T0 + timedelta(seconds=noted_s)
    return log_condition("shop", "db", state, noted_at, now)


@pytest.mark.parametrize(("after_s", "silent"), [(210, False), (210.5, True)])
def test_a_receiver_is_silent_after_two_minutes_and_three_of_its_intervals(
    after_s: float, *, silent: bool
) -> None:
    found = of(WELL, after_s, 0)
    assert (found is not None) is silent
    if found is not None:
        assert (found.kind, found.severity, found.remedy) == (
            "log",
            "critical",
            "journalctl -u drd",
        )
        assert found.text == (
            "the receiver of the log of db has not reported since 2026-11-28 12:00:00 UTC"
        )


def test_a_receiver_that_has_just_begun_has_no_problem() -> None:
    assert log_condition("shop", "db", None, T0, T0 + timedelta(hours=9)) is None
    assert log_condition("shop", "db", UNREACHABLE, None, T0 + timedelta(hours=9)) is None


@pytest.mark.parametrize(("after_s", "told"), [(59.5, False), (60, True)])
def test_a_problem_of_a_log_or_its_copy_is_told_after_a_minute(
    after_s: float, *, told: bool
) -> None:
    now = T0 + timedelta(seconds=after_s)
    copied = log_copy_condition("shop", "db", "offsite", UNREACHABLE, now)
    assert (of(UNREACHABLE, after_s) is not None) is (copied is not None) is told
    assert log_copy_condition("shop", "db", "offsite", WELL, now) is None
    if copied is not None:
        assert (copied.subject, copied.severity) == ("db in offsite", "warning")
        assert copied.text == "drd does not copy the log of db to repository offsite: no route"


@pytest.mark.parametrize(
    ("after_s", "told"), [(-1, False), (0, True), (3600, True), (3600.5, False)]
)
def test_a_change_of_the_log_is_told_for_an_hour(after_s: float, *, told: bool) -> None:
    changed = replace(WELL, event="it has a new timeline", event_at=T0)
    found = of(changed, after_s)
    assert (found is not None) is told
    if found is not None:
        assert found.text == "it has a new timeline (noticed at 2026-11-28 12:00:00 UTC)"
        assert (found.severity, found.remedy) == ("warning", "drd points shop")


def test_the_words_say_up_to_when_the_repository_has_everything() -> None:
    late = of(replace(UNREACHABLE, complete_at=T0 - timedelta(seconds=30)), 60)
    assert late is not None
    assert late.text == (
        "drd does not receive or store the log of db: no route. The repository has everything up "
        "to 2026-11-28 11:59:30 UTC, 1m 30s ago"
    )
    ahead = of(replace(UNREACHABLE, complete_at=T0 + timedelta(hours=1)), 60)
    assert ahead is not None
    assert ahead.text.endswith("13:00:00 UTC, 0s ago"), "a clock was wrong"


def test_a_slot_that_was_left_says_what_to_run_on_the_server() -> None:
    left = left_condition("shop", "db", "slot drd_x is left", "SELECT pg_drop_…")
    assert (left.plan, left.subject, left.severity) == ("shop", "db", "warning")
    assert left.text == (
        "slot drd_x is left, and drd could not drop it. Run on that server as a superuser: "
        "SELECT pg_drop_…"
    )


@pytest.mark.parametrize(("code", "news"), [("log-gap", True), ("log-no-base", False)])
def test_a_gap_is_news_also_while_an_alert_about_the_log_is_open(code: str, *, news: bool) -> None:
    state = replace(WELL, code=code, trouble="it is so", event="gone", event_at=WELL.since)
    found = of(state, 5)
    assert found is not None
    assert (found.news, found.code) == ((WELL.since, "log-gap") if news else (None, ""))

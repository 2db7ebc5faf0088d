"""What a rule says of a deadline, alone and beside others, and in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from drd.model.obligations.anchors import Anchor
from drd.model.obligations.calendars import BusinessDays, NoHolidays
from drd.model.obligations.case import Hold, end_of_hold, rule_of
from drd.model.obligations.conditions import Condition, Facts
from drd.model.obligations.regime import HoldKind, HoldRule, Prompt
from drd.model.obligations.rules import (
    Choice,
    NoNumber,
    Period,
    Relief,
    Rule,
    Times,
    Unit,
    anchors_of,
    evaluate,
    relieved,
)
from drd.model.obligations.words import local_time, rule_words, time_limit
from tests.obligation_support import (
    AT,
    AWARE,
    DAY,
    DAYS,
    DUE,
    HOUR,
    HOURS,
    POLICE,
    SENT,
    SOON,
    Holidays,
    regime,
    setting,
    when,
)

# --- rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "target", "due", "last"),
    [
        (HOURS, AT + DAY, AT + DAY, None),
        (Period(0, Unit.HOURS, (AWARE,)), AT, AT, None),
        (DAYS, AT + 3 * DAY, datetime(2026, 12, 5, tzinfo=UTC), date(2026, 12, 4)),
        (
            Period(2, Unit.MONTHS, (AWARE,)),
            datetime(2027, 2, 1, 9, tzinfo=UTC),
            datetime(2027, 2, 2, tzinfo=UTC),
            date(2027, 2, 1),
        ),
        (
            Period(60, Unit.DAYS_AFTER_YEAR_END, (AWARE,)),
            datetime(2027, 3, 2, tzinfo=UTC),
            datetime(2027, 3, 2, tzinfo=UTC),
            date(2027, 3, 1),
        ),
        (
            Period(4, Unit.BUSINESS_DAYS, (AWARE,), calendar="X"),
            datetime(2026, 12, 8, 9, tzinfo=UTC),
            datetime(2026, 12, 9, tzinfo=UTC),
            date(2026, 12, 8),
        ),
        (
            Period(4, Unit.BUSINESS_DAYS, (AWARE,), calendar="member-state", until=time(8)),
            datetime(2026, 12, 7, 8, tzinfo=UTC),
            datetime(2026, 12, 7, 8, tzinfo=UTC),
            date(2026, 12, 7),
        ),
        (SOON, AT + HOUR, None, None),
        (NoNumber((AWARE,)), None, None, None),
        (Choice("earliest", (DAYS, HOURS)), AT + DAY, AT + DAY, None),
        (
            Choice("latest", (DAYS, HOURS)),
            AT + 3 * DAY, datetime(2026, 12, 5, tzinfo=UTC), date(2026, 12, 4),
        ),
        (Choice("first", (HOURS, DAYS)), AT + DAY, AT + DAY, None),
        (Choice("earliest", (NoNumber((AWARE,)), HOURS)), AT + DAY, AT + DAY, None),
        (Choice("earliest", (NoNumber((AWARE,)),)), None, None, None),
        (Choice("earliest", (HOURS, SOON)), AT + HOUR, AT + DAY, None),
        (Choice("earliest", (Period(1, Unit.DAYS, (SENT,)), HOURS)), AT + DAY, AT + DAY, None),
    ],
)  # fmt: skip
def test_each_rule_gives_its_target_and_last_day(
    rule: Rule, target: datetime | None, due: datetime | None, last: date | None
) -> None:
    assert evaluate(rule, setting()) == Times(AT, target, due, last)


NEVER = replace(HOURS, when=when("encrypted"))


@pytest.mark.parametrize(
    "rule",
    [
        Period(1, Unit.DAYS, (SENT,)),
        NoNumber((SENT,)),
        NEVER,
        Choice("first", (NEVER,)),
        Choice("first", (Period(1, Unit.DAYS, (SENT,)), HOURS)),
        Choice("latest", (NEVER,)),
        Choice("latest", (Period(1, Unit.DAYS, (SENT,)), HOURS)),
        Choice("earliest", (NEVER,)),
        replace(HOURS, lapses_before=DUE),
    ],
)
def test_a_rule_that_says_nothing_yet(rule: Rule) -> None:
    times = {AWARE: AT, DUE: AT + DAY + timedelta(seconds=1)}
    assert evaluate(rule, setting({"encrypted": False}, times)) is None


def test_a_period_lapses_only_if_it_ended_before() -> None:
    rule = replace(HOURS, lapses_before=DUE)
    assert evaluate(rule, setting(times={AWARE: AT, DUE: AT + DAY})) is not None
    assert evaluate(rule, setting()) is not None


def test_an_alternative_that_does_not_apply_delays_nothing() -> None:
    latest = Choice("latest", (NEVER, HOURS))
    found = evaluate(latest, setting({"encrypted": False}))
    assert found == Times(AT, AT + DAY, AT + DAY)


def test_a_rule_that_may_apply_moves_only_the_target() -> None:
    maybe = replace(HOURS, when=when("encrypted", "ours", excludes=("late",)))
    unsure = when("encrypted", "late").conditions
    facts: Facts = {"ours": True}
    assert evaluate(maybe, setting(facts)) == Times(AT, AT + DAY, None, unsure=unsure)
    sure = evaluate(DAYS, setting())
    assert sure is not None
    first = evaluate(Choice("first", (maybe, DAYS)), setting(facts))
    assert first == replace(sure, target_at=AT + DAY, unsure=unsure)
    open_ = evaluate(Choice("first", (maybe, replace(DAYS, when=maybe.when))), setting(facts))
    assert open_ == Times(AT, AT + DAY, None, unsure=unsure + unsure)
    earliest = evaluate(Choice("earliest", (maybe, DAYS)), setting(facts))
    assert earliest == replace(sure, target_at=AT + DAY, unsure=unsure)
    nested = evaluate(Choice("earliest", (maybe,), when=when("x")), setting(facts))
    assert nested is not None
    assert nested.unsure == (Condition.parse("x"), *unsure)


def test_a_rule_counts_from_its_first_anchor_or_from_the_latest_update() -> None:
    times = {AWARE: AT, SENT: AT + HOUR}
    rule = Period(1, Unit.HOURS, (AWARE, SENT))
    first = evaluate(rule, setting(times=times, updates={SENT: AT + 5 * HOUR}))
    latest = evaluate(
        replace(rule, latest=True), setting(times=times, updates={SENT: AT + 5 * HOUR})
    )
    assert first == Times(AT, AT + HOUR, AT + HOUR)
    assert latest == Times(AT + 5 * HOUR, AT + 6 * HOUR, AT + 6 * HOUR)
    none = replace(rule, latest=True, anchors=(DUE,))
    assert evaluate(none, setting(times=times)) is None


SATURDAY = datetime(2026, 12, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("relief", "facts", "due", "moved"),
    [
        (Relief("X", time(12), "art. 4"), {}, SATURDAY, datetime(2026, 12, 8, 12, tzinfo=UTC)),
        (Relief("Y", time(12), "art. 4"), {}, SATURDAY, datetime(2026, 12, 7, 12, tzinfo=UTC)),
        (Relief("Z", time(12), "art. 4"), {}, SATURDAY, None),
        (Relief("X", time(12), "art. 4"), {}, AT, None),
        (Relief("X", time(12), "art. 4"), {}, None, None),
        (Relief("X", time(12), "art. 4", when("small")), {}, SATURDAY, None),
        (Relief("X", time(12), "art. 4", when("small")), {"small": False}, SATURDAY, None),
        (
            Relief("member-state", time(12), "art. 4", when("small")),
            {"small": True, "member_state": "Y"},
            SATURDAY,
            datetime(2026, 12, 7, 12, tzinfo=UTC),
        ),
        (Relief("member-state", time(12), "art. 4"), {}, SATURDAY, None),
        (None, {}, SATURDAY, None),
    ],
)
def test_relief_moves_what_is_due_on_a_day_without_business(
    relief: Relief | None, facts: Facts, due: datetime | None, moved: datetime | None
) -> None:
    times = Times(AT, AT, due, date(2026, 12, 5))
    found = relieved(times, relief, setting(facts))
    wanted = replace(times, due_at=moved, last_day=None, relieved_by="art. 4")
    assert found == (wanted if moved is not None else times)


def test_business_days_leave_out_weekends_holidays_and_closures() -> None:
    days = BusinessDays(Holidays(), "X", (date(2026, 12, 9),))
    found = [day for day in range(1, 14) if days.has(date(2026, 12, day))]
    assert found == [1, 2, 3, 4, 8, 10, 11]
    assert days.after(date(2026, 12, 4), 0) == date(2026, 12, 4)
    assert days.after(date(2026, 12, 4), 2) == date(2026, 12, 10)
    assert days.next(date(2026, 12, 5)) == date(2026, 12, 8)
    assert not NoHolidays().has("X")
    assert NoHolidays().is_holiday("X", date(2026, 12, 25)) is False


def test_all_anchors_on_which_a_regime_depends() -> None:
    inner = replace(DAYS, anchors=(SENT,), lapses_before=DUE, when=when("aware <= due(r3)"))
    rule = Choice("first", (inner, NoNumber((AWARE,))), when=when("submitted(r4)"))
    names = ["submitted(r4)", "aware", "due(r3)", "submitted(r1)", "due(r2)", "aware"]
    assert list(map(str, anchors_of(rule))) == names
    relief = Relief("X", time(12), "art. 4", when("submitted(r6)"))
    asks = Prompt("is it?", Period(1, Unit.HOURS, (Anchor.parse("submitted(r7)"),)))
    made = regime(
        anchors=(AWARE,), rule=rule, when=when("submitted(r5)"), relief=relief, prompt=asks
    )
    around = ["aware", "submitted(r5)", "submitted(r6)"]
    assert list(map(str, made.all_anchors())) == [*around, *names, "submitted(r7)"]
    assert list(regime(rule=None).all_anchors()) == []


# --- holds ------------------------------------------------------------------------------------

STEPS = HoldRule(POLICE, "c", None, (30, 30, 60))
ORAL = Hold(POLICE, AT, oral=True)
AGAIN = Hold(POLICE, AT + 30 * DAY, before=ORAL)
FINAL = Hold(POLICE, AT + 60 * DAY, before=AGAIN)


@pytest.mark.parametrize(
    ("rule", "hold", "end"),
    [
        (HoldRule(POLICE, "c"), Hold(POLICE, AT, AT + DAY), AT + DAY),
        (HoldRule(POLICE, "c"), Hold(POLICE, AT), None),
        (HoldRule(POLICE, "c"), Hold(POLICE, AT, oral=True), None),
        (HoldRule(POLICE, "c", oral_days=30), Hold(POLICE, AT), None),
        (HoldRule(POLICE, "c", oral_days=30), Hold(POLICE, AT, oral=True), AT + 30 * DAY),
        (HoldRule(POLICE, "c", oral_days=30), Hold(POLICE, AT, AT + DAY, oral=True), AT + DAY),
        (HoldRule(POLICE, "c", at_most_days=(60,)), Hold(POLICE, AT), AT + 60 * DAY),
        (HoldRule(POLICE, "c", 30, (60,)), Hold(POLICE, AT, AT + 90 * DAY), AT + 60 * DAY),
        (HoldRule(POLICE, "c", 30, (60,)), Hold(POLICE, AT, oral=True), AT + 30 * DAY),
        (HoldRule(HoldKind.ATTORNEY_GENERAL, "c"), Hold(POLICE, AT, AT + DAY), None),
        # the second statement of the same authority, and what only corrects the first one
        (HoldRule(POLICE, "c", 30), Hold(POLICE, AT + 20 * DAY, oral=True, before=ORAL),
         AT + 30 * DAY),
        (HoldRule(POLICE, "c", 30), Hold(POLICE, AT + 20 * DAY, AT + 90 * DAY, before=ORAL),
         AT + 90 * DAY),
        (HoldRule(POLICE, "c", None, (60,)), Hold(POLICE, AT + 50 * DAY, before=ORAL),
         AT + 60 * DAY),
        (STEPS, Hold(POLICE, AT, AT + 90 * DAY), AT + 30 * DAY),
        (STEPS, Hold(POLICE, AT + 23 * HOUR, AT + 90 * DAY, before=ORAL), AT + 30 * DAY),
        (STEPS, Hold(POLICE, AT + DAY, AT + 90 * DAY, before=ORAL), AT + 60 * DAY),
        (STEPS, Hold(POLICE, AT + 60 * DAY, AT + 900 * DAY, before=AGAIN), AT + 120 * DAY),
        (STEPS, Hold(POLICE, AT + 90 * DAY, AT + 900 * DAY, before=FINAL), AT + 120 * DAY),
    ],
)  # fmt: skip
def test_until_when_a_regime_allows_a_delay(
    rule: HoldRule, hold: Hold, end: datetime | None
) -> None:
    made = regime(holds=(HoldRule(HoldKind.ATTORNEY_GENERAL, "other"), rule))
    assert end_of_hold(made, hold) == end
    assert (rule_of(made, hold) is rule) is (rule.kind is POLICE)


# --- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (HOURS, "24 hours from aware"),
        (Period(1, Unit.MONTHS, (AWARE, SENT)), "1 month from aware or submitted(r1)"),
        (Period(2, Unit.DAYS, (AWARE, SENT), latest=True),
         "2 days from the latest of aware or submitted(r1)"),
        (Period(0, Unit.HOURS, (DUE,), lapses_before=AWARE),
         "by due(r2), unless that was before aware"),
        (replace(HOURS, lapses_before=SENT),
         "24 hours from aware, unless that was before submitted(r1)"),
        (Period(4, Unit.BUSINESS_DAYS, (AWARE,), until=time(17, 30)),
         "4 business days until 17:30 from aware"),
        (Period(60, Unit.DAYS_AFTER_YEAR_END, (AWARE,)),
         "60 days after the end of the year of aware"),
        (SOON, "without undue delay (target 1h) from aware"),
        (NoNumber((AWARE,)), "without undue delay from aware"),
        (Choice("earliest", (HOURS, DAYS)),
         "the earlier of 24 hours from aware and 3 days from aware"),
        (Choice("latest", (HOURS, DAYS)), "the later of 24 hours from aware and 3 days from aware"),
        (Choice("first", (replace(HOURS, when=when("x", excludes=("y", "z"))), DAYS)),
         "24 hours from aware if x and not y and not z, else 3 days from aware"),
    ],
)  # fmt: skip
def test_each_rule_is_described_in_words(rule: Rule, words: str) -> None:
    assert rule_words(rule) == time_limit(regime(rule=rule)) == words
    assert time_limit(regime(rule=None)) == "no time limit"


@pytest.mark.parametrize(
    ("at", "last", "words"),
    [
        ("2026-12-04T23:00Z", date(2026, 12, 4), "2026-12-04 24:00 CET"),
        ("2026-12-04T23:00Z", None, "2026-12-05 00:00 CET"),
        ("2026-12-04T23:01Z", date(2026, 12, 4), "2026-12-05 00:01 CET"),
        ("2026-12-04T16:30Z", date(2026, 12, 4), "2026-12-04 17:30 CET"),
    ],
)
def test_a_period_that_ends_with_a_day_ends_at_24_00(
    at: str, last: date | None, words: str
) -> None:
    assert local_time(datetime.fromisoformat(at), ZoneInfo("Europe/Berlin"), last) == words

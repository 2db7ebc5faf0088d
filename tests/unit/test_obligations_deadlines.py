"""Every shipped regime against a second calculation, at the edges of clocks and calendars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from drd.config.regimes import load_regimes
from drd.holiday_calendars import HolidayCalendars
from drd.model.incidents.instants import Instant
from drd.model.obligations.case import Case, Decision
from drd.model.obligations.clocks import ClockState, clock
from drd.model.obligations.conditions import Fact
from drd.model.obligations.regime import Regime, Status
from tests.unit import deadlines as counted

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NY, LA, CHICAGO, LONDON = (
    "America/New_York",
    "America/Los_Angeles",
    "America/Chicago",
    "Europe/London",
)
HOST = "Europe/Berlin"

# What the law says, typed once more from the table of sources: the unit, its number, what it counts
# from, and the zone of the authority. "" is the zone of the host; None: no number.
LAW: Mapping[str, tuple[str, int | None, str, str]] = {
    "eu-gdpr-33": ("hours", 72, "aware", ""),
    "eu-gdpr-33-2": ("none", None, "aware", ""),
    "eu-gdpr-34": ("none", None, "high_risk_determined", ""),
    "eu-nis2-ew": ("hours", 24, "aware", ""),
    "eu-nis2-notification": ("hours", 72, "aware", ""),
    "eu-nis2-intermediate": ("none", None, "requested", ""),
    "eu-nis2-final": ("months", 1, "submitted(eu-nis2-notification)", ""),
    "eu-nis2-progress": ("months", 1, "submitted(eu-nis2-notification)", ""),
    "eu-nis2-recipients": ("none", None, "aware", ""),
    "eu-dora-initial": ("hours", 4, "classified", ""),
    "eu-dora-intermediate": ("hours", 72, "submitted(eu-dora-initial)", ""),
    "eu-dora-intermediate-update": ("none", None, "recovered_regular", ""),
    "eu-dora-final": ("months", 1, "submitted(eu-dora-intermediate)", ""),
    "eu-dora-clients": ("none", None, "aware", ""),
    "eu-cra-vulnerability-ew": ("hours", 24, "aware", ""),
    "eu-cra-vulnerability": ("hours", 72, "aware", ""),
    "eu-cra-vulnerability-final": ("days", 14, "corrective_measure_available", ""),
    "eu-cra-incident-ew": ("hours", 24, "aware", ""),
    "eu-cra-incident": ("hours", 72, "aware", ""),
    "eu-cra-incident-final": ("months", 1, "submitted(eu-cra-incident)", ""),
    "eu-cra-users": ("none", None, "aware", ""),
    "uk-gdpr-33": ("hours", 72, "aware", LONDON),
    "uk-gdpr-34": ("none", None, "high_risk_determined", LONDON),
    "uk-pecr-5a": ("hours", 72, "aware", LONDON),
    "us-hipaa-individuals": ("days", 60, "discovered", ""),
    "us-hipaa-media": ("days", 60, "discovered", ""),
    "us-hipaa-hhs-500": ("days", 60, "discovered", NY),
    "us-hipaa-hhs-annual": ("year", 60, "discovered", NY),
    "us-hipaa-ba": ("days", 60, "discovered", ""),
    "us-sec-8k-105": ("federal", 4, "materiality_determined", NY),
    "us-sec-8k-105a": ("federal", 4, "information_available", NY),
    "us-ftc-safeguards": ("days", 30, "discovered", NY),
    "us-ftc-hbnr": ("days", 60, "discovered", ""),
    "us-ftc-hbnr-ftc": ("days", 60, "discovered", NY),
    "us-ftc-hbnr-media": ("days", 60, "discovered", ""),
    "us-regsp": ("days", 30, "aware", ""),
    "us-regsp-provider": ("hours", 72, "aware", ""),
    "us-bank-36h": ("hours", 36, "determined", ""),
    "us-bank-36h-provider": ("none", None, "determined", ""),
    "us-ca-1798.82": ("days", 30, "discovered", LA),
    "us-ca-ag": ("days", 15, "submitted(us-ca-1798.82)", LA),
    "us-ny-899aa": ("days", 30, "discovered", NY),
    "us-ny-899aa-agencies": ("days", 30, "discovered", NY),
    "us-ny-dfs-500.17": ("hours", 72, "determined", NY),
    "us-ny-dfs-500.17-payment": ("hours", 24, "extortion_paid", NY),
    "us-ny-dfs-500.17-explanation": ("days", 30, "extortion_paid", NY),
    "us-tx-521.053": ("days", 60, "determined", CHICAGO),
    "us-tx-ag": ("days", 30, "determined", CHICAGO),
    "pci-visa": ("none", None, "suspected", ""),
    "pci-visa-report": ("weekdays", 3, "suspected", ""),
    "pci-visa-accounts": ("weekdays", 10, "suspected", ""),
    "pci-mastercard": ("hours", 24, "aware", ""),
}
BY_HAND = {"eu-dora-late"}
"""Their time is that of others: they have tests of their own."""

NO_CLOCK = {
    "contract",
    "cyber-insurance",
    "law-enforcement",
    "eu-digital-omnibus",
    "uk-csr-bill",
    "us-circia",
    "uk-nis",
    "pci-visa-pfi",
    "pci-mastercard-pfi",
    "us-ftc-hbnr-annual",
    "eu-gdpr-33-5",
    "pci-12.10",
}

EDGES = [
    ("2026-11-24T15:00", NY),  # Thanksgiving
    ("2026-12-31T23:59", NY),
    ("2027-01-01T00:00", NY),
    ("2027-02-28T12:00", HOST),
    ("2028-01-30T09:00", HOST),  # a leap year
    ("2028-01-31T23:30", HOST),
    ("2028-02-29T08:00", HOST),
    ("2027-03-26T22:30", HOST),  # clocks go forward on the 28th
    ("2026-10-24T23:45", HOST),  # and back on the 25th
    ("2027-03-12T01:30", LA),
    ("2026-10-31T00:30", CHICAGO),
    ("2026-07-03T10:00", NY),  # the 4th of July is a Saturday
    ("2027-12-23T17:31", NY),  # Christmas and New Year's Day are Saturdays
    ("2026-08-31T20:00", LONDON),
    ("2026-05-23T10:00", NY),  # a Saturday before Memorial Day
]


@cache
def regimes() -> Mapping[str, Regime]:
    found = load_regimes(None)
    assert found.problems == ()
    return found.known


def state(
    name: str,
    anchor: str,
    start: datetime,
    facts: Mapping[str, Fact] | None = None,
    zone: str = HOST,
) -> ClockState:
    submitted = anchor.removeprefix("submitted(").removesuffix(")")
    case = Case(
        instants={} if submitted != anchor else {Instant(anchor): start},
        submissions={submitted: start} if submitted != anchor else {},
        decisions={name: Decision(True, "test")},
        facts=facts or {},
        zone=zone,
    )
    return clock(regimes()[name], regimes(), case, NOW, HolidayCalendars())


def expected(unit: str, number: int, start: datetime, zone: str) -> datetime:
    if unit == "hours":
        return counted.after_hours(start, number)
    if unit == "days":
        return counted.after_days(start, number, zone)
    if unit == "months":
        return counted.after_months(start, number, zone)
    if unit == "year":
        return counted.after_year_end(start, number, zone)
    if unit == "weekdays":
        day = counted.after_business_days(start, number, zone, lambda _: False)
        return counted.end_of_local_day(day, zone)
    day = counted.after_business_days(start, number, zone, counted.is_federal_holiday)
    return datetime.combine(day, time(17, 30), tzinfo=ZoneInfo(zone))


def test_every_regime_with_a_clock_is_in_the_second_table() -> None:
    shipped = {name for name, regime in regimes().items() if not regime.own}
    assert shipped == {*LAW, *BY_HAND, *NO_CLOCK}
    assert {name for name, regime in regimes().items() if not regime.has_clock} == NO_CLOCK


@pytest.mark.parametrize("name", LAW)
def test_due_time_equals_the_one_that_is_counted(name: str) -> None:
    unit, number, anchor, authority = LAW[name]
    for text, place in EDGES:
        start = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(place)).astimezone(UTC)
        found = state(name, anchor, start)
        assert found.started_at == start
        if number is None:
            assert found.due_at is None
            continue
        assert found.due_at == expected(unit, number, start, authority or HOST), text
        assert found.target_at is not None
        assert start <= found.target_at <= found.due_at


@pytest.mark.parametrize(
    ("name", "day", "clock"),
    [
        ("us-ca-1798.82", "2026-12-31", "09:30"),  # 30 days
        ("eu-nis2-final", "2027-01-01", "18:30"),  # a month
        ("us-sec-8k-105", "2026-12-07", "12:30"),  # business days, before 17:30
    ],
)
def test_target_is_the_last_day_at_the_time_of_day_of_the_start(
    name: str, day: str, clock: str
) -> None:
    _, _, anchor, authority = LAW[name]
    found = state(name, anchor, datetime.fromisoformat("2026-12-01T17:30Z"))
    assert found.target_at is not None
    local = found.target_at.astimezone(ZoneInfo(authority or HOST))
    assert f"{local:%Y-%m-%d %H:%M}" == f"{day} {clock}"


def starts(zone: str) -> Iterator[datetime]:
    """Every fifth hour or so of five weeks around each change of clocks, and of month ends."""
    for first in ("2027-03-01", "2026-10-10", "2028-01-25", "2027-04-20"):
        at = datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        for _ in range(12):
            yield at
            at += timedelta(hours=67, minutes=45)


@pytest.mark.parametrize(
    "zone",
    [
        HOST,
        LA,
        "UTC",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",  # its clocks change by half an hour
        "America/Santiago",  # its clocks change at midnight
        "Africa/Cairo",
        "Pacific/Apia",
    ],
)
def test_days_months_and_hours_in_many_zones(zone: str) -> None:
    for start in starts(zone):
        for name, unit, number in (
            ("us-hipaa-individuals", "days", 60),
            ("eu-cra-vulnerability-final", "days", 14),
            ("eu-nis2-final", "months", 1),
            ("eu-gdpr-33", "hours", 72),
            ("pci-visa-accounts", "weekdays", 10),
        ):
            anchor = LAW[name][2]
            due = state(name, anchor, start, zone=zone).due_at
            assert due == expected(unit, number, start, zone), (name, start)


VECTORS = [
    ("eu-gdpr-33", "aware", "2027-03-26T21:30Z", "2027-03-29T21:30Z"),
    ("eu-nis2-ew", "aware", "2026-12-31T08:15Z", "2027-01-01T08:15Z"),
    ("eu-nis2-notification", "aware", "2026-12-31T08:15Z", "2027-01-03T08:15Z"),
    ("us-sec-8k-105", "materiality_determined", "2026-11-24T15:00Z", "2026-12-01T22:30Z"),
    ("us-bank-36h", "determined", "2026-11-01T04:30Z", "2026-11-02T16:30Z"),
]


@pytest.mark.parametrize(("name", "anchor", "start", "due"), VECTORS)
def test_deadlines_equal_the_examples_of_the_official_sources(
    name: str, anchor: str, start: str, due: str
) -> None:
    assert state(name, anchor, datetime.fromisoformat(start)).due_at == datetime.fromisoformat(due)


@pytest.mark.parametrize(
    ("name", "discovered", "last"),
    [
        ("us-hipaa-individuals", "2026-12-31", "2027-03-01"),
        ("us-hipaa-individuals", "2026-11-10", "2027-01-09"),
        ("us-hipaa-hhs-annual", "2026-06-01", "2027-03-01"),
        ("us-hipaa-hhs-annual", "2027-06-01", "2028-02-29"),
    ],
)
def test_the_last_days_of_hipaa_reports_count_in_the_zone_of_the_organisation(
    name: str, discovered: str, last: str
) -> None:
    start = datetime.fromisoformat(discovered).replace(hour=12, tzinfo=ZoneInfo(NY))
    assert state(name, "discovered", start, zone=NY).last_day == date.fromisoformat(last)


def dora(facts: Mapping[str, Fact], aware: str, classified: str) -> ClockState:
    zone = ZoneInfo("Europe/Paris")
    case = Case(
        instants={
            Instant.AWARE: datetime.fromisoformat(aware).replace(tzinfo=zone),
            Instant.CLASSIFIED: datetime.fromisoformat(classified).replace(tzinfo=zone),
        },
        decisions={"eu-dora-initial": Decision(True, "test")},
        facts=facts,
        zone="Europe/Paris",
    )
    return clock(regimes()["eu-dora-initial"], regimes(), case, NOW, HolidayCalendars())


def test_dora_is_strict_on_a_weekend_and_relieved_to_noon_only_where_the_law_allows_it() -> None:
    strict = datetime.fromisoformat("2026-12-19T02:30Z")
    noon = datetime(2026, 12, 21, 12, tzinfo=ZoneInfo("Europe/Paris"))
    times = "2026-12-18T20:00", "2026-12-18T23:30"
    relieved = dora({"entity": "financial-entity", "member_state": "FR"}, *times)
    assert (relieved.target_at, relieved.due_at) == (strict, noon)
    for facts in (
        {},  # nobody said what it is
        {"entity": "financial-entity"},  # nobody said where
        {"entity": "credit-institution", "member_state": "FR"},
        {"entity": "financial-entity, essential", "member_state": "FR"},
    ):
        state = dora(facts, *times)
        assert (state.target_at, state.due_at) == (strict, strict), facts


def test_dora_relief_knows_the_bank_holidays_of_a_part_of_a_member_state() -> None:
    times = "2027-01-05T22:00", "2027-01-05T22:30"  # the day before Epiphany
    for place, day in (("DE-BY", 7), ("DE-HH", 6)):
        found = dora({"entity": "financial-entity", "member_state": place}, *times)
        assert found.due_at is not None
        assert found.due_at.astimezone(ZoneInfo("Europe/Paris")).day == day


def test_dora_classified_after_24_hours_has_4_hours_from_the_classification() -> None:
    paris = ZoneInfo("Europe/Paris")
    early = dora({}, "2026-12-14T08:00", "2026-12-14T09:00")
    assert early.due_at == datetime(2026, 12, 14, 13, tzinfo=paris)
    close = dora({}, "2026-12-14T08:00", "2026-12-15T06:00")  # 24 hours from awareness are earlier
    assert close.due_at == datetime(2026, 12, 15, 8, tzinfo=paris)
    later = dora({}, "2026-12-14T08:00", "2026-12-15T14:00")
    assert later.due_at == datetime(2026, 12, 15, 18, tzinfo=paris)


def test_sec_period_begins_on_the_first_business_day_after_a_weekend() -> None:
    """Counted as Form 8-K, General Instruction B.1, has it: that day is the first of four."""
    for day in range(28):
        start = datetime(2026, 11, 2 + day, 12, tzinfo=ZoneInfo(NY))
        if start.weekday() < 5 and not counted.is_federal_holiday(start.date()):
            continue
        first = counted.after_business_days(start, 1, NY, counted.is_federal_holiday)
        last, left = first, 3
        while left:
            last += timedelta(days=1)
            left -= last.weekday() < 5 and not counted.is_federal_holiday(last)
        found = state("us-sec-8k-105", "materiality_determined", start)
        assert found.last_day == last


def test_closures_are_not_business_days() -> None:
    """EDGAR is also closed on days that the President names."""
    regime = replace(regimes()["us-sec-8k-105"], closures=(date(2026, 12, 24),))
    at = datetime(2026, 12, 21, 12, tzinfo=ZoneInfo(NY))
    case = Case({Instant.MATERIALITY_DETERMINED: at})
    days = [
        clock(r, {r.id: r}, case, NOW, HolidayCalendars()).last_day
        for r in (regimes()["us-sec-8k-105"], regime)
    ]
    assert days == [date(2026, 12, 28), date(2026, 12, 29)]


def test_no_regime_that_is_only_proposed_has_a_due_time() -> None:
    for name, regime in regimes().items():
        if regime.status is Status.PROPOSED or name in NO_CLOCK:
            case = Case(dict.fromkeys(Instant, NOW), decisions={name: Decision(True, "x")})
            found = clock(regime, regimes(), case, NOW, HolidayCalendars())
            assert (found.due_at, found.target_at) == (None, None)
            assert found.no_clock

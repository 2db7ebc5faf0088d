"""The states of clocks, and the traps of the law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from drd.config.regimes import load_regimes
from drd.holiday_calendars import HolidayCalendars
from drd.model.incidents.instants import Instant
from drd.model.malformed import Malformed
from drd.model.obligations.anchors import Anchor
from drd.model.obligations.calendars import NoHolidays
from drd.model.obligations.case import Case, Decision, Hold
from drd.model.obligations.clocks import ClockKind, ClockState, clock, clocks
from drd.model.obligations.conditions import Condition, Fact, Facts
from drd.model.obligations.regime import HoldKind, Regime
from drd.model.obligations.rules import Setting

AT = datetime(2026, 12, 1, 9, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
YES = Decision(True, "it is ours")


@cache
def regimes() -> Mapping[str, Regime]:
    return load_regimes(None).known


def of(name: str, case: Case, now: datetime = AT) -> ClockState:
    return clock(regimes()[name], regimes(), case, now, HolidayCalendars())


def gdpr(now: datetime, **case: object) -> ClockState:
    given = {"instants": {Instant.AWARE: AT}, "decisions": {"eu-gdpr-33": YES}, **case}
    return of("eu-gdpr-33", Case(**given), now)  # type: ignore[arg-type]


# --- states -----------------------------------------------------------------------------------


def test_a_clock_runs_gets_near_and_is_overdue_only_after_its_time() -> None:
    due = AT + 72 * HOUR
    assert gdpr(AT).kind is ClockKind.RUNNING
    assert gdpr(due - 18 * HOUR - timedelta(seconds=1)).kind is ClockKind.RUNNING
    assert gdpr(due - 18 * HOUR).kind is ClockKind.DUE_SOON
    assert gdpr(due).kind is ClockKind.DUE_SOON
    assert gdpr(due + timedelta(microseconds=1)).kind is ClockKind.OVERDUE


def test_the_next_change_is_known_beforehand() -> None:
    changes, now = [], AT
    while (at := gdpr(now).changes_after(now)) is not None:
        changes.append((at - AT) / HOUR)
        now = at
    assert changes == [54, 72]
    assert gdpr(AT, submissions={"eu-gdpr-33": AT}).changes_after(AT) is None


def test_a_clock_that_has_not_started_is_never_overdue() -> None:
    found = gdpr(AT + 400 * DAY, instants={})
    assert found.kind is ClockKind.NOT_STARTED
    assert not found.late
    assert found.awaits == (Anchor.parse("aware"),)


def test_undecided_shows_the_same_times_and_whether_they_have_passed() -> None:
    found = gdpr(AT + 80 * HOUR, decisions={})
    assert found.kind is ClockKind.UNDECIDED
    assert found.due_at == AT + 72 * HOUR
    assert found.late


def test_not_applicable_needs_a_decision_and_keeps_its_reason() -> None:
    no = {"eu-gdpr-33": Decision(False, "no personal data")}
    found = gdpr(AT + 80 * HOUR, decisions=no)
    assert (found.kind, found.reason) == (ClockKind.NOT_APPLICABLE, "no personal data")
    by_facts = gdpr(AT, decisions={}, facts={"personal_data": False, "role": "controller"})
    assert by_facts.kind is ClockKind.UNDECIDED
    assert by_facts.proposed is False
    assert by_facts.because == ("role in controller", "personal_data does not hold")


def test_lateness_goes_by_the_time_of_submission_not_by_the_present() -> None:
    due, much_later = AT + 72 * HOUR, AT + 400 * DAY
    in_time = gdpr(much_later, submissions={"eu-gdpr-33": due})
    assert (in_time.kind, in_time.late) == (ClockKind.FILED, False)
    late = gdpr(much_later, submissions={"eu-gdpr-33": due + timedelta(seconds=1)})
    assert (late.kind, late.late) == (ClockKind.FILED_LATE, True)


def test_lateness_goes_by_the_clock_of_the_authority() -> None:
    """17:30 in New York is the end of the day for the SEC, wherever the host is."""
    at = datetime.fromisoformat("2026-11-24T10:00-05:00")
    for text, kind in (("22:30", ClockKind.FILED), ("22:31", ClockKind.FILED_LATE)):
        sent = datetime.fromisoformat(f"2026-12-01T{text}+00:00")
        case = Case(
            {Instant.MATERIALITY_DETERMINED: at},
            submissions={"us-sec-8k-105": sent},
            zone="Asia/Tokyo",
        )
        assert of("us-sec-8k-105", case).kind is kind


def test_a_duty_without_a_number_is_never_overdue_and_has_a_target() -> None:
    case = Case({Instant.AWARE: AT}, decisions={"eu-gdpr-33-2": YES})
    found = of("eu-gdpr-33-2", case, AT + 90 * DAY)
    assert (found.kind, found.late) == (ClockKind.DUE_SOON, False)
    assert (found.target_at, found.due_at) == (AT + DAY, None)


def test_a_missing_count_shows_the_worst_case() -> None:
    facts: Facts = {"entity": "hipaa-covered", "health_information": True, "encrypted": False}
    case = Case({Instant.DISCOVERED: AT}, facts=facts)
    for name in ("us-hipaa-hhs-500", "us-hipaa-hhs-annual", "us-hipaa-media"):
        found = of(name, case)
        assert found.kind is ClockKind.SCOPE_NOT_DECLARED
        assert found.due_at is not None
        assert found.missing in (("people",), ("residents.*",))
    known = Case({Instant.DISCOVERED: AT}, facts={**facts, "people": 12})
    assert of("us-hipaa-hhs-annual", known).kind is ClockKind.UNDECIDED
    assert of("us-hipaa-hhs-500", known).proposed is False


def test_a_special_case_that_nobody_excluded_tightens_the_target_alone() -> None:
    def nis2(facts: Facts) -> tuple[float, float]:
        found = of("eu-nis2-notification", Case({Instant.AWARE: AT}, facts=facts))
        assert found.target_at is not None
        assert found.due_at is not None
        return (found.target_at - AT) / HOUR, (found.due_at - AT) / HOUR

    assert nis2({}) == (24, 72)
    assert nis2({"entity": "essential"}) == (72, 72)
    assert nis2({"entity": "essential, trust-service-provider"}) == (24, 24)


def test_an_alternative_that_may_apply_tightens_the_target_and_one_that_does_the_due_time(
    tmp_path: Path,
) -> None:
    (tmp_path / "acme.yaml").write_text(
        "id: acme\nextends: contract\nrule: {earliest_of: [{within: {hours: 24}, "
        'if: ["people >= 500"]}, {within: {hours: 72}}]}\n'
    )
    acme = load_regimes(tmp_path).known["acme"]
    for people, hours in ((None, (24, 72)), (500, (24, 24)), (499, (72, 72))):
        case = Case({Instant.AWARE: AT}, {"people": people})
        found = clock(acme, {}, case, AT, NoHolidays())
        assert (found.target_at, found.due_at) == tuple(AT + h * HOUR for h in hours)


# --- holds ------------------------------------------------------------------------------------


def held(hold: Hold, now: datetime, name: str = "us-hipaa-individuals") -> ClockState:
    case = Case(
        {Instant.DISCOVERED: AT, Instant.MATERIALITY_DETERMINED: AT},
        decisions={name: YES},
        holds={name: hold},
    )
    return of(name, case, now)


def test_a_written_hold_lasts_as_stated_and_an_oral_one_30_days() -> None:
    since = AT + 50 * DAY
    until = since + 90 * DAY
    written = held(Hold(HoldKind.LAW_ENFORCEMENT, since, until), since)
    assert (written.kind, written.hold_until) == (ClockKind.ON_HOLD, until)
    assert (written.target_at, written.due_at) == (until, until)
    oral = held(Hold(HoldKind.LAW_ENFORCEMENT, since, until, oral=True), since)
    assert (oral.hold_until, oral.due_at) == (since + 30 * DAY, since + 30 * DAY)
    assert held(Hold(HoldKind.LAW_ENFORCEMENT, since, until), until + DAY).kind is ClockKind.OVERDUE


def test_a_hold_that_ends_before_the_due_time_moves_nothing() -> None:
    hold = Hold(HoldKind.LAW_ENFORCEMENT, AT, AT + 10 * DAY)
    free = of("us-hipaa-individuals", Case({Instant.DISCOVERED: AT}))
    assert held(hold, AT + 20 * DAY).due_at == free.due_at
    assert held(hold, AT + 20 * DAY).kind is ClockKind.RUNNING


def test_a_hold_of_somebody_whom_the_law_does_not_name_moves_nothing() -> None:
    stranger = Hold(HoldKind.ATTORNEY_GENERAL, AT, AT + 90 * DAY)
    assert held(stranger, AT + 70 * DAY).kind is ClockKind.OVERDUE
    long = Hold(HoldKind.ATTORNEY_GENERAL, AT, AT + 500 * DAY)
    assert held(long, AT, "us-sec-8k-105").hold_until == AT + 30 * DAY


def test_a_hold_that_is_asked_for_after_the_report_was_due_does_not_make_it_timely() -> None:
    due = of("us-hipaa-individuals", Case({Instant.DISCOVERED: AT})).due_at
    assert due is not None
    after = Hold(HoldKind.LAW_ENFORCEMENT, due + HOUR, due + 40 * DAY)
    found = held(after, due + 2 * HOUR)
    assert (found.kind, found.due_at, found.late) == (ClockKind.OVERDUE, due, True)
    assert found.hold_until == due + 40 * DAY
    last = replace(after, since=due)
    assert held(last, due + 2 * HOUR).kind is ClockKind.ON_HOLD


def test_a_later_statement_replaces_an_earlier_one_unless_it_comes_too_late() -> None:
    due = of("us-hipaa-individuals", Case({Instant.DISCOVERED: AT})).due_at
    assert due is not None
    first = Hold(HoldKind.LAW_ENFORCEMENT, AT, due + 10 * DAY)
    longer = Hold(HoldKind.LAW_ENFORCEMENT, due + 10 * DAY, due + 20 * DAY, before=first)
    assert held(longer, due + 15 * DAY).due_at == due + 20 * DAY
    shorter = Hold(HoldKind.LAW_ENFORCEMENT, AT + DAY, due + 5 * DAY, before=first)
    assert held(shorter, due).due_at == due + 5 * DAY
    lifted = Hold(HoldKind.LAW_ENFORCEMENT, AT + DAY, AT + 2 * DAY, before=first)
    assert held(lifted, due).due_at == due
    late = Hold(HoldKind.LAW_ENFORCEMENT, due + 11 * DAY, due + 20 * DAY, before=first)
    found = held(late, due + 12 * DAY)
    assert (found.kind, found.due_at) == (ClockKind.OVERDUE, due + 10 * DAY)


# --- traps ------------------------------------------------------------------------------------


def months(name: str, **case: object) -> str:
    due = of(name, Case(**case)).due_at  # type: ignore[arg-type]
    assert due is not None
    return due.isoformat()[:10]  # the day after the last, in UTC


def test_the_month_of_nis2_counts_from_the_submission_and_filing_early_moves_it_forward() -> None:
    aware = {Instant.AWARE: AT}
    late = {"eu-nis2-notification": AT + 3 * DAY}
    early = {"eu-nis2-notification": AT + HOUR}
    assert months("eu-nis2-final", instants=aware, submissions=late) == "2027-01-05"
    assert months("eu-nis2-final", instants=aware, submissions=early) == "2027-01-02"
    assert of("eu-nis2-final", Case(aware)).started_at is None


def test_the_month_of_dora_counts_from_the_latest_intermediate_report() -> None:
    first = {"eu-dora-intermediate": AT}
    updated = {**first, "eu-dora-intermediate-update": AT + 5 * DAY}
    assert months("eu-dora-final", submissions=first) == "2027-01-02"
    assert months("eu-dora-final", submissions=updated) == "2027-01-07"


def test_an_ongoing_incident_has_a_progress_report_and_then_a_month_from_its_handling() -> None:
    told = {"eu-nis2-notification": AT}
    assert months("eu-nis2-progress", submissions=told) == "2027-01-02"
    assert of("eu-nis2-progress", Case(submissions=told)).proposed is None  # of the entity
    sent = {**told, "eu-nis2-progress": AT + 31 * DAY}
    assert of("eu-nis2-final", Case(submissions=sent)).started_at is None
    handled = {Instant.HANDLED: AT + 60 * DAY}
    assert months("eu-nis2-final", submissions=sent, instants=handled) == "2027-03-01"
    soon = Case({Instant.HANDLED: AT + DAY}, {"entity": "essential"}, told)
    assert of("eu-nis2-progress", soon).proposed is False
    open_ = Case({}, {"entity": "essential"}, told)
    assert of("eu-nis2-progress", open_).proposed is True


def test_a_notice_of_lateness_is_due_with_the_next_report_that_is_open() -> None:
    instants = {Instant.CLASSIFIED: AT, Instant.AWARE: AT}
    late = of("eu-dora-late", Case(instants))
    assert late.due_at == AT + 4 * HOUR
    told = Case(instants, submissions={"eu-dora-initial": AT + HOUR})
    assert of("eu-dora-late", told).due_at == AT + 73 * HOUR
    no = {"eu-dora-initial": Decision(False, "not major")}
    assert of("eu-dora-late", Case(instants, decisions=no)).started_at is None


@pytest.mark.parametrize(
    ("name", "fact", "applies_from"),
    [
        ("us-hipaa-hhs-500", "people", 500),  # 500 or more
        ("us-hipaa-media", "residents.US-NV", 501),  # more than 500 of one State
        ("us-ca-ag", "residents.US-CA", 501),  # more than 500
        ("us-tx-ag", "residents.US-TX", 250),  # at least 250
        ("us-ftc-safeguards", "people", 500),
        ("us-ftc-hbnr-media", "residents.US-NV", 500),
    ],
)
def test_500_or_more_is_not_more_than_500(name: str, fact: str, applies_from: int) -> None:
    entity = "hipaa-covered, ftc-financial, phr-vendor"
    for count in (applies_from - 1, applies_from):
        facts: dict[str, Fact] = {"entity": entity, "health_information": True}
        facts |= {"personal_data": True, "encrypted": False, "people": count, fact: count}
        assert of(name, Case(facts=facts)).proposed is (count == applies_from), count
    annual = of("us-hipaa-hhs-annual", Case(facts={**facts, "people": 499}))
    assert annual.proposed is True


def test_the_largest_state_counts_and_unknown_homes_may_all_be_one() -> None:
    media = Condition.parse("residents.* > 500")

    def holds(facts: Facts) -> bool | None:
        return media.holds(Setting(facts, {}, ZoneInfo("UTC"), NoHolidays()))

    assert holds({}) is None
    assert holds({"people": 500}) is False
    assert holds({"people": 501}) is None
    assert holds({"people": 5000, "residents.US-CA": 501}) is True
    assert holds({"people": 900, "residents.US-CA": 450, "residents.US-TX": 450}) is False
    assert holds({"people": 900, "residents.US-CA": 400}) is None
    assert holds({"people": 800, "residents.US-CA": 400, "residents.US-TX": None}) is None


def test_no_place_has_more_residents_affected_than_there_are_people() -> None:
    texans = Condition.parse("residents.US-TX >= 250")

    def holds(facts: Facts) -> bool | None:
        return texans.holds(Setting(facts, {}, ZoneInfo("UTC"), NoHolidays()))

    assert holds({"people": 249}) is False
    assert holds({"people": 250}) is None
    assert holds({"residents.US-CA": 3}) is None
    assert (
        Condition.parse("people >= 250").holds(
            Setting({"residents.US-TX": 3}, {}, ZoneInfo("UTC"), NoHolidays())
        )
        is None
    )


def test_gdpr_has_three_thresholds() -> None:
    base: dict[str, Fact] = {"role": "controller", "personal_data": True, "encrypted": False}

    def proposed(risk: str) -> list[bool | None]:
        names = ("eu-gdpr-33", "eu-gdpr-34", "eu-gdpr-33-5")
        return [of(n, Case(facts={**base, "risk": risk})).proposed for n in names]

    assert proposed("none") == [False, False, True]
    assert proposed("some") == [True, False, True]
    assert proposed("high") == [True, True, True]
    record = regimes()["eu-gdpr-33-5"]
    assert record.rule is None
    assert "reason" in {item.key for item in record.content}


def test_a_processor_reports_to_the_controller_whose_clock_starts_when_it_is_told() -> None:
    processor = regimes()["eu-gdpr-33-2"]
    assert processor.recipient.role == "controller"
    told = Case({Instant.NOTIFIED_BY_THIRD_PARTY: AT}, decisions={"eu-gdpr-33": YES})
    found = of("eu-gdpr-33", told)
    assert found.kind is ClockKind.NOT_STARTED  # aware is for a person to state
    assert found.prompt_at == AT + 72 * HOUR


def test_the_sec_clock_starts_at_materiality_and_its_lack_is_a_reminder() -> None:
    case = Case({Instant.DISCOVERED: AT}, decisions={"us-sec-8k-105": YES})
    found = of("us-sec-8k-105", case, AT + 30 * DAY)
    assert (found.kind, found.due_at) == (ClockKind.NOT_STARTED, None)
    assert found.prompt_at == AT + 72 * HOUR
    assert of("us-sec-8k-105", case).changes_after(AT) == found.prompt_at


def test_only_regimes_of_the_places_are_proposed_and_decided_ones_stay() -> None:
    case = Case({Instant.AWARE: AT}, jurisdictions=("DE",), facts={"residents.US-CA": 7})
    found = {s.regime.jurisdiction for s in clocks(regimes().values(), case, AT, NoHolidays())}
    assert found == {"EU", "US", "US-CA", "cards"}
    own = Case(jurisdictions=("DE",), decisions={"uk-gdpr-33": YES})
    ids = {s.regime.id for s in clocks(regimes().values(), own, AT, NoHolidays())}
    assert "uk-gdpr-33" in ids
    assert "uk-gdpr-34" not in ids
    assert not ids & {"contract", "eu-digital-omnibus"}


def test_people_of_unknown_residence_may_live_where_a_regime_protects_residents() -> None:
    facts = {"people": 9000, "residents.DE": 8100, "residents.unknown": 900}
    found = clocks(regimes().values(), Case({Instant.AWARE: AT}, facts=facts), AT, NoHolidays())
    states = {state.regime.id: state for state in found}
    assert "residents.US-CA" in states["us-ca-ag"].missing
    assert states["us-ca-1798.82"].proposed is None
    assert states["us-ca-1798.82"].missing == ("residents.unknown", "personal_data", "encrypted")
    assert "us-hipaa-media" not in states


def test_people_of_a_country_without_a_state_may_live_in_each_state() -> None:
    facts: dict[str, Fact] = {"people": 5010, "residents.US": 5000, "residents.US-TX": 10}
    found = clocks(regimes().values(), Case({Instant.AWARE: AT}, facts=facts), AT, NoHolidays())
    states = {state.regime.id: state for state in found}
    assert states["us-ny-899aa"].missing == ("residents.US", "personal_data", "encrypted")
    assert states["us-ca-ag"].missing[0] == "residents.US"
    assert states["us-tx-ag"].proposed is None  # 10 people in Texas are certain, 250 possible
    assert "eu-gdpr-33" not in states
    facts["residents.US"] = 0
    found = clocks(regimes().values(), Case({Instant.AWARE: AT}, facts=facts), AT, NoHolidays())
    states = {state.regime.id: state for state in found}
    assert "us-ny-899aa" not in states
    assert states["us-tx-ag"].proposed is False


@pytest.mark.parametrize("place", ["NO", "RE", "AX", "DE-BY", "EL"])
def test_the_law_of_the_union_covers_the_whole_area_where_it_applies(place: str) -> None:
    case = Case({Instant.AWARE: AT}, facts={"people": 9, f"residents.{place}": 9})
    found = clocks(regimes().values(), replace(case, jurisdictions=("US-CA",)), AT, NoHolidays())
    assert "eu-gdpr-33" in {state.regime.id for state in found}


def test_a_rule_that_begins_later_is_not_proposed_before() -> None:
    def ids(now: datetime) -> set[str]:
        found = clocks(regimes().values(), Case(), now, NoHolidays())
        return {state.regime.id for state in found}

    assert "eu-cra-incident" not in ids(datetime(2026, 9, 10, tzinfo=UTC))
    assert "eu-cra-incident" in ids(datetime(2026, 9, 11, tzinfo=UTC))


# --- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["people => 500", "people", "Entity in a", "entity in", "a=b=c"])
def test_a_condition_is_read_or_refused(text: str) -> None:
    if text == "people":
        assert Condition.parse(text).operator == "is"
        return
    with pytest.raises(Malformed, match="is not a condition"):
        Condition.parse(text)


@pytest.mark.parametrize("text", ["awre", "submitted()", "due(A)", "submitted(x"])
def test_an_anchor_is_an_instant_or_a_report(text: str) -> None:
    with pytest.raises(Malformed, match="is not a moment"):
        Anchor.parse(text)

"""The iCalendar file, and what entries say about duties to report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from drd.config.regimes import kept_regime, load_regimes
from drd.holiday_calendars import HolidayCalendars
from drd.model.incidents import entries as kinds
from drd.model.incidents.duties import Duties, duties, facts_of
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.incident import Incident
from drd.model.incidents.instants import Instant
from drd.model.inventory import DataSet
from drd.model.obligations.case import Case, Decision
from drd.model.obligations.clocks import clocks
from drd.model.obligations.icalendar import icalendar
from tests.records_support import ANNA, Chain

AT = datetime(2026, 12, 1, 9, tzinfo=UTC)


def calendar(case: Case, *names: str) -> str:
    known = load_regimes(None).known
    states = clocks([known[name] for name in names], case, AT, HolidayCalendars())
    return icalendar(7, states, AT, case.zone, 42)


def test_a_period_that_ends_at_24_00_stands_on_its_last_day() -> None:
    text = calendar(Case({Instant.DISCOVERED: AT}), "us-ca-1798.82")
    # 2026-12-31 24:00 PST is 08:00 UTC of the next day.
    assert "DTSTART:20270101T075900Z\r\n" in text
    assert "2026-12-31 24:00 PST" in text.replace("\r\n ", "")


def test_each_time_of_a_clock_is_an_event() -> None:
    def events(case: Case, *names: str) -> list[tuple[str, str]]:
        parts = calendar(case, *names).replace("\r\n ", "").split("BEGIN:VEVENT")[1:]
        lines = [line for part in parts if "CANCELLED" not in part for line in part.split("\r\n")]
        starts = [line.partition(":")[2] for line in lines if line.startswith("DTSTART:")]
        summaries = [line.partition(":")[2] for line in lines if line.startswith("SUMMARY:")]
        return list(zip(starts, summaries, strict=True))

    aware = Case({Instant.AWARE: AT})
    assert events(aware, "eu-gdpr-33") == [("20261204T090000Z", "due: eu-gdpr-33 (incident 7)")]
    assert events(aware, "eu-gdpr-33-2") == [
        ("20261202T090000Z", "target: eu-gdpr-33-2 (incident 7)")
    ]
    days = Case({Instant.DISCOVERED: AT})
    assert events(days, "us-ca-1798.82") == [
        ("20270101T075900Z", "due: us-ca-1798.82 (incident 7)"),
        ("20261231T090000Z", "target: us-ca-1798.82 (incident 7)"),
    ]
    material = Case({Instant.MATERIALITY_DETERMINED: AT, Instant.DISCOVERED: AT})
    due = [start for start, summary in events(material, "us-sec-8k-105") if "due" in summary]
    assert due == ["20261207T223000Z"]  # 17:30 in New York, on the last day itself
    ask = Case({Instant.DISCOVERED: AT})
    assert events(ask, "us-sec-8k-105") == [
        ("20261204T090000Z", "determine: us-sec-8k-105 (incident 7)")
    ]


def test_lines_are_folded_at_75_octets_and_text_is_escaped() -> None:
    text = calendar(Case({Instant.AWARE: AT}), "eu-gdpr-33", "uk-gdpr-33")
    assert text.endswith("END:VCALENDAR\r\n")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    unfolded = text.replace("\r\n ", "")
    assert "DESCRIPTION:Personal data breach\\, to the supervisory authority." in unfolded
    assert unfolded.count("END:VALARM") == 2
    assert unfolded.count("BEGIN:VEVENT") == unfolded.count("END:VEVENT") == 4
    assert unfolded.count("STATUS:CANCELLED") == 2  # nobody has to determine anything any more


def test_control_characters_of_a_regime_stay_out_of_the_calendar() -> None:
    regime = load_regimes(None).known["eu-gdpr-33"]
    hostile = replace(regime, title="a\rATTACH:x\x1b[2J\x07\nb")
    states = clocks([hostile], Case({Instant.AWARE: AT}), AT, HolidayCalendars())
    text = icalendar(7, states, AT, "UTC", 42)
    assert "DTEND" not in text  # RFC 5545, 3.8.2.2: it would have to be later than the start
    lines = text.replace("\r\n ", "").split("\r\n")
    assert all(line.isprintable() for line in lines)
    assert any(line.startswith(r"DESCRIPTION:a\\rATTACH:x\\x1b[2J\\x07\nb.") for line in lines)


def test_events_of_duties_that_are_submitted_or_do_not_apply_are_cancelled() -> None:
    known = {Instant.AWARE: AT, Instant.DISCOVERED: AT}

    def uids(text: str) -> dict[str, str]:
        events = text.replace("\r\n ", "").split("BEGIN:VEVENT")[1:]
        assert all("SEQUENCE:42\r\n" in event and "DTSTART:" in event for event in events)
        return {
            event.partition("UID:")[2].partition("\r\n")[0]: "cancelled"
            if "STATUS:CANCELLED" in event and "VALARM" not in event
            else "open"
            for event in events
        }

    open_ones = uids(calendar(Case(known), "us-ca-1798.82"))
    assert set(open_ones.values()) == {"open"}
    filed = Case(known, submissions={"us-ca-1798.82": AT})
    no = Case(known, decisions={"us-ca-1798.82": Decision(False, "x")})
    for case in (filed, no):
        assert uids(calendar(case, "us-ca-1798.82")) == dict.fromkeys(open_ones, "cancelled")
    assert "VEVENT" not in calendar(Case(known, {"personal_data": False}), "eu-gdpr-33")
    # The clock runs: nobody has to determine any more what starts it.
    [(asked, _)] = uids(calendar(Case(known), "us-sec-8k-105")).items()
    material = Case({**known, Instant.MATERIALITY_DETERMINED: AT})
    running = uids(calendar(material, "us-sec-8k-105"))
    assert running.pop(asked) == "cancelled"
    assert set(running.values()) == {"open"}
    undated = Case({}, submissions={"eu-gdpr-33": AT})
    assert "VEVENT" not in calendar(undated, "eu-gdpr-33")


# --- entries ----------------------------------------------------------------------------------


class Said(Chain):
    def say(self, **body: Any) -> Duties:
        at = AT + timedelta(minutes=len(self.entries))
        self.add(draft(kinds.OBLIGATION, 1, Author("anna", at, ANNA), body))
        return duties(self.entries)


def test_the_first_report_decides_what_is_late_and_the_newest_is_an_update() -> None:
    chain = Said()
    chain.say(act="submit", regime="eu-dora-intermediate", at=AT + timedelta(days=2))
    said = chain.say(act="submit", regime="eu-dora-intermediate", at=AT + timedelta(days=5))
    case = said.case(Incident(1), {}, (), "UTC")
    known = load_regimes(None).known
    final, intermediate = (
        clocks([known[name]], case, AT, HolidayCalendars())[0]
        for name in ("eu-dora-final", "eu-dora-intermediate")
    )
    assert intermediate.submitted_at == AT + timedelta(days=2)
    assert final.due_at == datetime(2027, 1, 7, tzinfo=UTC)  # a month from the newest


def test_facts_of_a_person_replace_those_of_the_plans() -> None:
    said = Said().say(act="facts", facts={"people": None, "risk": "high"})
    case = said.case(Incident(1), {"people": 5000, "role": "controller"}, ("DE",), "UTC")
    assert case.facts == {"people": None, "role": "controller", "risk": "high"}


def test_a_decision_keeps_the_regime_as_it_was() -> None:
    text = load_regimes(None).texts["eu-gdpr-33"]
    chain = Said()
    said = chain.say(act="decide", regime="eu-gdpr-33", applies=True, reason="x", text=dict(text))
    assert said.texts["eu-gdpr-33"] == text
    kept = kept_regime(said.texts["eu-gdpr-33"])
    assert kept is not None
    assert kept.rule == load_regimes(None).known["eu-gdpr-33"].rule
    assert chain.say(act="decide", regime="eu-gdpr-33", applies=False, reason="y").texts == {}


def test_an_entry_that_cannot_be_read_has_no_effect() -> None:
    chain = Said()
    for body in ({"act": "dance"}, {"act": "submit", "regime": "x", "at": "soon"}, {}):
        assert chain.say(**body) == Duties()
    assert kept_regime({"id": "x", "rule": 5}) is None
    assert kept_regime({"id": "x"}) is None


def test_facts_of_the_plans_are_the_worst_case() -> None:
    one = DataSet("a", people=100, residents=(("DE", 60), ("US-CA", 40)), encrypted=True)
    two = DataSet("b", people=50, residents=(("DE", 50),), encrypted=False)
    assert facts_of([]) == {}
    assert facts_of([one, two]) == {
        "personal_data": True,
        "people": 150,
        "residents.DE": 110,
        "residents.US-CA": 40,
        "encrypted": False,
    }
    unknown = facts_of([one, DataSet("c", residents=(("DE", None),))])
    assert (unknown["people"], unknown["residents.DE"], unknown["encrypted"]) == (None, None, None)
    assert "residents.unknown" not in unknown


def test_people_of_data_without_residents_may_live_anywhere() -> None:
    german = DataSet("a", people=100, residents=(("DE", 90), ("unknown", 10)))
    unknown = "residents.unknown"
    assert facts_of([german, DataSet("b", people=50)])[unknown] == 60
    assert facts_of([german, DataSet("b")])[unknown] is None
    assert unknown not in facts_of([DataSet("b", people=0)])
    for people, residents, left in (
        (50, (("DE", 40),), 10),
        (50, (("DE", 50),), None),
        (50, (("DE", 40), ("FR", 20)), None),
        (50, (("DE", 40), ("FR", None)), None),
        (None, (("DE", 40),), None),
        (50, (("DE", 40), ("unknown", 3)), 10),
    ):
        found = facts_of([DataSet("b", people=people, residents=residents)])
        assert found.get(unknown) == left, residents
    case = Case({Instant.AWARE: AT}, facts=facts_of([DataSet("b", people=50)]))
    here = replace(case, jurisdictions=("DE",))
    found = clocks(load_regimes(None).known.values(), here, AT, HolidayCalendars())
    states = {state.regime.id: state for state in found}
    assert unknown in states["us-ca-1798.82"].missing
    assert states["us-ca-1798.82"].proposed is None
    assert unknown not in states["eu-gdpr-33"].missing
    settled = replace(here, facts={**here.facts, unknown: 0})
    found = clocks(load_regimes(None).known.values(), settled, AT, HolidayCalendars())
    assert "us-ca-1798.82" not in {state.regime.id for state in found}

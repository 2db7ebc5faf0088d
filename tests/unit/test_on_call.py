"""Hours, turns and contacts: every boundary. Values of an incident for a message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from drd.model.contacts import (
    Absence,
    Colleague,
    Contact,
    ContactBook,
    ContactKind,
    Duty,
    Hours,
    OnCall,
    Span,
    spans,
)
from drd.model.incidents.affected import Affected, Known
from drd.model.incidents.cadence import Cadence, Told, UpdateClock
from drd.model.incidents.incident import Incident, Task
from drd.model.incidents.instants import Instant
from drd.model.incidents.message_values import people, values
from drd.model.incidents.states import State
from drd.model.incidents.timeline import Line
from drd.model.malformed import Malformed

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WORK = frozenset(range(5))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("always", ()),
        (" always ", ()),
        ("Mon-Fri 09:00-17:00", (Span(WORK, 540, 1020),)),
        ("09:00-17:30", (Span(frozenset(range(7)), 540, 1050),)),
        ("Sun 00:00-24:00", (Span(frozenset({6}), 0, 1440),)),
        ("Sat-Mon 22:00-06:00", (Span(frozenset({5, 6, 0}), 1320, 360),)),
        ("Mon 08:00-09:00, Tue 10:00-11:00",
         (Span(frozenset({0}), 480, 540), Span(frozenset({1}), 600, 660))),
    ],
)  # fmt: skip
def test_hours_are_read(text: str, read: tuple[Span, ...]) -> None:
    assert spans(text) == read


@pytest.mark.parametrize(
    "text", ["Mon 09:00-09:00", "Mon 09:60-10:00", "Mon 09:00-24:01", "Mon 24:01-09:00",
             "Mon-Xyz 09:00-10:00", "Mon 09:00-10:60"],
)  # fmt: skip
def test_texts_that_are_not_hours(text: str) -> None:
    with pytest.raises(Malformed, match=r"is not a range of hours|no day"):
        spans(text)


@pytest.mark.parametrize(
    ("span", "day", "minute", "within"),
    [
        (Span(WORK, 540, 1020), 0, 539, False),
        (Span(WORK, 540, 1020), 0, 540, True),
        (Span(WORK, 540, 1020), 0, 1019, True),
        (Span(WORK, 540, 1020), 0, 1020, False),
        (Span(WORK, 540, 1020), 5, 600, False),
        (Span(frozenset({6}), 1320, 360), 6, 1319, False),
        (Span(frozenset({6}), 1320, 360), 6, 1320, True),
        (Span(frozenset({6}), 1320, 360), 0, 359, True),
        (Span(frozenset({6}), 1320, 360), 0, 360, False),
        (Span(frozenset({6}), 1320, 360), 6, 100, False),
        (Span(frozenset({6}), 1320, 360), 0, 1320, False),
    ],
)
def test_a_span_has_its_begin_and_not_its_end(
    span: Span, day: int, minute: int, *, within: bool
) -> None:
    assert span.has(day, minute) is within


def test_hours_count_minutes_of_the_local_day() -> None:
    assert Hours().has(MONDAY)
    half = Hours("Mon 09:30-10:00", spans("Mon 09:30-10:00"))
    assert [half.has(MONDAY + timedelta(minutes=n)) for n in (29, 30, 59, 60)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_turns_count_from_their_begin_within_their_hours() -> None:
    duty = Duty("lead", ("a", "b", "c"), 3600.0, MONDAY)
    found = [duty.turn(MONDAY + n * HOUR) for n in range(4)]
    assert found == ["a", "b", "c", "a"]
    assert duty.turn(MONDAY - timedelta(microseconds=1)) is None
    assert Duty("lead", ("a", "b")).turn(MONDAY) == "a"
    night = replace(duty, hours=Hours("Mon 22:00-06:00", spans("Mon 22:00-06:00")))
    assert (night.turn(MONDAY), night.turn(MONDAY + 13 * HOUR)) == (None, "b")


def test_an_absence_ends_with_its_end() -> None:
    away = Absence("a", MONDAY, MONDAY + HOUR)
    times = (MONDAY - timedelta(seconds=1), MONDAY, MONDAY + HOUR)
    assert [away.has(at) for at in times] == [False, True, False]


ANN, BOB, EVE = Colleague("ann", ("lead",)), Colleague("bob", ("lead", "legal")), Colleague("eve")


@pytest.mark.parametrize(
    ("absences", "called"),
    [
        ((), OnCall("lead", ANN)),
        ((Absence("ann", MONDAY, MONDAY + HOUR),), OnCall("lead", BOB, ("ann",), MONDAY + HOUR)),
        ((Absence("ann", MONDAY, MONDAY + HOUR, "eve"),),
         OnCall("lead", EVE, ("ann",), MONDAY + HOUR)),
        ((Absence("ann", MONDAY, MONDAY + 2 * HOUR, "bob"), Absence("bob", MONDAY, MONDAY + HOUR,
                                                                     "eve")),
         OnCall("lead", EVE, ("ann", "bob"), MONDAY + HOUR)),
        ((Absence("ann", MONDAY, MONDAY + HOUR, "zoe"),),
         OnCall("lead", BOB, ("ann",), MONDAY + HOUR)),
        ((Absence("ann", MONDAY, MONDAY + HOUR), Absence("bob", MONDAY, MONDAY + HOUR)),
         OnCall("lead", None, ("ann",), MONDAY + HOUR)),
    ],
)  # fmt: skip
def test_a_substitute_or_the_next_person_is_called_during_an_absence(
    absences: tuple[Absence, ...], called: OnCall
) -> None:
    book = ContactBook((ANN, BOB, EVE), absences=absences)
    lead, legal = book.on_call(MONDAY)
    assert lead == called
    assert legal.role == "legal"
    later = book.on_call(MONDAY + DAY)
    assert later == [OnCall("lead", ANN), OnCall("legal", BOB)]


def test_roles_with_a_duty_come_first() -> None:
    book = ContactBook((ANN, BOB), duties=(Duty("on duty", ("bob",)), Duty("legal", ("ann",))))
    assert book.roles == ("on duty", "legal", "lead")
    assert book.on_call(MONDAY)[:2] == [OnCall("on duty", BOB), OnCall("legal", ANN)]
    gone = ContactBook((), duties=(Duty("lead", ("zoe",)),))
    assert gone.on_call(MONDAY) == [OnCall("lead", None)]


def test_contacts_for_plans_in_the_order_of_their_kinds() -> None:
    press = Contact("P", ContactKind.PRESS, ("orders-*", "shop"))
    every = Contact("E", ContactKind.COUNSEL, portal="p", address="a", phones=("1", "2"))
    first = Contact("A", ContactKind.AUTHORITY, ("billing",))
    book = ContactBook(contacts=(press, every, first))
    assert book.about(None) == [first, every, press]
    assert book.about(["orders-api"]) == [every, press]
    assert book.about([]) == [every]
    assert (every.by_hand, press.by_hand) == (("1", "2", "p", "a"), ())


# --- updates ----------------------------------------------------------------------------------

CADENCE = Cadence(1800.0, {"critical": 3600.0, "high": 7200.0})


@pytest.mark.parametrize(
    ("severity", "every_s"), [("critical", 3600.0), ("high", 7200.0), ("low", None), ("", 3600.0)]
)
def test_the_time_between_updates_follows_from_the_severity(
    severity: str, every_s: float | None
) -> None:
    assert CADENCE.interval_s(severity) == every_s
    due = None if every_s is None else MONDAY + timedelta(seconds=every_s)
    assert CADENCE.promise(severity, MONDAY) == due
    for late in (timedelta(microseconds=1), timedelta(seconds=59)):
        rounded = CADENCE.promise(severity, MONDAY + late)
        assert rounded == (None if due is None else due + timedelta(minutes=1))
    first = None if every_s is None else MONDAY + HOUR / 2
    assert CADENCE.first(severity, MONDAY) == first
    assert replace(CADENCE, first_s=0.0).first(severity, MONDAY) is None
    assert Cadence().interval_s("") is None


@pytest.mark.parametrize(
    ("told", "due", "why"),
    [
        (None, 0.5, "nobody was told yet"),
        (Told(MONDAY - HOUR), 0.5, "the incident is detected"),
        (Told(MONDAY), None, ""),
        (Told(MONDAY, MONDAY + HOUR), 1, "promised"),
        (Told(MONDAY - HOUR, MONDAY + HOUR), 0.5, "the incident is detected"),
        (Told(MONDAY - HOUR, MONDAY), 0, "promised"),
    ],
)
def test_an_update_is_due_at_the_promise_or_after_a_change_of_state(
    told: Told | None, due: float | None, why: str
) -> None:
    made = Incident(
        1, severity="critical", opened_at=MONDAY - DAY, state_at=MONDAY, cadence=CADENCE
    )
    found = replace(made, told={"internal": told} if told else {}).updates
    wanted = [] if due is None else [UpdateClock("internal", MONDAY + due * HOUR, why)]
    assert list(found) == wanted
    assert replace(made, state=State.CLOSED).updates == ()
    opened = replace(made, state_at=None).updates
    assert [clock.due for clock in opened] == [MONDAY - DAY + HOUR / 2]
    assert replace(made, state_at=None, opened_at=None).updates == ()


# --- values for templates ---------------------------------------------------------------------


def found(incident: Incident, **more: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "lines": (), "affected": (), "said": {}, "now": MONDAY, "next_update": None,
        "zone": ZoneInfo("Europe/Berlin"), "language": "en",
    }  # fmt: skip
    return values(incident, **{**asked, **more})


NINE = {
    "utc": "2026-11-02 09:00 UTC",
    "local": "2026-11-02 10:00 CET",
    "both": "2026-11-02 10:00 CET (2026-11-02 09:00 UTC)",
}


def test_a_value_that_the_incident_does_not_have_is_left_out() -> None:
    least = found(Incident(7))
    assert set(least) == {
        "number", "state", "standing", "roles", "plans", "people", "data", "now", "moments",
        "done", "to_do", "starred", "language", "said",
    }  # fmt: skip
    assert least["now"] == NINE
    whole = found(
        Incident(
            7, "leak", severity="high", lead="ann", opened_at=MONDAY, closed_at=MONDAY,
            instants={Instant.AWARE: MONDAY},
            tasks=(Task(1, "a", "bob", MONDAY), Task(2, "b"), Task(3, "c", done_at=MONDAY)),
        ),
        next_update=MONDAY,
        lines=(Line(1, MONDAY, MONDAY, "x", "ann", "important", starred=True),
               Line(2, MONDAY, MONDAY, "x", "ann", "small")),
    )  # fmt: skip
    assert [whole[name] for name in ("opened", "closed", "next_update")] == [NINE] * 3
    assert whole["moments"] == {"aware": NINE}
    assert whole["to_do"] == [{"text": "a", "to": "bob", "due": NINE}, {"text": "b"}]
    assert whole["done"] == [{"text": "c"}]
    assert whole["starred"] == [{**NINE, "text": "important"}]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([], "unknown"),
        ([None], "unknown"),
        ([1], "1 person (estimated)"),
        ([0], "0 people (estimated)"),
        ([5000], "5,000 people (estimated)"),
        ([5, 7], "at least 7 people (estimated)"),
        ([5, None], "unknown, at least 5 people (estimated)"),
    ],
)
def test_the_number_of_affected_people_is_the_largest_known_estimate(
    numbers: list[int | None], words: str
) -> None:
    affected = [Affected("shop", "a", Known.ESTIMATED, number) for number in numbers]
    assert people(affected) == words
    data = found(Incident(1), affected=affected)["data"]
    assert [one["people"] == "unknown" for one in data] == [number is None for number in numbers]

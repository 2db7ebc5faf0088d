"""The clocks of an incident in one line, in an alert, and those of unknown places."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from drd.model.obligations.clocks import ClockKind, ClockState
from drd.model.obligations.regime import Prompt
from drd.model.obligations.summary import order, summary
from drd.model.obligations.unplaced import count_words, first_due, split
from drd.model.report_conditions import report_conditions
from tests.obligation_support import AT, DAY, HOUR, HOURS, regime

SECOND = timedelta(seconds=1)


def state(
    kind: str, name: str = "acme", place: str = "EU", zone: str = "", **of: Any
) -> ClockState:
    made = replace(regime(), id=name, jurisdiction=place, zone=zone)
    return ClockState(made, ClockKind(kind), **of)


UNPLACED = state("undecided", "far", placed=False)
QUIET = state("undecided", "quiet", proposed=False)
DUE = {"due_at": AT}


@pytest.mark.parametrize(
    ("states", "line"),
    [
        ([], ""),
        ([QUIET], ""),
        ([state("filed", late=True, **DUE), state("running")], ""),
        ([state("overdue", late=True, **DUE)], "1 late; next acme, was due 2026-12-01 10:00 CET"),
        (
            [state("undecided", late=True, **DUE)],
            "1 late, 1 undecided; next acme, was due 2026-12-01 10:00 CET",
        ),
        (
            [state("running", due_at=AT + HOUR), state("undecided", "visa", target_at=AT)],
            "1 undecided; next visa, due without undue delay (target: 2026-12-01 10:00 CET)",
        ),
        (
            [state("due-soon", **DUE), state("scope-not-declared"), state("undecided")],
            "1 due soon, 2 undecided; next acme, due 2026-12-01 10:00 CET",
        ),
        (
            [state("running", due_at=AT + DAY), state("running", "b", zone="UTC", **DUE)],
            "next b, due 2026-12-01 09:00 UTC",
        ),
        (
            [state("running", due_at=AT + 15 * HOUR - HOUR, last_day=date(2026, 12, 1))],
            "next acme, due 2026-12-01 24:00 CET",
        ),
        ([state("not-applicable", **DUE), state("filed-late", late_reason="x", **DUE)], ""),
        ([state("filed-late", late=True, **DUE)], "1 late without a reason"),
        (
            [UNPLACED, UNPLACED],
            "2 may be needed (drd.yaml names no jurisdictions)",
        ),
        (
            [UNPLACED, state("undecided")],
            "1 undecided; 1 more may be needed (drd.yaml names no jurisdictions)",
        ),
    ],
)
def test_the_clocks_in_one_line(states: list[ClockState], line: str) -> None:
    assert summary(states, "Europe/Berlin", 3) == (
        f"{line}: drd incident obligation 3" if line else ""
    )


def test_open_clocks_stand_above_and_the_next_first() -> None:
    states = [
        state("filed", "a", due_at=AT),
        state("running", "b"),
        state("running", "c", prompt_at=AT + HOUR),
        state("running", "d", due_at=AT + DAY, target_at=AT),
        state("running", "e", target_at=AT + HOUR),
        state("not-applicable", "f"),
        state("filed-late", "g", due_at=AT + DAY, late_reason="x"),
        state("filed-late", "h", due_at=AT + HOUR),
    ]
    for given in (states, states[::-1]):
        assert [s.regime.id for s in sorted(given, key=order)] == [
            "c", "e", "h", "d", "b", "a", "g", "f",
        ]  # fmt: skip


def test_of_clocks_that_end_at_the_same_time_the_most_certain_stands_first() -> None:
    """A report about health data stands before one about products that nobody may have."""
    states = [
        state("undecided", "eu-cra-incident", due_at=AT),
        state("scope-not-declared", "eu-dora-clients", proposed=True, due_at=AT),
        state("running", "eu-gdpr-33", due_at=AT),
        state("undecided", "eu-gdpr-34", proposed=True, due_at=AT),
        state("undecided", "eu-nis2-ew", due_at=AT - HOUR),
    ]
    for given in (states, states[::-1]):
        assert [s.regime.id for s in sorted(given, key=order)] == [
            "eu-nis2-ew", "eu-gdpr-33", "eu-dora-clients", "eu-gdpr-34", "eu-cra-incident",
        ]  # fmt: skip
        same = [s for s in given if s.due_at == AT]
        assert summary(same, "UTC", 1).partition("next ")[2].startswith("eu-gdpr-33,")


@pytest.mark.parametrize(
    ("kind", "of", "shown", "elsewhere"),
    [
        ("undecided", {}, 1, 0),
        ("undecided", {"placed": False}, 0, 1),
        ("scope-not-declared", {"placed": False}, 0, 1),
        ("running", {"placed": False}, 1, 0),
        ("undecided", {"placed": False, "proposed": False}, 0, 0),
        ("undecided", {"proposed": False}, 0, 0),
        ("scope-not-declared", {"proposed": False}, 1, 0),
    ],
)
def test_clocks_are_shown_one_by_one_or_counted_by_place_and_proposal(
    kind: str, of: dict[str, bool], shown: int, elsewhere: int
) -> None:
    one = state(kind, **of)
    assert tuple(map(len, split([one]))) == (shown, elsewhere)
    assert one.is_unplaced is bool(elsewhere)


def test_clocks_of_unknown_places_are_counted_by_country() -> None:
    places = ("US-CA", "EU", "US", "GB")
    states = [state("undecided", place=place, placed=False) for place in places]
    assert count_words(states) == "4 reports may be needed (EU 1, GB 1, US 2)"
    assert count_words(states[:1]) == "1 report may be needed (US 1)"
    timed = [
        state("undecided", "a", target_at=AT + HOUR),
        state("undecided", "c", due_at=AT + HOUR, target_at=AT),
        state("undecided", "b", due_at=AT + HOUR),
    ]
    first = [first_due(part) for part in ([], states, timed, timed[1:])]
    assert [s and s.regime.id for s in first] == [None, None, "a", "b"]


ASK = Prompt("is it material?", HOURS)


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ([], []),
        ([state("running"), state("filed"), QUIET], []),
        ([state("overdue", due_at=AT - 2 * HOUR)],
         [("critical", "was due 2026-12-01 08:00 CET, 2h ago")]),
        ([state("overdue")], []),
        ([state("due-soon", due_at=AT + HOUR)], [("warning", "is due 2026-12-01 11:00 CET")]),
        ([state("due-soon", target_at=AT + HOUR)], [("warning", "is due 2026-12-01 11:00 CET")]),
        ([state("due-soon")], [("warning", "is due without undue delay")]),
        ([state("due-soon", zone="UTC", due_at=AT)], [("warning", "is due 2026-12-01 09:00 UTC")]),
        ([state("not-started", prompt_at=AT)], [("warning", "does not have a start time yet. ")]),
        ([state("not-started", prompt_at=AT + SECOND)], []),
        ([state("not-started")], []),
        (
            [state("undecided"), state("scope-not-declared", "b", due_at=AT + HOUR)],
            [("warning", "2 reports of incident 3 are needed: acme, b; the first, b, is due 2026")],
        ),
        (
            [state("undecided", late=True)],
            [("critical", "nobody has decided whether 1 report of incident 3 is needed: acme")],
        ),
        (
            [replace(UNPLACED, late=True)],
            [("warning", "1 report may be needed (EU 1) for incident 3. drd does not know")],
        ),
        (
            [UNPLACED, state("undecided", late=True)],
            [("critical", "is needed: acme. 1 report may be needed (EU 1) for incident 3. drd")],
        ),
    ],
)  # fmt: skip
def test_due_reports_of_an_incident_become_alerts_with_severity_and_time(
    states: list[ClockState], told: list[tuple[str, str]]
) -> None:
    found = list(report_conditions(3, states, "Europe/Berlin", AT))
    assert [c.severity for c in found] == [severity for severity, _ in told]
    for condition, (_, words) in zip(found, told, strict=True):
        assert words in condition.text


def test_a_determination_that_is_missing_names_its_question() -> None:
    waits = state("not-started", prompt_at=datetime(2026, 12, 1, tzinfo=UTC))
    waits = replace(waits, regime=replace(waits.regime, prompt=ASK))
    [condition] = report_conditions(3, [waits], "UTC", AT)
    assert condition.text.endswith("does not have a start time yet. Determine: is it material?")
    assert condition.subject == "incident 3, acme"
    assert condition.remedy == "drd incident obligation 3 acme"

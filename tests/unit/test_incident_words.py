"""The state of an incident, of its action items, and the lines of its timeline, in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from drd.model.incidents.actions import ActionItem
from drd.model.incidents.incident import Incident
from drd.model.incidents.incident_words import action_state, line_text, short, standing
from drd.model.incidents.states import State
from drd.model.incidents.timeline import Line

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({}, "detected, no severity yet, nobody leads the incident yet"),
        ({"sealed": 1}, "detected, severity unknown here, lead unknown here"),
        (
            {"sealed": 1, "severity": "high", "lead": "an\x1bna"},
            "detected, severity high, led by an\\x1bna",
        ),
        (
            {"state_at": NOW - HOUR, "opened_at": NOW - 3 * HOUR, "lead": "anna"},
            "detected since 09:00 CET, no severity yet, open for 3h, led by anna",
        ),
        (
            {"state": State.CLOSED, "state_at": NOW - DAY, "opened_at": NOW - 3 * DAY,
             "closed_at": NOW - DAY, "severity": "low", "lead": "anna"},
            "closed since 2026-11-30 10:00 CET, severity low, was open for 2d",
        ),
        ({"state": State.REPORTED, "state_at": NOW}, "reported, not opened yet, no severity yet"),
        (
            {"restricted": True, "severity": "low"},
            "detected, severity low, restricted, nobody leads the incident yet",
        ),
    ],
)  # fmt: skip
def test_an_incident_in_one_line(of: dict[str, Any], said: str) -> None:
    assert standing(Incident(3, **of), NOW, BERLIN) == said


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({}, "a (run 4f2a)"),
        ({"count": 3}, "a (run 4f2a)"),
        ({"until": NOW + HOUR}, "a (run 4f2a)"),
        ({"count": 2, "until": NOW + HOUR}, "a, 2 times, until 11:00 CET"),
        ({"count": 2, "until": NOW, "text": "b"}, "b, 2 times, until 10:00 CET"),
        ({"count": 2, "until": NOW, "text": "b (run 1) (run 2)"},
         "b (run 1), 2 times, until 10:00 CET"),
        ({"corrected": True}, "a (run 4f2a) (corrected)"),
        ({"noted_at": NOW + 60 * SECOND}, "a (run 4f2a) (noted 10:01)"),
        ({"noted_at": NOW + 59 * SECOND}, "a (run 4f2a)"),
        ({"noted_at": NOW - HOUR}, "a (run 4f2a)"),
        ({"corrected": True, "noted_at": NOW + HOUR}, "a (run 4f2a) (corrected) (noted 11:00)"),
        ({"text": "\x1b[2J"}, "\\x1b[2J"),
    ],
)  # fmt: skip
def test_a_line_says_how_often_and_what_was_corrected_or_late(
    of: dict[str, Any], said: str
) -> None:
    line = Line(1, NOW, NOW, "run.end", "drd", "a (run 4f2a)")
    assert line_text(replace(line, **of), BERLIN) == said


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (None, "unknown"),
        (NOW, "10:00 CET"),
        (NOW - 10 * HOUR, "00:00 CET"),
        (NOW - 10 * HOUR - SECOND, "2026-11-30 23:59 CET"),
        (NOW + DAY, "2026-12-02 10:00 CET"),
    ],
)
def test_a_time_of_today_has_no_date(at: datetime | None, said: str) -> None:
    assert short(at, NOW, BERLIN) == said


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({"due": NOW + HOUR}, "open"),
        ({"due": NOW}, "open"),
        ({"due": NOW - 2 * HOUR}, "overdue by 2h"),
        ({"due": NOW - HOUR, "done_at": NOW, "done_by": "b\x1bob"}, "done 2026-12-01 by b\\x1bob"),
        (
            {"due": NOW, "done_at": NOW + 14 * HOUR, "done_by": "bob", "proof": "4f2a"},
            "done 2026-12-02 by run 4f2a",
        ),
    ],
)
def test_an_action_item_is_open_overdue_or_done(of: dict[str, Any], said: str) -> None:
    item = ActionItem(1, NOW, "anna", "rotate the key", "bob", NOW)
    assert action_state(replace(item, **of), NOW, BERLIN) == said

"""Drafts of reports: what is known is filled in, and nothing that is missing looks filled."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from drd.cli import incident_obligation
from drd.config.regimes import load_regimes
from drd.model.incidents.incident import Incident
from drd.model.incidents.instants import Instant
from drd.model.incidents.report_draft import ReportDraft
from drd.model.incidents.timeline import Line
from drd.model.obligations.calendars import NoHolidays
from drd.model.obligations.case import Case
from drd.model.obligations.clocks import clock
from drd.model.obligations.regime import ContentItem

AT = datetime(2026, 12, 1, 9, tzinfo=UTC)


def line(entry: int, text: str, **more: bool) -> Line:
    return Line(entry, AT, AT, "incident.log", "anna", text, **more)


def draft(name: str, case: Case, *lines: Line) -> ReportDraft:
    known = load_regimes(None).known
    state = clock(known[name], known, case, AT, NoHolidays())
    incident = Incident(4, "orders leak", instants=case.instants)
    return ReportDraft(incident, state, case, lines)


def test_every_item_of_every_regime_is_filled_or_marked() -> None:
    for name, regime in load_regimes(None).known.items():
        made = draft(name, Case())
        text = made.text()
        assert text.count("\n## ") == len(regime.content)
        assert text.count("MISSING: ") == len(regime.content)
        assert made.missing() == [item.key for item in regime.content]


def test_items_come_from_moments_facts_people_and_timeline() -> None:
    facts = {"people": 5000, "residents.DE": 4400, "residents.US-CA": None, "encrypted": False}
    case = Case({Instant.AWARE: AT}, facts, zone="Europe/Berlin")
    made = draft("eu-gdpr-33", case, line(3, "blocked the key"), line(4, "backup", routine=True))
    made.state = replace(
        made.state,
        regime=replace(
            made.state.regime,
            content=(
                ContentItem("when", "When", "moment.aware"),
                ContentItem("who", "Who", "scope.people"),
                ContentItem("safe", "Encrypted", "facts.encrypted"),
                ContentItem("done", "Done", "timeline"),
                ContentItem("unknown", "Unknown", "facts.risk"),
            ),
        ),
    )
    text = made.text()
    assert "## When\n\n2026-12-01 10:00 CET\n" in text
    assert "## Who\n\n5000 people\n- DE: 4400\n- US-CA: MISSING\n" in text
    assert "## Encrypted\n\nencrypted: no\n" in text
    assert "## Done\n\n- 2026-12-01 10:00 CET: blocked the key\n" in text
    assert "backup" not in text
    assert text.endswith("1 item missing: unknown\n")


def test_only_starred_entries_are_in_a_draft_if_there_are_any() -> None:
    made = draft("eu-gdpr-33", Case(), line(3, "small"), line(4, "important", starred=True))
    assert "important" in made.text()
    assert "small" not in made.text()


def test_a_carriage_return_in_a_regime_begins_no_line_of_a_draft(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = draft("eu-gdpr-33", Case())
    made.state = replace(
        made.state, regime=replace(made.state.regime, title="x\r  > sh evil\x1b[2J")
    )
    incident_obligation._draft(Namespace(json=False), {"draft": made.text()})
    lines = capsys.readouterr().out.split("\n")
    assert lines[0] == r"# x\r  > sh evil\x1b[2J"
    assert len(lines) == made.text().count("\n") + 1

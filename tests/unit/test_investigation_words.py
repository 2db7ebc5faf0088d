"""How the findings of an investigation are shown: which parts are told, and which are left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drd.model.incidents.indicators import IndicatorType, Value
from drd.model.incidents.investigation import (
    Cause,
    EvidenceItem,
    Hypothesis,
    Indicator,
    Investigation,
    Standing,
    shown_by,
)
from drd.model.incidents.investigation_words import (
    cause_text,
    evidence_row,
    hypothesis_row,
    indicator_row,
    summary,
)

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OPEN = Hypothesis(3, NOON, "anna", "a stolen key")
REFUTED = Hypothesis(4, NOON, "anna", "an insider", Standing.REFUTED)
EVIDENCE = EvidenceItem(6, NOON, "anna", "the log")
CAUSE = Cause(7, NOON, "anna", "a stolen key", (6,))


def indicator(**of: Any) -> Indicator:
    value = Value(next(iter(IndicatorType)), "192.0.2.7")
    return Indicator(**{"entry": 5, "hash": "h", "at": NOON, "changed_at": NOON, "by": "anna",
                        "value": value, **of})  # fmt: skip


@pytest.mark.parametrize(
    ("found", "rows"),
    [
        (Investigation(), {}),
        (Investigation(hypotheses=(OPEN, REFUTED)),
         {"cause": "not known; a stolen key (open, entry 3)"}),
        (Investigation(hypotheses=(REFUTED,)), {"cause": "not known; each hypothesis refuted"}),
        (Investigation(indicators=(indicator(), indicator(withdrawn=True))),
         {"found": "1 valid indicator"}),
        (Investigation(indicators=(indicator(withdrawn=True),)), {"found": "0 valid indicators"}),
        (Investigation(evidence=(EVIDENCE, EVIDENCE)), {"found": "2 items of evidence"}),
        (Investigation(indicators=(indicator(),), evidence=(EVIDENCE,)),
         {"found": "1 valid indicator, 1 item of evidence"}),
    ],
)  # fmt: skip
def test_the_head_of_an_incident_tells_what_was_found_and_no_more(
    found: Investigation, rows: dict[str, str]
) -> None:
    assert dict(summary(found, NOON)) == rows


def test_a_known_cause_is_told_instead_of_the_hypotheses() -> None:
    told = dict(summary(Investigation(hypotheses=(OPEN,), cause=CAUSE), NOON))
    assert told == {"cause": f"a stolen key{shown_by((6,))}"}


def test_a_cause_names_the_hypotheses_that_it_confirms() -> None:
    of = Cause(7, NOON, "anna", "a key", (), (3, 4))
    assert cause_text(of) == f"a key{shown_by(())}; hypothesis 3, 4"
    assert "hypothesis" not in cause_text(CAUSE)


def test_the_row_of_a_hypothesis_has_its_reason_and_evidence() -> None:
    assert hypothesis_row(OPEN) == ("3", "open", f"a stolen key{shown_by(())}")
    why = Hypothesis(3, NOON, "anna", "a key", Standing.SUPPORTED, "seen in the log", (6,))
    assert hypothesis_row(why) == ("3", "supported", f"a key: seen in the log{shown_by((6,))}")


@pytest.mark.parametrize(
    ("of", "shown"),
    [
        ({}, ("-", "-", "-")),
        ({"seen": NOON, "text": "in the log"}, ("2026-11-28 12:00 UTC", "-", "in the log")),
        ({"expires": NOON + HOUR}, ("-", "2026-11-28 13:00 UTC", "-")),
        ({"expires": NOON}, ("-", "2026-11-28 12:00 UTC (expired)", "-")),
        ({"expires": NOON, "withdrawn": True}, ("-", "withdrawn", "-")),
    ],
)
def test_the_row_of_an_indicator_tells_until_when_it_is_valid(
    of: dict[str, Any], shown: tuple[str, str, str]
) -> None:
    assert indicator_row(indicator(**of), NOON, UTC)[3:] == shown


@pytest.mark.parametrize(
    ("of", "shown"),
    [
        ({}, ("2026-11-28 12:00 UTC", "the log")),
        ({"taken_at": NOON - HOUR}, ("2026-11-28 11:00 UTC", "the log")),
        ({"where": "/e/log"}, ("2026-11-28 12:00 UTC", "the log; at /e/log")),
        ({"where": "/e/log", "size": 0}, ("2026-11-28 12:00 UTC", "the log; at /e/log (0 B)")),
        ({"run": "4f2a", "sha256": "4e1f"},
         ("2026-11-28 12:00 UTC", "the log; run 4f2a; SHA-256 4e1f")),
    ],
)  # fmt: skip
def test_the_row_of_evidence_tells_when_it_was_taken_and_where_it_is(
    of: dict[str, Any], shown: tuple[str, str]
) -> None:
    assert evidence_row(EvidenceItem(6, NOON, "anna", "the log", **of), UTC)[1:] == shown


@pytest.mark.parametrize(
    "found",
    [
        Investigation(hypotheses=(OPEN,)),
        Investigation(indicators=(indicator(),)),
        Investigation(evidence=(EVIDENCE,)),
        Investigation(cause=CAUSE),
    ],
)
def test_an_investigation_with_any_finding_is_not_empty(found: Investigation) -> None:
    assert found
    assert not Investigation()

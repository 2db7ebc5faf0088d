"""What entries say about duties to report, drafts of reports, and rules that open incidents."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from drd.config.regimes import load_regimes
from drd.model.alerts import Alert, AlertChange, Transition
from drd.model.incidents import entries as kinds
from drd.model.incidents.duties import Duties, Submission, Version, duties, facts_of, words
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.incident import Incident
from drd.model.incidents.instants import Instant
from drd.model.incidents.report_draft import ReportDraft
from drd.model.incidents.rules import OpeningRule, opening
from drd.model.inventory import DataSet
from drd.model.obligations.calendars import NoHolidays
from drd.model.obligations.case import Case, Decision, Hold
from drd.model.obligations.clocks import ClockState, clock
from drd.model.obligations.regime import ContentItem, HoldKind, Regime
from drd.model.records import Draft
from tests.records_support import ANNA, Chain

AT = datetime(2026, 12, 1, 9, tzinfo=UTC)
AT_TEXT = "2026-12-01T09:00:00Z"
HOUR = timedelta(hours=1)


def said(*bodies: dict[str, Any]) -> Duties:
    chain = Chain()
    for number, body in enumerate(bodies):
        author = Author("anna", AT + number * HOUR, ANNA)
        chain.add(draft(kinds.OBLIGATION, 1, author, body))
    return duties(chain.entries)


@pytest.mark.parametrize(
    ("bodies", "wanted"),
    [
        ([{"act": "facts", "facts": {"a": 1, "b": 2}}, {"act": "facts", "facts": {"b": None}}],
         Duties(facts={"a": 1, "b": None})),
        ([{"act": "facts", "facts": "none"}], Duties()),
        ([{"act": "decide", "regime": "r", "applies": True}],
         Duties(decisions={"r": Decision(True, "")})),
        ([{"act": "decide", "regime": "r", "applies": True, "reason": "x", "text": {"id": "r"}}],
         Duties(decisions={"r": Decision(True, "x")}, texts={"r": {"id": "r"}})),
        ([{"act": "decide", "regime": "r", "applies": False, "text": {"id": "r"}}],
         Duties(decisions={"r": Decision(False, "")})),
        ([{"act": "decide", "regime": "r", "applies": True, "text": {"id": "r"}},
          {"act": "decide", "regime": "s", "applies": True, "text": "no regime"},
          {"act": "decide", "regime": "t", "applies": True, "text": {"id": "t"}},
          {"act": "decide", "regime": "t", "applies": True}],
         Duties(decisions=dict.fromkeys("rst", Decision(True, "")), texts={"r": {"id": "r"}})),
        ([{"act": "submit", "regime": "r", "at": AT}],
         Duties(submissions={"r": (Submission(AT),)})),
        ([{"act": "submit", "regime": "r", "at": AT, "reference": "A7", "channel": "portal",
           "proof": "p.pdf", "reason": "why"}],
         Duties(submissions={"r": (Submission(AT, "A7", "portal", "p.pdf", "why"),)},
                late_reasons={"r": "why"})),
        ([{"act": "submit", "regime": "r", "at": AT, "version": 3}],
         Duties(submissions={"r": (Submission(AT, version=3),)})),
        ([{"act": "submit", "regime": "r", "at": AT, "reason": "by phone", "late": False},
          {"act": "submit", "regime": "r", "at": AT + HOUR, "reason": "more"},
          {"act": "late", "regime": "s", "reason": "aware earlier"}],
         Duties(submissions={"r": (Submission(AT, reason="by phone"),
                                   Submission(AT + HOUR, reason="more"))},
                late_reasons={"s": "aware earlier"})),
        ([{"act": "submit", "regime": "r", "at": AT + HOUR},
          {"act": "submit", "regime": "s", "at": AT},
          {"act": "submit", "regime": "r", "at": AT}],
         Duties(submissions={"r": (Submission(AT), Submission(AT + HOUR)),
                             "s": (Submission(AT),)})),
        ([{"act": "hold", "regime": "r", "by_authority": "law-enforcement"}],
         Duties(holds={"r": Hold(HoldKind.LAW_ENFORCEMENT, AT)})),
        ([{"act": "hold", "regime": "s", "by_authority": "law-enforcement"},
          {"act": "hold", "regime": "r", "by_authority": "law-enforcement", "since": AT - HOUR,
           "until": AT + HOUR, "oral": True}],
         Duties(holds={"s": Hold(HoldKind.LAW_ENFORCEMENT, AT),
                       "r": Hold(HoldKind.LAW_ENFORCEMENT, AT - HOUR, AT + HOUR, oral=True)})),
        ([{"act": "hold", "regime": "r", "by_authority": "law-enforcement"},
          {"act": "hold", "regime": "r", "by_authority": "law-enforcement", "since": AT + HOUR}],
         Duties(holds={"r": Hold(HoldKind.LAW_ENFORCEMENT, AT + HOUR,
                                 before=Hold(HoldKind.LAW_ENFORCEMENT, AT))})),
        ([{"act": "hold", "regime": "r", "by_authority": "law-enforcement"},
          {"act": "hold", "regime": "r", "by_authority": "attorney-general", "since": AT + HOUR}],
         Duties(holds={"r": Hold(HoldKind.ATTORNEY_GENERAL, AT + HOUR)})),
        ([{"act": "hold", "regime": "r", "by_authority": "my mother"}], Duties()),
    ],
)  # fmt: skip
def test_facts_decisions_submissions_and_holds_are_read_from_the_entries(
    bodies: list[dict[str, Any]], wanted: Duties
) -> None:
    assert said(*bodies) == wanted


def test_versions_of_a_report_are_kept_one_after_the_other() -> None:
    made = said(
        {"act": "keep", "regime": "r", "sha256": "a", "text": "first"},
        {"act": "keep", "regime": "s", "sha256": "b", "text": "other"},
        {"act": "keep", "regime": "r", "sha256": "c", "text": "second"},
        {"act": "keep", "regime": "r"},
    )
    assert made.versions == {
        "r": (Version(1, AT, "anna", "a", "first"),
              Version(3, AT + 2 * HOUR, "anna", "c", "second")),
        "s": (Version(2, AT + HOUR, "anna", "b", "other"),),
    }  # fmt: skip


def test_a_version_is_by_the_person_that_its_entry_names() -> None:
    body = {"act": "keep", "regime": "r", "sha256": "a", "text": "x"}
    chain = Chain()
    named = chain.add(draft(kinds.OBLIGATION, 1, Author("ben", AT, ANNA), body))
    chain.add(Draft(kinds.OBLIGATION, named.header.subject, body, AT, ANNA))
    assert [version.by for version in duties(chain.entries).versions["r"]] == ["ben", "anna"]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"act": "keep", "sha256": "4e1f", "text": "x"},
         "r: version of the report kept, SHA-256 4e1f"),
        ({"act": "submit", "at": AT_TEXT, "reference": "A7", "version": 3, "late": True},
         "r submitted 2026-12-01 09:00 UTC, reference A7, version 3, late"),
        ({"act": "submit", "at": AT_TEXT}, "r submitted 2026-12-01 09:00 UTC"),
        ({"act": "facts", "facts": {"a": True, "b": False, "c": None, "d": 5}},
         "facts: a yes, b no, c unknown, d 5"),
        ({"act": "decide", "applies": True}, "r applies"),
        ({"act": "decide", "applies": False}, "r does not apply"),
        ({"act": "late", "reason": "x"}, "r: why the report was late"),
        ({"act": "hold", "by_authority": "law-enforcement", "until": AT_TEXT},
         "r is on hold by law-enforcement until 2026-12-01 09:00 UTC"),
        ({"act": "hold", "by_authority": "law-enforcement"}, "r is on hold by law-enforcement"),
    ],
)  # fmt: skip
def test_each_entry_about_a_duty_has_a_line_in_the_timeline(
    body: dict[str, Any], line: str
) -> None:
    assert words({"regime": "r", **body}, UTC) == line


def test_entries_after_one_that_cannot_be_read_count() -> None:
    chain = Chain()
    for kind, body in (
        (kinds.LOG, {"act": "facts", "facts": {"a": 1}}),
        (kinds.OBLIGATION, {"act": "dance"}),
        (kinds.OBLIGATION, {"act": "facts", "facts": {"b": 2}}),
    ):
        chain.add(draft(kind, 1, Author("anna", AT, ANNA), body))
    assert duties(chain.entries) == Duties(facts={"b": 2})


def test_the_case_of_an_incident_has_its_moments_and_what_was_said() -> None:
    found = said(
        {"act": "submit", "regime": "r", "at": AT + HOUR},
        {"act": "submit", "regime": "r", "at": AT},
        {"act": "submit", "regime": "r", "at": AT + 2 * HOUR},
        {"act": "decide", "regime": "r", "applies": True, "reason": "x"},
        {"act": "hold", "regime": "r", "by_authority": "law-enforcement"},
    )
    incident = Incident(1, instants={Instant.AWARE: AT})
    assert found.case(incident, {"role": "controller"}, ("DE",), "Europe/Berlin") == Case(
        {Instant.AWARE: AT},
        {"role": "controller"},
        {"r": AT},
        {"r": AT + 2 * HOUR},
        {"r": Decision(True, "x")},
        found.holds,
        ("DE",),
        "Europe/Berlin",
    )


@pytest.mark.parametrize(
    ("encrypted", "wanted"),
    [
        ([True, True], True),
        ([True, None], None),
        ([None], None),
        ([None, False], False),
        ([True, False], False),
    ],
)
def test_data_counts_as_readable_unless_all_of_it_is_encrypted(
    encrypted: list[bool | None], wanted: bool | None
) -> None:
    found = facts_of(DataSet("a", people=0, encrypted=one) for one in encrypted)
    assert found == {"personal_data": True, "people": 0, "encrypted": wanted}


# --- drafts of reports ------------------------------------------------------------------------


@cache
def known() -> dict[str, Regime]:
    return dict(load_regimes(None).known)


def state(**of: Any) -> ClockState:
    regime = replace(known()["eu-gdpr-33"], **{"content": (), "how": "", "form": "", **of})
    return clock(regime, {}, Case({Instant.AWARE: AT}), AT, NoHolidays())


def text(case: Case | None = None, **of: Any) -> str:
    used = case or Case({Instant.AWARE: AT})
    return ReportDraft(Incident(4, instants=used.instants), state(**of), used, []).text()


@pytest.mark.parametrize(
    ("of", "line"),
    [
        ({"how": "by letter"}, "- How: by letter\n"),
        ({"form": "form 7"}, "- How: form 7\n"),
        ({"how": "by letter", "form": "form 7"}, "- How: by letter; form 7\n"),
        ({}, "- Due: 2026-12-04 09:00 UTC\n"),
        ({"zone": "Europe/Berlin"}, "- Due: 2026-12-04 10:00 CET\n"),
        ({"late_needs_reasons": True}, "- A late report must give the reasons.\n"),
        ({}, "\n\nNo item is missing. A person must read this draft before it is sent.\n"),
        ({}, "\n\nDraft for eu-gdpr-33, incident 4. This is not legal advice.\n\n- To: "),
        (
            {"content": (ContentItem("a", "A", "moment.aware"), ContentItem("b", "B", "facts.x"))},
            "\n\n## A\n\n2026-12-01 09:00 UTC\n\n## B\n\nMISSING: b\n\n1 item missing: b\n",
        ),
        (
            {"content": (ContentItem("a", "A", "moment.handled"), ContentItem("b", "B", ""))},
            "\n\n2 items missing: a, b\n",
        ),
        ({"content": (ContentItem("a", "A", "moment.x"),)}, "\n\n## A\n\nMISSING: a\n"),
        ({"content": (ContentItem("a", "A", "timeline"),)}, "\n\n## A\n\nMISSING: a\n"),
        ({"content": (ContentItem("a", "A", "scope.people"),)}, "\n\n## A\n\nMISSING: a\n"),
    ],
)
def test_a_draft_has_a_line_for_each_given_field_and_names_missing_items(
    of: dict[str, Any], line: str
) -> None:
    assert line in text(**of)


def test_a_draft_has_no_line_for_what_its_regime_does_not_say() -> None:
    made = text(rule=None, late_needs_reasons=False)
    for word in ("- How:", "- Due:", "late report", "missing:"):
        assert word not in made


@pytest.mark.parametrize(
    ("facts", "value"),
    [
        ({"encrypted": True}, "encrypted: yes"),
        ({"encrypted": False}, "encrypted: no"),
        ({"encrypted": "partly"}, "encrypted: partly"),
        ({"encrypted": None}, "MISSING: a"),
    ],
)
def test_a_draft_shows_the_value_of_a_fact_or_that_it_is_missing(
    facts: dict[str, Any], value: str
) -> None:
    content = (ContentItem("a", "A", "facts.encrypted"),)
    assert f"## A\n\n{value}\n" in text(Case(facts=facts), content=content)


def test_a_draft_shows_the_number_of_people_by_country() -> None:
    content = (ContentItem("a", "A", "scope.people"),)
    facts = {"people": 0, "residents.DE": 0, "residents.FR": None, "risk": "high"}
    made = text(Case(facts=facts), content=content)
    assert "## A\n\n0 people\n- DE: 0\n- FR: MISSING\n\n1 item missing: a\n" in made


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"people": 10, "residents.DE": 4, "residents.FR": 6}, ""),
        ({"people": 10, "residents.DE": 4, "residents.FR": 5}, "- unknown residence: 1\n"),
        ({"people": 10, "residents.DE": 4, "residents.FR": None}, ""),
        ({"people": 10, "residents.DE": 6, "residents.FR": 5}, "residents is higher by 1 than the"),
        ({"people": None, "residents.DE": 4}, ""),
        ({"people": 10}, ""),
    ],
)
def test_a_draft_compares_the_residents_with_all_people_if_each_number_is_known(
    facts: dict[str, Any], line: str
) -> None:
    made = text(Case(facts=facts), content=(ContentItem("a", "A", "scope.people"),))
    assert line in made
    assert bool(line) is ("unknown residence" in made or "is higher by" in made)


# --- rules that open incidents ----------------------------------------------------------------


def alert(plan: str = "shop", severity: str = "warning", words: str = "gone") -> Alert:
    return Alert("a1", plan, "no-point", "p", "firing", severity, AT, words)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "opens"), [(c, c in ("fired", "escalated")) for c in AlertChange]
)
def test_an_alert_that_begins_or_gets_worse_opens_an_incident(
    change: AlertChange, *, opens: bool
) -> None:
    found = opening([OpeningRule()], [Transition(change, None, alert())])
    assert bool(found) is opens


def test_a_rule_opens_an_incident_with_the_alert_its_plan_and_the_rule() -> None:
    rule = OpeningRule("no-point", plans="sh*")
    [(key, body)] = opening(
        [OpeningRule("rpo"), rule], [Transition(AlertChange.FIRED, None, alert())]
    )
    assert key == body["rule"] == "alert: no-point, plans: sh*; plan shop"
    assert body == {
        "title": "shop: gone",
        "plans": ["shop"],
        "severity": "",
        "restricted": False,
        "instants": {"first_alert": AT},
        "rule": key,
        "alert": {
            "id": "a1", "kind": "no-point", "subject": "p", "severity": "warning", "text": "gone",
        },
    }  # fmt: skip


@pytest.mark.parametrize(("length", "kept"), [(160, 160), (161, 160), (300, 160)])
def test_a_long_title_is_cut(length: int, kept: int) -> None:
    words = "x" * (length - len("shop: "))
    transition = Transition(AlertChange.FIRED, None, alert(words=words))
    title = opening([OpeningRule()], [transition])[0][1]["title"]
    assert len(title) == kept
    assert title.endswith("…") is (length > kept)
    assert title[:-1] == f"shop: {words}"[: kept - 1]

"""Drafts of reports: what is known is filled in, and nothing that is missing looks filled."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from drd.cli import incident_obligation
from drd.config.regimes import load_regimes
from drd.model.incidents.affected import Affected, Known
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


def draft(
    name: str,
    case: Case,
    *lines: Line,
    data: Sequence[Affected] = (),
    stated: Collection[str] = (),
) -> ReportDraft:
    known = load_regimes(None).known
    state = clock(known[name], known, case, AT, NoHolidays())
    incident = Incident(4, "orders leak", instants=case.instants)
    return ReportDraft(incident, state, case, lines, data=data, stated=stated)


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
    assert text.endswith("2 items missing: who, unknown\n")


def test_only_starred_entries_are_in_a_draft_if_there_are_any() -> None:
    known = (line(3, "small", measure=True), line(4, "important", measure=True, starred=True))
    made = draft("eu-gdpr-33", Case(), *known, line(5, "a strange request", starred=True))
    measures = made.text().rpartition("\n## ")[2]
    assert "important" in measures
    assert "small" not in made.text()
    assert "strange" not in measures, "it is no measure"
    noted = draft("eu-gdpr-33", Case(), known[0], line(5, "a strange request", starred=True))
    assert "small" in noted.text(), "no measure is starred"


SENT = "message 1 to {} sent to 3 addresses"
ORDERS = Affected(
    "shop", "orders", Known.ESTIMATED, 4000, (("DE", 2000),), ("contact", "purchases"), special=True
)


def test_an_estimate_is_called_one_and_the_unknown_rest_and_what_is_missing_are_named() -> None:
    facts = {"people": 5000, "residents.DE": 2000, "residents.FR": 1000}
    made = draft("eu-gdpr-33", Case(facts=facts), data=[ORDERS], stated={"people", "residents.FR"})
    text = made.text()
    assert (
        "\n5000 people\n- DE: 2000 (estimated)\n- FR: 1000\n- unknown residence: 2000\n"
        "- categories of data, orders (4,000 people (estimated)): contact, purchases, "
        "special category\n- number of records: MISSING (--fact records=NUMBER)\n"
    ) in text
    assert "nature" in made.missing()
    facts["records"] = 9000
    assert "- what happened: MISSING\n" in text
    known = line(3, "strange requests with a key of ours")
    whole = draft("eu-gdpr-33", Case(facts=facts), known, data=[ORDERS])
    assert "UTC: strange requests with a key of ours\n\n5000 people" in whole.text()
    assert "\n5000 people (estimated)\n" in whole.text()
    assert "\n- number of records: 9000\n" in whole.text()
    assert "nature" not in whole.missing()


def test_the_nature_of_a_breach_lacks_the_number_of_people_until_somebody_gives_it() -> None:
    made = draft("eu-gdpr-33", Case(), line(3, "strange requests"))
    assert "strange requests\n\nnumber of people: MISSING (--fact people=NUMBER)\n" in made.text()
    assert "nature" in made.missing()


def test_a_late_report_has_the_recorded_reason_or_lacks_it() -> None:
    made = draft("eu-gdpr-33", Case({Instant.AWARE: AT}))
    assert "late" not in made.missing()
    made.state = replace(made.state, late=True)
    assert "\n- This report is late. A late report must give the reasons: MISSING\n" in made.text()
    assert made.missing()[0] == "late"
    made.state = replace(made.state, late_reason="it@a.example did not read the mail")
    assert "\n- This report is late, because: (address) did not read the mail\n" in made.text()
    assert "late" not in made.missing()


def test_residents_that_are_more_than_all_people_are_a_contradiction() -> None:
    facts = {"people": 10, "residents.DE": 12}
    assert (
        "\n- the number of residents is higher by 2 than the number of all people: "
        in draft("eu-gdpr-33", Case(facts=facts)).text()
    )


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("incident.log", "measure: blocked the key", "blocked the key"),
        ("incident.log", "measure: see /srv/x, ask it@a.example", "see (path), ask (address)"),
        ("incident.log", "strange requests, says it@a.example", ""),
        ("incident.state", "state contained, was detected", "state contained, was detected"),
        ("incident.state", "state triaged, was detected", ""),
        ("incident.task", "task 1 done: new key", "task 1 done: new key"),
        ("incident.task", "task: new key (anna)", ""),
        ("incident.message", SENT.format("customers"), "a message to customers was sent"),
        ("incident.message", SENT.format("internal"), ""),
        ("incident.message", "message 1 not accepted for Acme: 550", ""),
        ("evidence", "recovery of shop from point 12c8: passed (run 3)", "recovery of shop passed"),
        ("evidence", "recovery of shop from point 12c8001f: failed: x (run 3)", ""),
        ("incident.recovery", "recovered shop", "recovered shop"),
        ("incident.log", SENT.format("customers"), ""),
        ("incident.log", "recovery of shop from point 12c8: passed (run 3)", ""),
        ("run.end", "readiness of shop failed: /x (run 3)", ""),
        ("incident.anchor", "occurred: 2026-10-25 02:30 CEST", ""),
        ("incident.hypothesis", "hypothesis: key in public repo", ""),
        ("incident.indicator", "indicator: url https://evil.example/a", ""),
        ("incident.decide", "decided: keep serving", ""),
    ],
)  # fmt: skip
def test_measures_are_what_was_done_without_addresses_and_paths(
    kind: str, text: str, told: str
) -> None:
    done = text.startswith("measure: ")
    made = draft("eu-gdpr-33", Case(), replace(line(3, text, measure=done), kind=kind))
    measures = made.text().partition("mitigate the effects\n\n")[2].split("\n")[0]
    assert measures == (f"- 2026-12-01 09:00 UTC: {told}" if told else "MISSING: measures")


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


def of_items(made: ReportDraft, *items: ContentItem, late_needs_reasons: bool = True) -> str:
    regime = replace(made.state.regime, content=items, late_needs_reasons=late_needs_reasons)
    made.state = replace(made.state, regime=regime)
    return made.text()


def test_only_a_law_that_asks_for_reasons_lacks_one_and_only_a_late_report_has_one() -> None:
    made = draft("eu-gdpr-33", Case({Instant.AWARE: AT}))
    made.state = replace(made.state, late=True)
    assert "late" not in of_items(made, late_needs_reasons=False)
    made.state = replace(made.state, late=False, late_reason="it was the weekend")
    text = of_items(made)
    assert "weekend" not in text
    assert "\n- A late report must give the reasons.\n" in text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("moment.aware", "2026-12-01 09:00 UTC"),
        ("facts.aware", "aware: yes"),
        ("facts.people", "people: 5"),
        ("scope.encrypted", "MISSING: x"),
        ("ask", "MISSING: x"),
    ],
)
def test_an_item_is_filled_only_from_what_its_source_names(source: str, said: str) -> None:
    facts = {"people": 5, "aware": True, "encrypted": False}
    made = draft("eu-gdpr-33", Case({Instant.AWARE: AT}, facts))
    assert f"## X\n\n{said}\n" in of_items(made, ContentItem("x", "X", source))


def test_the_word_missing_in_an_entry_does_not_make_its_item_missing() -> None:
    made = draft("eu-gdpr-33", Case(), line(3, "MISSING rows in orders"))
    of_items(made, ContentItem("course", "Course", "timeline"))
    assert made.missing() == []


def test_what_happened_also_says_what_was_done() -> None:
    lines = [
        replace(line(3, "task 1 done: new key"), kind="incident.task"),
        replace(line(4, "task: new key (anna)"), kind="incident.task"),
    ]
    text = of_items(
        draft("eu-gdpr-33", Case(), *lines), ContentItem("course", "Course", "timeline")
    )
    assert "## Course\n\n- 2026-12-01 09:00 UTC: task 1 done: new key\n\nNo item" in text


def test_an_item_about_people_alone_says_nothing_before_their_number_is_known() -> None:
    who = ContentItem("who", "Who", "scope.people")
    assert "MISSING: who" in of_items(draft("eu-gdpr-33", Case(), line(3, "requests")), who)


def test_data_without_categories_lack_them_in_a_report_that_asks_for_them() -> None:
    who = ContentItem("who", "Who, with categories", "scope.people")
    known = Case(facts={"people": 5})
    bare = replace(ORDERS, categories=(), special=False)
    made = draft("eu-gdpr-33", known, data=[bare])
    assert "- categories of data, orders (4,000 people (estimated)): MISSING\n" in of_items(
        made, who
    )
    assert made.missing() == ["who"]
    nothing = draft("eu-gdpr-33", known)
    assert "- categories: MISSING\n" in of_items(nothing, who)
    without = of_items(draft("eu-gdpr-33", known, data=[bare]), replace(who, text="Who"))
    assert "categories" not in without.partition("## Who")[2]

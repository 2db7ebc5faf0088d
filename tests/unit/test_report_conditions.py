"""Which reports about an incident raise alerts, and when they rise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from drd.cli.status import code_of
from drd.config.regimes import load_regimes
from drd.flows.status.overview import StatusDocument
from drd.model.alert_facts import HostFacts
from drd.model.facts import AlertFacts
from drd.model.host_conditions import host_conditions
from drd.model.incidents.instants import Instant
from drd.model.obligations.calendars import NoHolidays
from drd.model.obligations.case import Case, Decision
from drd.model.obligations.clocks import clocks
from drd.model.plan_state import PlanState
from drd.model.report_conditions import report_conditions
from drd.model.restricted_conditions import concealed
from drd.model.titles import title_of
from drd.model.verdicts import Verdict

AT = datetime(2026, 12, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
YES = {"eu-gdpr-33": Decision(True, "x"), "us-sec-8k-105": Decision(True, "x")}


def told(now: datetime, *names: str, **case: Any) -> list[tuple[str, str, str]]:
    known = load_regimes(None).known
    given = Case(**{"instants": {Instant.AWARE: AT}, "decisions": YES, **case})
    states = clocks([known[name] for name in names], given, now, NoHolidays())
    found = list(report_conditions(3, states, "UTC", now))
    assert all(c.text and c.remedy.startswith("drd incident obligation 3") for c in found)
    return [(c.kind, c.severity, c.subject) for c in found]


def test_a_report_warns_before_it_is_due_and_is_critical_after() -> None:
    subject = "incident 3, eu-gdpr-33"
    assert told(AT, "eu-gdpr-33") == []
    assert told(AT + 60 * HOUR, "eu-gdpr-33") == [("report-due", "warning", subject)]
    assert told(AT + 73 * HOUR, "eu-gdpr-33") == [("report-due", "critical", subject)]
    sent = {"eu-gdpr-33": AT + 80 * HOUR}
    assert told(AT + 99 * HOUR, "eu-gdpr-33", submissions=sent) == [
        ("report-due", "warning", subject)
    ]
    why = {"eu-gdpr-33": "the office was closed"}
    assert told(AT + 99 * HOUR, "eu-gdpr-33", submissions=sent, late_reasons=why) == []


def test_a_missing_determination_is_a_reminder() -> None:
    subject = "incident 3, us-sec-8k-105"
    assert told(AT + 71 * HOUR, "us-sec-8k-105") == []
    assert told(AT + 72 * HOUR, "us-sec-8k-105") == [("report-due", "warning", subject)]


def test_undecided_duties_are_one_alert_and_critical_once_one_is_late() -> None:
    names = ("eu-gdpr-33", "eu-gdpr-34", "eu-nis2-ew")
    one = ("report-undecided", "warning", "incident 3")
    here = {"decisions": {}, "jurisdictions": ("DE",)}
    assert told(AT, *names, **here) == [one]
    assert told(AT + 25 * HOUR, *names, **here) == [(one[0], "critical", one[2])]
    quiet = {"personal_data": False, "entity": "bank"}
    assert told(AT, *names, **here, facts=quiet) == []
    by_people = {"residents.DE": None}
    late = told(AT + 25 * HOUR, *names, decisions={}, facts=by_people)
    assert late == [(one[0], "critical", one[2])], "the people say where it applies"


def test_law_of_unknown_places_is_one_warning_that_says_how_to_name_the_place() -> None:
    names = ("eu-gdpr-33", "eu-nis2-ew", "uk-gdpr-33")
    one = ("report-undecided", "warning", "incident 3")
    assert told(AT + 99 * HOUR, *names, decisions={}) == [one]
    known = load_regimes(None).known
    states = clocks([known[n] for n in names], Case({Instant.AWARE: AT}), AT, NoHolidays())
    (condition,) = report_conditions(3, states, "UTC", AT)
    assert condition.text == (
        "3 reports may be needed (EU 2, GB 1) for incident 3; the first, eu-nis2-ew, is due "
        "2026-12-02 09:00 UTC. drd does not know the country of your organisation: write "
        "organisation: {jurisdictions: [DE]} into drd.yaml"
    )
    assert told(AT + 99 * HOUR, *names) == [
        ("report-due", "critical", "incident 3, eu-gdpr-33"),
        one,
    ]


def test_the_title_of_an_incident_is_in_no_alert_and_that_of_the_alert_names_the_report() -> None:
    assert title_of("report-due", "critical", "incident 3, x") == "a report is late: incident 3, x"
    known = load_regimes(None).known
    case = Case({Instant.AWARE: AT}, jurisdictions=("DE",))
    states = clocks([known["eu-gdpr-33"]], case, AT, NoHolidays())
    (condition,) = report_conditions(3, states, "UTC", AT)
    waiting = "nobody has decided whether 1 report of incident 3 is needed: eu-gdpr-33; the first, "
    assert condition.text == f"{waiting}eu-gdpr-33, is due 2026-12-04 09:00 UTC"
    assert condition in host_conditions(HostFacts(reports=(condition,)), None, AT)
    late = clocks([known["eu-gdpr-33"]], case, AT + 73 * HOUR, NoHolidays())
    (condition,) = report_conditions(3, late, "UTC", AT + 73 * HOUR)
    assert condition.text == f"{waiting}eu-gdpr-33, was due 2026-12-04 09:00 UTC"


def test_status_ends_with_3_while_a_report_is_late() -> None:
    well = SimpleNamespace(state=PlanState.OK)
    for severity, code in (("warning", 0), ("critical", 3)):
        alert = AlertFacts("1a2b", "report-due", "firing", AT, "late", severity)
        assert code_of(StatusDocument(AT, Verdict.MET, (), (alert,), briefs=(well,))) == code


def test_of_a_restricted_incident_alerts_say_that_a_report_is_late_and_not_which() -> None:
    known = load_regimes(None).known
    names = ("eu-gdpr-33", "us-sec-8k-105", "eu-nis2-ew", "eu-gdpr-34")
    case = Case({Instant.AWARE: AT}, decisions=YES, jurisdictions=("DE",))
    now = AT + 99 * HOUR
    states = clocks([known[n] for n in names], case, now, NoHolidays())
    found = list(concealed(3, report_conditions(3, states, "UTC", now)))
    assert [(c.kind, c.severity, c.subject, c.text) for c in found] == [
        ("report-due", "critical", "incident 3", "a report about incident 3 is late"),
        (
            "report-undecided",
            "critical",
            "incident 3",
            "nobody has decided whether a report about incident 3 is needed, and it may be late",
        ),
    ]
    assert {c.remedy for c in found} == {"drd incident obligation 3"}

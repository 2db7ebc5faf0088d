"""Incidents: what follows from their entries, and what a person under stress reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from drd.cli.incident_screen import screen
from drd.config.incident_schema import IncidentRule, Incidents
from drd.errors import UsageError
from drd.flows.incidents.times import coming, past, recorded
from drd.model.alerts import Alert
from drd.model.incidents import entries as kinds
from drd.model.incidents.durations import contradictions, durations
from drd.model.incidents.entries import Author, draft, number_of, subject
from drd.model.incidents.fold import fold
from drd.model.incidents.incident import Incident
from drd.model.incidents.instants import Instant
from drd.model.incidents.rules import OpeningRule
from drd.model.incidents.states import State, goes_back
from drd.model.incidents.timeline import condensed, timeline
from drd.model.record_drafts import of_decision, of_end
from drd.model.records import Draft, Entry
from drd.model.run import Decision, Run, RunKind, RunState
from tests.records_support import ANNA, Chain

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


class Response(Chain):
    """The entries of incident 1, one a minute."""

    def say(self, kind: str, **body: Any) -> Entry:
        author = Author("anna", at(len(self.entries)), ANNA)
        return self.add(draft(kind, 1, author, body))

    @property
    def incident(self) -> Incident:
        own = [e for e in self.entries if e.header.subject == subject(1)]
        return fold(1, own)

    def lines(self) -> list[str]:
        return [line.text for line in timeline(self.incident, self.entries)]


@pytest.fixture
def response() -> Response:
    made = Response()
    made.say(kinds.OPEN, title="orders leak", plans=["shop"], severity="high")
    return made


def test_an_incident_keeps_the_plans_of_the_report_that_it_was_opened_from() -> None:
    made = Response()
    made.say(kinds.REPORT, text="strange logins", plans=["shop"])
    assert made.incident.plans == ("shop",)
    made.say(kinds.OPEN, title="", plans=["billing", "shop"])
    assert made.incident.plans == ("shop", "billing")
    assert [scoped.since for scoped in made.incident.scope] == [1, 2]
    assert made.lines()[0] == "reported: strange logins; plans shop"


def test_only_the_title_is_needed() -> None:
    made = Response()
    made.say(kinds.OPEN, title="orders leak")
    incident = made.incident
    assert (incident.title, incident.state, incident.severity) == ("orders leak", "detected", "")
    assert incident.plans == ()
    assert incident.is_open
    assert incident.next_at is None


def test_the_last_entry_about_a_field_holds(response: Response) -> None:
    response.say(kinds.STATE, to="contained", reason="")
    response.say(kinds.SEVERITY, to="critical", reason="")
    response.say(kinds.ASSIGN, to="anna")
    response.say(kinds.ROLE, role="legal", to="bert")
    response.say(kinds.ROLE, role="legal", to="carl")
    response.say(kinds.SCOPE, add=["billing"], remove=["shop"], reason="")
    response.say(kinds.SCOPE, add=["billing"], remove=[], reason="")
    incident = response.incident
    assert (incident.state, incident.severity) == ("contained", "critical")
    assert incident.state_at == at(1)
    assert incident.people == {"anna", "carl"}
    assert [(s.plan, s.since, s.until) for s in incident.scope] == [
        ("shop", 1, 7),
        ("billing", 7, None),
    ]
    assert incident.plans == ("billing",)


def test_a_closed_one_can_be_opened_again(response: Response) -> None:
    response.say(kinds.CLOSE, reason="done")
    assert (response.incident.state, response.incident.closed_at) == (State.CLOSED, at(1))
    response.say(kinds.STATE, to="detected", reason="it goes on")
    assert response.incident.is_open
    assert response.incident.closed_at is None


def test_tasks_and_the_next_one(response: Response) -> None:
    response.say(kinds.TASK, text="change the key", to="bert", due=at(90))
    response.say(kinds.TASK, text="call counsel", to="", due=at(60))
    response.say(kinds.TASK, text="some day", to="", due=None)
    assert [t.number for t in response.incident.open_tasks] == [2, 1, 3]
    assert response.incident.next_at == at(60)
    response.say(kinds.TASK, done=2)
    assert response.incident.next_at == at(90)
    assert "task 2 done: call counsel" in response.lines()
    response.say(kinds.CLOSE, reason="")
    assert response.incident.next_at is None


def test_a_moment_can_be_corrected_and_the_timeline_shows_both(response: Response) -> None:
    response.say(kinds.ANCHOR, instant="contained", at=at(30), reason="")
    response.say(kinds.ANCHOR, instant="contained", at=at(20), reason="the log says so")
    assert response.incident.instants[Instant.CONTAINED] == at(20)
    assert response.lines()[1:] == [
        "contained: 2026-11-28 12:30 UTC",
        "contained: 2026-11-28 12:20 UTC, not 2026-11-28 12:30 UTC: the log says so",
    ]


def test_durations_of_an_incident_follow_from_its_stated_moments(response: Response) -> None:
    assert durations(response.incident) == {
        "detect": None, "acknowledge": 0, "contain": None, "recover": None,
    }  # fmt: skip
    stated = {"occurred": -30, "aware": -5, "first_alert": -10, "contained": 20}
    for name, minutes in stated.items():
        response.say(kinds.ANCHOR, instant=name, at=at(minutes), reason="")
    assert durations(response.incident) == {
        "detect": 20 * 60, "acknowledge": 10 * 60, "contain": 30 * 60, "recover": None,
    }  # fmt: skip
    response.say(kinds.ANCHOR, instant="contained", at=at(-20), reason="contradicts")
    assert durations(response.incident)["contain"] is None


def test_an_entry_is_corrected_and_starred_but_stays(response: Response) -> None:
    noted = response.say(kinds.LOG, text="blocked the first key")
    before = list(response.entries)
    response.say(kinds.CORRECT, entry=noted.seq, text="blocked the second key", reason="typing")
    response.say(kinds.STAR, entry=noted.seq, on=True)
    line = timeline(response.incident, response.entries)[1]
    assert (line.text, line.corrected, line.starred) == ("blocked the second key", True, True)
    response.say(kinds.STAR, entry=noted.seq, on=False)
    assert not timeline(response.incident, response.entries)[1].starred
    assert response.entries[:2] == before


def test_a_corrected_title_is_the_title(response: Response) -> None:
    response.say(kinds.CORRECT, entry=1, text="billing leaks", reason="")
    assert response.incident.title == "billing leaks"


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        "{}",
        '{"to": "sleeping"}',
        '{"instant": 1}',
        '{"done": "x"}',
        '{"entry": null}',
    ],
)
@pytest.mark.parametrize("kind", [kinds.STATE, kinds.ANCHOR, kinds.TASK, kinds.STAR, kinds.SCOPE])
def test_a_body_that_somebody_changed_breaks_nothing(
    response: Response, kind: str, text: str
) -> None:
    entry = response.say(kind, to="x")
    assert entry.body is not None
    response.entries[-1] = replace(entry, body=replace(entry.body, text=text))
    incident = response.incident
    assert incident.state is State.DETECTED
    assert len(timeline(incident, response.entries)) == 2


def test_a_redacted_entry_has_a_line_without_what_it_said(response: Response) -> None:
    response.say(kinds.LOG, text="7 Elm Street")
    response.entries[-1] = replace(response.entries[-1], body=None)
    assert response.lines()[-1] == "(redacted)"


@pytest.mark.parametrize(
    ("kind", "state"),
    [(kinds.OPEN, State.DETECTED), (kinds.REPORT, State.REPORTED)],
)
def test_an_incident_whose_opening_was_redacted_is_restricted(kind: str, state: State) -> None:
    response = Response()
    response.say(kind, title="leak at Elm Street", text="leak at Elm Street", restricted=True)
    response.entries[-1] = replace(response.entries[-1], body=None)
    incident = response.incident
    assert (incident.restricted, incident.state, incident.title) == (True, state, "")
    assert incident.opened_at == at(0)


def test_an_incident_stays_closed_when_its_end_was_redacted(response: Response) -> None:
    response.say(kinds.CLOSE, reason="mail of anna@example.org")
    response.entries[-1] = replace(response.entries[-1], body=None)
    assert (response.incident.state, response.incident.closed_at) == (State.CLOSED, at(1))


def test_an_entry_with_an_earlier_time_stands_at_that_time_in_the_timeline(
    response: Response,
) -> None:
    response.say(kinds.LOG, text="noted now")
    response.say(kinds.LOG, text="first strange request", happened_at=at(-60))
    assert response.lines() == [
        "first strange request",
        "opened: orders leak; severity high; plans shop",
        "noted now",
    ]


def backup(number: int, state: RunState = RunState.SUCCEEDED) -> Draft:
    run = Run(f"{number:08x}", "shop", RunKind.BACKUP, "schedule", state, at(number))
    return of_end(run, state, at=at(number), error=None, actor=None)


def test_routine_in_a_row_is_one_line(response: Response) -> None:
    for number in range(1, 5):
        response.add(backup(number))
    response.add(backup(5, RunState.FAILED))
    response.add(backup(6))
    lines = condensed(timeline(response.incident, response.entries))
    assert [(line.count, line.until) for line in lines] == [
        (1, None), (4, at(4)), (1, None), (1, None),
    ]  # fmt: skip


def test_an_undo_is_on_the_timeline_in_words(response: Response) -> None:
    for action in ("undo", "redo", "done"):
        said = Decision("", action, "anna", "", 0, at(3), ANNA)  # type: ignore[arg-type]
        response.add(of_decision("shop", "4fe9be36", said, ANNA))
    assert response.lines()[1:] == [
        "undo of recovery 4fe9be36 of shop: puts back the data from before the recovery",
        "redo of recovery 4fe9be36 of shop: puts back the data that the recovery restored",
        "done of recovery 4fe9be36 of shop: removes the kept copies for good",
    ]


def test_the_screen_fits_80_columns_and_says_what_is_next(response: Response) -> None:
    response.say(kinds.LOG, text=f"\x1b[31m{'a long report of what was seen ' * 9}")
    response.say(kinds.TASK, text="change the key of the billing job", to="bert", due=at(90))
    response.say(kinds.ROLE, role="communications", to="somebody with a long name")
    for number in range(20):
        response.say(kinds.SCOPE, add=[f"a-plan-with-a-long-name-{number}"], remove=[], reason="")
    incident = response.incident
    shown = screen(incident, timeline(incident, response.entries), at(60), 80)
    assert max(map(len, shown)) <= 80
    assert not any("\x1b" in line for line in shown)
    assert shown[0] == "incident 1  orders leak"
    assert shown[1].startswith("detected since 12:00 UTC, severity high, open for 1h")
    assert "to do     task 1: change the key of the billing job (bert), due 13:30 UTC, in" in shown
    late = screen(incident, [], at(100), 80)
    assert any("overdue by 10m" in line for line in late)


def test_the_screen_has_the_zone_in_which_people_type(response: Response) -> None:
    response.say(kinds.ANCHOR, instant="aware", at=at(-30), reason="")
    response.say(kinds.TASK, text="call", to="", due=at(90))
    incident = response.incident
    lines = timeline(incident, response.entries, BERLIN)
    shown = screen(incident, lines, at(60), 80, zone=BERLIN)
    assert "moments   aware 12:30 CET" in shown
    assert "2026-11-28, times in Europe/Berlin" in shown
    assert any(line.endswith("aware: 2026-11-28 12:30 CET") for line in shown)
    assert any("due 2026-11-28 14:30 CET" in line for line in shown)


@pytest.mark.parametrize(
    ("before", "after", "back"),
    [("detected", "closed", False), ("closed", "detected", True), ("contained", "triaged", True)],
)
def test_a_change_to_an_earlier_state_goes_back(before: str, after: str, *, back: bool) -> None:
    assert goes_back(State(before), State(after)) is back


@pytest.mark.parametrize("text", ["incident:", "incident:x", "shop", "shop/1", "incident:1/2"])
def test_no_other_subject_is_an_incident(text: str) -> None:
    assert number_of(text) is None


# --- times that people type --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("now", NOON),
        ("-2h", at(-120)),
        ("-1h30m", at(-90)),
        ("12:30", at(-30)),
        ("9:05", at(-235)),
        ("2026-11-28T12:30:00+01:00", at(-30)),
        ("2026-11-28T12:30", at(-30)),
        ("2026-11-28 11:30 UTC", at(-30)),
    ],
)
def test_a_time_of_the_past(text: str, wanted: datetime) -> None:
    assert past(text, NOON, BERLIN) == wanted


def test_an_hour_that_the_clock_repeats_is_the_first_one() -> None:
    changed = datetime(2026, 10, 25, 12, 0, tzinfo=UTC)
    assert past("02:30", changed, BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert past("01:30", changed, BERLIN) == datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    assert past("12:30", changed, BERLIN) == datetime(2026, 10, 25, 11, 30, tzinfo=UTC)
    assert past("yesterday 02:30", changed, BERLIN) == datetime(2026, 10, 24, 0, 30, tzinfo=UTC)
    assert past("today 02:30", changed, BERLIN) == past("02:30", changed, BERLIN)


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ("2026-10-25T02:30", True),
        ("2026-10-25 02:30:00", True),
        ("2026-10-25T02:30+02:00", False),
        ("2026-10-25T00:30:00Z", False),
        ("2026-10-25T03:30", False),
        ("2026-11-27T02:30", False),
    ],
)
def test_a_time_that_the_clock_showed_twice_is_reported_with_the_other_one(
    text: str, *, twice: bool
) -> None:
    told = recorded(text, past(text, NOON, BERLIN), BERLIN)
    assert ("for the second, write 2026-10-25T02:30+01:00)" in told) is twice
    assert ("twice" in told) is twice


@pytest.mark.parametrize("text", ["13:30", "2027-01-01T00:00:00Z"])
def test_a_time_of_an_event_in_the_future_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="in the future"):
        past(text, NOON, BERLIN)


def test_the_hint_of_a_time_to_come_is_the_same_time_a_day_before() -> None:
    with pytest.raises(UsageError) as caught:
        past("13:30", NOON, BERLIN)
    wanted = caught.value.hint.split('"')[1]
    assert wanted == "yesterday 13:30"
    assert past(wanted, NOON, BERLIN) == datetime(2026, 11, 27, 12, 30, tzinfo=UTC)


def test_moments_in_an_impossible_order_are_named() -> None:
    early, late = NOON - timedelta(hours=2), NOON
    stated = {Instant.OCCURRED: late, Instant.AWARE: early, Instant.CONTAINED: late}
    assert contradictions(stated) == ["aware is before occurred"]
    assert contradictions({Instant.OCCURRED: early, Instant.AWARE: late}) == []


@pytest.mark.parametrize("text", ["", "25:00", "soon", "-2x", "2026-11-28T25:00"])
def test_a_malformed_time_of_an_event_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        past(text, NOON, BERLIN)


def test_a_date_alone_is_not_a_moment() -> None:
    with pytest.raises(UsageError, match="does not contain a time of day") as caught:
        past("2026-11-27", NOON, BERLIN)
    assert caught.value.hint == "add the time, as exactly as you know it: 2026-11-27T09:30"


@pytest.mark.parametrize(("text", "wanted"), [("1h", at(60)), ("+30m", at(30)), ("14:00", at(60))])
def test_a_time_to_come_is_read_and_one_in_the_past_refused(text: str, wanted: datetime) -> None:
    assert coming(text, NOON, BERLIN) == wanted
    with pytest.raises(UsageError, match="in the past"):
        coming("-2h", NOON, BERLIN)


# --- rules -------------------------------------------------------------------------------------


def alert(plan: str = "orders-api", kind: str = "no-point", severity: str = "critical") -> Alert:
    return Alert("a1", plan, kind, "", "firing", severity, NOON, "gone")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "opens"),
    [
        (OpeningRule("no-point"), True),
        (OpeningRule("rpo"), False),
        (OpeningRule(severity="critical"), True),
        (OpeningRule(severity="warning"), True),
        (OpeningRule("no-point", "critical", "orders-*"), True),
        (OpeningRule("no-point", "critical", "billing"), False),
        (OpeningRule("no-point", tier=1), False),
        (OpeningRule("no-point", tier=2), True),
        (OpeningRule("no-point", tier=3), True),
    ],
)
def test_a_rule_opens_an_incident_for_the_alerts_that_it_matches(
    rule: OpeningRule, *, opens: bool
) -> None:
    assert rule.matches(alert(), lambda _: 2) is opens
    assert not rule.matches(alert(plan=""), lambda _: 2), "of drd itself"


def test_a_lesser_alert_opens_none() -> None:
    assert not OpeningRule(severity="critical").matches(alert(severity="warning"), lambda _: None)
    assert OpeningRule("no-point").matches(alert(severity="warning"), lambda _: None)
    assert not OpeningRule("no-point").matches(alert(severity="info"), lambda _: None)
    assert OpeningRule("no-point", "info").matches(alert(severity="info"), lambda _: None)


def test_plan_without_a_tier_is_of_none() -> None:
    assert not OpeningRule("no-point", tier=5).matches(alert(), lambda _: None)
    assert OpeningRule("no-point", tier=1).key("shop") == "alert: no-point, tier: 1; plan shop"


def test_rule_of_drd_yaml_says_which_alerts() -> None:
    assert IncidentRule(severity="critical").alert is None
    with pytest.raises(ValidationError, match="for every alert"):
        IncidentRule(plans="orders-*")
    with pytest.raises(ValidationError, match="no kind of alert"):
        IncidentRule(alert="point-vanished")
    with pytest.raises(ValidationError, match="low twice"):
        Incidents(severities=["low", "low"])


def test_the_page_about_incidents_explains_every_moment() -> None:
    page = (Path(__file__).parents[2] / "docs/incidents.md").read_text()
    assert [i.value for i in Instant if f"| `{i.value}` | " not in page] == []

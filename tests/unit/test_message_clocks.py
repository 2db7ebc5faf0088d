"""When people expect to hear of an incident again, and what an alert says of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from drd.config.daemon_schema import Incidents
from drd.model.contacts import Contact, ContactBook, ContactKind
from drd.model.incidents import entries as kinds
from drd.model.incidents.audiences import Audience
from drd.model.incidents.cadence import Cadence, Told, UpdateClock
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.fold import fold
from drd.model.incidents.incident import Incident
from drd.model.incidents.message_fold import messages
from drd.model.incidents.messages import (
    Content,
    Delivery,
    Fate,
    IncidentMessage,
    Part,
    Recipient,
    Way,
)
from drd.model.incidents.recipients import Reach
from drd.model.message import ChannelSpec
from drd.model.message_conditions import message_conditions, update_words
from drd.model.titles import title_of
from tests.records_support import ANNA, Chain

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CADENCE = Cadence(1800.0, {"critical": 3600.0, "high": 4 * 3600.0})
BERLIN = ZoneInfo("Europe/Berlin")


class Response(Chain):
    """The entries of incident 1."""

    def say(self, kind: str, minute: float, **body: Any) -> None:
        self.add(draft(kind, 1, Author("anna", NOON + minute * MINUTE, ANNA), body))

    def send(self, minute: float, promise: float | None, audience: str = "internal") -> None:
        at = (NOON + promise * MINUTE).isoformat() if promise is not None else None
        self.say(kinds.MESSAGE, minute, act="send", audience=audience, message=1, recipients=[],
                 next_update=at)  # fmt: skip

    def clocks(self, cadence: Cadence = CADENCE) -> list[tuple[str, float]]:
        found = with_cadence(fold(1, self.entries), cadence).updates
        return [(c.audience, (c.due - NOON) / MINUTE) for c in found]


def with_cadence(incident: Incident, cadence: Cadence) -> Incident:
    return replace(incident, cadence=cadence)


@pytest.fixture
def response() -> Response:
    made = Response()
    made.say(kinds.OPEN, 0, title="leak", severity="critical")
    return made


def test_the_first_update_is_due_after_the_opening_then_as_promised(response: Response) -> None:
    assert response.clocks() == [("internal", 30)]
    response.send(10, 70)
    assert response.clocks() == [("internal", 70)]
    response.send(60, None)
    assert response.clocks() == []


def test_a_change_of_the_state_makes_an_update_due_before_the_promise(response: Response) -> None:
    response.send(10, 70)
    response.send(20, 200, "customers")
    response.say(kinds.STATE, 30, to="contained")
    assert response.clocks() == [("customers", 60), ("internal", 60)]
    response.send(40, 100, "customers")
    assert response.clocks() == [("internal", 60), ("customers", 100)]


def test_audiences_outside_have_no_clock_before_the_first_message(response: Response) -> None:
    response.send(10, 70, "press")
    assert response.clocks() == [("internal", 30), ("press", 70)]
    response.say(kinds.CLOSE, 20)
    assert response.clocks() == []


@pytest.mark.parametrize(
    ("severity", "promise"),
    [("critical", 60), ("high", 240), ("low", None), ("", 60)],
)
def test_the_promise_follows_the_severity(severity: str, promise: float | None) -> None:
    at = CADENCE.promise(severity, NOON)
    assert at == (NOON + promise * MINUTE if promise is not None else None)
    rounded = CADENCE.promise(severity, NOON + timedelta(seconds=1))
    assert rounded == (NOON + (promise + 1) * MINUTE if promise is not None else None)


def test_the_next_clock_of_an_incident_is_that_of_a_task_or_an_update(response: Response) -> None:
    made = with_cadence(fold(1, response.entries), CADENCE)
    assert made.next_at == NOON + 30 * MINUTE
    response.say(kinds.TASK, 1, text="x", to="", due=NOON + 20 * MINUTE)
    assert with_cadence(fold(1, response.entries), CADENCE).next_at == NOON + 20 * MINUTE
    assert response.clocks(Cadence(0.0, {})) == []


def test_alerts_of_updates_come_before_they_are_due_and_get_worse(response: Response) -> None:
    def told(minute: float) -> list[tuple[str, str]]:
        incident = with_cadence(fold(1, response.entries), CADENCE)
        found = message_conditions(incident, (), NOON + minute * MINUTE, UTC)
        return [(c.kind, c.severity) for c in found]

    assert told(19) == []
    assert told(20) == [("update-due", "warning")]
    assert told(30) == [("update-due", "critical")]
    (one,) = message_conditions(
        with_cadence(fold(1, response.entries), CADENCE), (), NOON + 40 * MINUTE, BERLIN
    )
    assert "by 2026-11-28 12:30 UTC (2026-11-28 13:30 CET), overdue by 10m" in one.text
    assert "leak" not in one.text
    assert title_of(one.kind, one.severity, one.subject) == (
        "an update is late: incident 1, internal"
    )


def test_alerts_of_messages_name_nobody(response: Response) -> None:
    recipients = (Recipient("Acme", Way.MAIL, "it@acme.example"), Recipient("D", Way.HAND, "1"))
    content = Content(Audience.CUSTOMERS, (Part("customers", "en", "s", "t", recipients),))
    response.say(kinds.DRAFT, 1, content=content.to_json())
    incident = fold(1, response.entries)

    def told(minute: float) -> list[tuple[str, str]]:
        found = messages(1, response.entries)
        conditions = list(message_conditions(incident, found, NOON + minute * MINUTE, UTC))
        assert "Acme" not in str(conditions)
        return [(c.severity, c.text.partition("everybody: ")[2]) for c in conditions]

    assert told(2) == []
    response.say(kinds.MESSAGE, 3, act="send", message=1, audience="customers", recipients=[0, 1])
    assert told(4) == [("warning", "1 to be told by a person")]
    assert told(20) == [("warning", "1 to be told by a person, 1 waits")]
    response.say(kinds.MESSAGE, 21, act="refused", message=1, recipient=0, name="Acme", said="550")
    response.say(kinds.MESSAGE, 22, act="told", message=1, recipient=1, name="D")
    assert told(23) == [("critical", "1 refused")]
    response.say(kinds.MESSAGE, 24, act="accepted", message=1, recipient=0, name="Acme")
    assert told(25) == []


def test_words_name_the_local_time_only_where_it_differs() -> None:
    clock = UpdateClock("internal", NOON, "promised")
    assert update_words(clock, NOON - 20 * MINUTE, UTC) == "by 2026-11-28 12:00 UTC, in 20m"
    assert "(2026-11-28 13:00 CET)" in update_words(clock, NOON, BERLIN)
    assert update_words(clock, NOON, UTC).endswith(", in 0s")
    assert update_words(clock, NOON + MINUTE, UTC).endswith(", overdue by 1m")
    assert update_words(clock, NOON + MINUTE / 60, UTC).endswith(", overdue by 1s")


def test_an_update_for_a_severity_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match='`updates` contains "sev1"'):
        Incidents.model_validate({"updates": {"sev1": "1h"}})
    Incidents.model_validate({"severities": ["sev1", "sev2"], "updates": {"sev1": "1h"}})
    Incidents.model_validate({"severities": ["sev1", "sev2"]})


def test_the_first_mail_server_carries_the_mails() -> None:
    contact = Contact("A", ContactKind.PRESS, mails=("a@b.example",))
    reach = Reach(
        ContactBook((), (contact,)), (ChannelSpec("m", "smtp", None),), ("m", "n"), leads=str
    )
    assert reach.mail_channel == "m"


@pytest.mark.parametrize(
    ("audience", "minute", "severity", "verb"),
    [
        ("internal", 30, "critical", "send"),
        ("internal", 29, "warning", "send"),
        ("press", 20, "warning", "draft"),
        ("executives", 31, "critical", "send"),
        ("internal", 19.9, None, ""),
    ],
)
def test_an_update_is_sent_inside_and_drafted_for_others(
    audience: str, minute: float, severity: str | None, verb: str
) -> None:
    told = {"internal": Told(NOON), audience: Told(NOON, NOON + 30 * MINUTE)}
    incident = Incident(1, severity="critical", opened_at=NOON, told=told, cadence=CADENCE)
    found = list(message_conditions(incident, (), NOON + minute * MINUTE, UTC))
    assert [c.severity for c in found] == ([severity] if severity else [])
    for condition in found:
        assert condition.subject == f"incident 1, {audience}"
        assert condition.remedy == f"drd incident message {verb} 1 {audience}"
        assert condition.text.endswith("(promised)")


@pytest.mark.parametrize(
    ("fates", "withdrawn", "told"),
    [
        ([], "", None),
        ([(Fate.ACCEPTED, 0)], "", None),
        ([(Fate.WAITING, 15)], "", None),
        ([(Fate.WAITING, 15.1)], "", ("warning", "1 waits")),
        ([(Fate.WAITING, None)], "", None),
        ([(Fate.TO_TELL, 0), (Fate.TO_TELL, 0)], "", ("warning", "2 to be told by a person")),
        ([(Fate.REFUSED, 0), (Fate.TO_TELL, 0)], "",
         ("critical", "1 refused, 1 to be told by a person")),
        ([(Fate.UNKNOWN, 0)], "", ("critical", "1 unknown")),
        ([(Fate.BOUNCED, 0)], "", ("critical", "1 bounced")),
        ([(Fate.REFUSED, 0)], "wrong", None),
    ],
)  # fmt: skip
def test_an_undelivered_message_is_a_warning_or_critical_by_its_fates(
    fates: list[tuple[Fate, float | None]], withdrawn: str, told: tuple[str, str] | None
) -> None:
    deliveries = tuple(
        Delivery(fate, None if ago is None else NOON - ago * MINUTE) for fate, ago in fates
    )
    message = IncidentMessage(
        2, 9, None, NOON, "anna", "press", withdrawn=withdrawn, deliveries=deliveries
    )
    found = list(message_conditions(Incident(1), [message], NOON, UTC))
    said = [(c.severity, c.text.partition("everybody: ")[2]) for c in found]
    assert said == ([told] if told else [])
    assert all(c.subject == "incident 1, message 2" for c in found)

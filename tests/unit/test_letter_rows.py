"""Messages of incidents in the outbox: which recipients get a row, by which channel."""

from __future__ import annotations

from dataclasses import replace

from drd.model.incidents.audiences import Audience
from drd.model.incidents.incident import Incident
from drd.model.incidents.letters import SENDING, Place, channel_of, letter_rows, own_rows
from drd.model.incidents.messages import Content, IncidentMessage, Part, Recipient, Way
from drd.model.message import INCIDENT, LETTER
from tests.records_support import BEGUN

TO = (
    Recipient("Acme", Way.MAIL, "a@acme.example", via="smtp"),
    Recipient("Acme", Way.CHANNEL, "pager"),
    Recipient("Anna", Way.HAND, "112"),
    Recipient("", Way.OWN, "team"),
)
CONTENT = Content(Audience.CUSTOMERS, (Part("customers", "en", "subject", "text", TO),))
MESSAGE = IncidentMessage(3, 1, CONTENT, BEGUN, "anna")
ALL = range(len(TO))


def test_drd_itself_writes_to_mails_and_channels_in_rows_of_their_own() -> None:
    rows = letter_rows(7, MESSAGE, ALL, BEGUN)
    assert [(channel, row.details["recipient"]) for channel, row in rows] == [
        ("letter/smtp", 0),
        ("letter/pager", 1),
    ]
    assert [channel_of(channel) for channel, _ in rows] == ["smtp", "pager"]
    assert {(row.event, row.title, row.text) for _, row in rows} == {
        (LETTER, "message 3 of incident 7", "")
    }
    assert [Place.of(row) for _, row in rows] == [
        Place(7, 3, 0, MESSAGE.digest),
        Place(7, 3, 1, MESSAGE.digest),
    ]


def test_ones_own_people_get_the_text_itself() -> None:
    [(channel, row)] = own_rows(Incident(7), MESSAGE, ALL, "critical", BEGUN)
    assert (channel, row.event, row.title, row.text) == ("team", INCIDENT, "subject", "text")
    assert Place.of(row) == Place(7, 3, 3, MESSAGE.digest)
    assert channel_of(channel) == ""


def test_only_the_chosen_recipients_have_a_row() -> None:
    assert [row.details["recipient"] for _, row in letter_rows(7, MESSAGE, [1, 2], BEGUN)] == [1]
    assert own_rows(Incident(7), MESSAGE, [0, 1, 2], "critical", BEGUN) == []


def test_a_row_says_since_when_its_message_is_being_handed_over() -> None:
    [(_, row)] = letter_rows(7, MESSAGE, [0], BEGUN)
    sending = replace(row, details={**row.details, SENDING: "2026-11-28T09:00:00Z"})
    assert Place.of(sending).sending == "2026-11-28T09:00:00Z"
    assert Place.of(row).sending == ""

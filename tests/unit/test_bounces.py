"""The report of a mail server: which mail of an incident came back, and why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drd.model.incidents.bounces import LONGEST, Bounce, bounces_in, letter_id

ID = f"incident-3.1.0.{'ab' * 8}"
"""Of a letter that an earlier version sent."""
HEAD = "Content-Type: multipart/report; boundary=B\nSubject: Undelivered\n\n--B\n"
STATUS = (
    "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n"
    "Final-Recipient: rfc822; x@y.example\nAction: {}\nStatus: 5.1.1\n{}\n--B\n"
)
HEADERS = f"Content-Type: text/rfc822-headers\n\nTo: x@y.example\nMessage-ID: <{ID}@us.example>\n"
LONG = "Diagnostic-Code: smtp; " + "550 x\n  y " * 200 + "\n"
DAEMON = "From: Mail <MAILER-DAEMON@mx.example>\n"


def read(raw: str) -> Bounce:
    found = bounces_in(raw.encode())
    assert found is not None
    [one] = found
    return one


@pytest.mark.parametrize(
    ("raw", "failed", "said"),
    [
        (HEAD + STATUS.format("failed", "") + HEADERS + "--B--\n", True, "5.1.1"),
        (HEAD + STATUS.format("delayed", LONG) + HEADERS, False, "550 x y"),
        (HEAD + STATUS.format("relayed", "") + HEADERS, False, "5.1.1"),
        (
            f"{DAEMON}Subject: returned\nIn-Reply-To: <{ID}@us.example>\n\nno such user\n",
            True,
            "returned",
        ),
        (f"{DAEMON}References: <{ID}@us.example>\n\nx\n", True, "the mail server gave no reason"),
    ],
)
def test_a_report_says_which_mail_and_why(raw: str, failed: bool, said: str) -> None:
    found = read(raw)
    assert (found.incident, found.number, found.recipient) == (3, 1, 0)
    assert (found.digest, found.failed, found.cites) == ("ab" * 8, failed, "")
    assert found.said.startswith(said)
    assert len(found.said) <= LONGEST


def test_the_id_of_a_letter_says_nothing_to_others() -> None:
    name = letter_id("ab" * 32, 0)
    assert name not in {letter_id("ab" * 32, 1), letter_id("ac" * 32, 0)}
    found = read(HEAD + STATUS.format("failed", "") + HEADERS.replace(ID, name))
    assert (found.incident, found.letter, found.cites) == (0, name, f"<{name}@us.example>")
    longer = read(HEAD + STATUS.format("failed", "") + HEADERS.replace(ID, f"a{name}"))
    assert longer.letter == ""


def test_a_report_without_the_mail_names_the_recipient() -> None:
    found = read(HEAD + STATUS.format("failed", ""))
    assert (found.incident, found.cites, found.address) == (0, "", "x@y.example")
    other = HEADERS.replace(ID, "newsletter.7")
    assert read(HEAD + STATUS.format("failed", "") + other).cites == "<newsletter.7@us.example>"
    lines = "Action: failed\nOriginal-Recipient: rfc822; shop@y.example\n"
    two = STATUS.format("delivered", "\n" + lines)
    assert (read(HEAD + two).address, read(HEAD + two).failed) == ("shop@y.example", True)


OWN = f"<{ID}@us.example>"
SES = {
    "notificationType": "Bounce",
    "bounce": {
        "bounceType": "Permanent",
        "bouncedRecipients": [
            {
                "emailAddress": "x@y.example",
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 no such user",
            }
        ],
    },
    "mail": {"messageId": "0102", "commonHeaders": {"messageId": OWN}},
}


@pytest.mark.parametrize(
    ("document", "number", "action", "said"),
    [
        (SES, 3, "failed", "550 no such user"),
        ({"message_id": OWN, "status": "5.1.1"}, 3, "failed", "5.1.1"),
        ({"Message-ID": OWN, "Status": "4.4.1"}, 3, "delayed", "4.4.1"),
        ({"message_id": OWN, "status": "5.1.1", "action": "Relayed"}, 3, "relayed", "5.1.1"),
        (
            {
                "Original-Message-ID": OWN,
                "Recipients": [
                    {"Final-Recipient": "rfc822; x@y.example", "Action": "Failed"},
                ],
            },
            3,
            "failed",
            "the mail server gave no reason",
        ),
        ({"final_recipient": "x@y.example", "action": "failed"}, 0, "failed", "the mail server"),
    ],
)
def test_json_with_the_same_fields(
    document: dict[str, Any], number: int, action: str, said: str
) -> None:
    found = read(json.dumps(document))
    assert (found.incident, found.action) == (number, action)
    assert found.said.startswith(said)
    two = bounces_in(json.dumps([document, document]).encode())
    assert two == [found, found]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\x00" * 1000,
        b"Message-ID: <alert.1@us.example>\n\nx",
        f"Subject: x\n\nMessage-ID: <{ID}@us.example>\n".encode(),
        HEAD.encode() * 100,
        f"From: it@acme.example\nIn-Reply-To: <{ID}@us.example>\n\nThank you.\n".encode(),
        b"[" * 100_000,
        b"{}",
        b"[]",
        json.dumps({"message_id": OWN, "subject": "x"}).encode(),
        b'{"message_id": "7", "status": "firing"}',
        b'{"recipients": ["x@y.example"], "status": "firing"}',
        json.dumps([SES, {"version": "4", "alerts": []}]).encode(),
    ],
)
def test_a_message_that_is_no_report_of_a_mail_server_has_no_bounces(raw: bytes) -> None:
    assert bounces_in(raw) is None


@pytest.mark.parametrize("part", ["message/rfc822", "multipart/mixed; boundary=B\n\n--B"])
def test_a_mail_of_thousands_of_parts_within_parts_is_not_read(part: str) -> None:
    """Python's reader of mails would call itself as often."""
    assert bounces_in((DAEMON + f"Content-Type: {part}\n\n" * 5000).encode()) is None

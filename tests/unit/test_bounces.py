"""The report of a mail server: which mail of an incident came back, and why."""

from __future__ import annotations

import pytest

from drd.model.incidents.bounces import LONGEST, Bounce, bounce_of, letter_id

ID = letter_id(3, 1, 0, "ab" * 32)
HEAD = "Content-Type: multipart/report; boundary=B\nSubject: Undelivered\n\n--B\n"
STATUS = (
    "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n"
    "Final-Recipient: rfc822; x@y.example\nAction: {}\nStatus: 5.1.1\n{}\n--B\n"
)
HEADERS = f"Content-Type: text/rfc822-headers\n\nTo: x@y.example\nMessage-ID: <{ID}@us.example>\n"
LONG = "Diagnostic-Code: smtp; " + "550 x\n  y " * 200 + "\n"


@pytest.mark.parametrize(
    ("raw", "failed", "said"),
    [
        (HEAD + STATUS.format("failed", "") + HEADERS + "--B--\n", True, "5.1.1"),
        (HEAD + STATUS.format("delayed", LONG) + HEADERS, False, "550 x y"),
        (f"Subject: returned\nIn-Reply-To: <{ID}@us.example>\n\nno such user\n", True, "returned"),
        (f"References: <{ID}@us.example>\n\nx\n", True, "the mail server gave no reason"),
    ],
)
def test_a_report_says_which_mail_and_why(raw: str, failed: bool, said: str) -> None:
    found = bounce_of(raw.encode())
    assert found is not None
    assert found == Bounce(3, 1, 0, "ab" * 8, failed, found.said)
    assert found.said.startswith(said)
    assert len(found.said) <= LONGEST


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\x00" * 1000,
        b"Message-ID: <alert.1@us.example>\n\nx",
        f"Subject: x\n\nMessage-ID: <{ID}@us.example>\n".encode(),
        HEAD.encode() * 100,
        b"In-Reply-To: <incident-0.1.0.abababababababab@x>\n\n",
    ],
)
def test_what_cites_no_mail_of_an_incident_is_none(raw: bytes) -> None:
    assert bounce_of(raw) is None

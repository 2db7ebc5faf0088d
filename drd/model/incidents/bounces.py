"""The report of a mail server that a mail of an incident came back (RFC 3464). Pure.

Such a report cites the Message-ID of the mail, which says what it is about. What it says was
written by others: it is bounded, and nothing in it is trusted but which mail it is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message

_ID = re.compile(r"<?incident-([1-9][0-9]{0,14})\.([1-9][0-9]{0,8})\.([0-9]{1,6})\.([0-9a-f]{16})@")
LONGEST = 300
"""Characters that are kept of what the server said."""
LARGEST = 4 << 20
"""Bytes of a report that are read."""
_MOST_PARTS = 50
_ORIGINAL = ("message/rfc822", "message/rfc822-headers", "text/rfc822-headers", "message/global")


@dataclass(frozen=True, slots=True)
class Bounce:
    """Which mail came back, and what the server said: the message's number in the incident, the
    place of a recipient in it, and the first digits of its digest. `failed` is false while the
    server tries it again."""

    incident: int
    number: int
    recipient: int
    digest: str
    failed: bool
    said: str


def letter_id(incident: int, message: int, recipient: int, digest: str) -> str:
    """Return the id of a letter, of which its Message-ID is made."""
    return f"incident-{incident}.{message}.{recipient}.{digest[:16]}"


def bounce_of(raw: bytes) -> Bounce | None:
    """Return what the report says; None if it is not about a mail of an incident."""
    report = message_from_bytes(raw[:LARGEST])
    parts = [part for part, _ in zip(report.walk(), range(_MOST_PARTS), strict=False)]
    cited = next(filter(None, map(_ID.search, _cited(report, parts))), None)
    if cited is None:
        return None
    incident, message, recipient, digest = cited.groups()
    failed, said = _said(parts)
    return Bounce(int(incident), int(message), int(recipient), digest, failed, said)


def _cited(report: Message, parts: list[Message]) -> Iterator[str]:
    """Return where the Message-ID of the mail can stand: in the mail that is returned, else in what
    the report refers to."""
    for part in parts:
        if part.get_content_type() in _ORIGINAL:
            inner = part.get_payload()
            if isinstance(inner, list):
                yield from (_field(one, "Message-ID") for one in inner[:1])
            else:
                yield str(inner)
    for part in parts[1:]:
        yield _field(part, "Message-ID")
    for name in ("In-Reply-To", "References", "X-Original-Message-ID"):
        yield str(report.get(name, ""))


def _field(part: object, name: str) -> str:
    return str(part.get(name, "")) if isinstance(part, Message) else ""


def _said(parts: list[Message]) -> tuple[bool, str]:
    """Return whether the mail failed for good, and the words of the server."""
    for part in parts:
        if part.get_content_type() != "message/delivery-status":
            continue
        blocks = part.get_payload()
        for block in blocks if isinstance(blocks, list) else []:
            action = _field(block, "Action").strip().lower()
            if not action:
                continue
            code = _field(block, "Diagnostic-Code").partition(";")[2]
            words = code or _field(block, "Status")
            return action == "failed", _short(words) or "the mail server gave no reason"
    return True, _short(str(parts[0].get("Subject", ""))) or "the mail server gave no reason"


def _short(text: str) -> str:
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())[:LONGEST]

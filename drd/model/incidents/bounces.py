"""The report of a mail server that a mail of an incident came back (RFC 3464), as a mail or as JSON
with the same fields. Pure.

Such a report cites the Message-ID of the mail that it is about. Its text was written by others, so
its length is limited, and only the Message-ID is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.utils import parseaddr
from hashlib import sha256
from typing import Any

from drd.model.intake.json_parts import documents
from drd.model.malformed import Malformed
from drd.model.text import shortened, storable

_ID = re.compile(r"<?incident-([1-9][0-9]{0,14})\.([1-9][0-9]{0,8})\.([0-9]{1,6})\.([0-9a-f]{16})@")
"""Of letters that an earlier version sent."""
_LETTER = re.compile(r"(?<![^<\s])<?([0-9a-f]{40})@")
_ANY_ID = re.compile(r"<[^<>\s]{1,200}@[^<>\s]{1,200}>")
LONGEST = 300
"""The largest number of characters that are kept of the server's text, and of an address."""
LARGEST = 4 << 20
"""Bytes of a report that are read."""
MOST = 500
"""Reports in one message."""
_MOST_PARTS = 50
_NESTS = re.compile(rb"boundary|message/", re.IGNORECASE)
_MOST_NESTS = 40
"""The largest number of places where a part of a mail may contain other parts: Python's reader
calls itself for each, and compares each line with all that are open."""
_NO_REASON = "the mail server gave no reason"
_FAILED = "failed"
_ORIGINAL = (
    *("message/rfc822", "message/rfc822-headers", "text/rfc822-headers"),
    *("message/global", "message/global-headers"),
)
_STATUS = ("message/delivery-status", "message/global-delivery-status")
_SERVERS = {"mailer-daemon", "postmaster"}


@dataclass(frozen=True, slots=True)
class Bounce:
    """Which mail came back, and what the server said: the message's number in the incident, the
    place of a recipient in it, and the first digits of its digest. `incident` is 0 if the report
    cites no mail of an incident: then `cites` is the Message-ID of another mail, or empty. `action`
    is the word of the server: `failed`, or `delayed` while it tries again. `address` is the
    recipient of the mail, `report` a digest of the report. `letter` may be the id of a letter: then
    the records show which mail it is."""

    incident: int
    number: int
    recipient: int
    digest: str
    action: str
    said: str
    address: str = ""
    cites: str = ""
    report: str = ""
    letter: str = ""

    @property
    def failed(self) -> bool:
        """Whether the mail came back for good."""
        return self.action == _FAILED


def letter_id(seal: str, recipient: int) -> str:
    """Return the id of a letter, from which its Message-ID is made. Others cannot find out anything
    from it: `seal` is the salted digest of the draft in the chain."""
    return sha256(f"letter\n{seal}\n{recipient}".encode()).hexdigest()[:40]


def bounces_in(raw: bytes) -> list[Bounce] | None:
    """Return the reports of mail servers in a message; None if the message is something else."""
    raw = raw[:LARGEST]
    if raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return _of_json(raw)
    bounces = _of_mail(raw)
    return [bounces] if bounces is not None else None


# --- a mail ---------------------------------------------------------------------------------


def _of_mail(raw: bytes) -> Bounce | None:
    if len(_NESTS.findall(raw)) > _MOST_NESTS:
        return None
    report = message_from_bytes(raw)
    parts = [part for part, _ in zip(report.walk(), range(_MOST_PARTS), strict=False)]
    blocks = list(_blocks(parts))
    sender = parseaddr(_field(report, "From"))[1].partition("@")[0].lower()
    if not blocks and sender not in _SERVERS:
        return None  # a person's answer cites the same Message-ID
    block = next((b for b in blocks if _action(b) == _FAILED), blocks[0] if blocks else None)
    words = (
        _after(_field(block, "Diagnostic-Code")) or _field(block, "Status")
        if block is not None
        else _field(report, "Subject")
    )
    address = _field(block, "Original-Recipient") or _field(block, "Final-Recipient")
    action = _action(block) if block is not None else _FAILED
    return _bounce(_cited(report, parts), action, words, _after(address), raw)


def _blocks(parts: list[Message]) -> Iterator[Message]:
    """Return what the report says of each recipient."""
    for part in parts:
        if part.get_content_type() in _STATUS:
            blocks = part.get_payload()
            for block in blocks if isinstance(blocks, list) else []:
                if isinstance(block, Message) and _action(block):
                    yield block


def _action(block: Message) -> str:
    return _field(block, "Action").strip().lower()


def _cited(report: Message, parts: list[Message]) -> list[str]:
    """Return where the Message-ID of the mail can stand: in the mail that is returned, else in what
    the report refers to."""
    cited = []
    for part in parts:
        if part.get_content_type() in _ORIGINAL:
            inner = part.get_payload()
            if isinstance(inner, list):
                cited += [_field(one, "Message-ID") for one in inner[:1]]
            else:
                cited.append(_message_id(str(inner)))
    cited += [_field(part, "Message-ID") for part in parts[1:]]
    return cited + [
        _field(report, name) for name in ("In-Reply-To", "References", "X-Original-Message-ID")
    ]


def _message_id(headers: str) -> str:
    return _field(message_from_bytes(headers.encode("utf-8", "replace")), "Message-ID")


def _field(part: object, name: str) -> str:
    return str(part.get(name, "")) if isinstance(part, Message) else ""


def _after(text: str) -> str:
    """Return what follows the type of a field: `rfc822; x@y.example`."""
    kind, separator, rest = text.partition(";")
    return rest if separator else kind


# --- JSON -----------------------------------------------------------------------------------


def _of_json(raw: bytes) -> list[Bounce] | None:
    try:
        values = [part.value for part in documents(raw.decode("utf-8-sig"))]
    except (ValueError, RecursionError, Malformed):
        return None  # whoever reads alerts says what is wrong
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    bounces = [_of_value(value) for value in values]
    if not bounces or not all(bounces):
        return None
    return [one for some in bounces for one in some or ()]


def _of_value(value: object) -> list[Bounce] | None:
    """Return what one JSON object says of its recipients; None if it is no such report. It has the
    fields of RFC 3464, or is a notification of Amazon SES, which has them too."""
    if not isinstance(value, Mapping):
        return None
    whole = _keys(value)
    mail, bounce = _keys(whole.get("mail")), _keys(whole.get("bounce"))
    ids = [_text(one.get(key)) for one in (whole, _keys(mail.get("commonheaders"))) for key in _IDS]
    listed = whole.get("recipients") or bounce.get("bouncedrecipients")
    rows = [_keys(one) for one in listed] if isinstance(listed, list) else []
    rows = rows or [whole]
    is_report = any(map(_ID.search, ids)) or all(_recipient(row) for row in rows)
    if not is_report or not any(set(row) & _TELLS for row in rows):
        return None
    return [_of_row(row, ids, repr(sorted(whole.items(), key=str))) for row in rows]


_IDS = ("originalmessageid", "messageid")
_TELLS = {"action", "status", "diagnosticcode"}


def _of_row(row: Mapping[str, Any], ids: list[str], whole: str) -> Bounce:
    words = _after(_text(row.get("diagnosticcode"))) or _text(row.get("status"))
    action = _text(row.get("action")).strip().lower()
    if not action:
        action = "delayed" if _text(row.get("status")).startswith("4") else _FAILED
    return _bounce(ids, action, words, _recipient(row), whole.encode("utf-8", "replace"))


def _recipient(row: Mapping[str, Any]) -> str:
    names = ("originalrecipient", "finalrecipient", "emailaddress")
    return next((_after(_text(row[name])) for name in names if row.get(name)), "")


def _keys(value: object) -> dict[str, Any]:
    """Return the members of an object: `Final-Recipient`, `final_recipient` and `finalRecipient`
    are one key."""
    if not isinstance(value, Mapping):
        return {}
    return {re.sub(r"[^a-z]", "", str(key).lower()): one for key, one in value.items()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


# --- both -----------------------------------------------------------------------------------


def _bounce(ids: list[str], action: str, said: str, address: str, raw: bytes) -> Bounce:
    cited = next(filter(None, map(_ID.search, ids)), None)
    incident, message, recipient, digest = cited.groups() if cited else ("0", "0", "0", "")
    letter = next(filter(None, map(_LETTER.search, ids)), None)
    other = next(filter(None, map(_ANY_ID.search, ids)), None)
    return Bounce(
        int(incident),
        int(message),
        int(recipient),
        digest,
        _short(action)[:40],
        _short(said) or _NO_REASON,
        _short(address),
        other.group() if other and not cited else "",
        sha256(raw + address.encode("utf-8", "replace")).hexdigest(),
        letter[1] if letter and not cited else "",
    )


def _short(text: str) -> str:
    return shortened(" ".join(storable(text).split()), LONGEST)

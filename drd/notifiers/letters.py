"""Letters to people outside: exactly the approved text, to one address, without any addition by
drd."""

from __future__ import annotations

import hashlib
import json
import re
import smtplib
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from pydantic import BaseModel

from drd.errors import NotifyError
from drd.masking import masked
from drd.model.message import LETTER, ChannelSpec, Message
from drd.model.plan import SecretRef
from drd.notifiers import open_notifier
from drd.notifiers.settings import Carrier
from drd.notifiers.smtp import Smtp, this_host
from drd.ports.notify import DeliveryUnknown, Letter, Notifier, Post, Resolve
from drd.registry import NOTIFIERS

_LONGEST = 200
_DOMAIN = re.compile(r"[A-Za-z0-9.-]{1,255}")


def leads_to(spec: ChannelSpec, *, resolve: Resolve) -> str:
    """Return a digest of where a channel leads. Raises SecretUnavailable."""
    common = {*Carrier.model_fields, "timeout"}
    keys = NOTIFIERS[spec.kind].address if spec.kind in NOTIFIERS else ()
    own = sorted(keys or {*type(spec.settings).model_fields} - common)  # type: ignore[attr-defined]
    own_values = {key: _plain(getattr(spec.settings, key), resolve) for key in own}
    whole = json.dumps([spec.kind, own_values], sort_keys=True, default=str)
    return hashlib.sha256(whole.encode()).hexdigest()


def _plain(value: object, resolve: Resolve) -> object:
    """Return a value of settings with the secrets that it names."""
    if isinstance(value, SecretRef):
        return resolve(value)
    if isinstance(value, BaseModel):
        return {name: _plain(each, resolve) for name, each in value}
    if isinstance(value, Mapping):
        return {str(name): _plain(each, resolve) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, resolve) for each in value]
    return value


def open_post(spec: ChannelSpec, *, resolve: Resolve) -> Post:
    """Return what carries letters through a channel. Raises NotifyError if drd cannot use the
    package that adds its kind."""
    notifier = open_notifier(spec, resolve=resolve)
    return SmtpPost(notifier) if isinstance(notifier, Smtp) else NotifierPost(notifier)


class SmtpPost:
    """Sends one mail to one address. If the server got the text and did not answer, nobody knows
    whether it accepted the mail."""

    def __init__(self, smtp: Smtp) -> None:
        self._smtp = smtp

    def post(self, letter: Letter) -> str:
        host = self._smtp.settings.host
        sender = self._smtp.settings.sender or f"drd@{this_host()}"
        raw = _composed(letter, sender).as_bytes()
        with self._smtp.session() as session:
            self._smtp.login(session)
            session.ehlo_or_helo_if_needed()
            _require(host, "the sender", *session.mail(sender))
            _require(host, letter.to, *session.rcpt(letter.to))
            try:
                code, reply = session.data(raw)
            except smtplib.SMTPDataError:
                raise
            except (OSError, smtplib.SMTPException) as error:
                raise DeliveryUnknown(
                    f"{host} received the mail, but the connection ended before {host} answered: "
                    f"{error}",
                    hint="find out whether the mail arrived: ask the recipient, or check "
                    "the log of the mail server.",
                ) from None
            _require(host, "the mail", code, reply)
        return f"{host} accepted the mail: {code} {_words(reply)}"


def _composed(letter: Letter, sender: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = letter.to
    mail["Subject"] = letter.subject
    mail["Date"] = format_datetime(letter.at)
    mail["Message-ID"] = f"<{letter.id}@{_domain(sender)}>"
    mail.set_content(letter.text)
    return mail


def _domain(sender: str) -> str:
    """Return the domain of the sender's address: people outside must not learn the name of this
    host."""
    domain = parseaddr(sender)[1].rpartition("@")[2]
    return domain if _DOMAIN.fullmatch(domain) else this_host()


def _require(host: str, what: str, code: int, reply: bytes) -> None:
    """Raise NotifyError for an answer that refuses; permanent is what the server says is."""
    if code // 100 != 2:
        raise NotifyError(
            f"{host} refused {what}: {code} {_words(reply)}", permanent=code // 100 == 5
        )


def _words(reply: bytes) -> str:
    return " ".join(masked(reply.decode(errors="replace")).split())[:_LONGEST]


class NotifierPost:
    """Sends through a channel that belongs to the recipient. If a try fails, the channel does not
    say whether the letter was accepted, so only a permanent refusal is certain."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def post(self, letter: Letter) -> str:
        details = {"letter": letter.id}
        message = Message(
            LETTER, "", "info", letter.subject, letter.text, letter.at, details=details
        )
        try:
            return self._notifier.deliver(message)
        except NotifyError as error:
            if error.permanent:
                raise
            raise DeliveryUnknown(error.message, hint=error.hint) from None

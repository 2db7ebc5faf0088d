"""Messages by mail."""

from __future__ import annotations

import ipaddress
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

import drd
from drd import log
from drd.errors import NotifyError
from drd.fields import AbsolutePath, Contradiction, Duration, Secret
from drd.http import NoAnswer, cut_off, explain_tls, tls_context
from drd.masking import mask_login, masked
from drd.model.malformed import Malformed
from drd.model.message import Message
from drd.model.plan import SecretRef
from drd.model.text import escaped, readable, shortened
from drd.model.units import format_duration, format_time
from drd.notifiers.http import undelivered
from drd.notifiers.settings import Carrier
from drd.ports.notify import ChannelKind

_SHOWN = 200
_LONGEST_REPLIES = 1 << 20
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise Malformed(
            f'"{text}" is not a mail address', "write only the address, like oncall@example.com"
        )
    return text


MailAddress = Annotated[str, AfterValidator(_address)]


class SmtpSettings(Carrier):
    """Messages by mail."""

    kind: Literal["smtp"]
    host: str = Field(min_length=1, description="The mail server.")
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = Field(
        None, description="The port. Default: 587 with starttls, 465 with tls, 25 with none."
    )
    tls: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="The encryption. `starttls`: the connection becomes encrypted by "
        "STARTTLS. `tls`: it is encrypted from the beginning. `none`: without "
        "encryption, for a server on this host.",
    )
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of your own certificate authority."
    )
    user: str | None = Field(
        None, min_length=1, description="The user name of the login; needs `password`."
    )
    password: Secret | None = Field(None, description="The password of `user`.")
    sender: MailAddress | None = Field(
        None, description="The sender (default: drd@ and this host's name)."
    )
    to: list[MailAddress] = Field(min_length=1, description="The recipients.")
    timeout: Duration = Field(30.0, description="Time limit of one try to send a message.")

    def contradictions(self) -> Iterator[Contradiction]:
        for given, missing in (("user", "password"), ("password", "user")):
            if getattr(self, given) is not None and getattr(self, missing) is None:
                hint = "add the missing key, or remove both keys."
                yield Contradiction((given,), f"also needs `{missing}`", hint, of_key=True)
        if self.tls != "none":
            return
        if self.password is not None and not _is_here(self.host):
            hint = "use `tls: starttls` or `tls: tls`."
            yield Contradiction(("tls",), "would send the password unencrypted", hint)
        if self.ca_cert is not None:
            hint = "remove `ca_cert`, or use `tls: starttls` or `tls: tls`."
            yield Contradiction(("ca_cert",), "has no effect with `tls: none`", hint, of_key=True)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Smtp:
    """If the server accepts the mail for at least one recipient, this counts as a delivery: the
    server will send bounces for the others, and a second try would send the mail twice to those who
    got it."""

    def __init__(
        self, name: str, settings: SmtpSettings, resolve: Callable[[SecretRef], str]
    ) -> None:
        self.name = name
        self.settings = settings
        self.resolve = resolve

    def deliver(self, message: Message) -> str:
        settings = self.settings
        mail = compose(message, self.name, settings)
        with self.session() as smtp:
            self.login(smtp)
            refused = smtp.send_message(mail)
        if refused:
            names = ", ".join(refused)
            log.get(channel=self.name).warning("mail.refused", readers=names)
            return f"{settings.host} accepted the mail for all recipients except {names}"
        return f"{settings.host} accepted the mail for {', '.join(settings.to)}"

    @contextmanager
    def session(self) -> Iterator[smtplib.SMTP]:
        """A session, with TLS if configured; errors become NotifyErrors."""
        settings, host = self.settings, self.settings.host
        try:
            context = tls_context(settings.ca_cert) if settings.tls != "none" else None
        except NoAnswer as error:
            raise undelivered(error) from None
        smtp = _client(settings, context)
        try:
            with cut_off(settings.timeout, lambda: smtp.sock) as late:
                smtp.connect(host, settings.port or _PORTS[settings.tls])
                if settings.tls == "starttls":
                    smtp.starttls(context=context)
                yield smtp
                with suppress(OSError, smtplib.SMTPException):
                    smtp.quit()  # the mail was accepted, even if the goodbye fails
        except smtplib.SMTPServerDisconnected as error:
            raise _cut(host, settings.timeout, late=late(), error=error) from None
        except smtplib.SMTPException as error:
            raise _refused(host, error) from None
        except ssl.SSLError as error:
            raise undelivered(explain_tls(host, error)) from None
        except UnicodeError:
            raise NotifyError(
                f"cannot log in to {host}: `user` or its password is not ASCII",
                hint="use a login and password in ASCII.",
                permanent=True,
            ) from None
        except OSError as error:
            slow = late() or isinstance(error, TimeoutError)
            raise _cut(host, settings.timeout, late=slow, error=error) from None
        finally:
            smtp.close()

    def login(self, smtp: smtplib.SMTP) -> None:
        """Log in, if the settings have a login."""
        user = self.settings.user
        if user is not None and self.settings.password is not None:
            password = self.resolve(self.settings.password)
            mask_login(f"\0{user}\0{password}", password)  # as AUTH PLAIN has it
            smtp.login(user, password)


@cache
def this_host() -> str:
    """Return the full name of this host. The name is read once, because this takes long without
    DNS. If /etc/hosts calls all addresses of this host localhost, return the short name."""
    name = socket.getfqdn()
    return socket.gethostname() if name.partition(".")[0] == "localhost" else name


class _Replies:
    """The replies of a server, of bounded length in all: smtplib keeps every line of a reply."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, _LONGEST_REPLIES

    def readline(self, most: int) -> bytes:
        line: bytes = self._file.readline(most)
        self._left -= len(line)
        if self._left < 0:
            raise OSError(f"its replies are longer than {_LONGEST_REPLIES:,} bytes")
        return line

    def close(self) -> None:
        self._file.close()


class _Bounded:
    """A client that ends a session whose replies do not end."""

    sock: socket.socket | None
    file: Any

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Replies(self.sock.makefile("rb"))
        reply: tuple[int, bytes] = super().getreply()  # type: ignore[misc]
        return reply


class _Plain(_Bounded, smtplib.SMTP):
    """Without TLS, or with it after STARTTLS."""


class _Tls(_Bounded, smtplib.SMTP_SSL):
    """With TLS from the first byte on."""


def _client(settings: SmtpSettings, context: ssl.SSLContext | None) -> smtplib.SMTP:
    name = this_host()
    smtp: smtplib.SMTP = (
        _Tls(timeout=settings.timeout, context=context, local_hostname=name)
        if settings.tls == "tls"
        else _Plain(timeout=settings.timeout, local_hostname=name)
    )
    # The name that TLS verifies is otherwise set by a constructor that connects at once, outside of
    # our deadline.
    smtp._host = settings.host  # type: ignore[attr-defined]  # noqa: SLF001
    return smtp


def compose(message: Message, channel: str, settings: SmtpSettings) -> EmailMessage:
    """Return the mail. Its Message-ID is the same in every try, and all mails about one alert form
    a thread."""
    host = this_host()
    mail = EmailMessage(policy=SMTP)
    mail["From"] = settings.sender or f"drd@{host}"
    mail["To"] = ", ".join(settings.to)
    mail["Subject"] = _one_line(f"[drd] {message.title}")
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = f"<{message.id}.{channel}@{host}>"
    if message.alert:
        mail["References"] = f"<alert.{message.alert}@{host}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Drd-Event"] = message.event
    if message.plan:
        mail["X-Drd-Plan"] = message.plan
    mail["X-Drd-Severity"] = message.severity
    mail.set_content(readable(body(message, host)))
    return mail


def body(message: Message, host: str) -> str:
    """The text for people, with its origin at the end."""
    facts = [f"severity: {message.severity}", f"event: {message.event}"]
    facts += [f"plan: {message.plan}"] if message.plan else []
    facts += [f"alert: {message.alert}  (drd alerts)"] if message.alert else []
    facts += [f"run: {message.run}  (drd run show {message.run})"] if message.run else []
    facts += [f"time: {format_time(message.at, seconds=True)}"]
    text = f"\n{message.text.rstrip()}\n" if message.text else ""
    return (
        f"{message.title}\n{text}\n"
        + "\n".join(facts)
        + f"\n\n-- \ndrd {drd.__version__} on {host}\n"
    )


def _one_line(text: str) -> str:
    return " ".join(readable(text).split())


def _refused(host: str, error: smtplib.SMTPException) -> NotifyError:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return NotifyError(
            f"{host} refused the login: {_reply(error)}",
            hint="check `user`, and the secret that `password` names.",
            permanent=True,
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        if "STARTTLS" in str(error):
            return NotifyError(
                f"{host} does not offer STARTTLS",
                hint="use `tls: tls` with `port: 465`; `tls: none` only if the network is trusted.",
                permanent=True,
            )
        return NotifyError(
            f"{host} does not support a function that drd needs: {error}", permanent=True
        )
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        who, (code, text) = next(iter(error.recipients.items()))
        return NotifyError(
            f"{host} refused every recipient, for example {who}: {_words(code, text)}",
            hint="check the addresses in `to`, and whether a login is needed.",
            permanent=code >= 500,
        )
    if isinstance(error, smtplib.SMTPResponseException):
        return NotifyError(
            f"{host} refused the mail: {_reply(error)}", permanent=error.smtp_code >= 500
        )
    return NotifyError(f"{host} did not accept the mail: {shortened(masked(str(error)), _SHOWN)}")


def _reply(error: smtplib.SMTPResponseException) -> str:
    return _words(error.smtp_code, error.smtp_error)


def _words(code: int, reply: bytes | str) -> str:
    """Return a reply of a server in one line, without secrets that it repeats."""
    words = masked(reply.decode(errors="replace") if isinstance(reply, bytes) else reply)
    return escaped(f"{code} {' '.join(words.split())}")[:_SHOWN]


def _cut(host: str, timeout_s: float, *, late: bool, error: Exception) -> NotifyError:
    if late:
        return NotifyError(
            f"{host} did not accept the mail within {format_duration(timeout_s)}",
            hint="check that host and port are right and reachable, or raise `timeout`.",
        )
    if isinstance(error, socket.gaierror):
        return NotifyError(
            f"host {host} does not exist, or its name cannot be resolved now",
            hint="check `host`, and DNS on this host.",
        )
    why = (getattr(error, "strerror", None) or "").lower() or str(error)
    return NotifyError(
        f"the connection to {host} failed: {why}", hint="check `host`, `port` and `tls`."
    )


SPEC = ChannelKind(
    "smtp",
    SmtpSettings,
    lambda spec, resolve: Smtp(spec.name, spec.settings, resolve),
    sends_mail=True,
)

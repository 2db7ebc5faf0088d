"""Mail through a real server: TLS, logins, refusals, and what is in the mail."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from drd.errors import NotifyError
from drd.notifiers.smtp import Smtp, SmtpSettings
from tests.integration.test_notifiers import dripping
from tests.notify_support import NOON, Post, mail_server, make_certificate, message, secrets_of


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("ca"))


def smtp(post: Post | int, **more: Any) -> Smtp:
    port = post if isinstance(post, int) else post.port
    values = {"kind": "smtp", "host": "localhost", "port": port, "tls": "none"}
    values |= {"to": ["oncall@example.com"], "timeout": "5s", **more}
    settings = SmtpSettings.model_validate(values)
    return Smtp("mail-1", settings, secrets_of(PW="s3cr3t-pw", BAD="s3cr3t-bad", ODD="s3cr3t-ü"))


def refusal(notifier: Smtp) -> NotifyError:
    with pytest.raises(NotifyError) as caught:
        notifier.deliver(message())
    assert "s3cr3t" not in caught.value.message + caught.value.hint
    return caught.value


LOGIN = {"user": "drd", "password": {"env": "PW"}}


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_mail_goes_encrypted_and_with_a_login(certificate: Path, tls: str) -> None:
    with mail_server(certificate=certificate, tls=tls, password="s3cr3t-pw") as post:
        said = smtp(post, tls=tls, ca_cert=str(certificate), **LOGIN).deliver(message())
        assert said == "localhost accepted the mail for oncall@example.com"
        assert post.logins == [("drd", "s3cr3t-pw")]
        assert len(post.mails) == 1


def test_a_mail_says_what_it_is_about_in_any_script() -> None:
    sent = message(
        "orders-api: 東京 — ü\nInjected: header", alert="a1", run="4f2a", text="caf\udce9\n.\nend"
    )
    with mail_server() as post:
        smtp(post, sender="drd@example.com", to=["a@example.com", "b@example.com"]).deliver(sent)
        (mail,) = post.mails
    assert mail["Subject"] == "[drd] orders-api: 東京 — ü Injected: header"
    assert (mail["From"], mail["To"]) == ("drd@example.com", "a@example.com, b@example.com")
    assert mail["Injected"] is None
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Drd-Event"] == "firing"
    assert parsedate_to_datetime(mail["Date"]) == NOON
    text = mail.get_content().replace("\r\n", "\n")
    assert "caf\\xe9\n.\nend\n" in text
    assert "run: 4f2a  (drd run show 4f2a)" in text
    assert post.readers == [["a@example.com", "b@example.com"]]


def test_a_repeat_has_the_same_message_id_and_an_alert_is_one_thread() -> None:
    fired, resolved = message(alert="a1"), message(event="resolved", alert="a1")
    with mail_server() as post:
        channel = smtp(post)
        for what in (fired, fired, resolved, message()):
            channel.deliver(what)
        first, again, over, other = post.mails
    assert first["Message-ID"] == again["Message-ID"]
    assert fired.id in first["Message-ID"]
    assert over["Message-ID"] != first["Message-ID"]
    assert first["References"] == over["References"]
    assert other["References"] is None


def test_certificates_are_verified(certificate: Path) -> None:
    for tls in ("starttls", "tls"):
        with mail_server(certificate=certificate, tls=tls) as post:
            error = refusal(smtp(post, tls=tls))
            assert error.message.startswith("the certificate of localhost is not trusted")
            assert post.mails == []


def test_a_server_without_starttls_gets_no_mail() -> None:
    with mail_server() as post:
        error = refusal(smtp(post, tls="starttls"))
        assert error.message == "localhost does not offer STARTTLS"
        assert error.permanent
        assert post.mails == []


def test_a_refused_login_is_for_a_person_to_see_to(certificate: Path) -> None:
    with mail_server(certificate=certificate, tls="starttls", password="s3cr3t-pw") as post:
        common = {"tls": "starttls", "ca_cert": str(certificate)}
        error = refusal(smtp(post, **common, user="drd", password={"env": "BAD"}))
        assert error.message.startswith("localhost refused the login: 535")
        assert error.permanent
        error = refusal(smtp(post, **common, user="drd", password={"env": "ODD"}))
        assert "not ASCII" in error.message
        assert refusal(smtp(post, **common)).permanent


@pytest.mark.parametrize("greets", [b"220-more\r\n", b"220 ready\r\n"])
def test_a_server_whose_reply_does_not_end_is_not_read_to_its_end(greets: bytes) -> None:
    """smtplib keeps every line of a reply: a fast server filled the memory within the time
    limit."""
    sent = 0
    listener = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        nonlocal sent
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(greets)
            lines = b"250-x\r\n" * 10_000
            while sent < 64 << 20:
                sent += connection.send(lines)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    with listener:
        error = refusal(smtp(listener.getsockname()[1], timeout="60s"))
        thread.join()
    assert "its replies are longer than 1,048,576 bytes" in error.message
    assert not error.permanent
    assert sent < 32 << 20, "no more than the buffers of the sockets hold"


def test_one_unknown_reader_does_not_keep_the_others_from_reading() -> None:
    with mail_server() as post:
        post.refuse = {"gone@example.com"}
        channel = smtp(post, to=["gone@example.com", "b@example.com"])
        assert (
            channel.deliver(message())
            == "localhost accepted the mail for all recipients except gone@example.com"
        )
        assert post.readers == [["b@example.com"]]
        error = refusal(smtp(post, to=["gone@example.com"]))
        assert "gone@example.com: 550 no such user here" in error.message
        assert error.permanent


@pytest.mark.parametrize(("says", "permanent"), [("451 try later", False), ("554 spam", True)])
def test_a_refused_mail_says_whether_to_try_again(says: str, permanent: bool) -> None:
    with mail_server() as post:
        post.says = says
        error = refusal(smtp(post))
        assert error.message == f"localhost refused the mail: {says}"
        assert error.permanent is permanent


def test_unreachable_and_slow_mail_servers_can_be_retried() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = refusal(smtp(taken.getsockname()[1], host="127.0.0.1"))
    assert error.message == "the connection to 127.0.0.1 failed: connection refused"
    assert not error.permanent
    with dripping(b"220-hello\r\n") as port:
        started = time.monotonic()
        error = refusal(smtp(port, host="127.0.0.1", timeout="0.5s"))
        assert time.monotonic() - started < 30
    assert error.message == "127.0.0.1 did not accept the mail within 0.5s"
    assert not error.permanent

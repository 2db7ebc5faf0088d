"""Webhooks, commands, Apprise and heartbeats against real receivers."""

from __future__ import annotations

import builtins
import hashlib
import hmac
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from drd.errors import NotifyError
from drd.model.plan import Heartbeat, SecretRef
from drd.model.units import from_rfc3339
from drd.notifiers.apprise import AppriseSettings, AppriseUrl
from drd.notifiers.command import Exec, ExecSettings
from drd.notifiers.heartbeat import HttpWatcher, address
from drd.notifiers.webhook import Webhook, WebhookSettings
from tests.notify_support import (
    Receiver,
    http_receiver,
    make_certificate,
    make_plain_authority,
    message,
    secrets_of,
)

SECRET = {"env": "URL"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as found:
        yield found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("ca"))


def webhook(url: str, **more: Any) -> Webhook:
    values = {"kind": "webhook", "url": SECRET, **more}
    return Webhook(
        WebhookSettings.model_validate(values), secrets_of(URL=url, KEY="hunter2-key", TOK="tok")
    )


def refusal(notifier: Any, what: Any = None) -> NotifyError:
    with pytest.raises(NotifyError) as caught:
        notifier.deliver(what or message())
    assert "s3cr3t" not in caught.value.message + caught.value.hint
    return caught.value


# --- webhook ------------------------------------------------------------------------------------


def test_a_webhook_gets_the_message_and_can_verify_who_sent_it(receiver: Receiver) -> None:
    sent = message(alert="a1", details={"tries": 3})
    said = webhook(receiver.url(), secret={"env": "KEY"}, token={"env": "TOK"}).deliver(sent)
    assert said == "localhost answered 200"
    (got,) = receiver.got
    assert got.path == "/hooks/s3cr3t-path"
    expected = hmac.new(b"hunter2-key", got.body, hashlib.sha256).hexdigest()
    assert got.headers["X-Drd-Signature"] == f"sha256={expected}"
    assert got.headers["Authorization"] == "Bearer tok"
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["X-Drd-Delivery"] == sent.id
    body = json.loads(got.body)
    assert next(iter(body)) == "schema"
    assert {k: body[k] for k in sent.to_json()} == sent.to_json()
    assert (body["id"], body["host"]) == (sent.id, socket.gethostname())
    assert abs(int(got.headers["X-Drd-Timestamp"]) - time.time()) < 60
    assert abs(from_rfc3339(body["sent_at"]).timestamp() - time.time()) < 60


def test_a_webhook_has_no_byte_that_is_not_utf_8(receiver: Receiver) -> None:
    sent = message("caf\udce9", text="a\udce9 ü", details={"paths": ["b\udcff", {"c": "d\udce9"}]})
    webhook(receiver.url()).deliver(sent)
    body = json.loads(receiver.got[0].body)
    assert (body["title"], body["details"]) == (r"caf\xe9", {"paths": [r"b\xff", {"c": r"d\xe9"}]})
    assert json.dumps(body, ensure_ascii=False).encode(), "no half of a character is left"


def test_without_a_key_nothing_is_signed(receiver: Receiver) -> None:
    webhook(receiver.url("/?room=a")).deliver(message())
    assert "X-Drd-Signature" not in receiver.got[0].headers
    assert receiver.got[0].path == "/?room=a"


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(400, True), (401, True), (404, True), (408, False), (429, False), (500, False), (503, False)],
)
def test_a_refusal_of_a_webhook_says_whether_to_try_again(
    receiver: Receiver, status: int, permanent: bool
) -> None:
    receiver.always(status, b"no route for /hooks/s3cr3t-path here\nmore")
    error = refusal(webhook(receiver.url()))
    assert error.message == f"localhost answered {status}: no route for *** here"
    assert error.permanent is permanent


def test_an_html_answer_is_not_quoted(receiver: Receiver) -> None:
    receiver.always(502, b"<html><body>long", Content_Type="text/html")
    assert refusal(webhook(receiver.url())).message == "localhost answered 502: Bad Gateway"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("999999", 3600.0),
        ("-5", None),
        ("soon", None),
        (timedelta(seconds=600), 600.0),
        (timedelta(seconds=-600), 0.0),
    ],
)
def test_retry_after_is_respected_up_to_an_hour(
    receiver: Receiver, header: str | timedelta, seconds: float | None
) -> None:
    if isinstance(header, timedelta):
        header = format_datetime(datetime.now(UTC) + header, usegmt=True)
    receiver.always(429, Retry_After=header)
    error = refusal(webhook(receiver.url()))
    assert error.retry_after_s == (None if seconds is None else pytest.approx(seconds, abs=60))


def test_a_redirect_is_an_error_that_names_the_new_host(receiver: Receiver) -> None:
    with http_receiver() as other:
        receiver.always(308, Location=other.url("/s3cr3t-new"))
        error = refusal(webhook(receiver.url()))
        assert error.message == (
            "localhost answered 308, a redirect to localhost, which drd does not follow"
        )
        assert error.permanent
        assert other.got == []


def test_an_unreachable_receiver_can_be_retried(receiver: Receiver) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = refusal(webhook(f"http://127.0.0.1:{port}/s3cr3t"))
    assert error.message == f"cannot reach 127.0.0.1, port {port}: connection refused"
    assert error.hint == f"check that a server is running at 127.0.0.1, port {port}."
    assert not error.permanent
    error = refusal(webhook("http://nowhere.invalid/s3cr3t"))
    assert error.message.startswith("host nowhere.invalid does not exist")


@pytest.mark.parametrize(
    "url",
    ["s3cr3t", "ftp://h/s3cr3t", "http:///s3cr3t", "http://h:port/s3cr3t", "http://h/s3cr3t\nx"],
)
def test_a_secret_that_is_not_a_url_is_not_repeated(url: str) -> None:
    error = refusal(webhook(url))
    assert (
        error.message
        == "the secret with the URL of this channel does not contain an http or https URL"
    )
    assert error.permanent


def test_a_token_that_http_cannot_carry_is_not_repeated(receiver: Receiver) -> None:
    settings = WebhookSettings.model_validate(
        {"kind": "webhook", "url": SECRET, "token": {"env": "TOK"}}
    )
    notifier = Webhook(settings, secrets_of(URL=receiver.url(), TOK="s3cr3t\nx"))
    assert refusal(notifier).permanent


def test_user_and_password_of_an_address_are_a_login(receiver: Receiver) -> None:
    webhook(receiver.url().replace("http://", "http://drd:p%40ss@")).deliver(message())
    assert receiver.got[0].headers["Authorization"] == "Basic ZHJkOnBAc3M="


def test_certificates_are_verified(certificate: Path) -> None:
    with http_receiver(certificate) as receiver:
        error = refusal(webhook(receiver.url()))
        assert error.message.startswith("the certificate of localhost is not trusted")
        assert "ca_cert" in error.hint
        webhook(receiver.url(), ca_cert=str(certificate)).deliver(message())
        assert len(receiver.got) == 1
        wrong_name = receiver.url().replace("localhost", "127.0.0.1")
        error = refusal(webhook(wrong_name, ca_cert=str(certificate)))
        assert "127.0.0.1 is not trusted" in error.message


def test_an_own_authority_is_trusted_as_people_make_them(tmp_path: Path) -> None:
    authority, leaf = make_plain_authority(tmp_path)
    with http_receiver(leaf) as receiver:
        webhook(receiver.url(), ca_cert=str(authority)).deliver(message())
        assert len(receiver.got) == 1


def test_a_file_that_is_not_a_certificate_is_named(certificate: Path) -> None:
    missing = certificate.with_name("none.pem")
    error = refusal(webhook("https://localhost/", ca_cert=str(missing)))
    assert error.message == f"cannot use `ca_cert` {missing}: no such file or directory"
    error = refusal(webhook("https://localhost/", ca_cert=__file__))
    assert error.message == f"cannot use `ca_cert` {__file__}: it is not a PEM certificate"


@contextmanager
def dripping(words: bytes) -> Iterator[int]:
    """A server that sends one byte every tenth of a second, for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for byte in words * 1000:
                    if over.wait(0.1):
                        return
                    try:
                        connection.send(bytes([byte]))
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("words", [b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_the_deadline_is_for_all_of_it(words: bytes) -> None:
    with dripping(words) as port:
        started = time.monotonic()
        error = refusal(webhook(f"http://127.0.0.1:{port}/s3cr3t", timeout="0.5s"))
        assert time.monotonic() - started < 30
    assert error.message == "127.0.0.1 did not answer within 0.5s"
    assert not error.permanent


def test_a_proxy_of_the_environment_is_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{receiver.port}")
    webhook("http://hooks.invalid/s3cr3t").deliver(message())
    assert receiver.got[0].path == "http://hooks.invalid/s3cr3t"
    monkeypatch.setenv("no_proxy", "hooks.invalid")
    assert (
        "host hooks.invalid does not exist"
        in refusal(webhook("http://hooks.invalid/s3cr3t")).message
    )


# --- exec ---------------------------------------------------------------------------------------


def command(*words: str, timeout: str = "10s") -> Exec:
    values = {"kind": "exec", "command": list(words), "timeout": timeout}
    return Exec(ExecSettings.model_validate(values))


def test_a_command_gets_json_and_the_most_of_it_in_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    script = tmp_path / "page"
    script.write_text(f'#!/bin/sh\ncat >{tmp_path}/json; env >{tmp_path}/env; echo "$1" >&2\n')
    script.chmod(0o755)
    sent = message("a title\nof two lines", alert="a1", run="4f2a")
    assert command(str(script), "--now").deliver(sent) == "page exited with 0"
    assert json.loads((tmp_path / "json").read_text())["id"] == sent.id
    text = (tmp_path / "env").read_text()
    for line in (
        "DRD_EVENT=firing",
        "DRD_PLAN=orders-api",
        "DRD_SEVERITY=critical",
        "DRD_TITLE=a title\nof two lines",
        f"DRD_MESSAGE_ID={sent.id}",
        "DRD_ALERT=a1",
        "DRD_RUN_ID=4f2a",
    ):
        assert f"{line}\n" in text
    for name in ("AWS_", "NOTIFY_SOCKET", "CREDENTIALS", "DRD_RUN="):
        assert name not in text


def test_a_command_that_fails_is_quoted_and_tried_again() -> None:
    error = refusal(command("sh", "-c", "echo one >&2; echo the line is busy >&2; exit 3"))
    assert error.message == "sh exited with 3: the line is busy"
    assert not error.permanent


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    started = time.monotonic()
    alive = tmp_path / "alive"
    error = refusal(command("sh", "-c", f"(sleep 2; touch {alive}) & sleep 60", timeout="0.3s"))
    assert time.monotonic() - started < 30
    assert error.message == "sh did not end within 0.3s"
    assert not error.permanent
    time.sleep(max(0.0, started + 2.5 - time.monotonic()))
    assert not alive.exists()


def test_a_command_that_is_not_there_is_for_a_person_to_see_to(tmp_path: Path) -> None:
    for program in ("no-such-program", str(tmp_path / "x")):
        error = refusal(command(program))
        assert error.message == f"program {program} is not installed on this host"
        assert error.permanent


# --- Apprise ------------------------------------------------------------------------------------


def apprise(url: str, timeout: str = "10s") -> AppriseUrl:
    values = {"kind": "apprise", "url": SECRET, "timeout": timeout}
    return AppriseUrl(AppriseSettings.model_validate(values), secrets_of(URL=url))


def test_apprise_carries_a_message(receiver: Receiver) -> None:
    said = apprise(f"json://localhost:{receiver.port}/room").deliver(message("a ☃ title"))
    assert said == "JSON accepted the message"
    body = json.loads(receiver.got[0].body)
    assert (body["title"], body["type"]) == ("a ☃ title", "failure")
    assert "pg_dump cannot connect" in body["message"]
    apprise(f"json://localhost:{receiver.port}/room").deliver(message(event="resolved", text=""))
    body = json.loads(receiver.got[1].body)
    assert (body["type"], body["message"]) == ("success", message().title)


def test_a_silent_failure_of_apprise_is_an_error(
    receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.always(403, b"no")
    error = refusal(apprise(f"json://drd:s3cr3t-pw@localhost:{receiver.port}/s3cr3t-path"))
    assert error.message.startswith("JSON did not accept the message: ")
    assert "403" in error.message
    assert not error.permanent
    assert "s3cr3t" not in "".join(capfd.readouterr())


def test_an_address_that_apprise_does_not_know_is_not_repeated(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for url in ("s3cr3t", "pigeon://s3cr3t", "json://"):
        error = refusal(apprise(url))
        assert (
            error.message == "the secret with the address does not contain a URL that Apprise knows"
        )
        assert error.permanent
    assert "s3cr3t" not in "".join(capfd.readouterr())


def test_apprise_that_takes_too_long_is_abandoned(receiver: Receiver) -> None:
    let_go = threading.Event()
    receiver.answer = lambda _: (200, {}, b"") if let_go.wait(10) else (500, {}, b"")
    try:
        error = refusal(apprise(f"json://localhost:{receiver.port}/?rto=9", timeout="0.3s"))
    finally:
        let_go.set()
    assert error.message == "JSON did not accept the message within 0.3s"


def test_apprise_that_is_not_installed_says_how_to(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name == "apprise":
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    error = refusal(apprise("json://localhost/"))
    assert (error.message, error.permanent) == ("Apprise is not installed", True)
    assert f"{sys.executable} -m pip install 'apprise" in error.hint


# --- heartbeat ----------------------------------------------------------------------------------


def heart(url: str) -> HttpWatcher:
    return HttpWatcher(Heartbeat(SecretRef("env", "URL"), timeout_s=5.0), secrets_of(URL=url))


def test_heartbeats_use_the_paths_of_healthchecks(receiver: Receiver) -> None:
    beat = heart(receiver.url("/ping/s3cr3t"))
    beat.ping("start", "")
    beat.ping("success", "line\n" * 10_000 + "the last line")
    beat.ping("fail", "pg_dump: caf\udce9")
    assert [g.path for g in receiver.got] == [
        "/ping/s3cr3t/start",
        "/ping/s3cr3t",
        "/ping/s3cr3t/fail",
    ]
    assert len(receiver.got[1].body) == 8192
    assert receiver.got[1].body.endswith(b"the last line")
    assert receiver.got[2].body == b"pg_dump: caf\\xe9"


def test_the_suffix_comes_before_a_query() -> None:
    assert address("https://h/p/?create=1", "fail") == "https://h/p/fail?create=1"
    assert address("https://h", "start") == "https://h/start"


def test_a_watcher_that_refuses_is_an_error(receiver: Receiver) -> None:
    receiver.always(404, b"not found")
    with pytest.raises(NotifyError, match="localhost answered 404") as caught:
        heart(receiver.url()).ping("success", "")
    assert caught.value.permanent

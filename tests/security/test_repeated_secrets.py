"""Attack: the server of a channel repeats what it got, as it was sent or as it was meant.

Of an address `user:p%40ss…` the password came out decoded, and the login in base64; of a query, its
values; of a mail server, AUTH PLAIN. All of it stood on the terminal, in JSON and in the catalogue.
"""

from __future__ import annotations

import base64
import html
import json
import socket
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd import masking
from drd.actions.http import ask
from drd.errors import NotifyError
from drd.model.plan import Heartbeat, SecretRef
from drd.notifiers.apprise import AppriseSettings, AppriseUrl
from drd.notifiers.heartbeat import HttpWatcher
from drd.notifiers.smtp import Smtp, SmtpSettings
from drd.notifiers.webhook import Webhook, WebhookSettings
from tests.e2e.site import Site
from tests.notify_support import Received, http_receiver, message

PASSWORD = "p@ss/word!s3cr3t"
ADDRESS = f"drdbot:{urllib.parse.quote(PASSWORD, safe='')}@"
LOGIN = base64.b64encode(f"drdbot:{PASSWORD}".encode()).decode()
KEY = "k+ey/se=cret12345"
PATH = f"/hooks/{urllib.parse.quote('T0/ken+x9', safe='')}?k={urllib.parse.quote(KEY, safe='')}"

HIDDEN = (PASSWORD, LOGIN, KEY, "T0/ken+x9", "word!s3cr3t", "cret12345", "ken+x9")


def known(value: str) -> Callable[[SecretRef], str]:
    """As `secrets.resolve` does: what was resolved is masked."""

    def resolve(_: SecretRef) -> str:
        masking.mask(value)
        return value

    return resolve


def of_query(got: Received) -> str:
    return urllib.parse.parse_qs(urllib.parse.urlsplit(got.path).query)["k"][0]


def of_login(got: Received) -> str:
    return base64.b64decode(got.headers["Authorization"].removeprefix("Basic ")).decode()


ANSWERS: dict[str, Callable[[Received], str]] = {
    "twin": lambda _: "no such user",
    "as sent": lambda got: f"nothing at {got.path}",
    "path": lambda got: f"nothing at {urllib.parse.unquote(got.path)}",
    "header": lambda got: f"bad credentials: {got.headers['Authorization']}",
    "login": lambda got: f"wrong password for {of_login(got)}",
    "query": lambda got: f"no such key: {of_query(got)}",
    "json": lambda got: json.dumps({"key": of_query(got)}).replace("/", "\\/"),
    "html": lambda got: html.escape(f"no such key: {of_query(got)}"),
    "small letters": lambda got: f"no such key: {urllib.parse.quote_plus(of_query(got)).lower()}",
    "base64": lambda got: f"no {base64.urlsafe_b64encode(b'key: ' + of_query(got).encode())!r}",
}


def fault(notifier: Any) -> str:
    with pytest.raises(NotifyError) as caught:
        notifier.deliver(message())
    return f"{caught.value.message} {caught.value.hint}"


def assert_hidden(text: str) -> None:
    assert not [piece for piece in HIDDEN if piece.lower() in text.lower()], text


@pytest.mark.parametrize("said", ANSWERS)
def test_server_that_repeats_an_address_tells_no_secret(said: str) -> None:
    with http_receiver() as receiver:
        receiver.answer = lambda got: (400, {}, ANSWERS[said](got).encode())
        url = receiver.url(PATH).replace("://", f"://{ADDRESS}")
        settings = WebhookSettings.model_validate({"kind": "webhook", "url": {"env": "URL"}})
        text = fault(Webhook(settings, known(url)))
        assert_hidden(text)
        assert text.startswith("localhost answered 400: ")
        assert ("***" in text) == (said != "twin")
        spec = Heartbeat(SecretRef("env", "URL"))
        assert fault(HttpWatcher(spec, known(url))) == text


def test_reason_and_redirect_tell_no_secret() -> None:
    settings = WebhookSettings.model_validate({"kind": "webhook", "url": {"env": "URL"}})
    with http_receiver() as receiver:
        url = receiver.url(PATH).replace("://", f"://{ADDRESS}")
        to = {"Location": f"https://{urllib.parse.quote(KEY, safe='')}.example.com/"}
        receiver.answer = lambda _: (302, to, b"")
        assert "redirect to ***.example.com" in fault(Webhook(settings, known(url)))
    with answering(f"HTTP/1.1 404 no {KEY}\r\nContent-Type: text/html\r\n\r\n") as port:
        text = fault(Webhook(settings, known(f"http://{ADDRESS}127.0.0.1:{port}{PATH}")))
        assert text.startswith("127.0.0.1 answered 404: no ***")


def test_the_login_for_a_proxy_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver() as proxy:
        monkeypatch.setenv("http_proxy", f"http://{ADDRESS}127.0.0.1:{proxy.port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        proxy.answer = lambda got: (407, {}, str(got.headers).encode())
        status, text = ask("http://hooks.invalid/x", method="POST", body=b"", timeout_s=10)
        assert status == 407
        assert LOGIN in text, "what a step goes on with is as it was"
        assert LOGIN not in masking.masked(text)


@contextmanager
def answering(said: str) -> Iterator[int]:
    """A server that says this to whoever comes, and no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(said.encode())
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):
                    pass  # closing with something unread would reset the connection

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


# --- mail ---------------------------------------------------------------------------------------


@contextmanager
def mail_server(methods: str, said: Callable[[str], str]) -> Iterator[int]:
    """One that refuses each login with words about it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer, peer.makefile("rwb", 0) as lines:
                lines.write(b"220 here\r\n")
                for line in lines:
                    words = line.decode().strip()
                    if words.startswith("ehlo"):
                        lines.write(f"250-here\r\n250 AUTH {methods}\r\n".encode())
                    elif words.startswith("AUTH LOGIN"):  # with the user; the password is next
                        lines.write(b"334 UGFzc3dvcmQ6\r\n")
                    elif words.startswith("quit"):
                        return
                    else:
                        lines.write(f"535 5.7.8 {said(words)}\r\n".encode())

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("methods", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("before", [0, 150])
def test_mail_server_that_repeats_a_login_tells_no_secret(
    methods: str, repeats: bool, before: int
) -> None:
    def said(words: str) -> str:
        return "." * before + (f"failed for {words}" if repeats else "authentication failed")

    with mail_server(methods, said) as port:
        values = {"kind": "smtp", "host": "127.0.0.1", "port": port, "tls": "none", "user": "drd"}
        values |= {"password": {"env": "PW"}, "to": ["a@example.com"], "timeout": "5s"}
        text = fault(Smtp("mail", SmtpSettings.model_validate(values), known(PASSWORD)))
    assert "refused the login" in text
    for code in (f"\0drd\0{PASSWORD}", PASSWORD):
        sent = base64.b64encode(code.encode()).decode()
        assert not any(sent[at : at + 8] in text for at in range(len(sent) - 7)), text
    assert ("***" in text) == repeats


# --- Apprise, and the whole way -----------------------------------------------------------------


def test_apprise_that_logs_a_login_tells_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("apprise")
    code = base64.b64encode(f"\0drdbot\0{PASSWORD}".encode()).decode()
    settings = AppriseSettings.model_validate({"kind": "apprise", "url": {"env": "URL"}})
    for words in (f"bad: {LOGIN}", f"bad: {code}", f"bad: {PASSWORD}", f"bad: {KEY}"):
        monkeypatch.setattr("drd.notifiers.apprise._last_words", lambda _, words=words: words)
        url = f"json://{ADDRESS}127.0.0.1:1/?k={urllib.parse.quote(KEY, safe='')}"
        assert fault(AppriseUrl(settings, known(url))).startswith(
            "JSON did not accept the message: bad: ***"
        )


@pytest.mark.parametrize("said", ["header", "login", "query", "twin"])
def test_neither_terminal_nor_catalogue_gets_the_secret(short_tmp: Path, said: str) -> None:
    site = Site(short_tmp)
    with http_receiver() as receiver:
        receiver.answer = lambda got: (400, {}, ANSWERS[said](got).encode())
        secret = site.secret("hook", receiver.url(PATH).replace("://", f"://{ADDRESS}"))
        with (site.base / "drd.yaml").open("a") as file:
            file.write(f"notify:\n  - {{kind: webhook, name: hook, url: {secret}}}\n")
        told = site.drd("notify", "test", code=1)
        listed = site.drd("notify", "list", "--json")
    for text in (told.out + told.err, listed.out):
        assert_hidden(text)
    assert "localhost answered 400: " in told.out + told.err
    for file in (site.base / "state").rglob("*"):
        if file.is_file():
            assert_hidden(file.read_bytes().decode("latin-1"))


# --- what is masked -----------------------------------------------------------------------------


@given(st.text(st.characters(codec="utf-8"), min_size=8, max_size=40), st.binary(), st.binary())
def test_secret_within_a_code_is_found_wherever_it_begins(
    secret: str, before: bytes, after: bytes
) -> None:
    known = masking.Secrets()
    known.add(secret)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        code = encode(before + secret.encode() + after).decode()
        hidden = known.places(f"said {code}!")
        assert any(is_code for *_, is_code in hidden)
        assert masking.masked(f"said {code}!", [secret]) == "said ***!"


def test_code_with_a_character_of_one_alphabet_in_its_middle_is_found() -> None:
    secret, code = "00\x80~0000", "AAAAAAAAADAwwoB+MDAwMA=="
    for text in (code, code.replace("+", "-")):
        assert masking.masked(f"said {text}!", [secret]) == "said ***!"


@pytest.mark.parametrize("secret", ["abcd", "x=y&z", "100%"])
def test_short_secret_hides_no_common_words(secret: str) -> None:
    masking.mask(secret)
    text = "a backup of shop at 100 % took 12.3s: abc, x=y, YWJj cGFzcw== and aGVsbG8gd29ybGQ="
    assert masking.masked(text) == text
    code = base64.b64encode(secret.encode()).decode()
    assert masking.masked(f"<{secret}> {code}") == "<***> ***"


def test_secrets_of_many_plans_are_found_as_those_of_few() -> None:
    few, many = masking.Secrets(), masking.Secrets()
    secrets = [f"s3cr3t/{number:04}" for number in range(2000)]
    for secret in secrets[:3]:
        few.add(secret)
    for secret in secrets:
        many.add(secret)
    code = base64.b64encode(b"..." + secrets[1].encode()).decode()
    text = f"{secrets[0]} {code} {urllib.parse.quote(secrets[2], safe='')}, and nothing else"
    assert sorted(few.places(text)) == sorted(many.places(text))
    assert len(few.places(text)) == 3

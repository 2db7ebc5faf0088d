"""`drd incident message` as a person types it: preview, draft, approve, send, and what is shown."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drd.cli.main import main
from tests.notify_support import Post, mail_server

Drd = Callable[..., str]

CONFIG = """\
state: sqlite:///{base}/state/drd.db
plans: plans
work_dir: work
cache_dir: cache
organisation: {{timezone: Europe/Berlin}}
templates: templates
people:
  - {{name: anna, email: anna@us.example, phone: "+49 30 1", roles: [executive]}}
contacts:
  - {{name: Acme, kind: customer, mail: it@acme.example, language: de}}
  - {{name: Beta, kind: customer, mail: it@beta.example}}
  - {{name: Gamma, kind: press, plans: none, mail: x@g.example}}
  - {{name: DPA, kind: authority, phone: "+49 30 13889-0"}}
notify:
  - {{kind: smtp, host: 127.0.0.1, port: {port}, tls: none, to: [team@us.example],
      sender: dr@us.example}}
"""


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_server() as server:
        yield server


@pytest.fixture
def drd(tmp_path: Path, post: Post, capsys: pytest.CaptureFixture[str]) -> Drd:
    (tmp_path / "templates").mkdir(mode=0o700)
    (tmp_path / "plans").mkdir()
    config = tmp_path / "drd.yaml"
    config.write_text(CONFIG.format(base=tmp_path, port=post.port))
    german = tmp_path / "templates/customers.de.j2"
    german.write_text("Subject: Vorfall\nZustand: {{ state }}\n{{ said.text }}\n")

    def run(*words: str, code: int = 0) -> str:
        done = main(["--config", str(config), "incident", *words])
        out, err = capsys.readouterr()
        assert done == code, err
        return out + err

    run("open", "orders visible to others", "--severity", "critical")
    return run


REPORT = """\
From: MAILER-DAEMON@mx.example
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=B

--B
Content-Type: text/plain

I am sorry.
--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; it@acme.example
Action: {action}
Status: 5.2.2
Diagnostic-Code: smtp; 550 full

--B
Content-Type: message/rfc822

From: dr@us.example
Message-ID: {id}
Subject: Vorfall

text
--B--
"""


def test_from_the_preview_to_the_answer_of_the_server(drd: Drd, post: Post, tmp_path: Path) -> None:
    told = drd("message", "preview", "customers", code=2)
    assert "templates/customers.de.j2:3: the value text is missing" in told
    assert "--set text=TEXT" in told
    words = ("customers", "--text", "Wir wissen es.", "--next-update", "1h")
    told = drd("message", "preview", *words)
    assert "subject: Vorfall" in told
    assert "subject: Incident at our service" in told
    assert "this was only a preview: drd did not keep or send the message" in told
    assert "has no message yet" in drd("message", "list")

    told = drd("message", "send", "customers", code=2)
    assert "nobody has approved a message to customers" in told
    drd("message", "draft", *words)
    told = drd("message", "send", "1", code=2)
    assert "HINT: read and approve the message: drd incident message approve 1 1" in told
    assert post.mails == []
    shown = json.loads(drd("message", "preview", "1", "--json"))
    assert shown["external"] is True
    drd("message", "approve", "1", "--digest", "0" * 12, code=2)
    drd("message", "approve", "1", "--digest", shown["digest"][:12], "--by", "Anna")
    post.refuse = {"it@beta.example"}
    told = drd("message", "send", "1", code=1)
    assert "Acme by mail to it@acme.example: accepted" in told
    assert "Beta by mail to it@beta.example: refused" in told
    assert "550 no such user here" in told
    assert "> drd incident message send 1 1 --again --to it@beta.example" in told
    (mail,) = post.mails
    assert (mail["To"], mail["Subject"]) == ("it@acme.example", "Vorfall")
    assert "Wir wissen es." in mail.get_content()

    told = drd("message", "bounced", "1", "--to", "Acme", code=2)
    assert "--reason is missing" in told
    report = tmp_path / "report.eml"
    assert re.fullmatch(r"<[0-9a-f]{40}@us\.example>", mail["Message-ID"])
    for action, said in (
        ("delayed", "the mail server is still trying"),
        ("failed", "message 1 of incident 1 came back from it@acme.example"),
    ):
        report.write_text(REPORT.format(action=action, id=mail["Message-ID"]))
        assert said in drd("message", "bounced", "--from", str(report))
    assert "1 report without new information" in drd("open", "--from", str(report)), "again"
    report.write_text(REPORT.format(action="failed", id="<incident-1.1.0.0000000000000000@x>"))
    told = drd("message", "bounced", "--from", str(report), code=2)
    assert "has no message 1 that fits the report" in told
    for words in (("message", "bounced"), ("open",)):
        report.write_text(REPORT.format(action="failed", id="<newsletter@x>"))
        told = drd(*words, "--from", str(report), code=2)
        assert "<newsletter@x>, which is not a message of an incident" in told
    report.write_text("Subject: hello\n\nhello\n")
    assert "does not contain a Message-ID" in drd(
        "message", "bounced", "--from", str(report), code=2
    )
    post.refuse = set()
    drd("message", "send", "1", "--again", "--to", "Beta")
    document = json.loads(drd("message", "list", "--json"))
    (message,) = document["messages"]
    assert [d["fate"] for d in message["deliveries"]] == ["bounced", "accepted"]
    assert message["deliveries"][0]["said"] == "550 full"
    assert (message["approved_by"], message["approved_digest"]) == ("Anna", shown["digest"])
    screen = drd("show")
    assert "message 1 approved, digest" in screen
    assert "customers by " in screen


def test_own_people_are_told_at_once_and_the_clock_goes_on(drd: Drd, post: Post) -> None:
    before = drd("show")
    assert "update    internal by " in before
    assert "CET)" in before
    assert "nobody was told yet" in before
    told = drd("message", "send", "internal", "--text", "The key is blocked.")
    assert "handed to the channels" in told
    (mail,) = post.mails
    assert mail["Subject"] == "[drd] Incident 1: orders visible to others"
    assert "The key is blocked." in mail.get_content()
    assert "(promised)" in drd("show")
    drd("message", "send", "executives", "--next-update", "none")
    assert post.mails[1]["To"] == "anna@us.example"
    assert "drd" not in post.mails[1].as_string()
    state = json.loads(drd("show", "--json"))
    assert [clock["audience"] for clock in state["updates"]] == ["internal"]


def test_a_recipient_without_mail_is_left_to_a_person(drd: Drd, post: Post) -> None:
    drd("message", "draft", "regulator", "--set", "nature=orders")
    digest = json.loads(drd("message", "preview", "1", "--json"))["digest"]
    drd("message", "approve", "1", "--digest", digest)
    told = drd("message", "send", "1")
    assert "DPA, by a person: +49 30 13889-0: to be told by a person" in told
    assert '> drd incident message told 1 1 --to "DPA"' in told
    assert post.mails == []
    drd("message", "told", "1", "--reference", "4711", "--at", "-1m")
    assert ": told " in drd("message", "list")
    assert "is not the number of a message" in drd("message", "told", "x", code=2)
    assert "has no message 7" in drd("message", "approve", "7", code=2)
    drd("message", "draft", "regulator")
    assert "withdrawn" in drd("message", "withdraw", "2", "--reason", "wrong")
    assert "message 2 was withdrawn" in drd("message", "approve", "2", code=2)


def test_nobody_approves_without_having_read_it(drd: Drd, monkeypatch: pytest.MonkeyPatch) -> None:
    drd("message", "draft", "regulator", "--set", "nature=orders")
    digest = json.loads(drd("message", "preview", "1", "--json"))["digest"][:12]
    remedy = (
        "drd incident message preview 1 1. To approve the message as shown there, add "
        f"--digest {digest}"
    )
    for more in ((), ("--json",)):
        told = drd("message", "approve", "1", *more, code=2)
        assert "needs --digest" in told
        assert remedy in told
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    told = drd("message", "approve", "1", code=130)
    assert "DPA, by a person" in told
    assert "orders" in told
    assert f"digest {digest}" in told
    assert "to be approved" in drd("message", "list")
    monkeypatch.setattr("builtins.input", lambda _: "approve")
    assert ", approved " in drd("message", "approve", "1")


def test_the_last_message_is_that_of_a_closed_incident(drd: Drd, post: Post) -> None:
    drd("report", "strange logins")
    assert "is a report that nobody has examined" in drd("message", "draft", "2", "customers",
                                                         "--text", "x", code=2)  # fmt: skip
    drd("close", "1", "--reason", "over")
    told = drd("message", "send", "1", "internal")
    assert "to internal, sent" in told
    assert "No further update is planned." in post.mails[0].get_content()
    assert json.loads(drd("show", "1", "--json"))["updates"] == []


def test_a_server_that_makes_it_wait_is_shown(drd: Drd, post: Post) -> None:
    post.says = "451 greylisted"
    told = drd("message", "send", "executives", code=1)
    assert "anna by mail to anna@us.example: waits" in told
    assert "451 greylisted; not sent yet" in told
    assert "no daemon runs, so what is not sent yet waits until one does" in told
    post.says = "250 OK"
    assert "accepted" in drd("message", "send", "1")


def test_a_channel_that_pauses_is_named_and_so_is_that_nothing_sends_it_without_a_daemon(
    drd: Drd, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.says = "554 no"
    drd("message", "send", "internal", code=1)
    told = drd("message", "send", "internal", code=1)
    assert "the daemon sends it now" not in told
    for said in (told, drd("message", "list")):
        assert "554 no; not sent yet" in said
        assert "Start the daemon: systemctl start drd" in said
    monkeypatch.setattr("drd.cli.incident_message.is_alive", lambda _: True)
    assert "554 no; the daemon tries again" in drd("message", "list")


def test_impossible_options_of_drd_message_are_refused_with_the_fact(drd: Drd) -> None:
    for words, fact in {
        ("preview",): "no AUDIENCE given",
        ("preview", "everybody"): "there is no audience 'everybody'",
        ("preview", "internal", "--set", "x"): "is not KEY=TEXT",
        ("preview", "internal", "--template", "none"): "there is no template 'none'",
        ("draft", "customers", "--to", "Acm"): "HINT: did you mean Acme?",
        ("draft", "press"): "no contact in drd.yaml belongs to the audience press",
        ("draft", "customers", "--encrypt"): "drd cannot encrypt the message to",
        ("draft", "internal", "--next-update", "-1h"): "in the past",
    }.items():
        assert fact in drd("message", *words, code=2), words

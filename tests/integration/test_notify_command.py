"""`drd notify`, and the page about notifications."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drd.config.daemon import load_settings
from drd.notifiers.webhook import signature
from tests import warm
from tests.config_support import GOOD, load
from tests.notify_support import Receiver, http_receiver

PAGE = (Path(__file__).parents[2] / "docs/notifications.md").read_text()

CHANNELS = """\
notify:
  - {kind: webhook, url: {file: %(base)s/hook}, on: [firing], min_severity: critical}
  - {kind: exec, name: page, command: [sh, -c, "cat >%(base)s/paged"], plans: orders-*}
  - {kind: heartbeat, url: {file: %(base)s/beat}}
"""


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with http_receiver() as found:
        (tmp_path / "hook").write_text(found.url("/hook/s3cr3t-path"))
        (tmp_path / "beat").write_text(found.url("/beat/s3cr3t-path"))
        (tmp_path / "drd.yaml").write_text(
            f"state: sqlite:///{tmp_path}/state/drd.db\nplans: plans\n"
            f"work_dir: work\ncache_dir: cache\n{CHANNELS % {'base': tmp_path}}"
        )
        yield found


def drd(base: Path, *words: str, code: int = 0) -> str:
    done = warm.run(["--config", str(base / "drd.yaml"), *words], env=os.environ)
    told = (done.stdout + done.stderr).decode()
    assert done.returncode == code, told
    assert "s3cr3t" not in told
    return told


def document(base: Path, *words: str, code: int = 0) -> dict[str, Any]:
    return dict(json.loads(drd(base, *words, "--json", code=code)))


def test_every_channel_gets_a_test_and_what_arrived_is_reported(
    tmp_path: Path, receiver: Receiver
) -> None:
    lines = drd(tmp_path, "notify", "test").splitlines()
    assert [re.sub(r"\d+ ms", "N ms", line) for line in lines] == [
        "webhook-1: delivered in N ms: localhost answered 200",
        "page: delivered in N ms: sh exited with 0",
        "heartbeat-1: delivered in N ms: localhost answered 200",
    ]
    assert json.loads((tmp_path / "paged").read_text())["event"] == "test"
    assert sorted(got.path for got in receiver.got) == ["/beat/s3cr3t-path", "/hook/s3cr3t-path"]


def test_a_test_message_that_is_refused_is_reported_with_its_remedy_and_in_the_list(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.always(404, b"nobody at /hook/s3cr3t-path")
    told = drd(tmp_path, "notify", "test", "--channel", "webhook-1", "--channel", "page", code=1)
    assert re.search(r"webhook-1: not delivered after \d+ ms: localhost answered 404: nobody", told)
    assert "  HINT: check that the URL of this channel, or the token in it, is still valid." in told
    assert "page: delivered" in told

    found = document(tmp_path, "notify", "list")
    assert [c["channel"] for c in found["channels"]] == ["webhook-1", "page", "heartbeat-1"]
    hook, page, beat = found["channels"]
    assert (hook["on"], hook["severity"], hook["tries"]) == (["firing"], ["critical"], 1)
    assert hook["failing_since"] is not None
    assert "404" in hook["error"]
    assert (page["plans"], page["failing_since"]) == (["orders-*"], None)
    assert page["last_delivered_at"] is not None
    assert beat["last_tried_at"] is None
    screen = drd(tmp_path, "notify", "list")
    assert "has failed for" in screen
    assert "never tried" in screen


def test_the_list_says_which_channel_has_no_package(tmp_path: Path, receiver: Receiver) -> None:
    with (tmp_path / "drd.yaml").open("a") as settings:
        settings.write("  - {kind: logbook, path: /x}\nextensions: [drd-nowhere]\n")
    screen = drd(tmp_path, "notify", "list")
    assert "delivers nothing: the package drd-nowhere is not installed" in screen


def test_the_document_of_a_test_has_every_channel(tmp_path: Path, receiver: Receiver) -> None:
    (tmp_path / "hook").unlink()
    found = document(tmp_path, "notify", "test", code=1)
    assert (found["schema"], found["ok"]) == (1, False)
    hook, page, beat = found["channels"]
    assert (hook["delivered"], page["delivered"], beat["delivered"]) == (False, True, True)
    gone, since = hook["error"].split(" (the directory changed last at ")
    assert gone == f"cannot read secret file {tmp_path}/hook: No such file or directory"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\)", since)
    assert "write the secret" in hook["hint"]
    assert page["error"] is None


def test_no_channel_or_none_of_that_name_is_a_mistake(tmp_path: Path, receiver: Receiver) -> None:
    told = drd(tmp_path, "notify", "test", "--channel", "pager", code=2)
    assert "did you mean page?" in told
    (tmp_path / "drd.yaml").write_text(f"state: sqlite:///{tmp_path}/state/drd.db\n")
    assert "docs/notifications.md" in drd(tmp_path, "notify", "test", code=2)


# --- the page -----------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_channels_of_the_page_are_understood(tmp_path: Path) -> None:
    channels, of_a_plan = blocks("yaml")
    (tmp_path / "drd.yaml").write_text(channels)
    found = load_settings(tmp_path / "drd.yaml", explicit=True)
    assert [c.kind for c in found.channels] == ["webhook", "smtp", "exec", "apprise", "heartbeat"]
    assert load(tmp_path, GOOD + of_a_plan).plan.heartbeat is not None


def test_the_verification_of_the_page_accepts_what_drd_sends_and_nothing_else(
    tmp_path: Path, receiver: Receiver
) -> None:
    (code,) = blocks("python")
    page: dict[str, Any] = {}
    exec(code, page)
    (tmp_path / "key").write_text("a key\n")
    text = (tmp_path / "drd.yaml").read_text()
    signed = text.replace("on: [firing]", f"secret: {{file: {tmp_path}/key}}")
    (tmp_path / "drd.yaml").write_text(signed)
    drd(tmp_path, "notify", "test", "--channel", "webhook-1")
    (got,) = receiver.got
    sent = got.headers["X-Drd-Signature"]
    assert page["verified"](got.body, sent, "a key")["event"] == "test"
    for body, key in ((got.body + b" ", "a key"), (got.body, "another key")):
        with pytest.raises(ValueError, match="wrong signature"):
            page["verified"](body, sent, key)
    old = re.sub(rb'"sent_at": "2\d{3}', b'"sent_at": "2001', got.body)
    with pytest.raises(ValueError, match="too old"):
        page["verified"](old, signature("a key", old), "a key")


def test_the_payload_of_the_page_has_the_keys_of_a_real_one(
    tmp_path: Path, receiver: Receiver
) -> None:
    (shown,) = blocks("json")
    drd(tmp_path, "notify", "test", "--channel", "webhook-1")
    assert list(json.loads(receiver.got[0].body)) == list(json.loads(shown))

"""A process that delivers is killed at any moment: every message arrives, and a repeat shows."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.model.message import Message
from tests.catalogue_support import at, program
from tests.notify_support import NOON, Receiver, http_receiver, message

DELIVERS = """
import os, time
from datetime import UTC, datetime
from drd.flows.alerts.outbox import OutboxSender
from drd.model.message import ChannelSpec
from drd.model.plan import SecretRef
from drd.notifiers import open_notifier
from drd.notifiers.webhook import WebhookSettings

where = sys.argv[2]
catalogue = open_catalogue(url, create=False)
settings = WebhookSettings.model_validate({"kind": "webhook", "url": {"env": "HOOK"}})

class Clock:
    monotonic = staticmethod(time.monotonic)
    def now(self):
        return datetime.now(UTC)

class Dies:
    def __init__(self, notifier):
        self.notifier = notifier
    def deliver(self, message):
        if where == "before":
            os._exit(9)
        said = self.notifier.deliver(message)
        if where == "after":
            os._exit(9)
        return said

def opened(spec):
    return Dies(open_notifier(spec, resolve=lambda ref: os.environ["HOOK"]))

sender = OutboxSender(catalogue, [ChannelSpec("hook", "webhook", settings)], opened, Clock())
while True:
    sender.deliver_due()
    sender.wait(10)
    if not catalogue.outbox.waiting("hook"):
        break
print("done", flush=True)
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state/drd.db"


def filled(url: str, count: int) -> tuple[SqlCatalogue, list[Message]]:
    catalogue = open_catalogue(url, create=True)
    messages = [message(str(n), at=NOON, details={"number": n}) for n in range(count)]
    catalogue.outbox.add([("hook", m) for m in messages], at(0))
    return catalogue, messages


def ids(receiver: Receiver) -> Counter[str]:
    return Counter(json.loads(got.body)["id"] for got in receiver.got)


def run(url: str, receiver: Receiver, where: str = "", *, kill_after: int | None = None) -> int:
    """The program's exit; killed at some moment after so many more messages."""
    begun = len(receiver.got)
    with program(DELIVERS, url, where, environment={"HOOK": receiver.url()}) as child:
        if kill_after is not None:
            while child.poll() is None and len(receiver.got) < begun + kill_after:
                time.sleep(0.003)
            child.kill()
        return child.wait(60)


def test_a_message_not_sent_when_drd_died_is_sent_at_the_next_start(url: str) -> None:
    with http_receiver() as receiver:
        catalogue, (sent,) = filled(url, 1)
        assert run(url, receiver, "before") == 9
        assert receiver.got == []
        assert run(url, receiver) == 0
        assert ids(receiver) == {sent.id: 1}
        assert run(url, receiver) == 0
        assert ids(receiver) == {sent.id: 1}, "once it is delivered it stays so"
        catalogue.close()


def test_a_message_accepted_when_drd_died_is_sent_again_with_the_same_id(url: str) -> None:
    with http_receiver() as receiver:
        catalogue, (sent,) = filled(url, 1)
        assert run(url, receiver, "after") == 9
        assert run(url, receiver) == 0
        assert ids(receiver) == {sent.id: 2}
        catalogue.close()


@pytest.mark.kills
def test_killed_again_and_again_every_message_arrives(url: str) -> None:
    """Each kill can double one message at the most: the one that was under way."""
    chance = random.Random(7)
    with http_receiver() as receiver:

        def slowly(_: object) -> tuple[int, dict[str, str], bytes]:
            time.sleep(0.02)
            return 200, {}, b""

        receiver.answer = slowly
        catalogue, messages = filled(url, 24)
        kills = 0
        while run(url, receiver, kill_after=chance.randint(5, 8)) != 0:
            kills += 1
        assert kills >= 2
        found = ids(receiver)
        assert set(found) == {m.id for m in messages}
        assert sum(found.values()) <= len(messages) + kills
        assert catalogue.outbox.waiting("hook") == []
        catalogue.close()

"""How the outbox is worked off: pauses, probes, digests; with a catalogue and channels by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.errors import AlreadyRunning, CatalogueError, NotifyError
from drd.flows.alerts import direct
from drd.flows.alerts import outbox as flow
from drd.flows.alerts.direct import deliver_directly
from drd.flows.alerts.outbox import FLOOD, OutboxSender, deliver_channel
from drd.flows.alerts.retries import LONGEST_PAUSE_S, PERMANENT_TRIES, is_due, pause_s
from drd.model.message import DIGEST, ChannelSpec, Message
from drd.ports.notify import ChannelFacts, Notifier, Waiting
from tests.catalogue_support import opened
from tests.notify_support import NOON, HandClock, channel, message


@dataclass
class Fake:
    """A channel whose other side is told what to do."""

    taken: list[Message] = field(default_factory=list)
    tried: list[Message] = field(default_factory=list)
    fault: Callable[[Message], NotifyError | None] = lambda _: None

    def deliver(self, what: Message) -> str:
        self.tried.append(what)
        error = self.fault(what)
        if error is not None:
            raise error
        self.taken.append(what)
        return "taken"

    def fails(self, *, permanent: bool = False, retry_after_s: float | None = None) -> None:
        self.fault = lambda _: NotifyError("no", permanent=permanent, retry_after_s=retry_after_s)

    def works(self) -> None:
        self.fault = lambda _: None

    @property
    def titles(self) -> list[str]:
        return [m.title for m in self.taken]


@dataclass
class Rig:
    catalogue: SqlCatalogue
    clock: HandClock = field(default_factory=HandClock)
    fake: Fake = field(default_factory=Fake)
    channel: ChannelSpec = field(default_factory=channel)

    def open(self, _: ChannelSpec) -> Notifier:
        return self.fake

    def add(self, *messages: Message) -> None:
        self.catalogue.outbox.add([(self.channel.name, m) for m in messages], self.clock.now())

    def deliver(self, after_s: float = 0.0) -> int:
        self.clock.turn(after_s)
        return deliver_channel(self.catalogue, self.channel, self.open, self.clock)

    @property
    def waiting(self) -> list[Waiting]:
        return self.catalogue.outbox.waiting(self.channel.name)

    @property
    def facts(self) -> ChannelFacts:
        return self.catalogue.outbox.channels()[0]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    catalogue = opened(f"sqlite:///{tmp_path}/state/drd.db", tmp_path)
    yield Rig(catalogue)
    catalogue.close()


def numbered(*numbers: int, **more: object) -> list[Message]:
    return [message(str(n), at=NOON + timedelta(seconds=n), **more) for n in numbers]


def test_pauses_double_up_to_a_quarter_of_an_hour_and_are_stable() -> None:
    pauses = [pause_s(tries, "hook") for tries in range(1, 30)]
    for tries, pause in enumerate(pauses, 1):
        grown = min(10.0 * 2.0 ** (tries - 1), LONGEST_PAUSE_S)
        assert 0.8 * grown <= pause <= 1.2 * grown
    assert pauses == [pause_s(tries, "hook") for tries in range(1, 30)]
    assert len({pause_s(5, f"hook-{n}") for n in range(20)}) == 20


def test_messages_go_out_in_order_and_once(rig: Rig) -> None:
    rig.add(*numbered(1, 2, 3))
    assert rig.deliver() == 3
    assert rig.fake.titles == ["1", "2", "3"]
    assert rig.deliver(60) == 0
    assert len(rig.fake.tried) == 3


def test_a_channel_that_fails_gets_one_try_a_pause_and_then_everything(rig: Rig) -> None:
    rig.fake.fails()
    rig.add(*numbered(1, 2, 3))
    assert rig.deliver() == 0
    assert len(rig.fake.tried) == 1, "the others would fail as well"
    assert rig.deliver(1) == 0
    assert len(rig.fake.tried) == 1
    rig.deliver(15)
    assert len(rig.fake.tried) == 2
    rig.fake.works()
    rig.deliver(40)
    rig.deliver(40)
    assert sorted(rig.fake.titles) == ["1", "2", "3"]
    assert rig.facts.failing_since is None


def test_new_messages_do_not_shorten_the_pause(rig: Rig) -> None:
    rig.fake.fails()
    rig.add(*numbered(1))
    for step in range(1, 200):
        rig.deliver(30)
        rig.add(*numbered(1000 + step))
    # 6,000 s: 10, 20, 40 … 640, then one each quarter of an hour.
    assert len(rig.fake.tried) <= 16


def test_a_message_that_is_never_taken_does_not_keep_the_others_from_going(rig: Rig) -> None:
    poison = NotifyError("400 bad", permanent=True)
    rig.fake.fault = lambda m: poison if m.title == "1" else None
    rig.add(*numbered(1, 2, 3))
    assert rig.deliver() == 2
    assert rig.fake.titles == ["2", "3"]
    rig.add(*numbered(4))
    for _ in range(40):
        rig.deliver(900)
    assert rig.fake.titles == ["2", "3", "4"]
    assert rig.waiting == []
    assert sum(m.title == "1" for m in rig.fake.tried) == PERMANENT_TRIES


def test_a_permanently_refused_message_is_tried_for_about_an_hour(rig: Rig) -> None:
    rig.fake.fails(permanent=True)
    rig.add(*numbered(1))
    started = rig.clock.now()
    while rig.waiting:
        rig.deliver(5)
    assert timedelta(minutes=30) < rig.clock.now() - started < timedelta(hours=2)
    assert len(rig.fake.tried) == PERMANENT_TRIES
    assert rig.facts.is_dead(rig.clock.now())


def test_a_refused_login_is_not_tried_with_every_message(rig: Rig) -> None:
    rig.fake.fails(permanent=True)
    rig.add(*numbered(*range(20)))
    rig.deliver()
    assert len(rig.fake.tried) == 3


def test_a_delivery_waits_as_long_as_the_receiver_asks_for(rig: Rig) -> None:
    rig.fake.fails(retry_after_s=1800.0)
    rig.add(*numbered(1))
    rig.deliver()
    rig.fake.works()
    assert rig.deliver(1700) == 0
    assert rig.deliver(200) == 1


def test_an_alert_that_fired_and_resolved_before_delivery_is_one_message(rig: Rig) -> None:
    rig.fake.fails()
    rig.add(*numbered(1, alert="a1"))
    rig.deliver()
    rig.add(*numbered(2, alert="a1", event="resolved"))
    rig.fake.works()
    rig.deliver(60)
    (told,) = rig.fake.taken
    assert (told.event, told.title, told.severity) == (DIGEST, "2", "info")


def test_a_week_of_silence_becomes_one_message_and_bounded_rows(rig: Rig) -> None:
    rig.fake.fails()
    most = 0
    for hour in range(7 * 24):
        fired = numbered(hour * 10, alert=f"a{hour}")
        over = numbered(hour * 10 + 1, alert=f"a{hour}", event="resolved")
        rig.add(*fired, *(over if hour % 50 else []))
        rig.deliver(3600)
        most = max(most, len(rig.waiting))
    assert most <= flow.MISSED + 2
    assert len(rig.fake.tried) <= 7 * 24
    rig.fake.works()
    rig.deliver(900)
    rig.deliver(900)
    assert len(rig.fake.taken) <= 3
    told = rig.fake.taken[0]
    assert told.event == DIGEST
    assert told.severity == "critical"
    standing = [e["alert"] for e in told.details["entries"] if e["event"] == "firing"]
    assert standing == ["a0", "a50", "a100", "a150"]
    assert told.details["messages"] >= 2 * 7 * 24 - 10
    assert rig.waiting == []


def test_a_flood_becomes_one_message_also_when_all_is_well(rig: Rig) -> None:
    rig.add(*numbered(*range(FLOOD)))
    assert rig.deliver() == FLOOD
    rig.add(*numbered(*range(2500)))
    while rig.waiting:
        rig.deliver(1)
    assert all(m.event == DIGEST for m in rig.fake.taken[FLOOD:])
    assert sum(m.details["messages"] for m in rig.fake.taken[FLOOD:]) == 2500
    assert len(rig.fake.taken) <= FLOOD + 3


@pytest.mark.parametrize("step", [timedelta(days=-400), timedelta(days=400)])
def test_a_clock_that_jumps_silences_no_channel(rig: Rig, step: timedelta) -> None:
    rig.fake.fails()
    rig.add(*numbered(1))
    rig.deliver()
    rig.fake.works()
    rig.clock.at += step
    assert rig.deliver() == 1


def test_a_failing_channel_is_due_after_its_pause() -> None:
    facts = ChannelFacts("hook", "webhook", failing_since=NOON, last_tried_at=NOON, tries=1)
    assert not is_due(facts, NOON + timedelta(seconds=7))
    assert is_due(facts, NOON + timedelta(seconds=13))
    assert is_due(facts, NOON - timedelta(seconds=1))
    assert is_due(ChannelFacts("hook", "webhook"), NOON)


def test_a_channel_that_breaks_is_a_failure_like_others(rig: Rig) -> None:
    def breaks(_: Message) -> NotifyError | None:
        raise ZeroDivisionError("of a bug")

    rig.fake.fault = breaks
    rig.add(*numbered(1))
    assert rig.deliver() == 0
    assert (rig.facts.error, rig.facts.remedy) == (
        "ZeroDivisionError: of a bug",
        "this is a bug in drd: please report it.",
    )


def test_two_processes_do_not_deliver_the_same(rig: Rig) -> None:
    rig.add(*numbered(1))
    with rig.catalogue.lock("channel hook", wait_s=0), pytest.raises(AlreadyRunning):
        rig.deliver()
    assert rig.deliver() == 1


# --- the sender of the outbox -------------------------------------------------------------------


@dataclass
class Slow:
    """Takes a message when it is let go."""

    let_go: threading.Event = field(default_factory=threading.Event)
    taken: list[Message] = field(default_factory=list)

    def deliver(self, what: Message) -> str:
        assert self.let_go.wait(10)
        self.taken.append(what)
        return "taken"


def test_one_slow_channel_delays_no_other_and_is_not_started_twice(rig: Rig) -> None:
    slow, quick = Slow(), Fake()
    channels = [
        channel("slow"),
        channel("quick"),
        channel("beat", kind="heartbeat", is_heartbeat=True),
    ]
    sender = OutboxSender(
        rig.catalogue, channels, lambda c: slow if c.name == "slow" else quick, rig.clock
    )
    for name in ("slow", "quick", "gone"):
        rig.catalogue.outbox.add([(name, message(name))], NOON)
    assert sender.deliver_due() == ["quick", "slow"]
    assert not sender.wait(0.0)
    while not quick.taken:
        threading.Event().wait(0.01)
    assert slow.taken == []
    assert "slow" not in sender.deliver_due()
    slow.let_go.set()
    assert sender.wait(10)
    assert [m.title for m in slow.taken] == ["slow"]
    assert sender.deliver_due() == []
    assert [f.name for f in rig.catalogue.outbox.channels()] == ["gone", "quick", "slow"]
    sender.remove_old()
    assert [f.name for f in rig.catalogue.outbox.channels()] == ["quick", "slow"]


def test_a_delivered_message_that_could_not_be_recorded_is_not_sent_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise CatalogueError("the disk of drd's catalogue is full")

    rig.add(*numbered(1))
    sender = OutboxSender(rig.catalogue, [rig.channel], rig.open, rig.clock)
    with monkeypatch.context() as broken:
        broken.setattr(rig.catalogue.outbox, "delivered", full)
        assert sender.deliver_due() == ["hook"]
        assert sender.wait(10)
        assert sender.deliver_due() == [], "it rests for a minute"
        rig.clock.turn(61)
        assert sender.deliver_due() == ["hook"]
        assert sender.wait(10)
    rig.clock.turn(61)
    assert sender.deliver_due() == ["hook"]
    assert sender.wait(10)
    assert rig.fake.titles == ["1"]
    assert rig.waiting == []


def test_other_channels_come_into_force_with_a_reload(rig: Rig) -> None:
    sender = OutboxSender(rig.catalogue, [], rig.open, rig.clock)
    rig.add(*numbered(1))
    assert sender.deliver_due() == []
    sender.use([rig.channel])
    assert sender.deliver_due() == ["hook"]
    assert sender.wait(10)
    assert rig.fake.titles == ["1"]


def test_past_the_outbox_a_message_is_tried_a_few_times(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "FIRST_PAUSE_S", 0.01)
    failures = [NotifyError("no"), NotifyError("no")]
    rig.fake.fault = lambda _: failures.pop() if failures else None
    sender = OutboxSender(rig.catalogue, [rig.channel], rig.open, rig.clock)
    sender.deliver_without_outbox(
        [("hook", message("1")), ("hook", message("2")), ("gone", message("3"))]
    )
    assert sender.wait(10)
    assert rig.fake.titles == ["1", "2"]
    assert rig.catalogue.outbox.channels() == []
    rig.fake.fails()
    sender.deliver_without_outbox([("hook", message("4"))])
    assert sender.wait(10)
    assert len(rig.fake.tried) == 4 + direct.DIRECT_TRIES


def test_direct_delivery_is_parallel_with_one_result_each(rig: Rig) -> None:
    slow, quick, bad = Slow(), Fake(), Fake()
    bad.fails()
    found = {"slow": slow, "quick": quick, "bad": bad}

    def open_notifier(spec: ChannelSpec) -> Notifier:
        if spec.name == "quick":
            slow.let_go.set()  # it would wait for ever if they came one after the other
        return found[spec.name]

    attempts = deliver_directly(
        message("1"), [channel(name) for name in found], open_notifier, rig.clock
    )
    assert [(a.channel.name, a.said) for a in attempts] == [
        ("slow", "taken"),
        ("quick", "taken"),
        ("bad", ""),
    ]
    assert [a.error.message if a.error else None for a in attempts] == [None, None, "no"]

"""Signs of life: which are sent, in which order, and that nobody waits for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.errors import CatalogueError, NotifyError
from drd.flows.alerts import heartbeats as flow
from drd.flows.alerts.heartbeats import HeartbeatPlan, Heartbeats
from drd.model.message import ChannelSpec
from drd.model.plan import Heartbeat, SecretRef
from drd.model.run import Run, RunKind, RunState
from drd.model.run_details import DrillDetail
from drd.ports import notify
from drd.ports.notify import Signal
from tests.catalogue_support import opened
from tests.notify_support import NOON, HandClock


@dataclass
class Watcher:
    """Hears what the addresses get, by the name of their secret."""

    heard: list[tuple[str, Signal, str]] = field(default_factory=list)
    errors: list[NotifyError] = field(default_factory=list)
    let_go: threading.Event | None = None

    def open(self, spec: Heartbeat) -> notify.Watcher:
        return _At(self, str(spec.url.value))

    def signals(self, name: str) -> list[Signal]:
        return [signal for where, signal, _ in self.heard if where == name]


@dataclass
class _At:
    watcher: Watcher
    name: str

    def ping(self, signal: Signal, text: str) -> None:
        if self.watcher.let_go is not None:
            assert self.watcher.let_go.wait(10)
        if self.watcher.errors:
            raise self.watcher.errors.pop(0)
        self.watcher.heard.append((self.name, signal, text))


def spec(name: str, **more: object) -> Heartbeat:
    return Heartbeat(SecretRef("env", name), **more)  # type: ignore[arg-type]


OWN = ChannelSpec("beat", "heartbeat", spec("own"), is_heartbeat=True)
OF_ORDERS = ChannelSpec(
    "orders", "heartbeat", spec("orders"), plans=("orders-*",), is_heartbeat=True
)
PLAN = HeartbeatPlan("orders-api", spec("plan", on=("drill",)))
CHANNELS = [OWN, OF_ORDERS, ChannelSpec("hook", "webhook", None)]


@dataclass
class Rig:
    catalogue: SqlCatalogue
    watcher: Watcher = field(default_factory=Watcher)
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        self.heartbeats = Heartbeats(self.catalogue, CHANNELS, self.watcher.open, self.clock)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(flow, "PAUSE_S", 0.01)
    catalogue = opened(f"sqlite:///{tmp_path}/state/drd.db", tmp_path)
    yield Rig(catalogue)
    catalogue.close()


def run(
    state: RunState = RunState.SUCCEEDED, kind: RunKind = RunKind.BACKUP, **more: object
) -> Run:
    started = NOON - timedelta(seconds=9)
    return Run(
        "4f2a",
        "orders-api",
        kind,
        "schedule",
        state,
        started,
        finished_at=NOON,
        **more,  # type: ignore[arg-type]
    )


def test_a_run_is_told_to_those_who_listen_for_it(rig: Rig) -> None:
    rig.heartbeats.started(PLAN, RunKind.BACKUP)
    rig.heartbeats.finished(PLAN, run(), ["all went well"])
    rig.heartbeats.started(PLAN, RunKind.DRILL)
    rig.heartbeats.finished(PLAN, run(RunState.FAILED, RunKind.DRILL, error="a check failed"))
    rig.heartbeats.started(HeartbeatPlan("billing"), RunKind.BACKUP)
    rig.heartbeats.close(10)
    assert [h for h in rig.watcher.heard if h[0] == "orders"] == [
        ("orders", "start", "backup of orders-api started"),
        ("orders", "success", "all went well\nbackup 4f2a of orders-api: succeeded after 9s"),
    ]
    assert [h for h in rig.watcher.heard if h[0] == "plan"] == [
        ("plan", "start", "drill of orders-api started"),
        ("plan", "fail", "a check failed\ndrill 4f2a of orders-api: failed after 9s"),
    ]
    assert rig.watcher.signals("own") == []
    names = {f.name: f.kind for f in rig.catalogue.outbox.channels()}
    assert names == {"orders": "heartbeat", "plan/orders-api": "heartbeat"}


@pytest.mark.parametrize(
    ("over", "signals"),
    [
        (run(RunState.INCOMPLETE), ["fail"]),
        (run(RunState.FAILED), ["fail"]),
        (run(RunState.CANCELLED), []),
        (run(RunState.INTERRUPTED), []),
    ],
)
def test_an_interrupted_run_sends_no_heartbeat(rig: Rig, over: Run, signals: list[Signal]) -> None:
    rig.heartbeats.finished(PLAN, over)
    rig.heartbeats.close(10)
    assert rig.watcher.signals("orders") == signals


def test_an_inconclusive_drill_is_not_a_success(rig: Rig) -> None:
    rig.heartbeats.finished(
        PLAN, run(kind=RunKind.DRILL, detail=DrillDetail(result="inconclusive"))
    )
    rig.heartbeats.close(10)
    assert rig.watcher.heard == [
        ("plan", "fail", "drill 4f2a of orders-api: inconclusive after 9s")
    ]


def test_heartbeats_do_not_block_and_keep_their_order(rig: Rig) -> None:
    rig.watcher.let_go = threading.Event()
    rig.heartbeats.started(PLAN, RunKind.BACKUP)
    rig.heartbeats.finished(PLAN, run())
    rig.heartbeats.close(0.0)
    assert rig.watcher.heard == []
    rig.watcher.let_go.set()
    rig.heartbeats.close(10)
    assert rig.watcher.signals("orders") == ["start", "success"]


def test_the_daemons_heartbeat_has_its_own_interval(rig: Rig) -> None:
    for _ in range(10):
        rig.heartbeats.alive("no action: 3 plans, all objectives met")
        rig.heartbeats.close(10)
        rig.clock.turn(30)
    assert rig.watcher.signals("own") == ["success"] * 5
    rig.watcher.let_go = threading.Event()
    for _ in range(10):
        rig.heartbeats.alive("still here", well=False)
        rig.clock.turn(60)
    rig.watcher.let_go.set()
    rig.heartbeats.close(10)
    assert rig.watcher.signals("own")[5:] == ["fail"]
    assert rig.watcher.signals("orders") == []


def test_a_watcher_that_is_away_for_a_moment_is_tried_again(rig: Rig) -> None:
    rig.watcher.errors = [NotifyError("no"), NotifyError("no")]
    rig.heartbeats.finished(PLAN, run())
    rig.heartbeats.close(10)
    assert rig.watcher.signals("orders") == ["success"]
    assert rig.catalogue.outbox.channels()[0].failing_since is None


def test_a_watcher_that_stays_away_is_recorded_and_harms_nobody(rig: Rig) -> None:
    rig.watcher.errors = [NotifyError("no", hint="see to it.")] * flow.TRIES
    rig.heartbeats.finished(PLAN, run())
    rig.heartbeats.close(10)
    facts = rig.catalogue.outbox.channels()[0]
    assert (facts.name, facts.tries, facts.error) == ("orders", 1, "no")
    assert facts.remedy == "see to it."
    rig.watcher.errors = [NotifyError("gone", permanent=True)]
    rig.heartbeats.started(PLAN, RunKind.BACKUP)
    rig.heartbeats.close(10)
    assert rig.watcher.heard == [], "what a retry cannot help is not tried again"


def test_heartbeats_are_sent_on_a_full_disk(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise CatalogueError("the disk of drd's catalogue is full")

    monkeypatch.setattr(rig.catalogue.outbox, "tried", full)
    rig.heartbeats.started(PLAN, RunKind.BACKUP)
    rig.heartbeats.finished(PLAN, run())
    rig.heartbeats.close(10)
    assert rig.watcher.signals("orders") == ["start", "success"]


def test_another_address_comes_into_force_with_a_reload(rig: Rig) -> None:
    rig.heartbeats.alive("a")
    rig.heartbeats.close(10)
    rig.heartbeats.use([replace(OWN, settings=spec("moved"))])
    rig.clock.turn(61)
    rig.heartbeats.alive("b")
    rig.heartbeats.close(10)
    assert [where for where, _, _ in rig.watcher.heard] == ["own", "moved"]

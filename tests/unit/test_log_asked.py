"""With which restore points a replay to a place in the log can begin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.errors import NoRestorePoint
from drd.flows.log import asked, orders
from drd.flows.log import bases as module
from drd.flows.log.asked import points_before
from drd.kinds.postgres.physical.wal import transactions
from drd.model.log import LogTarget
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.ports.logs import LogStart
from tests.catalogue_support import point
from tests.flow_support import World
from tests.unit.test_log import T0, stored
from tests.unit.test_log_copy import Logs

MINUTE = timedelta(minutes=1)


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    world = World(tmp_path)
    yield Logs(world)
    world.close()


def _point(name: str, ended: datetime, end_lsn: str, **facts: int) -> RestorePoint:
    """A point with files, which were stored ten minutes before the copy of the server had ended."""
    at = {"system_identifier": "77", "timeline": 1, "end_lsn": end_lsn}
    server = ComponentSnapshot(
        "server", "postgres-cluster", "captured", data_time=ended, facts={**at, **facts}
    )
    point = SimpleNamespace(
        id=name,
        data_time=ended - 10 * MINUTE,
        component=lambda one: server if one == "server" else None,
    )
    return cast("RestorePoint", point)


def _before(
    logs: Logs,
    monkeypatch: pytest.MonkeyPatch,
    points: list[RestorePoint],
    said: str | None = None,
    before: datetime | None = None,
) -> list[str] | None:
    monkeypatch.setattr(asked, "bases", lambda *_: [(p, LogStart("77", 5, 1)) for p in points])
    return points_before(logs.services, logs.plan, ["server"], None, said=said, before=before)


def test_the_copy_of_the_server_must_have_ended_before_the_time(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other components of a point are stored earlier, so the point itself has an earlier time."""
    points = [_point("new", T0 + 60 * MINUTE, "0/9"), _point("old", T0, "0/5")]

    def at(minutes: int) -> list[str] | None:
        return _before(logs, monkeypatch, points, before=T0 + minutes * MINUTE)

    assert at(61) == ["new", "old"]
    assert at(55) == ["old"]
    with pytest.raises(NoRestorePoint, match="no complete restore point with data of server from"):
        at(0)
    assert _before(logs, monkeypatch, []) is None


def test_a_named_point_from_after_the_time_is_refused_at_once(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "start_of", lambda *_: LogStart("77", 5, 1))
    logs.store(stored(1, 0, 20))
    point: Any = _point("new", T0 + MINUTE, "0/5")
    target = LogTarget(before=T0 + MINUTE)
    with pytest.raises(NoRestorePoint, match="data of server in restore point new is of"):
        orders.order_for(logs.services, logs.plan, point, "server", target, only=["primary"])


def test_the_copy_must_have_ended_before_the_position_or_transaction(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that ran while the server was copied may be in the copy or in the WAL."""
    points = [
        _point("new", T0 + 60 * MINUTE, "0/9", **transactions.facts(790, 800)),
        _point("old", T0, "0/5", **transactions.facts(690, 700)),
    ]

    def at(said: str) -> list[str] | None:
        return _before(logs, monkeypatch, points, said=said)

    assert at("800") == ["new", "old"]
    for said in ("795", "700"):
        assert at(said) == ["old"]
    assert at("695") == ["old"]  # only the WAL knows
    with pytest.raises(NoRestorePoint, match="no restore point of server that ends before 689"):
        at("689")
    assert at("0/9") == ["new", "old"]
    assert at("0/8") == ["old"]
    with pytest.raises(NoRestorePoint, match=r"before 0/4. The oldest restore point ends at 0/5"):
        at("0/4")
    assert at("last") is None
    unknown = [_point("new", T0, "0/9"), _point("old", T0, "0/5")]  # of an earlier version of drd
    assert _before(logs, monkeypatch, unknown, said="795") == ["new", "old"]


def test_bases_from_a_wrong_clock_come_after_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the log seems to have no base backup from which it continues."""
    now = T0 + timedelta(hours=2)
    ahead = [
        replace(point("ahead", now + timedelta(days=1)), plan="pg"),
        replace(point("soon", now + MINUTE), plan="pg"),
        replace(point("old", T0), plan="pg"),
    ]
    monkeypatch.setattr(module, "start_of", lambda *_: LogStart("77", 5, 1))
    services: Any = SimpleNamespace(
        clock=SimpleNamespace(now=lambda: now),
        catalogue=SimpleNamespace(points=SimpleNamespace(of_plan=lambda _: ahead)),
    )
    plan: Any = SimpleNamespace(name="pg")
    found = module.bases(services, plan, "server")
    assert [one.id for one, _ in found] == ["soon", "old", "ahead"]

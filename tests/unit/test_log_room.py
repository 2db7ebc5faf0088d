"""Before a recovery replays a log, the room for it is counted: in the directory of the run, and at
the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.errors import TargetError
from drd.flows.log.orders import LogOrder
from drd.flows.restore.blockers import Blockers
from drd.flows.restore.log_room import log_room
from drd.kinds.postgres.physical.kind import ClusterKind
from drd.kinds.postgres.physical.settings import ClusterTarget
from drd.kinds.postgres.physical.target import ClusterDirectory
from drd.model.log import LogTarget
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot
from drd.ports import RestoreOptions, Workplace
from drd.ports.logs import LogStart
from tests.config_support import load
from tests.unit.test_log import stored
from tests.unit.test_log_plans import logged_plan

PIB = 1 << 50


def _order(*sizes: int) -> LogOrder:
    """The log of a server in batches of these sizes."""
    batches, begin = [], 0
    for number, size in enumerate(sizes, 1):
        batch = stored(number, 0, 1)
        mark = replace(batch.end, position=begin + size)
        batches.append(replace(batch, begin=begin, end=mark))
        begin += size
    return LogOrder("server", LogStart("77", 0), LogTarget(), tuple(batches))


def _found(tmp_path: Path, logs: Mapping[str, LogOrder]) -> list[Any]:
    services = SimpleNamespace(work_dir=tmp_path / "not/there/yet")
    return log_room(cast(Any, services), cast(Any, SimpleNamespace(logs=logs)))


def test_a_log_that_fits_is_no_obstacle(tmp_path: Path) -> None:
    assert _order(100, 50).bytes == 150
    [found] = _found(tmp_path, {"server": _order(100, 50)})
    assert (found.code, found.severity, found.subject) == ("disk-space", "ok", "server")
    assert found.text.startswith("the log of server needs 150 B; ")
    assert _found(tmp_path, {}) == []


def test_logs_that_do_not_fit_together_are_refused_before_anything_is_fetched(
    tmp_path: Path,
) -> None:
    found = _found(tmp_path, {"server": _order(5), "other": _order(PIB)})
    assert [f.severity for f in found] == ["error", "error"]
    assert found[0].text.startswith(
        "the log of server needs 5 B, and all logs of this recovery need 1024.0 TiB; "
    )
    assert str(tmp_path) in found[0].text
    assert "recover without the log: --point ID" in found[0].remedy
    blockers = Blockers()
    blockers.collect(lambda: found)
    with pytest.raises(TargetError) as raised:
        blockers.refuse()
    assert raised.value.untouched


def test_the_target_needs_room_for_the_log_beside_the_server(tmp_path: Path) -> None:
    plan = load(tmp_path, logged_plan()).plan
    component: Component = plan.components["server"]
    place = Workplace(tmp_path / "work", "run")
    facts = {"cluster_bytes": 1000}
    snapshot = ComponentSnapshot("server", "postgres-cluster", "captured", facts=facts)
    needs = []
    for size in (0, 500):
        settings = ClusterTarget(data_dir=str(tmp_path / "main"))
        options = RestoreOptions(log_bytes=size)
        target = ClusterKind().target(component, settings, place, options)
        assert isinstance(target, ClusterDirectory)
        needs.append(target._needs(snapshot))
    assert [size for size, _ in needs] == [1000, 1500]
    assert "WAL (500 B)" in needs[1][1]

"""The copy of a log: what is copied in which order, what is noted, and from where a recovery reads
the log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.errors import DrdError, NoRestorePoint, PointGone, RepositoryDamaged, RepositoryUnreachable
from drd.flows.log import copiers, orders
from drd.flows.log.copying import NOT_COPIED, LogCopy, Stored
from drd.flows.log.findings import findings
from drd.flows.log.noted import noted_copies, noted_copy
from drd.flows.log.repository import batches_in, copied_to, log_spec
from drd.flows.log.upkeep import Upkeep
from drd.flows.services import Services
from drd.model.log import LogBatch, LogState, LogTarget, copy_noted_as, noted_as
from drd.model.log_conditions import log_copy_condition
from drd.model.plan import Plan
from drd.ports.logs import LogStart
from tests.fakes_repository import MemoryRepository
from tests.flow_support import World
from tests.unit.test_log import T0, stored

_PLAN = """\
plan: pg
owner: tests
objectives: {{rpo: 60s, rto: 1h}}
repositories:
  primary: {{url: {base}/pg, password: {{file: {base}/password}}}}
  offsite: {{url: {base}/off, password: {{file: {base}/password}}, copy_of: primary}}
  third: {{url: {base}/third, password: {{file: {base}/password}}, copy_of: offsite}}
components:
  server: {{kind: postgres-cluster, dsn: "postgresql:///x", wal: {{every: 30s}}}}
"""


class Logs:
    """The logs of a plan in memory."""

    def __init__(self, world: World) -> None:
        file = world.base / "plans/pg.yaml"
        file.write_text(_PLAN.format(base=world.base))
        self.plan: Plan = world.app.plans.load(str(file))
        self.warnings: list[str] = []
        self.services: Services = replace(
            world.app.services(self.plan),
            open_repository=world.repository,
            warn=self.warnings.append,
        )
        self._world = world

    def repository(self, name: str = "") -> MemoryRepository:
        return self._world.repository(log_spec(self.plan, name))

    def store(self, *batches: LogBatch) -> None:
        """Store them with the primary repository."""
        primary = self.repository()
        if primary.identity() is None:
            made = primary.initialise()
            self.services.catalogue.repositories.record(primary.url, made, T0)
        for batch in batches:
            name, data = f"f{batch.number}", b"x" * batch.size
            primary.store_bytes(data, name, host="pg", tags=batch.tags("pg"), time=batch.end.at)

    def copy(self, name: str = "offsite") -> LogCopy:
        server = self.plan.components["server"]
        return LogCopy(self.services, self.plan, server, self.plan.repositories[name])

    def there(self, name: str = "offsite") -> list[tuple[int, int]]:
        found = batches_in(self.repository(name), "pg", "server")
        return [(b.number, b.end.position) for b in found]


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    world = World(tmp_path)
    yield Logs(world)
    world.close()


def test_the_longest_snapshot_of_each_batch_is_copied_once(logs: Logs) -> None:
    logs.store(stored(1, 0, 10), stored(1, 0, 20), stored(2, 15, 30))
    copy = logs.copy()
    assert copy.turn()[0] == 2
    assert logs.there() == [(1, 20), (2, 30)]
    assert copy.turn()[0] == 0
    logs.store(stored(2, 15, 40))
    assert copy.turn()[0] == 1
    assert logs.copy().turn()[0] == 0  # a new process lists the copy
    copy.turn(tidy=True)
    assert logs.there() == [(1, 20), (2, 40)]


def test_a_copy_of_a_copy_gets_what_that_has(logs: Logs) -> None:
    logs.store(stored(1, 0, 10))
    assert [c.name for c in copied_to(logs.plan)] == ["offsite", "third"]
    _, has = logs.copy().turn()
    assert logs.copy("third").turn()[0] == 1
    assert logs.there("third") == [(1, 10)]
    assert [b.number for b in has.batches] == [1]


def test_what_the_copy_needs_no_more_is_not_copied(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.store(stored(1, 0, 10), stored(2, 10, 20), stored(3, 20, 30))
    monkeypatch.setattr(Upkeep, "oldest", lambda _: {"77": 15})
    copy = logs.copy()
    assert [copy.turn(tidy=True)[0] for _ in range(2)] == [2, 0]
    assert logs.there() == [(2, 20), (3, 30)]


def test_an_error_is_noted_until_the_copy_works_again(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.store(stored(1, 0, 10))
    copy, queue = logs.copy(), logs.services.catalogue.queue
    complete = T0 + timedelta(seconds=10)
    known = batches_in(logs.repository(), "pg", "server")
    copy.turn(Stored(known, complete))
    later = [*known, replace(stored(2, 10, 20), snapshot="gone")]
    with pytest.raises(PointGone):
        copy.turn(Stored(later, complete + timedelta(seconds=9)))
    noted = noted_copy(queue, "pg", "offsite", "server")
    assert noted is not None
    assert (noted[1].code, noted[1].complete_at) == (NOT_COPIED, complete)
    assert "not in" in noted[1].trouble
    copy.turn(Stored(known, complete + timedelta(seconds=20)))
    [(name, _, state)] = noted_copies(queue, "pg", "server")
    assert (name, state.code, state.complete_at) == (
        "offsite",
        "",
        complete + timedelta(seconds=20),
    )

    def unreachable(*_: object, **__: object) -> None:
        raise RepositoryUnreachable("no route to the copy")

    monkeypatch.setattr(logs.repository("offsite"), "preflight", unreachable)
    with pytest.raises(DrdError, match="no route"):
        logs.copy().turn()


def test_an_error_that_drd_does_not_know_is_noted_too(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a note, the status said only that the copy gets older."""
    logs.store(stored(1, 0, 10))
    plan = logs.plan
    copier = copiers._Copier(
        copiers.Copiers(logs.services, plan, plan.components["server"]),
        logs.services,
        plan,
        plan.components["server"],
        plan.repositories["offsite"],
    )
    copier.offer(Stored(batches_in(logs.repository(), "pg", "server"), T0))

    def broken(*_: object, **__: object) -> None:
        raise ValueError("not a number:\nx")

    with monkeypatch.context() as patch:
        patch.setattr(logs.repository("offsite"), "copy_from", broken)
        assert not copier._turn()
    [(_, _, state)] = noted_copies(logs.services.catalogue.queue, "pg", "server")
    assert state.code == NOT_COPIED
    assert state.trouble.startswith("ValueError: not a number:")
    assert "report it" in state.remedy
    assert copier._turn()
    [(_, _, state)] = noted_copies(logs.services.catalogue.queue, "pg", "server")
    assert (state.code, state.trouble) == ("", "")


def _order(logs: Logs, only: tuple[str, ...] | None = None) -> orders.LogOrder:
    point = SimpleNamespace(id="p", data_time=T0, component=lambda _: None)
    return orders.order_for(
        logs.services, logs.plan, cast("Any", point), "server", LogTarget(), only=only
    )


def test_the_log_comes_from_the_first_repository_that_has_it(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(orders, "start_of", lambda *_: LogStart("77", 5, 1))
    monkeypatch.setattr(orders, "bases", lambda *_: [])
    logs.store(stored(1, 0, 10))
    logs.copy().turn()
    logs.store(stored(1, 0, 20))
    whole = _order(logs)
    assert (whole.repository, whole.end.position, whole.passed_over) == ("primary", 20, "")
    assert whole.others == ("offsite", "third")
    alone = _order(logs, ("offsite",))
    assert (alone.repository, alone.end.position, alone.others) == ("offsite", 10, ())
    with pytest.raises(
        NoRestorePoint, match="has not copied the log of server to repository third"
    ):
        _order(logs, ("third",))
    point = cast("Any", SimpleNamespace(id="p", data_time=T0))

    def damaged(*_: object, **__: object) -> None:
        raise RepositoryDamaged("a pack is gone")

    monkeypatch.setattr(logs.repository(), "restore", damaged)
    found = orders.fetch(logs.services, logs.plan, point, whole, tmp_path / "log")
    assert found.end.position == 10
    [said] = logs.warnings
    assert "from repository offsite, where it ends at" in said
    assert "could not use the log in repository primary: a pack is gone" in said
    assert "a pack is gone" in said
    with pytest.raises(RepositoryDamaged, match="has not copied the log of server to repository t"):
        found.instead(RepositoryDamaged("and so is its segment 7"))
    monkeypatch.setattr(logs.repository(), "preflight", damaged)
    away = _order(logs)
    assert (away.repository, away.passed_over) == ("offsite", "primary: a pack is gone")


def test_a_log_that_only_the_kind_finds_damaged_comes_from_the_next_repository(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(orders, "start_of", lambda *_: LogStart("77", 5, 1))
    monkeypatch.setattr(orders, "bases", lambda *_: [])
    logs.store(stored(1, 0, 10))
    logs.copy().turn()
    logs.store(stored(1, 0, 20))
    point = cast("Any", SimpleNamespace(id="p", data_time=T0))
    found = orders.fetch(logs.services, logs.plan, point, _order(logs), tmp_path / "log")
    assert (found.end.position, logs.warnings) == (20, [])
    other = found.instead(RepositoryDamaged("segment 7 is of another server"))
    assert other.end.position == 10
    [said] = logs.warnings
    assert "could not use the log in repository primary: segment 7 is of another server" in said


def test_a_time_that_names_two_places_in_the_log_is_told(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the server was an hour ahead until it was set back."""
    monkeypatch.setattr(orders, "start_of", lambda *_: LogStart("77", 5, 1))
    monkeypatch.setattr(orders, "bases", lambda *_: [])
    logs.store(stored(1, 0, 10, ahead_s=3600))
    back = T0 + timedelta(seconds=0x3000000)
    batch = stored(2, 10, 0x3000000)
    logs.store(replace(batch, end=replace(batch.end, at=T0 + timedelta(seconds=20))))
    point = cast("Any", SimpleNamespace(id="p", data_time=T0, component=lambda _: None))

    def order(before: datetime) -> orders.LogOrder:
        return orders.order_for(logs.services, logs.plan, point, "server", LogTarget(before=before))

    doubtful = order(T0 + timedelta(seconds=30))
    assert len(doubtful.batches) == 1
    assert "the clock of the server of server was set back after" in doubtful.doubt
    assert doubtful.doubt.endswith("To include them, add: --before 0/3000000")
    assert order(T0 + timedelta(seconds=15)).doubt == ""
    assert order(back).doubt == ""


def test_a_place_that_the_log_does_not_have_is_refused_before_anything_is_restored(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "start_of", lambda *_: LogStart("77", 5, 1))
    monkeypatch.setattr(orders, "bases", lambda *_: [])
    logs.store(stored(1, 0, 20))
    point = cast("Any", SimpleNamespace(id="p", data_time=T0, component=lambda _: None))

    def order(position: int) -> orders.LogOrder:
        target = LogTarget(position=position)
        return orders.order_for(logs.services, logs.plan, point, "server", target, only=["primary"])

    assert [order(position).place for position in (5, 20)] == ["0/5", "0/14"]
    with pytest.raises(NoRestorePoint, match="0/4 is before 0/5, the end of restore point p"):
        order(4)
    with pytest.raises(NoRestorePoint, match="leads to 0/14, its end, and 0/15 comes later"):
        order(21)
    logs.store(stored(2, 30, 40))
    with pytest.raises(NoRestorePoint, match="leads to 0/14, the beginning of a gap, and 0/23"):
        order(35)


def test_the_data_of_an_idle_server_is_as_new_as_the_log_is_complete(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has written nothing since the last mark, and its receiver has noted that."""
    monkeypatch.setattr(orders, "start_of", lambda *_: LogStart("77", 5, 1))
    monkeypatch.setattr(orders, "bases", lambda *_: [])
    logs.store(stored(1, 0, 10))
    assert _order(logs).data_time == T0 + timedelta(seconds=10)
    queue, complete = logs.services.catalogue.queue, T0 + timedelta(seconds=600)
    cast("Any", logs.services.clock).at = T0 + timedelta(seconds=700)
    place = logs.services.kinds("postgres-cluster").log_place
    state = LogState("receives", T0, 5.0, complete_at=complete, end=place(10))
    queue.note(noted_as("pg", "server"), dict(state.to_json()), T0)
    assert (_order(logs).data_time, _order(logs).end.position) == (complete, 10)
    logs.copy().turn()
    assert _order(logs, ("offsite",)).data_time == complete  # the copy has the same log
    logs.store(stored(1, 0, 20))  # what was noted is of an older end
    assert _order(logs).data_time == T0 + timedelta(seconds=20)
    assert _order(logs, ("offsite",)).data_time == complete


def test_doctor_and_alerts_tell_of_each_copy_whether_it_gets_the_log(logs: Logs) -> None:
    logs.store(stored(1, 0, 10))
    logs.copy().turn()
    found = {f.subject: f for f in findings(logs.services, logs.plan) if f.code == "log-copy"}
    assert {name: f.severity for name, f in found.items()} == {"offsite": "ok", "third": "warning"}
    assert found["third"].remedy.endswith("drd copy pg --repository third")
    noted = noted_copy(logs.services.catalogue.queue, "pg", "offsite", "server")
    assert noted is not None
    since = logs.services.clock.now() - timedelta(seconds=60)
    state = replace(noted[1], code=NOT_COPIED, trouble="no route", remedy="look at it", since=since)
    key = copy_noted_as("pg", "offsite", "server")
    logs.services.catalogue.queue.note(key, dict(state.to_json()), T0)
    [wrong, _] = [f for f in findings(logs.services, logs.plan) if f.code == "log-copy"]
    assert (wrong.severity, wrong.remedy) == ("warning", "look at it")
    assert wrong.text.startswith("drd does not copy the log of server to repository offsite: no r")
    at = [
        log_copy_condition("pg", "server", "offsite", state, since + timedelta(seconds=s))
        for s in (59, 60)
    ]
    assert at[0] is None
    assert at[1] is not None
    assert (at[1].kind, at[1].severity, at[1].subject) == ("log", "warning", "server in offsite")

"""Anchors in several repositories: one that does not answer delays neither the others nor later
entries, and what was stored is there although something else failed afterwards."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import cast

import pytest

from drd.bootstrap import App
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.daemon.anchoring import Anchoring
from drd.errors import RepositoryLocked
from drd.flows.records import anchors
from drd.flows.records.anchors import Place, Result, noted
from drd.flows.records.at_once import anchor_each
from drd.flows.records.noted import NOTED_SOON
from drd.model.plan import RepositorySpec, SecretRef
from tests.catalogue_support import at
from tests.fakes_repository import MemoryRepository
from tests.integration.test_entries_in_repositories import (
    KEY,
    catalogues,
    empty,
    files,
    host,
    log,
    place,
    repository,
)

__all__ = ["catalogues", "empty", "host", "repository"]
LONG_S = 60.0


def named(name: str) -> Place:
    return Place(RepositorySpec(name, f"/memory/{name}", SecretRef("text", "x")), "shop")


def test_new_entries_reach_a_repository_while_another_one_does_not_answer(
    host: SqlCatalogue, repository: MemoryRepository
) -> None:
    answers, told = threading.Event(), list[list[str]]()

    def work(where: Place) -> Result:
        if where == slow:
            assert answers.wait(LONG_S)
            return Result(where, error="did not answer")
        return anchors.anchor(host, where, lambda _: repository, KEY, at(1), entries=True)

    def tell(results: Sequence[Result]) -> None:
        told.append([r.place.spec.name for r in results])
        if len(told) == 1:
            log(host, "blocked the key")
        if len(told) == 2:
            assert files(repository)[-1][1] == newest(), "before the slow one has answered"
            answers.set()

    def newest() -> int:
        head = host.records.head()
        return head.seq if head is not None else 0

    slow, quick = named("slow"), named("quick")
    results = anchor_each([slow, quick], work, newest, tell, look_s=0.01)
    assert told == [["quick"], ["quick"], ["quick", "slow"]]
    assert [(r.place, r.seq, r.error) for r in results] == [
        (slow, 0, "did not answer"),
        (quick, newest(), ""),
    ]


def test_each_repository_is_asked_once_without_entries(host: SqlCatalogue) -> None:
    asked = list[str]()

    def work(where: Place) -> Result:
        asked.append(where.spec.name)
        return Result(where, seq=1)

    wanted = [named(str(n)) for n in range(20)]
    assert [r.place for r in anchor_each(wanted, work)] == wanted
    assert sorted(asked) == sorted(one.spec.name for one in wanted)
    assert anchor_each([], work) == []


def test_an_error_that_nobody_expects_ends_all(host: SqlCatalogue) -> None:
    def work(where: Place) -> Result:
        if where.spec.name == "broken":
            raise ZeroDivisionError
        return Result(where, seq=1)

    with pytest.raises(ZeroDivisionError):
        anchor_each([named("quick"), named("broken")], work, lambda: 1, look_s=0.01)


class Locked(MemoryRepository):
    """A backup runs there: nothing can be forgotten."""

    locked = True

    def forget(self, snapshots: Sequence[str]) -> None:
        if self.locked:
            raise RepositoryLocked("a backup runs")
        super().forget(snapshots)


def stored(host: SqlCatalogue, where: MemoryRepository, minute: float) -> Result:
    return anchors.anchor(host, place(), lambda _: where, KEY, at(minute), entries=True)


def test_what_could_not_be_removed_is_removed_later(host: SqlCatalogue) -> None:
    where = Locked()
    where.initialise()
    assert not stored(host, where, 1).error
    log(host, "blocked the key")
    done, head = stored(host, where, 2), host.records.head()
    assert head is not None
    assert (done.seq, done.stored, done.taken_back) == (head.seq, True, 0)
    assert done.error == "older anchors were not removed: a backup runs"
    facts = cast(dict[str, object], noted([done], {})[done.place.spec.url])
    assert (facts["seq"], facts["failed"]) == (head.seq, False)
    assert len(files(where)) == 2
    where.locked = False
    done = stored(host, where, 3)  # without new entries
    assert (done.error, done.stored, done.taken_back) == ("", False, 1)
    assert files(where) == [(0, head.seq)]


def test_the_service_stores_entries_of_incidents_beside_anchors_in_all_repositories(
    host: SqlCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = cast(App, type("App", (), {"catalogue": host, "clock": Clock()})())
    watching = Anchoring(app, None, lambda _: None, lambda _: None)
    begun, ends, started = threading.Event(), threading.Event(), list[Sequence[str]]()

    def work(words: Sequence[str]) -> int:
        started.append(words)
        if "--incidents" not in words:  # the repositories of all plans, of which one is slow
            begun.set()
            assert ends.wait(LONG_S)
        return 0

    monkeypatch.setattr(watching, "_work", work)
    hourly = threading.Thread(target=watching.turn)
    hourly.start()
    assert begun.wait(LONG_S)
    watching.turn_soon()
    ends.set()
    hourly.join()
    assert started == [("anchor", "--quiet"), ["anchor", "--quiet", "--incidents"]]
    watching.turn_soon()
    assert len(started) == 2, "not at once again, even if it noted nothing"


def test_entries_do_not_wait_for_a_repository_that_fails(
    host: SqlCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, started = Clock(), list[Sequence[str]]()
    app = cast(App, type("App", (), {"catalogue": host, "clock": clock})())
    watching = Anchoring(app, None, lambda _: None, lambda _: None)
    monkeypatch.setattr(watching, "_work", started.append)
    head = host.records.head()
    assert head is not None
    results = [Result(named("good"), seq=head.seq), Result(named("gone"), error="no answer")]
    host.queue.note(NOTED_SOON, {"places": noted(results, {})}, at(0))
    clock.minute = 0.5
    watching.turn_soon()
    assert started == []
    log(host, "blocked the key")
    watching.turn_soon()
    assert len(started) == 1


class Clock:
    minute = 0.0

    def now(self) -> object:
        return at(self.minute)

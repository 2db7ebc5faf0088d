"""A process killed while it writes an incident: what it has confirmed is there, and nothing is half
there."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.flows.incidents.opening import open_incident
from drd.flows.incidents.writing import Desk
from drd.flows.records import anchors
from drd.model.checkpoint import HOST
from tests.catalogue_support import Catalogues, opened
from tests.death_support import Died
from tests.fakes_repository import MemoryRepository
from tests.integration.test_entries_in_repositories import (
    KEY,
    author,
    back,
    entries,
    log,
    place,
    signs_with,
    store,
    verified,
)

_WORDS = ("opened", "logged", "merged")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Catalogues:
    return Catalogues(tmp_path_factory.mktemp("catalogues"))


def work(catalogue: SqlCatalogue, confirm: Callable[[str], object]) -> None:
    """Each word is confirmed after the command that a person saw succeed."""
    for title in ("orders leak", "another"):
        open_incident(catalogue, author(), title, plans=["shop"])
    confirm(_WORDS[0])
    log(catalogue, "blocked the key")
    confirm(_WORDS[1])
    Desk(catalogue, 2, author()).merge(1, "the same")
    confirm(_WORDS[2])


def killed(url: str, there: Path, statement: int) -> tuple[list[str], bool]:
    """Run the work in a process that is killed before its n-th statement, and return what it had
    confirmed, and whether it survived."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        catalogue = opened(url, there)
        signs_with(catalogue, KEY)
        seen = 0

        def count(*_: object) -> None:
            nonlocal seen
            seen += 1
            if seen == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        for name in ("before_cursor_execute", "commit"):
            event.listen(catalogue.database.engine, name, count)
        work(catalogue, lambda word: os.write(writing, f"{word}\n".encode()))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        confirmed = told.read().split()
    _, status = os.waitpid(child, 0)
    return confirmed, os.WIFEXITED(status)


def test_a_kill_at_any_statement_loses_nothing_that_was_confirmed(
    empty: Catalogues, tmp_path: Path
) -> None:
    kills = 0
    for statement in range(1, 400, 7):
        there = tmp_path / str(statement)
        url = empty.in_file(there / "state" / "drd.db")
        confirmed, survived = killed(url, there, statement)
        catalogue = opened(url, there)
        kinds = [e.header.kind for e in entries(catalogue)]
        assert verified(catalogue, MemoryRepository())[0] == []
        assert catalogue.incidents.wrong_rows() == []
        assert ("incident.close" in kinds) == ("incident.merge" in kinds)  # both or neither
        there_are = {
            "opened": kinds.count("incident.open") == 2,
            "logged": "incident.log" in kinds,
            "merged": "incident.merge" in kinds,
        }
        assert all(there_are[word] for word in confirmed), (statement, confirmed, kinds)
        catalogue.close()
        if survived:
            break
        kills += 1
    else:
        pytest.fail("it never came to the end")
    assert kills > 3


class Dies(MemoryRepository):
    """Dies before or after its n-th change."""

    def __init__(self) -> None:
        super().__init__()
        self.left = -1

    def _tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Died

    def store_bytes(self, *args: object, **more: object) -> object:  # type: ignore[override]
        self._tick()
        done = super().store_bytes(*args, **more)  # type: ignore[arg-type]
        self._tick()
        return done

    def forget(self, snapshots: object) -> None:  # type: ignore[override]
        self._tick()
        for snapshot in snapshots:  # type: ignore[attr-defined]
            super().forget([snapshot])
            self._tick()


def test_a_death_at_any_change_of_a_repository_loses_nothing(
    empty: Catalogues, tmp_path: Path
) -> None:
    url = empty.in_file(tmp_path / "state" / "drd.db")
    host = opened(url, tmp_path)
    signs_with(host, KEY)
    open_incident(host, author(), "orders leak", plans=["shop"])
    repository = Dies()
    repository.initialise()
    stored = 0
    for death in range(1, 7):
        log(host, f"entry {death}")
        repository.left = death
        try:
            store(host, repository, minute=death)
            stored = host.records.head().seq  # type: ignore[union-attr]
        except Died:
            pass
        repository.left = -1
        there = tmp_path / str(death)
        new = opened(empty.in_file(there / "state" / "drd.db"), there)
        back(new, repository, KEY.public.id)
        assert entries(new) == entries(host)[: len(entries(new))]
        assert len(entries(new)) >= stored
        new.close()
    store(host, repository, minute=20)
    assert len(repository.snapshots(host=HOST)) == 1
    assert anchors.found(place(), repository)[0].checkpoint.seq == 8
    host.close()

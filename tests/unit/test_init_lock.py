"""Who may begin a repository, by the marks in its place."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from drd.errors import RepositoryLocked
from drd.repositories import init_lock
from drd.repositories.local import LocalPlace

ELSEWHERE = f"{init_lock.MARK}0123456789abcdef-17-4242"
"""A mark of another host."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalPlace:
    monkeypatch.setattr(init_lock, "WAITS", init_lock.Waits(all_s=0.3, one_s=0.11))
    return LocalPlace(tmp_path / "repository")


def test_an_uncontested_init_lock_is_removed(place: LocalPlace) -> None:
    with init_lock.init_lock(place):
        assert len(place.lock_files()) == 1
        assert place.locks() == frozenset(), "restic minds no mark"
    assert not place.lock_files()


def test_an_init_lock_of_another_host_is_waited_for_then_named(place: LocalPlace) -> None:
    place.put_mark(ELSEWHERE)
    with pytest.raises(RepositoryLocked, match="another drd has been initialising") as caught:
        init_lock.init_lock(place).__enter__()
    assert "10 minutes" in caught.value.hint
    assert set(place.lock_files()) == {ELSEWHERE}, "nobody else is kept waiting by us"


def test_initialising_continues_after_the_other_host(
    place: LocalPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init_lock, "WAITS", init_lock.Waits(all_s=60.0, one_s=0.11))
    place.put_mark(ELSEWHERE)
    done = threading.Timer(0.3, lambda: place.remove("locks", [ELSEWHERE]))
    done.start()
    with init_lock.init_lock(place):
        assert done.finished.is_set()
    done.join()


def test_locks_of_dead_processes_are_removed(place: LocalPlace) -> None:
    """Of this host at once, of others after a while."""
    mine = init_lock._new_mark()
    killed = f"{mine.rpartition('-')[0]}-1"
    place.put_mark(killed)
    place.put_mark(ELSEWHERE)
    long_ago = 1_000_000_000
    os.utime(place.path / "locks" / ELSEWHERE, (long_ago, long_ago))
    with init_lock.init_lock(place):
        assert set(place.lock_files()) == {killed, ELSEWHERE, mine}
    assert not place.lock_files()


def test_locks_of_living_processes_stay(place: LocalPlace) -> None:
    with init_lock.init_lock(place):
        place.put_mark(f"{init_lock._new_mark().rpartition('-')[0]}-1")
        place.put_mark(ELSEWHERE)
        init_lock.remove_dead_marks(place, place.lock_files())
        assert set(place.lock_files()) == {init_lock._new_mark(), ELSEWHERE}

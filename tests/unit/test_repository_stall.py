"""When a repository that does not move counts as gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from drd.errors import RepositoryError, RepositoryUnreachable
from drd.repositories.restic.stall import Patience, StallWatch

QUICK = Patience(still_s=0.05, gone_s=0.2, every_s=0.02, probe_s=0.1)


def refused() -> None:
    raise RepositoryUnreachable("cannot reach it")


def ticks(watch: StallWatch, length_s: float, between: Callable[[], object] = bool) -> None:
    limit = time.monotonic() + length_s
    while time.monotonic() < limit:
        watch.tick()
        between()
        time.sleep(0.01)


def test_a_place_that_answers_may_be_as_slow_as_it_likes() -> None:
    looks: list[int] = []
    ticks(StallWatch(lambda: looks.append(1), lambda: 0, QUICK), 0.6)
    assert len(looks) > 3


def test_nobody_looks_while_bytes_move() -> None:
    done = iter(range(10_000))
    ticks(StallWatch(refused, lambda: next(done), QUICK), 0.6)


def test_a_place_that_is_gone_ends_the_wait_with_its_own_words() -> None:
    begun = time.monotonic()
    with pytest.raises(RepositoryUnreachable, match="cannot reach it"):
        ticks(StallWatch(refused, lambda: 0, QUICK), 5.0)
    assert 0.2 < time.monotonic() - begun < 2.0


def test_a_refused_key_is_named_as_such() -> None:
    def withdrawn() -> None:
        raise RepositoryError("the access key is not accepted")

    with pytest.raises(RepositoryError, match="access key"):
        ticks(StallWatch(withdrawn, lambda: 0, QUICK), 5.0)


def test_a_look_that_hangs_counts_as_no_answer() -> None:
    release = threading.Event()
    try:
        with pytest.raises(RepositoryUnreachable, match="does not answer"):
            ticks(StallWatch(release.wait, lambda: 0, QUICK), 5.0)  # type: ignore[arg-type]
    finally:
        release.set()


def test_a_place_that_comes_back_is_given_new_patience() -> None:
    gone = threading.Event()
    gone.set()

    def probe() -> None:
        if gone.is_set():
            refused()

    watch = StallWatch(probe, lambda: 0, QUICK)
    for _ in range(3):
        gone.set()
        ticks(watch, 0.12)
        gone.clear()
        ticks(watch, 0.12)

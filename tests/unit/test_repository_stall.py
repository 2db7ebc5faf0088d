"""When a repository that does not move counts as gone."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from drd.errors import Cancelled, RepositoryError, RepositoryUnreachable
from drd.repositories.restic.stall import Patience, StallWatch

PATIENCE = Patience(still_s=15.0, gone_s=60.0, every_s=5.0, probe_s=15.0)


class Watched:
    """A watch on a clock of its own. Each look is over before the next tick, unless it `hangs`."""

    def __init__(
        self,
        probe: Callable[[], object],
        moved: Callable[[], int] = lambda: 0,
        *,
        hangs: bool = False,
    ) -> None:
        self.now = 1000.0
        self._hangs = hangs
        self._watch = StallWatch(probe, moved, PATIENCE, clock=lambda: self.now)  # type: ignore[arg-type]
        self.heard = self._watch.heard

    def ticks(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1.0
            self._watch.tick()
            if self._watch._attempt is not None and not self._hangs:
                self._watch._attempt.join()

    def ends_after(self) -> float:
        """The error that ends it has to come within ten minutes; the seconds until then."""
        begun = self.now
        with pytest.raises(RepositoryUnreachable):
            self.ticks(600)
        return self.now - begun


def refused() -> None:
    raise RepositoryUnreachable("cannot reach it")


def test_a_slow_repository_that_answers_is_not_ended() -> None:
    looks: list[int] = []
    Watched(lambda: looks.append(1)).ticks(600)
    assert 100 < len(looks) < 120, "every five seconds"


def test_no_probe_while_data_is_transferred() -> None:
    done = iter(range(10_000))
    Watched(refused, lambda: next(done)).ticks(600)


def test_a_place_that_is_gone_ends_the_wait_with_its_own_words() -> None:
    with pytest.raises(RepositoryUnreachable, match="cannot reach it"):
        Watched(refused).ticks(600)
    assert 75 <= Watched(refused).ends_after() <= 76


def test_a_refused_key_is_named_as_such() -> None:
    def withdrawn() -> None:
        raise RepositoryError("does not accept the access key")

    with pytest.raises(RepositoryError, match="access key"):
        Watched(withdrawn).ticks(600)


def test_a_hanging_probe_counts_as_no_answer() -> None:
    release = threading.Event()
    try:
        with pytest.raises(RepositoryUnreachable, match="does not answer"):
            Watched(release.wait, hangs=True).ticks(600)
    finally:
        release.set()


def test_a_returning_repository_gets_the_full_patience_again() -> None:
    gone = threading.Event()

    def probe() -> None:
        if gone.is_set():
            refused()

    watched = Watched(probe)
    for _ in range(3):
        gone.set()
        watched.ticks(50)
        gone.clear()
        watched.ticks(10)
    gone.set()
    assert watched.ends_after() >= 60


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_cancelled_probe_prints_no_traceback() -> None:
    def ctrl_c() -> None:
        raise Cancelled("restic was cancelled", program="restic")

    Watched(ctrl_c).ticks(600)


FULL = (
    "Save(<data/8efbb356a0>) returned error, retrying after 5.4s: unexpected HTTP response (507): "
    "507 Insufficient Storage\n"
)


def test_an_operation_that_restic_repeats_in_vain_ends_the_wait_with_restics_words() -> None:
    watched = Watched(lambda: None)
    watched.heard("using parent snapshot 1234\n")
    for _ in range(6):
        watched.ticks(9)
        watched.heard(FULL[:20])
        watched.heard(FULL[20:])
    assert watched.now == 1054.0
    with pytest.raises(RepositoryUnreachable, match="507 Insufficient Storage"):
        watched.ticks(600)
    assert watched.now == 1000.0 + 9 + 60, "a minute after the first attempt that failed"


def test_one_failed_attempt_or_failures_while_data_is_transferred_end_nothing() -> None:
    watched = Watched(lambda: None)
    watched.heard(FULL)
    watched.ticks(600)
    done = iter(range(10_000))
    moving = Watched(lambda: None, lambda: next(done))
    for _ in range(60):
        moving.heard(FULL)
        moving.ticks(10)

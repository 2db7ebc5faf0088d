"""Let the components of a group begin at the same moment, and limit how many are stored at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from drd import process
from drd.errors import DeadlineExceeded

_PAUSE_S = 0.2
"""How often a component that waits checks whether the run was cancelled."""


class Together:
    """The components of one run.

    Those of one of the `sets` wait for each other before their data is frozen: hooks and probes
    come first, and each takes another time. The ones in `dated_at_end` copy their data first, and
    have the data time of the end; the others of the set begin then. A component that failed is not
    waited for. All others take turns: at most `parallel` at once. `left_s` says how many seconds
    the run has left; every wait raises Cancelled, and DeadlineExceeded when they are over.
    """

    def __init__(
        self,
        sets: Iterable[frozenset[str]],
        dated_at_end: Collection[str],
        parallel: int,
        left_s: Callable[[], float],
    ) -> None:
        self._sets = {name: names for names in sets for name in names}
        self._dated_at_end = frozenset(dated_at_end)
        self._changed = threading.Condition()
        self._ready: set[str] = set()
        self._frozen: set[str] = set()
        self._turns = threading.Semaphore(parallel)
        self._left_s = left_s
        self.threads = parallel + len(self._sets)
        """How many threads it takes: those that wait for each other need one each."""

    def __contains__(self, component: str) -> bool:
        """Whether a component waits for others."""
        return component in self._sets

    @contextmanager
    def capturing(self, component: str) -> Iterator[None]:
        """Capture a component within this: waits for a turn if it waits for no other component."""
        try:
            if component in self._sets:
                yield
            else:
                with self._turn(component):
                    yield
        finally:
            self._note(self._ready, component)
            self._note(self._frozen, component)

    def begin(self, component: str) -> None:
        """Return when the data of the component has to be frozen at once."""
        self._note(self._ready, component)
        names = self._sets.get(component, frozenset())
        first = frozenset() if component in self._dated_at_end else names & self._dated_at_end
        with self._changed:
            while not (names <= self._ready and first <= self._frozen):
                self._changed.wait(_PAUSE_S)
                self._require_time(component)

    def begun(self, component: str) -> None:
        """Note that the data of the component is frozen, or that it is being read."""
        self._note(self._frozen, component)

    @contextmanager
    def storing(self, component: str, *, frozen: bool) -> Iterator[None]:
        """Store the data of a component within this. Data that is not frozen does not wait for a
        turn: it would become newer than its data time."""
        if component in self._sets and frozen:
            with self._turn(component):
                yield
        else:
            yield

    @contextmanager
    def _turn(self, component: str) -> Iterator[None]:
        while not self._turns.acquire(timeout=_PAUSE_S):
            self._require_time(component)
        try:
            yield
        finally:
            self._turns.release()

    def _note(self, what: set[str], component: str) -> None:
        with self._changed:
            what.add(component)
            self._changed.notify_all()

    def _require_time(self, component: str) -> None:
        process.check_cancelled()
        if self._left_s() <= 0:
            raise DeadlineExceeded(
                f"component {component} waited for other components until the time of the backup "
                "was over",
                hint="to see which component takes so long: drd run show RUN. If that component "
                "needs the time, raise `backup.timeout` in the plan.",
            )

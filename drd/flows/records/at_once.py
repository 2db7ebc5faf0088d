"""Anchors in several repositories at the same time: a repository that does not answer delays no
other one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Condition

from drd.flows.records.anchors import Place, Result

AT_ONCE = 8
"""Repositories at the same time; each costs a process of restic."""
LOOK_S = 5.0
"""Seconds between two looks for new entries, while another repository still works."""


def anchor_each(
    places: Sequence[Place],
    work: Callable[[Place], Result],
    head: Callable[[], int] | None = None,
    tell: Callable[[Sequence[Result]], object] = lambda _: None,
    look_s: float = LOOK_S,
) -> list[Result]:
    """Do the work for each place, and return the results in the order of the places.

    With `head`, which returns the number of the newest entry, a place that is done gets later
    entries, too, while another one still works: new entries wait for no repository that is slow.
    `tell` gets all results so far after each of them, one call at a time."""
    if not places:
        return []
    each = _Each(work, head, tell, look_s, len(places))
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="drd-anchor") as pool:
        done = [
            pool.submit(copy_context().run, each.serve, n, place) for n, place in enumerate(places)
        ]
        return [one.result() for one in done]


class _Each:
    def __init__(
        self,
        work: Callable[[Place], Result],
        head: Callable[[], int] | None,
        tell: Callable[[Sequence[Result]], object],
        look_s: float,
        left: int,
    ) -> None:
        self._work = work
        self._head = head
        self._tell = tell
        self._look_s = look_s
        self._left = left
        self._results: dict[int, Result] = {}
        self._changed = Condition()

    def serve(self, n: int, place: Place) -> Result:
        try:
            result = self._done(n, self._work(place))
        finally:
            with self._changed:
                self._left -= 1
                self._changed.notify_all()
        while not result.error and self._has_more(result.seq):
            result = self._done(n, self._work(place))
        return result

    def _done(self, n: int, result: Result) -> Result:
        with self._changed:
            self._results[n] = result
            self._tell(list(self._results.values()))
        return result

    def _has_more(self, seq: int) -> bool:
        """Wait for an entry after `seq`; return False as soon as no other place works."""
        while self._head is not None:
            with self._changed:
                if self._changed.wait_for(lambda: not self._left, self._look_s):
                    return False
            if self._head() > seq:
                return True
        return False

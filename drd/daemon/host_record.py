"""The facts about the host that several threads of the daemon change."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from drd.daemon.clocks import JUMP_S, Jump
from drd.model.alert_facts import HostFacts
from drd.model.clock import SCHEDULE_TOLERANCE_S


class HostRecord:
    """The newest facts. No change is lost, whichever threads make them at the same time."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._facts = HostFacts()

    @property
    def facts(self) -> HostFacts:
        return self._facts

    def change(self, **facts: Any) -> HostFacts:
        """Replace these facts, whose names are the same as in `HostFacts`; return all facts."""
        with self._mutex:
            self._facts = replace(self._facts, **facts)
            return self._facts

    def was_down(self, last: datetime, now: datetime) -> None:
        """Note that no daemon ran since `last`; or that the clock was set back meanwhile."""
        ahead_s = (last - now).total_seconds()
        if ahead_s > SCHEDULE_TOLERANCE_S:
            self.change(clock_jump_s=-ahead_s, clock_jumped_at=now)
        elif ahead_s < 0:
            self.change(down_from=last, down_to=now)

    def jumped(self, jump: Jump, now: datetime) -> None:
        """Note that the clock was set, or that the host slept, if it was by much."""
        if abs(jump.set_s) >= JUMP_S:
            self.change(clock_jump_s=jump.set_s, clock_jumped_at=now)
        if jump.slept_s >= JUMP_S:
            asleep = timedelta(seconds=jump.slept_s)
            self.change(down_from=now - asleep, down_to=now)

"""The facts about the host that several threads of the daemon change."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from drd.model.alert_facts import HostFacts


class HostRecord:
    """The newest facts. No change is lost, whichever threads make them at the same time."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._facts = HostFacts()

    @property
    def facts(self) -> HostFacts:
        return self._facts

    def change(self, **facts: Any) -> HostFacts:
        """Replace these facts, named as in `HostFacts`; returns all of them."""
        with self._mutex:
            self._facts = replace(self._facts, **facts)
            return self._facts

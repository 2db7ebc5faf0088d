"""What the daemon does beside starting runs: assess, tell, keep figures, tidy up.

In a thread of its own, since some of it talks to the network. The loop looks whether it moves: a
thread that hangs is a daemon that alerts nobody, which the watchdog ends.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime

from drd import log
from drd.bootstrap import App
from drd.daemon.clocks import Jump
from drd.errors import CatalogueError
from drd.model.run import Run

_log = log.get()

PATIENCE_S = 300.0
"""How long one duty may take before the thread counts as hanging."""


class Duties:
    def __init__(self, app: App) -> None:
        self._app = app
        self._moved = time.monotonic()
        self._stop = threading.Event()

    def begin(self, last: datetime | None, now: datetime) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def alive(self) -> bool:
        return True

    def jumped(self, jump: Jump, now: datetime) -> None: ...
    def ticked(self, running: int, waiting: int) -> None: ...
    def summary(self, plans: int) -> str:
        return f"{plans} plans"

    def catalogue_failed(self, error: CatalogueError, now: datetime) -> None: ...
    def assess_soon(self) -> None: ...
    def over(self, run: Run) -> None: ...

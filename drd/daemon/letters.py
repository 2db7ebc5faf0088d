"""Send the letters of incidents, in a thread of its own: a mail server may answer slowly."""

from __future__ import annotations

import threading

from drd import log
from drd.bootstrap import App
from drd.errors import Cancelled
from drd.flows.durable_steps import describe

_log = log.get()


class LetterThread:
    """Works while letters are due, and is started again by the next call."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._thread: threading.Thread | None = None

    def deliver_due(self) -> None:
        """Begin to send the letters that are due, unless they are being sent already; return at
        once."""
        if self._thread is not None and self._thread.is_alive():
            return
        if not self._app.channels.letter_sender().is_due():
            return
        self._thread = threading.Thread(target=self._work, name="drd-letters", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait until no letter is being sent. If the end of the process interrupts a letter, its
        result is unknown."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _work(self) -> None:
        try:
            self._app.channels.letter_sender().deliver_due()
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001 (a thread has nobody above it)
            _log.error("letters.failed", error=describe(error).line)

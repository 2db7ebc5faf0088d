"""End this process where the code of an extension does not react to a cancel."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

from drd import process
from drd.cli import output
from drd.errors import Cancelled
from drd.extension_faults import AtWork, at_work
from drd.process import MARKS, Mark

GRACE_S = float(os.environ.get("DRD_GRACE_S", "10"))
"""How long after a signal the code of an extension may run."""

TWICE_S = 0.5
"""A signal that follows another one sooner is the same one: a terminal and a program in front of
drd may both send it."""

_TURN_S = 0.1


class Unresponsive:
    """Waits for the code of extensions to end after the first signal, until a second signal comes
    or GRACE_S seconds have passed. drd's own code reacts to the cancel, and is never cut off."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._first_at: float | None = None
        self._over = threading.Event()
        self._again = False

    def asked_to_end(self) -> None:
        """Note a signal. Safe in a signal handler."""
        now = time.monotonic()
        if self._first_at is None:
            self._first_at = now
            threading.Thread(target=self._wait, args=(now,), daemon=True).start()
        elif now - self._first_at > TWICE_S:
            self._again = True

    def close(self) -> None:
        """The work is over."""
        self._over.set()

    def _wait(self, first_at: float) -> None:
        while not self._over.wait(_TURN_S):
            working = at_work()
            if working is not None and (self._again or time.monotonic() - first_at > GRACE_S):
                self._end(working)

    def _end(self, found: AtWork) -> NoReturn:
        """As after a kill, the next command finds the run, and records that it was interrupted."""
        run, state = (os.environ.get(name, "") for name in MARKS)
        with suppress(Exception):
            if run:
                process.kill_marked(Mark(run, state), roots=True, grace_s=1.0)
        package = found.extension
        message = (
            f"cancelled, but {found.what} did not end: the package {package.name} "
            f"{package.version} does not react to a cancel"
        )
        hint = (
            "drd records the run as interrupted when it next works on the plan. Report this to the "
            f"author of {package.name}."
        )
        with suppress(Exception):
            if self._as_json:
                failed = output.error_document(message, hint, Cancelled.exit_code)
                output.print_json({"error": failed})
            else:
                output.complain(message, hint)
            sys.stdout.flush()
        os._exit(Cancelled.exit_code)

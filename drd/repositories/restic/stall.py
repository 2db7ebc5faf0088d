"""Distinguish a slow repository from a repository that is gone.

restic retries a dead endpoint without end, and prints status lines meanwhile. So drd watches
whether bytes move; when they do not, it probes the place without restic.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from drd.errors import Cancelled, DrdError, RepositoryUnreachable


@dataclass(frozen=True, slots=True)
class Patience:
    """Times in seconds. An outage shorter than `still_s + gone_s` is waited out, a longer one ends
    the call. `probe_s` is the limit of one probe.
    """

    still_s: float = 15.0
    gone_s: float = 60.0
    every_s: float = 5.0
    probe_s: float = 15.0


PATIENCE_BY_RESTIC = Patience(still_s=30.0, every_s=30.0, probe_s=45.0)
"""For places where a probe is a call of restic, which takes about a second of computing."""


RETRY = re.compile(r"^.* returned error, retrying after [^:]+: .*$", re.MULTILINE)
_LONGEST = 4096
"""Characters of a message of restic; a page of a proxy may be in it."""
_LINES = 20
"""The lines that are kept of what was printed before an attempt failed."""


def last_attempt(said: str) -> str:
    """Return what restic, and rclone behind it, printed last about an operation that restic
    repeats, with the messages before it; empty if it repeated none."""
    repeated = list(RETRY.finditer(said))
    return said[: repeated[-1].end()][-_LONGEST:] if repeated else ""


class Follows(TypedDict):
    """The functions that hear of a running program."""

    on_tick: Callable[[], None]
    on_words: Callable[[str], None]


class StallWatch:
    """Called about once a second while restic runs; raises when the place has been gone too long,
    or when restic has failed as long at the same operation: it repeats one for a quarter of an
    hour, and prints each attempt. `failed` makes an error of such a message.

    Each probe has its own thread: on a file system whose server is gone it may hang.
    """

    def __init__(
        self,
        probe: Callable[[], None],
        moved: Callable[[], int],
        patience: Patience,
        failed: Callable[[str], DrdError] = RepositoryUnreachable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failed = failed
        self._words = ""
        self._said: list[str] = []
        self._retries: list[tuple[float, str]] = []
        self._probe = probe
        self._moved = moved
        self._patience = patience
        self._last = -1
        self._clock = clock
        self._since = clock()
        self._attempt: _ProbeThread | None = None
        self._next = 0.0
        self._failing_since: float | None = None

    def follows(self) -> Follows:
        """Return what follows a program, as arguments of `process.run`."""
        return {"on_tick": self.tick, "on_words": self.heard}

    def heard(self, words: str) -> None:
        """Note a part of what restic prints to stderr."""
        self._words = (self._words + words)[-_LONGEST:]
        *lines, self._words = self._words.split("\n")
        now = self._clock()
        for line in lines:
            self._said = [*self._said, line][-_LINES:]
            if RETRY.match(line):
                # The lines before it, of rclone for example, say why.
                self._retries.append((now, "\n".join(self._said)))
                self._said = []
        del self._retries[1:-1]

    @property
    def last_attempt(self) -> str:
        """What restic said last about the operation that it repeats; empty if it repeats none."""
        return self._retries[-1][1] if self._retries else ""

    def tick(self) -> None:
        """Raise the error of the place after it has failed for `gone_s` seconds in a row."""
        now = self._clock()
        done = self._moved()
        if done != self._last:
            self._last, self._since, self._failing_since = done, now, None
            self._retries.clear()
        if now - self._since < self._patience.still_s:
            return
        if len(self._retries) > 1 and now - self._retries[0][0] >= self._patience.gone_s:
            raise self._failed(self._retries[-1][1])
        if self._attempt is not None:
            self._judge(self._attempt, now)
        if (self._attempt is None or self._attempt.over) and now >= self._next:
            self._next = now + self._patience.every_s
            self._attempt = _ProbeThread(self._probe, now)

    def _judge(self, attempt: _ProbeThread, now: float) -> None:
        error = attempt.error
        if not attempt.over:
            if now - attempt.begun < self._patience.probe_s:
                return
            error = RepositoryUnreachable(
                "the repository does not answer",
                hint="check the network, and that the server of the repository runs.",
            )
        if error is None:
            self._failing_since = None
            return
        if self._failing_since is None:
            self._failing_since = attempt.begun
        if now - self._failing_since >= self._patience.gone_s:
            raise error


def together(*calls: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls each of these."""

    def call() -> None:
        for one in calls:
            one()

    return call


class _ProbeThread(threading.Thread):
    def __init__(self, probe: Callable[[], None], begun: float) -> None:
        super().__init__(name="drd-probe", daemon=True)
        self.begun = begun
        self.over = False
        self.error: DrdError | None = None
        self._probe = probe
        self.start()

    def run(self) -> None:
        try:
            self._probe()
        except DrdError as error:
            self.error = error
        except Cancelled:
            pass  # the thread that waits for restic is cancelled as well, and reports it
        finally:
            self.over = True

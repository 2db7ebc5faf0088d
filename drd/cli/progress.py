"""One line of progress on a terminal: what, how much, how fast, and the time that is left."""

from __future__ import annotations

import shutil
import sys
import threading
import time

from drd.cli import render
from drd.model.units import format_duration, format_size
from drd.ports import Progress

_EVERY_S = 0.2
_STALE_S = 3.0
"""A line without news for this many seconds is finished, or waits: others take its room."""


class ProgressLine:
    """Redraws itself on stderr, five times a second at most; callable from any thread."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self._lock = threading.Lock()
        self._parts: dict[str, Progress] = {}
        self._begun: dict[tuple[str, str], tuple[float, int]] = {}
        self._heard: dict[str, float] = {}
        self._drawn = 0.0
        self._visible = False

    def __call__(self, progress: Progress) -> None:
        if not self.enabled:
            return
        with self._lock:
            now = time.monotonic()
            self._begun.setdefault((progress.subject, progress.phase), (now, progress.done_bytes))
            self._parts[progress.subject] = progress
            self._heard[progress.subject] = now
            if now - self._drawn >= _EVERY_S:
                self._drawn = now
                self._draw(now)

    def clear(self) -> None:
        """Remove the line, so that something else can be printed."""
        with self._lock:
            if self._visible:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
                self._visible = False

    def _draw(self, now: float) -> None:
        width = shutil.get_terminal_size().columns - 1
        current = [p for s, p in self._parts.items() if now - self._heard[s] < _STALE_S]
        text = "   ".join(self._part(p, now) for p in current)
        sys.stderr.write("\r\x1b[K" + text[:width])
        sys.stderr.flush()
        self._visible = True

    def _part(self, progress: Progress, now: float) -> str:
        begun, first = self._begun[(progress.subject, progress.phase)]
        rate = (progress.done_bytes - first) / max(now - begun, 0.001)
        subject = render.plain(progress.subject)
        text = f"{subject} {progress.phase} {format_size(progress.done_bytes)}"
        if progress.total_bytes and progress.total_bytes > progress.done_bytes:
            text += f" of {format_size(progress.total_bytes)}"
        if now - begun > 1 and rate > 0:
            text += f" {format_size(rate)}/s"
            if progress.total_bytes and progress.total_bytes > progress.done_bytes:
                remaining = (progress.total_bytes - progress.done_bytes) / rate
                text += f", {format_duration(int(remaining) + 1)} left"
        return text

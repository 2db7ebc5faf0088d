"""Watching a runbook: a screen of its steps on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from drd.cli import output
from drd.cli.progress import ProgressLine
from drd.model.units import format_duration

if TYPE_CHECKING:
    from drd.bootstrap import App
    from drd.model.progression import Progression, StepView

_EVERY_S = 0.5
_STYLE = {"succeeded": "good", "failed": "bad", "waiting": "warn", "skipped": "warn"}
_WIDEST = 120


@contextmanager
def watched(app: App, args: argparse.Namespace) -> Iterator[None]:
    """Show the steps of what is carried out inside. A recovery that is not watched by a person still
    says in its log what it waits for."""
    if args.quiet:
        yield
        return
    if sys.stderr.isatty() and not args.json:
        screen = Screen(app.console.on_progress, colour=output.colours(args.no_color))
        app.console = replace(app.console, on_steps=screen)
        output.over(screen.clear)
        try:
            yield
        finally:
            screen.clear()
    else:
        app.console = replace(app.console, on_steps=Log(only_needs=args.json))
        yield


class Log:
    """One line for each change of a step."""

    def __init__(self, *, only_needs: bool) -> None:
        self._only_needs = only_needs
        self._known: dict[str, tuple[str, str]] | None = None

    def __call__(self, now: Progression) -> None:
        if self._known is None:
            self._known = self._before(now)
        for step in now.steps:
            stage, says = step.stage, step.says
            before = self._known.get(step.name, ("to come", ""))
            if stage == "running" and before[0] == "running" and not says:
                continue
            if (stage, says) == before or stage == "to come":
                continue
            self._known[step.name] = (stage, says)
            if self._only_needs and stage != "waiting":
                continue
            print(self._line(now, step), file=sys.stderr, flush=True)

    def _before(self, now: Progression) -> dict[str, tuple[str, str]]:
        """What an earlier process has done, in one line."""
        over = [s for s in now.steps if s.earlier]
        if over and not self._only_needs:
            names = ", ".join(s.name for s in over)
            print(f"{now.now:%H:%M:%S} done before: {names}", file=sys.stderr, flush=True)
        return {s.name: (s.stage, s.says) for s in over}

    def _line(self, now: Progression, step: StepView) -> str:
        took = step.stage in ("succeeded", "failed") and step.took_s is not None
        words = f"{now.now:%H:%M:%S} {step.name}: {step.stage}"
        words += f" after {format_duration(step.took_s)}" if took else ""
        return output.unmarked(output.masked(f"{words}: {step.says}" if step.says else words))


class Screen:
    """Redraws the steps in place, twice a second at most and at each change."""

    def __init__(self, progress: object, *, colour: bool) -> None:
        self._progress = progress
        self._colour = colour
        self._lines = 0
        self._drawn = 0.0
        self._stages: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def __call__(self, now: Progression) -> None:
        stages = tuple(f"{s.stage}{s.says}" for s in now.steps)
        with self._lock:
            fresh = stages != self._stages
            if not (fresh or now.over) and time.monotonic() - self._drawn < _EVERY_S:
                return
            self._stages, self._drawn = stages, time.monotonic()
            width = min(_WIDEST, shutil.get_terminal_size().columns - 1)
            lines = self.lines(now, width)
            if isinstance(self._progress, ProgressLine):
                self._progress.clear()
            self._erase()
            sys.stderr.write("\n".join(lines) + "\n")
            sys.stderr.flush()
            self._lines = len(lines)

    def clear(self) -> None:
        """Leave what was drawn where it is, and draw below the next time."""
        with self._lock:
            self._lines = 0
            if isinstance(self._progress, ProgressLine):
                self._progress.clear()

    def lines(self, now: Progression, width: int) -> list[str]:
        """What is shown, each line at most `width` wide."""
        elapsed = (now.now - now.since) / timedelta(seconds=1)
        head = (
            f"{now.plan}: run {now.run}, {format_duration(max(0.0, elapsed))} since the loss, "
            f"RTO {format_duration(now.rto_s)}"
        )
        if elapsed > now.rto_s:
            head += ": missed"
        column = max((len(s.name) for s in now.steps), default=0)
        lines = [head[:width]]
        for step in now.steps:
            took = format_duration(step.took_s) if step.took_s is not None else ""
            plain = f"  {step.name:<{column}}  {step.stage:<9}  {took:>8}"
            line = f"{plain}  {step.says}" if step.says and step.stage != "waiting" else plain
            lines.append(self._painted(line[:width], step.stage))
        for step in (s for s in now.steps if s.stage == "waiting"):
            lines += _folded(f"  needed: {step.name}: {step.says}", width)
        return lines

    def _painted(self, line: str, stage: str) -> str:
        if stage not in _STYLE:
            return line
        return line.replace(stage, output.paint(stage, _STYLE[stage], self._colour), 1)

    def _erase(self) -> None:
        if self._lines:
            sys.stderr.write(f"\x1b[{self._lines}F\x1b[J")


def _folded(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(output.masked(text), width, subsequent_indent="          ") or [text]

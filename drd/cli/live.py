"""Watch a runbook: a screen of its steps on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

from drd.bootstrap import App
from drd.cli import output, render
from drd.cli.progress import ProgressLine
from drd.model.progression import Progression, StepView
from drd.model.text import counted
from drd.model.units import format_duration

_EVERY_S = 0.5
_COLOURS = re.compile(r"\x1b\[\d*m")
_BESIDE_NAMES = 23
"""Columns for a step's state and duration, with the gaps around."""
_SHORTEST_NAME = 8
"""A text that is cut to less is useless."""
_INDENT = 10
_STYLE = {"succeeded": "good", "failed": "bad", "waiting": "warn", "skipped": "warn"}
_WIDEST = 160


@contextmanager
def watched(app: App, args: argparse.Namespace) -> Iterator[None]:
    """Show the steps of the body's run. Without a terminal, a recovery logs the decisions that it
    waits for."""
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
        app.console = replace(app.console, on_steps=StepLog(only_needs=args.json))
        yield


class StepLog:
    """Prints one line for each change of a step."""

    def __init__(self, *, only_needs: bool) -> None:
        self._only_needs = only_needs
        self._known: dict[str, tuple[str, str]] | None = None

    def __call__(self, now: Progression) -> None:
        if self._known is None:
            self._say_who(now)
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
            with suppress(OSError):  # nobody reads it any more
                print(self._line(now, step), file=sys.stderr, flush=True)

    def _say_who(self, now: Progression) -> None:
        if now.by and not self._only_needs:
            line = output.shown(f"{now.now:%H:%M:%S} run {now.run}, started by {now.by}")
            with suppress(OSError):
                print(line, file=sys.stderr, flush=True)

    def _before(self, now: Progression) -> dict[str, tuple[str, str]]:
        """Return in one line what an earlier process has done."""
        over = [s for s in now.steps if s.earlier]
        if over and not self._only_needs:
            names = ", ".join(s.name for s in over)
            print(
                output.shown(f"{now.now:%H:%M:%S} finished before, by another process: {names}"),
                file=sys.stderr,
                flush=True,
            )
        return {s.name: (s.stage, s.says) for s in over}

    def _line(self, now: Progression, step: StepView) -> str:
        took = step.stage in ("succeeded", "failed") and step.took_s is not None
        words = f"{now.now:%H:%M:%S} {step.name}: {step.stage}"
        words += f" after {format_duration(step.took_s)}" if took else ""
        says = "  ".join(filter(None, [step.says, step.command]))
        return output.shown(output.masked(f"{words}: {says}" if says else words))


class Screen:
    """Redraws the steps in place, twice a second at most and at each change."""

    def __init__(self, progress: object, *, colour: bool) -> None:
        self._progress = progress
        self._colour = colour
        self._shown: list[str] = []
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
            size = shutil.get_terminal_size()
            lines = self.lines(now, min(_WIDEST, size.columns - 1), size.lines - 1)
            if isinstance(self._progress, ProgressLine):
                self._progress.clear()
            with suppress(OSError):  # a lost terminal does not end a recovery
                self._erase(size.columns)
                sys.stderr.write("\n".join(lines) + "\n")
                sys.stderr.flush()
            self._shown = lines

    def clear(self) -> None:
        """Leave the lines on the screen, and draw below them the next time."""
        with self._lock:
            self._shown = []
            if isinstance(self._progress, ProgressLine):
                self._progress.clear()

    def lines(self, now: Progression, width: int, height: int) -> list[str]:
        """Return the lines, each at most `width` wide. If the steps do not fit into `height`,
        finished steps are left out first, then the steps that come last."""
        head = [render.cut(render.plain(self._head(now)), width)]
        if now.by:
            head.append(render.cut(render.plain(f"started by {now.by}"), width))
        needed = [
            line for step in now.steps if step.stage == "waiting" for line in _needed(step, width)
        ]
        room = max(3, height - len(head) - len(needed))
        steps = list(now.steps)
        over, last = 0, len(steps)
        if len(steps) > room:
            going = [n for n, s in enumerate(steps) if s.stage in ("running", "waiting", "to come")]
            over = min(max(0, (going[0] if going else last) - 2), last - room + 2)
            last = min(last, over + room - 2)
        longest = max((len(s.name) for s in steps), default=0)
        column = min(longest, max(_SHORTEST_NAME, width - _BESIDE_NAMES))
        body = [self._step(s, column, width) for s in steps[over:last]]
        if over:
            body.insert(0, f"  {counted(over, 'step')} above")
        if last < len(steps):
            body.append(f"  {counted(len(steps) - last, 'step')} below")
        return head + body + needed

    def _head(self, now: Progression) -> str:
        elapsed = (now.now - now.since) / timedelta(seconds=1)
        head = (
            f"{now.plan}{' over PRODUCTION' if now.over_production else ''}: run {now.run}, "
            f"{format_duration(max(0.0, elapsed))} since the {'loss' if now.stated else 'start'}"
        )
        if now.rto_s is None:
            return head
        head += f", RTO {format_duration(now.rto_s)}"
        return f"{head}: missed" if elapsed > now.rto_s else head

    def _step(self, step: StepView, column: int, width: int) -> str:
        took = format_duration(step.took_s) if step.took_s is not None else ""
        name = render.cut(render.plain(step.name), column)
        line = f"  {name:<{column}}  {step.stage:<9}  {took:>8}"
        room = width - len(line) - render.GAP
        if step.says and step.stage != "waiting" and room >= _SHORTEST_NAME:
            line += f"  {render.cut(render.plain(output.masked(step.says)), room)}"
        return self._painted(line.rstrip()[:width], step.stage)

    def _painted(self, line: str, stage: str) -> str:
        if stage not in _STYLE:
            return line
        return line.replace(stage, output.paint(stage, _STYLE[stage], self._colour), 1)

    def _erase(self, columns: int) -> None:
        """Also erases lines that a narrower terminal has wrapped since."""
        rows = sum(
            max(1, -(-render.measure(_COLOURS.sub("", line)) // columns)) for line in self._shown
        )
        if rows:
            sys.stderr.write(f"\x1b[{rows}F\x1b[J")


def _needed(step: StepView, width: int) -> list[str]:
    """Return the request to a person, and below it the command, unbroken if possible."""
    lines = render.wrap(f"needed: {step.name}: {output.masked(step.says)}", width - _INDENT)
    if step.command:
        lines += render.wrap(step.command, width - _INDENT)
    return [f"  {lines[0]}", *(f"{'':<{_INDENT}}{line}" for line in lines[1:])]

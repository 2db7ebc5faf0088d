"""What is shown of a runbook while it is carried out."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drd.cli.live import Screen, StepLog
from drd.cli.render import measure
from drd.model.progression import Progression, StepView

NOW = datetime(2026, 11, 25, 0, 31, tzinfo=UTC)
ASKS = "commander: traffic moves (by 2026-11-25 01:00:00 UTC)"
APPROVE = "drd approve 4f2a go --by NAME"
STEPS = (
    StepView("data", "restore", "succeeded", 61.0, earlier=True),
    StepView("look", "check", "failed", 2.0, "row counts (failed)"),
    StepView("go", "approve", "waiting", 5.0, ASKS, command=APPROVE),
    StepView("traffic", "command", "to come"),
)


def at(steps: tuple[StepView, ...] = STEPS, *, since_s: float = 90.0) -> Progression:
    return Progression("4f2a", "shop", NOW - timedelta(seconds=since_s), NOW, 60.0, steps)


def test_the_screen_shows_the_steps_the_time_and_what_is_needed_from_whom() -> None:
    assert Screen(None, colour=False).lines(at(), 79, 40) == [
        "shop: run 4f2a, 1m 30s since the start, RTO 1m: missed",
        "  data     succeeded    1m 01s",
        "  look     failed           2s  row counts (failed)",
        "  go       waiting          5s",
        "  traffic  to come",
        "  needed: go: commander: traffic moves (by 2026-11-25 01:00:00 UTC)",
        "          drd approve 4f2a go --by NAME",
    ]
    stated = Screen(None, colour=False).lines(replace(at(), stated=True), 79, 40)[0]
    assert stated == "shop: run 4f2a, 1m 30s since the loss, RTO 1m: missed"
    assert "missed" not in Screen(None, colour=False).lines(at(since_s=30), 79, 40)[0]
    over = replace(at(), over_production=True)
    assert "shop over PRODUCTION: run" in Screen(None, colour=False).lines(over, 79, 40)[0]


@pytest.mark.parametrize("height", [8, 12, 24])
@pytest.mark.parametrize("here", [0, 1, 15, 28, 29])
def test_the_screen_fits_and_shows_the_step_that_goes_on(height: int, here: int) -> None:
    steps = tuple(
        StepView(
            f"step-{n:02}",
            "command",
            "succeeded" if n < here else "running" if n == here else "to come",
        )
        for n in range(30)
    )
    lines = Screen(None, colour=False).lines(at(steps), 60, height)
    assert len(lines) <= height
    assert any(f"step-{here:02}  running" in line for line in lines)
    shown = [line for line in lines if line.startswith("  step-")]
    counted = [int(line.split()[0]) for line in lines if line.endswith((" above", " below"))]
    assert len(shown) + sum(counted) == 30
    assert all(len(line) <= 60 for line in lines)


def test_elsewhere_there_is_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    log = StepLog(only_needs=False)
    log(at())
    log(at())
    log(
        at(
            (
                *STEPS[:2],
                replace(STEPS[2], stage="succeeded", says="approved by anna", command=""),
                STEPS[3],
            )
        )
    )
    assert capsys.readouterr().err.splitlines() == [
        "00:31:00 finished before, by another process: data",
        "00:31:00 look: failed after 2s: row counts (failed)",
        f"00:31:00 go: waiting: {ASKS}  {APPROVE}",
        "00:31:00 go: succeeded after 5s: approved by anna",
    ]


@pytest.mark.parametrize("width", [40, 59, 79])
def test_a_narrow_terminal_keeps_how_each_step_stands_and_how_long_it_took(width: int) -> None:
    long = StepView(
        "warm-up-the-caches-of-all-of-the-nodes", "command", "failed", 61.0, "no \x1b[2Jroom\nleft"
    )
    lines = Screen(None, colour=False).lines(at((long, *STEPS)), width, 40)
    assert all("failed       1m 01s" in line for line in lines if line.startswith("  warm-up"))
    assert all(measure(line) <= width for line in lines)
    assert "\x1b" not in "".join(lines)


def test_wide_characters_and_long_words_are_broken_to_fit() -> None:
    text = f"{'数据库迁移之后把域名指向备用机房' * 4} https://dns.example.com/{'zones/' * 20}"
    asked = StepView("dns", "manual", "waiting", 5.0, f"operator: {text}  drd done 4f2a dns")
    lines = Screen(None, colour=False).lines(at((asked,)), 59, 40)
    assert all(measure(line) <= 59 for line in lines)
    whole = "".join(line.strip() for line in lines[2:])
    assert "".join(text.split()) in whole.replace(" ", "")


def test_lines_wrapped_by_a_narrower_terminal_are_erased(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(None, colour=True)
    size = [os.terminal_size((80, 24)), os.terminal_size((20, 24))]
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: size[0])
    shown = screen.lines(at(), 79, 23)
    screen(at())
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: size[1])
    capsys.readouterr()
    screen(replace(at(), over=True))
    plain = (re.sub(r"\x1b\[\d*m", "", line) for line in shown)
    rows = sum(-(-len(line) // 20) for line in plain)
    assert capsys.readouterr().err.startswith(f"\x1b[{rows}F\x1b[J")

"""Tables and the progress line on terminals that are too narrow for all of it."""

from __future__ import annotations

import time

import pytest

from drd.cli.progress import ProgressLine
from drd.cli.render import cut, table
from drd.model.cells import Cell
from drd.ports import Progress


def rows(*words: str) -> list[list[Cell]]:
    return [[Cell(word) for word in words]]


def test_last_column_is_cut_before_it_is_lost() -> None:
    row = rows("4f2a", "failed", "pg_dump cannot connect to the server")
    wide = table(["RUN", "STATE", "WHY"], row, width=60, keep=2, colour=False, shorten=True)
    assert wide[1] == "4f2a  failed  pg_dump cannot connect to the server"
    narrow = table(["RUN", "STATE", "WHY"], row, width=34, keep=2, colour=False, shorten=True)
    assert narrow[1] == "4f2a  failed  pg_dump cannot conn…"
    gone = table(["RUN", "STATE", "WHY"], row, width=20, keep=2, colour=False, shorten=True)
    assert gone == ["RUN   STATE", "4f2a  failed"]


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("ab cd", 4, "ab…"),
        ("日本語", 5, "日本…"),
        ("", 1, ""),
    ],
)
def test_cut_text_fits(text: str, width: int, expected: str) -> None:
    assert cut(text, width) == expected


def test_silent_work_leaves_the_progress_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    line = ProgressLine(enabled=True)
    line(Progress("db", "backup", 1024, 1024))
    now += 1
    line(Progress("files", "backup", 1024, 4096))
    assert "db backup" in capsys.readouterr().err
    now += 5
    line(Progress("files", "backup", 2048, 4096))
    shown = capsys.readouterr().err
    assert "files backup 2.0 KiB of 4.0 KiB" in shown
    assert "db" not in shown

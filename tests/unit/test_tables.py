"""Tables and the progress line on terminals that are too narrow for all of it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from drd.cli import runs
from drd.cli.checks_table import print_checks
from drd.cli.findings import name_width, print_findings
from drd.cli.progress import ProgressLine
from drd.cli.render import NO_LIMIT, cut, hanging, measure, remedy, table
from drd.model.run import CheckResult, CheckVerdict
from drd.ports import Progress
from tests.catalogue_support import evidence

RUNS = ["RUN", "STATE", "STARTED", "WHY"]
FAILED = ["4f2a", "failed", "12:00", "pg_dump cannot connect to the server"]
FINE = ["9c1e", "succeeded", "11:00", ""]


def test_a_text_of_the_last_column_without_room_stands_below_its_row() -> None:
    wide = table(RUNS, [FAILED, FINE], width=62)
    assert wide == [
        "RUN   STATE      STARTED  WHY",
        "4f2a  failed     12:00    pg_dump cannot connect to the server",
        "9c1e  succeeded  11:00",
    ]
    assert table(RUNS, [FAILED, [*FINE[:3], "short"]], width=40) == [
        "RUN   STATE      STARTED  WHY",
        "4f2a  failed     12:00",
        "    pg_dump cannot connect to the server",
        "9c1e  succeeded  11:00    short",
    ]


def test_columns_without_room_stand_below_with_their_headers() -> None:
    assert table(RUNS, [FAILED, FINE], width=23) == [
        "RUN   STATE",
        "4f2a  failed",
        "    started  12:00",
        "    why      pg_dump",
        "             cannot",
        "             connect to",
        "             the server",
        "9c1e  succeeded",
        "    started  11:00",
    ]


def test_continuation_lines_of_an_indented_row_are_indented_more_even_without_a_header() -> None:
    assert table(["", ""], [["  plan", "a sentence of five words"]], width=26)[1:] == [
        "  plan",
        "      a sentence of five",
        "      words",
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 10_000])
def test_nothing_is_lost_at_any_width(width: int) -> None:
    names = [f"COLUMN {n}" for n in range(7)]
    cells = [[f"{r}.{c} {'x' * ((r * 13 + c * 7) % 45)} 東京" for c in range(7)] for r in range(5)]
    lines = table(names, cells, width=width)
    shown = "".join("".join(lines).split())
    for word in (word for row in cells for cell in row for word in cell.split()):
        assert word in shown
    if width >= 60:
        assert max(map(measure, lines)) <= width
    if width == 10_000:
        assert len(lines) == 6, "a pipe breaks no line"


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


REST = [f"{'':12}word word", f"{'':12}word"]


def test_a_text_goes_on_below_itself_and_a_path_stays_whole() -> None:
    path = "/srv/" + "x" * 30
    text = f"db: {path} (3 B): what was there  before"
    assert hanging("  kept copy  ", text, 30) == [
        "  kept copy  db:",
        f"             {path}",
        "             (3 B): what was",
        "             there  before",
    ]
    assert hanging("  kept copy  ", text, NO_LIMIT) == [f"  kept copy  {text}"]
    assert hanging("incident 5  ", "\n" + "word " * 5, 24) == ["incident 5  word word", *REST]
    lines = [r"incident 5  \x1bword", f"{'':12}word word", f"{'':12}word word"]
    assert hanging("incident 5  ", "\x1b" + "word " * 5, 24) == lines
    assert hanging("incident 5  ", " " * 30, 24) == ["incident 5  "]


def test_a_command_in_a_text_of_several_lines_has_a_line_of_its_own() -> None:
    text = "its last drill failed: `drd run show 7c1e`; to choose a2 instead: `--point a2`."
    assert hanging("  note       ", text, 40) == [
        "  note       its last drill failed:",
        "             drd run show 7c1e",
        "             to choose a2 instead:",
        "             --point a2",
    ]
    long = f"`drd recover {'x' * 30}` is the command"
    assert hanging("  note       ", long, 40) == [
        f"  note       drd recover {'x' * 30}",
        "             is the command",
    ]
    assert hanging("  note       ", text, NO_LIMIT) == [f"  note       {text}"]
    odd = "/srv/a`b`c and a long text"
    assert hanging("", odd, 20) == ["/srv/a`b`c and a", "long text"]


def test_a_long_error_is_shortened_on_a_terminal_and_whole_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = "the restore command failed: " + "noise " * 700
    row = {"run": "4f2a", "plan": "shop", "kind": "drill", "state": "failed", "fact": long}
    row |= dict.fromkeys(("repository", "started_at", "duration_s", "actor", "remedy"))
    row["trigger"] = "manual"
    runs._print([row, {**row, "run": "9c1e", "fact": "short"}], 240)
    _, first, second, more = capsys.readouterr().out.splitlines()
    assert "the restore command failed: noise" in first
    assert first.endswith("…")
    assert len(first) < 330
    assert second.endswith("short")
    assert more == "… To see the whole text: drd run show 4f2a"
    runs._print([row], None)
    assert long.strip() in capsys.readouterr().out


def test_a_remedy_goes_on_below_itself_and_a_command_behind_a_backslash() -> None:
    command = "drd kit export shop --to FILE --passphrase-file F"
    text = f"{command}\nadd such a repository under `repositories:`, then run `drd doctor shop`"
    assert remedy("HINT: ", text, 40) == [
        "HINT: drd kit export shop --to FILE \\",
        "        --passphrase-file F",
        "      add such a repository under",
        "      `repositories:`, then run",
        "      drd doctor shop",
    ]
    assert remedy("HINT: ", command, NO_LIMIT) == [f"HINT: {command}"]


CHECKS = (
    CheckResult("orders: rows", "orders", CheckVerdict.PASSED, "500 rows", "== 500"),
    CheckResult(
        "newest order is recent",
        "orders",
        CheckVerdict.FAILED,
        "B, C, D, E, F, G, H, I, J, K, L, M, N",
        "== ok",
    ),
    CheckResult("api answers", None, CheckVerdict.NOT_RUN, "no answer", "200"),
)


def narrow(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))


def test_checks_on_a_narrow_terminal_begin_with_their_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow(monkeypatch, 51)
    print_checks(replace(evidence("d1"), checks=CHECKS), colour=False)
    assert capsys.readouterr().out.splitlines() == [
        "  check      passed   orders: rows: 500 rows",
        "  check      failed   newest order is recent",
        "                        B, C, D, E, F, G, H, I, J,",
        "                        K, L, M, N (expected == ok)",
        "  check      not run  api answers: no answer",
    ]


FINDINGS = [
    {"severity": "ok", "name": "restic", "text": "restic 0.18.0", "remedy": ""},
    {
        "severity": "error",
        "name": "repository primary: a name that is long",
        "text": "drd can reach the place, but it cannot write there",
        "remedy": "chown drd /srv/backup",
    },
]


def test_findings_on_a_narrow_terminal_go_on_below_themselves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow(monkeypatch, 66)
    print_findings(FINDINGS, width=name_width(FINDINGS), colour=False)
    assert capsys.readouterr().out.splitlines() == [
        "  ok      restic          restic 0.18.0",
        "  FAILED  repository primary: a name that is long",
        "                          drd can reach the place, but it cannot",
        "                          write there",
        "                          HINT: chown drd /srv/backup",
    ]

"""What `drd schedule` prints: all that comes, or as much as somebody asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drd.bootstrap import app
from drd.cli.main import main
from drd.config.plan_file import load_plan

PLANS = 15
KINDS = 2
"""Backups and looks at readiness: what such a plan is due for before its first point."""

PLAN = """\
plan: {name}
objectives: {{rpo: 1h, rto: 1h}}
components:
  files: {{kind: files, paths: [/etc]}}
repositories:
  primary: {{url: /srv/{name}, password: {{env: X}}}}
backup: {{every: 15m}}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """So many plans, none of which was ever backed up."""
    config = tmp_path / "drd.yaml"
    config.write_text("state: sqlite:///state/drd.db\nplans: plans\nwork_dir: w\ncache_dir: c\n")
    (tmp_path / "plans").mkdir()
    with app(str(config)) as opened:
        for number in range(PLANS):
            file = tmp_path / f"plans/service{number}.yaml"
            file.write_text(PLAN.format(name=f"service{number}"))
            opened.plans.accept(load_plan(file))
    monkeypatch.setenv("DRD_CONFIG", str(config))
    return config


class Screen:
    """What a terminal of 80 columns or a pipe would get."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def of(self, *words: str, terminal: bool = False) -> list[str]:
        with self._monkeypatch.context() as patched:
            patched.setattr("sys.stdout.isatty", lambda: terminal)
            patched.setenv("COLUMNS", "80")
            assert main(["schedule", *words]) == 0
        return self._capsys.readouterr().out.splitlines()

    def items(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads("\n".join(self.of("--json", *words)))["items"]
        return found


@pytest.fixture
def screen(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Screen:
    return Screen(capsys, monkeypatch)


def test_a_limit_leaves_out_what_comes_later_and_says_how_much(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = PLANS * KINDS
    assert len(screen.of()) == 1 + everything
    header, *starts, last = screen.of("--limit", "4")
    assert header.split()[:2] == ["PLAN", "KIND"]
    assert len(starts) == 4
    assert last.startswith(f"and {everything - 4} more until 20")
    assert last.endswith("UTC: drd schedule --all")
    monkeypatch.setattr("drd.cli.schedule.SCREEN", 7)
    assert len(rows_of(screen.of(terminal=True))) == 1 + 7 + 1
    assert len(rows_of(screen.of("--all", terminal=True))) == 1 + everything
    assert max(map(len, screen.of(terminal=True))) <= 80


def rows_of(lines: list[str]) -> list[str]:
    """The lines, without what has no room in its row and stands below it."""
    return [line for line in lines if not line.startswith(" ")]


def test_json_has_all_starts_unless_limited(screen: Screen) -> None:
    whole = screen.items()
    assert len(whole) == PLANS * KINDS
    assert screen.items("--limit", "3") == whole[:3]
    one = screen.items("service3")
    assert {i["plan"] for i in one} == {"service3"}
    assert one == [i for i in whole if i["plan"] == "service3"]


def test_a_limit_is_a_number_of_starts(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [main(["schedule", "--limit", limit]) for limit in ("0", "-1", "many")] == [2, 2, 2]
    assert "--limit: invalid count value: 'many'" in capsys.readouterr().err


def test_nothing_of_a_plan_whose_file_is_gone_is_said_to_start(
    screen: Screen, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = config.parent / "plans/service7.yaml"
    gone.unlink()
    assert main(["schedule"]) == 0
    out, err = capsys.readouterr()
    assert "service8" in out
    assert "service7" not in out
    assert (
        f"no run of plan service7 starts any more, because its file {gone} is gone. "
        "To put the file back, print its text: drd plan show service7 --loaded. To forget the "
        "plan: drd plan forget service7"
    ) in err
    assert {i["plan"] for i in screen.items()} == {f"service{n}" for n in range(PLANS) if n != 7}

"""`drd config check`: everything that is wrong with drd.yaml, and what is fine, at once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from drd import secrets
from drd.cli.main import main
from drd.config.daemon_check import check_settings
from tests.user_support import NOBODY, acting_as, as_root

WRONG = """\
plans: plans
limits: {runs: 4, drils: 1, backups: 0}
log: {level: loud}
groups: {read: staff}
people:
  - {nmae: Bob}
notify:
  - {kind: webhook, url: "http://127.0.0.1:9093/hook"}
  - {kind: webhook, url: {credential: hook}, severity: [critical], min_severity: info}
  - {kind: mail, to: x}
  - {name: twice, kind: webhook, url: {credential: hook}}
  - {name: twice, kind: webhook, url: {credential: hook}}
alerts: {remind: 5}
"""

FOUND = """\
drd.yaml:2: limits.backups: 0 is out of range
HINT: write 1 to 1000.
drd.yaml:2: limits.drils: unknown key "drils"
HINT: did you mean "drills"?
drd.yaml:3: log.level: "loud" is not allowed here
HINT: write debug, info, warning or error.
drd.yaml:6: people[0].nmae: unknown key "nmae"
HINT: did you mean "name"?
drd.yaml:8: notify[0].url: a secret must be a reference
HINT: use {file: PATH}, {env: NAME}, {credential: NAME} or {command: [WORD, …]}.
drd.yaml:9: notify[1].min_severity: cannot be combined with `severity`
HINT: keep only one of the two keys.
drd.yaml:10: notify[2].kind: unknown kind "mail"
HINT: use one of: webhook, smtp, exec, apprise, heartbeat.
drd.yaml:12: notify[4].name: line 11 already has a channel called "twice"
HINT: give each channel its own name.
drd.yaml:13: alerts.remind: 5 is not a duration
HINT: write a number and a unit, like 15m or 7d.
keys of this file without errors: plans, groups
"""

SOUND = """\
plans: plans
people: [{name: Ann, email: a@example.com}]
notify:
  - {kind: webhook, url: {credential: hook}}
metrics: {textfile: /nonexistent/drd.prom}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(secrets, "CREDENTIALS", tmp_path / "credentials")
    (tmp_path / "credentials").mkdir(mode=0o700)
    (tmp_path / "credentials/hook").write_text("https://example.com/secret")
    (tmp_path / "plans").mkdir()
    return tmp_path


def check(*words: str) -> int:
    return main(["config", "check", *words])


def test_all_problems_are_reported_at_once_with_their_lines_and_what_is_fine(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "drd.yaml").write_text(WRONG)
    assert check("drd.yaml") == 2
    assert capsys.readouterr().out == FOUND
    assert check("--config", "drd.yaml", "--json") == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["fine"]) == (False, ["plans", "groups"])
    assert told["problems"][2] == {
        "file": "drd.yaml",
        "line": 3,
        "path": "log.level",
        "message": '"loud" is not allowed here',
        "hint": "write debug, info, warning or error.",
    }


def test_an_own_state_without_own_places_for_the_rest_is_reported(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "drd.yaml").write_text(f"plans: plans\nstate: sqlite:///{here}/s/drd.db\n")
    assert check("drd.yaml") == 0
    told = capsys.readouterr().out
    assert f"drd.yaml:2: warning: state: the state is in {here}/s, but drills restore into" in told
    assert (
        "HINT: if /var/cache/drd is intended, add cache_dir: /var/cache/drd. If not, add cache_dir: "
        f"{here}/cache" in told
    )
    (here / "drd.yaml").write_text(f"state: sqlite:///{here}/s/drd.db\nwork_dir: w\ncache_dir: c\n")
    assert check("drd.yaml") == 0
    assert "state is in" not in capsys.readouterr().out


def test_a_sound_file_is_ok_with_warnings_about_what_is_not_there(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "drd.yaml").write_text(SOUND)
    assert check("drd.yaml") == 0
    assert capsys.readouterr().out == (
        "drd.yaml:5: warning: metrics.textfile: the directory /nonexistent does not exist\n"
        "HINT: make it: mkdir -p /nonexistent\n"
        f"drd.yaml: ok (0 plans in {here}/plans, 1 channel, 1 person, 1 warning)\n"
    )
    (here / "credentials/hook").unlink()
    (here / "plans").rmdir()
    assert check("drd.yaml", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(w["line"], w["path"]) for w in told["warnings"]] == [
        (1, "plans"), (4, "notify[0].url"), (5, "metrics.textfile"),
    ]  # fmt: skip
    credential = here / "credentials/hook"
    assert told["warnings"][1]["message"] == f"credential hook does not exist: {credential}"
    assert check("drd.yaml", "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_a_file_that_is_missing_or_no_yaml_is_a_problem(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check("drd.yaml") == 2
    assert "drd.yaml:1: there is no such file" in capsys.readouterr().out
    (here / "drd.yaml").write_text("a: [\n")
    assert check("drd.yaml") == 2
    assert "drd.yaml:1: is not YAML" in capsys.readouterr().out
    monkeypatch.delenv("DRD_CONFIG", raising=False)
    monkeypatch.setattr("drd.config.location.DEFAULT_CONFIG", str(here / "none.yaml"))
    assert check() == 0
    ok = f"{here}/none.yaml: ok (there is no such file: drd uses its defaults)\n"
    assert capsys.readouterr().out == ok


@as_root
def test_without_root_it_says_what_it_could_not_check(here: Path) -> None:
    file = here / "drd.yaml"
    file.write_text(SOUND)
    for directory in (here, *here.parents):
        directory.chmod(directory.stat().st_mode | 0o011)
    with acting_as(NOBODY):
        checked = check_settings(file, explicit=True)
    assert (checked.problems, checked.unread) == ((), ("hook",))
    assert [w.path for w in checked.warnings] == ["metrics.textfile"]
    assert check_settings(file, explicit=True).unread == ()


def test_a_named_pipe_is_not_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "drd.yaml"
    os.mkfifo(pipe)
    assert main(["--config", str(pipe), "config", "check"]) == 2
    said = capsys.readouterr()
    assert "is an empty pipe, not a file" in said.out + said.err


@pytest.mark.parametrize(
    ("key", "words", "hint"),
    [
        ("records: {key: {file: /nowhere/key}}", "the file /nowhere/key does not", "records init"),
        ("records: {key: {credential: gone}}", "credential gone does not exist", "records init"),
        (
            'incident: {intake: {listen: "127.0.0.1:9474", token: {file: /nowhere/token}}}',
            "the file /nowhere/token does not exist",
            "write the secret to /nowhere/token",
        ),
    ],
)
def test_a_file_of_a_secret_that_is_not_there_is_a_warning(
    here: Path, key: str, words: str, hint: str
) -> None:
    file = here / "drd.yaml"
    file.write_text(f"plans: plans\n{key}\n")
    [found] = check_settings(file, explicit=True).warnings
    assert (found.line, found.severity) == (2, "warning")
    assert found.message.startswith(words)
    assert ("drd does not sign entries" in found.message) is ("records" in key)
    assert hint in found.hint


def test_a_rule_that_opens_no_incident_because_it_names_no_plan_is_a_warning(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "plans/shop.yaml").write_text("plan: shop-api\n")
    (here / "drd.yaml").write_text(
        "plans: plans\nincident:\n  open:\n"
        '    - {severity: critical, plans: "shop-*"}\n    - {severity: critical, plans: "shopp-*"}\n'
    )
    assert check("drd.yaml") == 0
    told = capsys.readouterr()
    assert 'drd.yaml:5: warning: incident.open[1].plans: no plan matches "shopp-*"' in str(told)
    assert "Plans: shop-api" in str(told)
    assert "incident.open[0]" not in str(told)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("{severity: info, tier: 1}", "none of the plans has tier 1: this rule opens no incident"),
        ("{severity: info, tier: 2}", ""),
        ("{severity: info, tier: 5}", ""),
        (
            '{severity: info, tier: 3, plans: "web*"}',
            "none of the plans of this rule has tier 3 or a more important one (1 to 3)",
        ),
        # The daemon takes it as the most important:
        ('{severity: info, tier: 1, plans: "broken"}', ""),
    ],
)
def test_a_rule_whose_tier_no_plan_has_is_a_warning(
    here: Path, capsys: pytest.CaptureFixture[str], rule: str, words: str
) -> None:
    (here / "plans/shop.yaml").write_text("plan: shop\ntier: 2\n")
    (here / "plans/web.yaml").write_text("plan: web\n")
    if "broken" in rule:
        (here / "plans/broken.yaml").write_text("plan: broken\ntier: [\n")
    (here / "drd.yaml").write_text(f"plans: plans\nincident:\n  open:\n    - {rule}\n")
    assert check("drd.yaml") == 0
    told = str(capsys.readouterr())
    assert ("drd.yaml:4: warning: incident.open[0].tier: " in told) is bool(words)
    assert words in told
    assert ("web has no tier" in told) is bool(words)

"""Exercises: those of drd, how own files are read, what a check refuses, and the commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from drd.cli.command_line import parsed
from drd.cli.exercise import clock_words
from drd.cli.main import main
from drd.config.daemon import load_settings
from drd.config.exercises import SHIPPED, exercise_schema, findings, load_exercises
from drd.config.own_texts import own_texts
from drd.config.playbooks import SHIPPED as SHIPPED_PLAYBOOKS
from drd.config.playbooks import load_playbooks
from drd.config.regimes import load_regimes
from drd.model.exercises.stored import exercise_of_json, exercise_to_json
from drd.model.text import counted

PAGE = Path(__file__).parents[2] / "docs/exercises/README.md"
OWN = """\
exercise: friday
title: Friday
about: A mail.
playbooks: [insider]
injects:
  - name: mail
    at: 0m
    tell: A mail came.
    questions:
      - {name: call, ask: Whom do you call?, within: 5m, words: [lead]}
    decisions:
      - {name: off, ask: Switch it off?, options: [cut off, switch off], right: [cut off]}
    expect:
      - {name: told, what: Somebody was told.}
  - name: later
    at: 30m
    tell: Two more.
"""


def problems(directory: Path, old: str, new: str) -> list[tuple[int, str, str]]:
    assert old in OWN
    (directory / "friday.yaml").write_text(OWN.replace(old, new))
    found = load_exercises(directory).problems
    return [(p.line, p.path, p.message) for p in found]


def test_each_shipped_playbook_has_an_exercise_in_which_it_is_run() -> None:
    found = load_exercises(None)
    assert not found.problems
    playbooks = load_playbooks(None).known
    assert len(found.known) == 13
    assert set(playbooks) <= set(found.known)
    for name in playbooks:
        assert found.known[name].playbooks == (name,)
        assert name in {e.run for e in found.known[name].expectations}


_COMMAND = re.compile(
    r"drd ((?:(?!drd )[a-z-]+ )+?"
    r"(?:(?:N|[A-Z]{2,}|\$\{\w+\}|--[a-z-]+|[\w-]+=[\w/]+)(?=[ .,:;\"]|$) ?)+)"
)
"""A command with what follows its verbs: names in capitals, options, values."""


@pytest.mark.parametrize("directory", [SHIPPED, SHIPPED_PLAYBOOKS], ids=["exercises", "playbooks"])
def test_the_texts_name_only_commands_that_drd_accepts(directory: Path) -> None:
    found = 0
    for file in sorted(directory.glob("*.yaml")):
        text = " ".join(re.sub(r"(?m)^#.*$", "", file.read_text()).split())
        for command in _COMMAND.findall(text):
            words = ["1" if word == "N" else word for word in command.split()]
            assert parsed(words) is not None, command
            found += 1
    assert found >= 4


def test_shipped_exercises_fit_the_schema_name_what_exists_and_have_sources() -> None:
    schema = exercise_schema()
    there = {"playbook": set(load_playbooks(None).known), "regime": set(load_regimes(None).known)}
    for path in SHIPPED.glob("*.yaml"):
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    for exercise in load_exercises(None).known.values():
        assert all(name in there[sort] for sort, name in exercise.named())
        assert bool(exercise.sources) is exercise.name.startswith("disaster-")


def test_the_page_describes_each_shipped_exercise() -> None:
    rows = ["| exercise | what happens | lasts | playbook | questions |", "|---|---|---|---|---|"]
    for one in load_exercises(None).known.values():
        source = f" Source: {'; '.join(one.sources)}." if one.sources else ""
        what = f"{one.title}. {one.about}{source}"
        asked = counted(len(one.questions), "question")
        names = ", ".join(f"`{name}`" for name in one.playbooks) or "-"
        rows.append(f"| `{one.name}` | {what} | {clock_words(one.lasts_s)} | {names} | {asked} |")
    wanted = "<!-- exercises: begin -->\n" + "\n".join(rows) + "\n<!-- exercises: end -->"
    assert wanted in PAGE.read_text(), f"put this into {PAGE.name}:\n{wanted}"


def test_an_exercise_is_read_again_as_it_was_kept() -> None:
    for exercise in load_exercises(None).known.values():
        kept = exercise_of_json(json.loads(json.dumps(exercise_to_json(exercise))))
        assert exercise_to_json(kept) == exercise_to_json(exercise)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("at: 30m", "at: soon", 16, "'soon' is not a duration"),
        (
            "at: 0m",
            "at: 45m",
            16,
            "inject later is due before inject mail, which is written above it",
        ),
        ("name: told", "name: call", 14, 'the name "call" is used twice'),
        ("right: [cut off]", "right: [burn it]", 12, '"burn it" is not one of the options'),
        ("options: [cut off, switch off]", "options: [cut off]", 12, "has only 1 item"),
        ("options: [cut off, switch off]", "options: []", 12, "options is empty"),
        ("exercise: friday\n", "", 1, "exercise is missing"),
        ("title: Friday", "titel: Friday", 2, "titel"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    told = problems(tmp_path, old, new)
    assert any(at == line and message in f"{path} {words}" for at, path, words in told), told
    assert "friday" not in load_exercises(tmp_path).known


def test_a_file_that_others_can_change_and_a_second_one_of_a_name_are_refused(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "a.yaml").write_text(OWN)
    (tmp_path / "b.yaml").write_text(OWN)
    found = load_exercises(tmp_path)
    assert [p.message for p in found.problems] == [
        f'{tmp_path}/a.yaml already has the exercise "friday"'
    ]
    (tmp_path / "b.yaml").unlink()
    (tmp_path / "a.yaml").chmod(0o666)
    found = load_exercises(tmp_path, trusted={0, tmp_path.stat().st_uid})
    assert [p.message for p in found.problems] == ["the file can be written by anyone"]
    assert "friday" not in found.known


def test_the_commands_list_show_copy_and_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "drd.yaml"
    config.write_text("exercises: own\n")
    monkeypatch.setenv("DRD_CONFIG", str(config))
    assert main(["exercise", "new", "--from", "insider"]) == 2
    assert "mkdir -p" in capsys.readouterr().err
    (tmp_path / "own").mkdir()
    assert main(["exercise", "new", "--from", "insider", "--name", "leaver"]) == 0
    assert (tmp_path / "own/leaver.yaml").read_text().startswith("exercise: leaver\n")
    assert main(["exercise", "new", "--from", "insider", "--name", "leaver"]) == 2
    capsys.readouterr()
    assert main(["exercise", "list", "--json"]) == 0
    listed = {e["exercise"]: e["own"] for e in json.loads(capsys.readouterr().out)["exercises"]}
    assert (len(listed), listed["leaver"], listed["insider"]) == (14, True, False)
    assert main(["exercise", "show", "leaver"]) == 0
    assert "decision   who-knows (lead): How do you open" in capsys.readouterr().out
    assert main(["exercise", "show", "leavr"]) == 2
    assert main(["exercise", "schema"]) == 0
    text = (tmp_path / "own/leaver.yaml").read_text()
    (tmp_path / "own/leaver.yaml").write_text(text.replace("regimes: [eu", "regimes: [uu"))
    capsys.readouterr()
    assert main(["exercise", "check", "--json"]) == 0
    [named] = json.loads(capsys.readouterr().out)["findings"]
    assert (named["code"], named["subject"]) == ("exercise-name", "leaver")
    (tmp_path / "own/broken.yaml").write_text("exercise: broken\n")
    assert main(["exercise", "check"]) == 2
    settings = load_settings(config, explicit=True)
    assert "exercises/leaver.yaml" in own_texts(settings)
    codes = {f.code for f in findings(settings)}
    assert codes == {"exercise-file", "exercise-name"}

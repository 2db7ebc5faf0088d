"""Playing an exercise: what is recorded, what the result says, and what never comes out of it."""

from __future__ import annotations

import json
import os
import pty
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from drd.api.exercise_result import as_markdown, played_document, state_words
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.cli.exercise_table import Terminal
from drd.cli.main import main
from drd.config.exercises import load_exercises
from drd.errors import Cancelled, UsageError
from drd.flows.exercises.playing import Table, begin, chosen, find, played_ones
from drd.model.exercises.exercise import Exercise
from drd.model.exercises.played import MET, PARTLY, plays
from drd.model.exercises.result import LATE, MISSED, Item, result_of
from drd.model.records import Body
from tests.catalogue_support import opened
from tests.flow_support import SetClock
from tests.records_support import ANNA
from tests.unit.test_exercises import OWN

Output = pytest.CaptureFixture[str]
SAID = """\
answers:
  call: {answer: The LEAD is called, by: anna, after: 4m}
  "off": 1
expect: {told: {met: yes, after: 7m}}
notes: ["a [note]"]
improve: [buy a phone]
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[SqlCatalogue]:
    made = opened(f"sqlite:///{tmp_path}/state/drd.db", tmp_path)
    yield made
    made.close()


def friday(tmp_path: Path) -> Exercise:
    (tmp_path / "friday.yaml").write_text(OWN)
    return load_exercises(tmp_path).known["friday"]


def table_of(catalogue: SqlCatalogue, tmp_path: Path, speed: float | None = 1.0) -> Table:
    exercise = friday(tmp_path)
    return begin(catalogue, SetClock(), exercise, by="anna", actor=ANNA, speed=speed)


def items(table: Table) -> dict[str, Item]:
    return {item.name: item for item in result_of(table.played).items}


def test_the_result_follows_from_the_entries(catalogue: SqlCatalogue, tmp_path: Path) -> None:
    table = table_of(catalogue, tmp_path)
    call, off = table.played.exercise.questions
    assert {item.why for item in items(table).values()} == {
        "people did not get the news that belongs to this"
    }
    assert table.played.to_judge == ()
    table.tell("mail", 10.0)
    table.answer(call, "the lead, of course", 10.0 + 301, by="bert")
    table.answer(off, "2", 400.0)
    found = items(table)
    assert (found["call"].verdict, found["call"].why) == (
        LATE,
        "took 5m 01s, longer than the allowed 5m",
    )
    assert found["call"].said is not None
    assert (found["call"].said.by, found["call"].after_s) == ("bert", 301.0)
    assert (found["off"].verdict, found["off"].why) == (
        MISSED,
        "according to the exercise, the right decision is: cut off",
    )
    assert found["told"].why == "nobody said whether this was done"
    assert [one.name for one in table.played.to_judge] == ["told"]
    table.judge("told", PARTLY, text="only the lead")
    table.note("buy a phone", None, improves=True)
    assert not result_of(table.played).complete
    assert state_words(played_document(table.played)) == "not over: people got 1 of 2 injects"
    table.tell("later", 1800.0)
    table.end()
    table.end()
    result = result_of(table.played)
    assert (result.complete, result.is_passed, result.improve) == (True, False, ("buy a phone",))
    assert state_words(played_document(table.played)) == "0 of 3 questions and expectations met"
    assert played_ones(catalogue) == [table.played]
    assert find(catalogue, table.played.number) == table.played


def test_an_answer_is_never_changed_and_nothing_follows_the_end(
    catalogue: SqlCatalogue, tmp_path: Path
) -> None:
    table = table_of(catalogue, tmp_path)
    call, off = table.played.exercise.questions
    table.tell("mail", None)
    table.answer(call, "the lead", None)
    for wrong in (
        lambda: table.answer(call, "nobody", None),
        lambda: table.answer(off, "burn it", None),
        lambda: table.note(" ", None),
        lambda: table.note("x" * 4001, None),
        lambda: chosen(off, "3"),
        lambda: find(catalogue, 999),
        lambda: find(catalogue, table.played.number + 1),
    ):
        with pytest.raises(UsageError):
            wrong()
    assert table.played.answers["call"].text == "the lead"
    table.end()
    with pytest.raises(UsageError, match=r"is over"):
        table.note("late", None)


def test_a_second_terminal_sees_what_the_first_recorded(
    catalogue: SqlCatalogue, tmp_path: Path
) -> None:
    one = table_of(catalogue, tmp_path)
    call, _ = one.played.exercise.questions
    other = Table(catalogue, SetClock(), one.played, "bert", ANNA)
    one.tell("mail", 0.0)
    one.answer(call, "the lead", 1.0)
    with pytest.raises(UsageError, match=r"has an answer already"):
        other.answer(call, "nobody", 2.0)
    other.note("hello", 3.0)
    assert other.played.answers["call"].by == "anna"
    assert [n.by for n in other.played.notes] == ["bert"]


def test_changed_and_removed_entries_do_not_count(catalogue: SqlCatalogue, tmp_path: Path) -> None:
    table = table_of(catalogue, tmp_path)
    table.tell("mail", 0.0)
    table.answer(table.played.exercise.questions[0], "the lead", 1.0)
    entries = list(catalogue.records.read())
    forged = Body.of({"begun": table.played.number, "question": "call", "text": "x"}, "s")
    [played] = plays([*entries[:-1], replace(entries[-1], body=forged)])
    assert (played.answers, played.altered) == ({}, (entries[-1].seq,))
    changed = "entries that somebody changed, and that the result does not count: "
    assert f"{changed}{entries[-1].seq}" in as_markdown(played, UTC)
    [played] = plays([*entries[:-1], replace(entries[-1], body=None)])
    assert (played.answers, played.altered) == ({}, ())
    assert plays(entries[1:]) == []


def test_what_people_typed_is_plain_text_in_the_page(
    catalogue: SqlCatalogue, tmp_path: Path
) -> None:
    table = table_of(catalogue, tmp_path)
    table.note("\x1b[31m<b>*x*</b>\n# [a](b) `c`", None, by="e\x07ve")
    page = as_markdown(table.played, UTC)
    assert "- \\\\x1b\\[31m\\<b\\>\\*x\\*\\</b\\> \\# \\[a\\](b) \\`c\\` (e\\\\x07ve)" in page
    assert "\x1b" not in page


# --- the commands ----------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "drd.yaml").write_text(
        "state: sqlite:///state/drd.db\nplans: plans\nexercises: own\n"
    )
    for name in ("own", "plans"):
        (tmp_path / name).mkdir()
    (tmp_path / "own/friday.yaml").write_text(OWN)
    (tmp_path / "said.yaml").write_text(SAID)
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))
    return tmp_path


def test_a_script_plays_an_exercise_and_only_its_own_entries_come_out_of_it(
    home: Path, capsys: Output
) -> None:
    said = str(home / "said.yaml")
    assert main(["exercise", "run", "friday", "--answers", said, "--by", "anna", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["passed"], told["counts"]) == (
        True,
        {"met": 3, "late": 0, "partly": 0, "missed": 0},
    )
    answer = told["items"][0]["answer"]
    assert (answer["by"], told["items"][0]["after_s"]) == ("anna", 240.0)
    assert main(["exercise", "report", "--json"]) == 0
    assert [p["number"] for p in json.loads(capsys.readouterr().out)["played"]] == [told["number"]]
    assert main(["exercise", "report", str(told["number"]), "--output", str(home / "r.md")]) == 0
    assert "- a \\[note\\] (anna)" in (home / "r.md").read_text()
    catalogue = opened(f"sqlite:///{home}/state/drd.db", home)
    try:
        kinds = {entry.header.kind for entry in catalogue.records.read()}
        assert {kind for kind in kinds if not kind.startswith("exercise.")} <= {"key"}
        assert catalogue.incidents.newest(closed=True) == []
        assert catalogue.alerts.open() == []
        assert catalogue.runs.newest() == []
    finally:
        catalogue.close()


def test_answers_that_do_not_fit_are_refused_before_anything_is_recorded(
    home: Path, capsys: Output
) -> None:
    said = home / "said.yaml"
    for old, new, message in (
        ('"off": 1', '"off": 3', "off: '3' is not one of the options"),
        ("call:", "cal:", 'the exercise does not have a question "cal"'),
        ("met: yes", "met: maybe", "met"),
        ("notes:", "note:", "note"),
    ):
        said.write_text(SAID.replace(old, new))
        assert main(["exercise", "run", "friday", "--answers", str(said)]) == 2
        assert message in capsys.readouterr().err
    assert main(["exercise", "run", "friday"]) == 2  # there is no terminal
    assert main(["exercise", "run", "--answers", str(said)]) == 2
    assert main(["exercise", "run", "--resume", "7", "--answers", str(said)]) == 2
    assert main(["exercise", "run", str(home / "gone.yaml"), "--answers", str(said)]) == 2
    capsys.readouterr()
    assert main(["exercise", "report"]) == 0
    assert "no exercise was played yet" in capsys.readouterr().out


def test_an_interrupted_exercise_goes_on_with_the_first_open_question(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    """The first process dies in the middle of its file of answers."""
    said = str(home / "said.yaml")
    judge = Table.judge

    def dies(*_: object, **__: object) -> None:
        raise Cancelled("killed")

    monkeypatch.setattr(Table, "judge", dies)
    assert main(["exercise", "run", str(home / "own/friday.yaml"), "--answers", said]) == 130
    hint = capsys.readouterr().err
    assert "to continue: drd exercise run --resume" in hint
    number = hint.split("--resume ")[1].split()[0]
    monkeypatch.setattr(Table, "judge", judge)
    assert main(["exercise", "run", "--resume", number, "--answers", said, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [note["text"] for note in told["notes"]] == ["a [note]"]
    assert (str(told["number"]), told["complete"]) == (number, True)
    assert main(["exercise", "run", "--resume", number, "--answers", said]) == 2
    assert "is over" in capsys.readouterr().err


# --- the terminal ----------------------------------------------------------------------------


def test_a_terminal_asks_records_and_looks_back(
    catalogue: SqlCatalogue,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
) -> None:
    """All lines are there at once; each answers the question that is then asked."""
    lines = [
        "/help",
        "@bert the lead",
        "9",
        "1",
        "just a note",
        "",
        "x",
        "y 4m we did",
        "phone",
        "",
    ]
    ours, theirs = pty.openpty()
    os.write(ours, "".join(f"{line}\n" for line in lines).encode())
    table = table_of(catalogue, tmp_path, speed=0.0)
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        terminal = Terminal(table, None, beside=False)
        terminal.play()
        terminal.review()
    os.close(ours)
    table.end()
    played = table.played
    assert (played.answers["call"].by, played.answers["off"].text) == ("bert", "cut off")
    assert [(n.text, n.improves) for n in played.notes] == [("just a note", False), ("phone", True)]
    assert played.judged["told"].verdict == MET
    assert result_of(played).is_passed
    shown = capsys.readouterr().out
    assert "not recorded: '9' is not one of the options" in shown
    assert "Somebody was told" not in shown.split("Now judge what people should have done.")[0]


@pytest.mark.parametrize("speed", [0.0, 60.0])
def test_after_the_last_news_people_have_time_to_run_the_playbook(
    catalogue: SqlCatalogue,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
    speed: float,
) -> None:
    """drd judges the run when play() is over: until then somebody runs it at another terminal."""
    ours, theirs = pty.openpty()
    os.write(ours, b"the lead\n1\n/next\nthe run is slow\n\n")
    text = f"{OWN}    expect:\n      - {{name: ran, what: Somebody ran it., run: insider}}\n"
    (tmp_path / "friday.yaml").write_text(text)
    exercise = load_exercises(tmp_path).known["friday"]
    table = begin(catalogue, SetClock(), exercise, by="anna", actor=ANNA, speed=speed)
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        Terminal(table, None, beside=False).play()
    os.close(ours)
    assert [note.text for note in table.played.notes] == ["the run is slow"]
    assert "ran" in {one.name for one in table.played.to_judge}
    command = f"drd playbook run insider --exercise {table.played.number}"
    told = " ".join(capsys.readouterr().out.split())
    assert told.index(command) < told.index("Press Enter when the run of the playbook has ended")


def test_the_end_of_input_interrupts(
    catalogue: SqlCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(catalogue, tmp_path)
    with (tmp_path / "friday.yaml").open() as nothing:
        nothing.read()
        os.lseek(nothing.fileno(), 0, os.SEEK_END)
        monkeypatch.setattr("sys.stdin", nothing)
        with pytest.raises(Cancelled):
            Terminal(table, 60.0, beside=True).play()
    assert set(table.played.told) == {"mail"}
    assert table.played.ended_at is None

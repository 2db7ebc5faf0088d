"""When a playbook counts as rehearsed, and what follows from that."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from drd.bootstrap import app
from drd.cli.main import main
from drd.config.exercises import load_exercises
from drd.config.playbooks import load_playbooks
from drd.flows.exercises.playing import begin
from drd.flows.playbooks.rehearsals import findings
from drd.model.incidents.actions import Proof, VerifiedBy
from drd.model.playbook import Playbook
from drd.model.playbook_conditions import in_exercise
from drd.model.rehearsals import Rehearsal, executed_all, finding, first, judged, named_by, newest
from drd.model.run import Decision, Run, RunKind, RunState, StepState
from drd.model.step_record import StepRecord
from drd.process.clock import SystemClock
from tests.catalogue_support import at, opened
from tests.config_support import GOOD, load
from tests.flow_support import SetClock
from tests.records_support import ANNA
from tests.unit.test_inventory import WHOLE

Output = pytest.CaptureFixture[str]
WORK = """\
playbook: work
title: Work
about: Does it.
use_when: Something is to do.
inputs: [{name: word, what: a word, default: "true"}]
tasks:
  - name: only
    text: Do it.
    role: operator
    steps:
      - {name: one, command: {run: ["${word}"]}, repeat: safe, on_failure: abort,
         rollback: {command: {run: ["true"]}}}
      - {name: two, command: {run: ["true"]}, repeat: safe, on_failure: abort}
      - {name: else, command: {run: ["true"]}, repeat: safe, when: {step: one, is: failed}}
"""
PLAN = """\
plan: shop
objectives: {rpo: 1h, rto: 1h}
credentials: [{name: key, rotate_with: work}]
components: {etc: {kind: files, paths: [HERE/own]}}
repositories: {primary: {url: HERE/repository, password: {file: HERE/password}}}
"""
FRIDAY = """\
exercise: friday
title: Friday
about: Work.
injects:
  - {name: now, at: 0m, tell: Work., expect: [{name: worked, what: It was run., run: work}]}
"""
DONE, SKIPPED, FAILED = StepState.SUCCEEDED, StepState.SKIPPED, StepState.FAILED


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    (tmp_path / "work.yaml").write_text(WORK)
    return load_playbooks(tmp_path).known["work"]


def a_run(playbook: Playbook, state: RunState = RunState.SUCCEEDED, digest: str = "") -> Run:
    return Run(
        id="r1",
        plan=playbook.executed.name,
        kind=RunKind.PLAYBOOK,
        trigger="manual",
        state=state,
        started_at=at(1),
        finished_at=at(2),
        plan_digest=digest or playbook.digest,
    )


def steps(*states: StepState) -> list[StepRecord]:
    names = ("one", "two", "else")
    return [
        StepRecord("r1", name, "command", state, 1, at(1))
        for name, state in zip(names, states, strict=False)
    ]


SKIP = Decision("two", "skip", "bert", "", 1, at(1))


@pytest.mark.parametrize(
    ("states", "said", "digest", "lacks"),
    [
        ((DONE, DONE, SKIPPED), [], "", ""),
        ((DONE, DONE), [], "", "step else was not executed to its end"),
        ((DONE, FAILED, SKIPPED), [], "", "step two was not executed to its end"),
        ((DONE, SKIPPED, SKIPPED), [], "", "step two was not executed to its end"),
        ((DONE, SKIPPED, SKIPPED), [SKIP], "", "bert skipped step two"),
        ((DONE, DONE, SKIPPED), [], "another", "the playbook has changed since"),
        ((DONE, SKIPPED, SKIPPED), [SKIP], "another", "the playbook has changed since"),
        ((DONE, DONE, SKIPPED), [replace(SKIP, step=""), replace(SKIP, action="retry")], "", ""),
    ],
)
def test_only_a_run_of_every_step_of_the_present_text_is_a_rehearsal(
    playbook: Playbook, states: tuple[StepState, ...], said: list[Decision], digest: str, lacks: str
) -> None:
    for state in (RunState.SUCCEEDED, RunState.CANCELLED):  # it may be rolled back since
        found = judged(playbook, a_run(playbook, state, digest), steps(*states), said)
        assert found is not None
        assert (found.lacks, found.counts) == (lacks, not lacks)


def test_a_run_that_is_not_over_is_no_rehearsal_yet(playbook: Playbook) -> None:
    run = a_run(playbook)
    for unfinished in (replace(run, started_at=None), replace(run, finished_at=None)):
        assert judged(playbook, unfinished, steps(DONE, DONE, SKIPPED), []) is None


def test_an_item_needs_a_run_that_succeeded_without_a_skipped_step(playbook: Playbook) -> None:
    whole = steps(DONE, DONE, SKIPPED)
    assert executed_all(a_run(playbook), whole, [])
    assert not executed_all(a_run(playbook), whole, [SKIP])
    assert not executed_all(a_run(playbook), steps(DONE, FAILED), [])
    assert not executed_all(a_run(playbook, RunState.CANCELLED), whole, [])
    assert str(VerifiedBy.read("playbook: work")) == "playbook:work"
    assert VerifiedBy.read("playbook:work") == VerifiedBy(Proof.PLAYBOOK, "work")
    assert VerifiedBy.read("playbook:work").runs_of == "playbook:work"
    with pytest.raises(ValueError, match=r"playbook"):
        VerifiedBy.read("playbook:work/one")


def test_the_newest_rehearsal_that_counts_is_told_for_a_year() -> None:
    good = Rehearsal("r1", at(1), at(1))
    bad = Rehearsal("r2", at(2), at(2), "bert skipped step two")
    assert newest([bad, good]) == good
    assert newest([bad]) == bad
    assert newest([]) is None
    later = Rehearsal("r3", at(0), at(4))
    assert (first([later, good, bad]), first([bad]), first([])) == (good, bad, None)
    for last, now, severity, words in (
        (None, at(3), "warning", "never rehearsed"),
        (bad, at(3), "warning", "does not count, because bert skipped step two"),
        (good, at(3), "ok", "executed every step of work"),
        (good, at(1) + timedelta(days=366), "ok", "executed every step"),
        (good, at(1) + timedelta(days=367), "warning", "not rehearsed for a year"),
    ):
        found = finding("work", last, now)
        assert (found.code, found.subject, found.severity) == (
            "playbook-not-rehearsed",
            "work",
            severity,
        )
        assert words in found.text


def test_a_plan_names_playbooks_for_credentials_and_against_risks(tmp_path: Path) -> None:
    assert named_by(load(tmp_path, GOOD + WHOLE).plan) == ["rotate-stripe", "rebuild"]


def test_doctor_names_an_own_playbook_until_a_run_has_executed_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    (tmp_path / "drd.yaml").write_text(
        "state: sqlite:///state/drd.db\nplans: plans\nplaybooks: own\nwork_dir: work\n"
    )
    for name in ("own", "plans"):
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    (tmp_path / "plans/shop.yaml").write_text(PLAN.replace("HERE", str(tmp_path)))
    (tmp_path / "password").write_text("x")
    (tmp_path / "password").chmod(0o600)
    (tmp_path / "own/work.yaml").write_text(WORK)
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))

    def of(command: str) -> str:
        main([command, "shop", "--json"])
        told = json.loads(capsys.readouterr().out)
        items = told["items"] if command == "doctor" else told["plans"][0]["findings"]
        [found] = [i for i in items if i["code"] == "playbook-not-rehearsed"]
        assert found["subject"] == "work"
        return str(found["text"])

    def told() -> str:
        catalogue = opened(f"sqlite:///{tmp_path}/state/drd.db", tmp_path)
        known = load_playbooks(tmp_path / "own").known
        [found] = findings(catalogue, known, ["work", "gone"], at(0))
        catalogue.close()
        return found.text

    run = ["playbook", "run", "work", "--yes"]
    assert main([*run, "--dry-run"]) == 0
    capsys.readouterr()
    assert "never rehearsed" in of("doctor")
    assert main([*run, "--set", "word=false"]) == 1
    capsys.readouterr()
    assert "does not count, because step one was not executed to its end" in told()
    assert main(["incident", "open", "leak"]) == 0
    item = ["incident", "action", "add", "rehearse it", "--owner", "bert", "--due", "1d"]
    assert main([*item, "--verified-by", "playbook:wrok"]) == 2
    assert "did you mean work?" in capsys.readouterr().err
    assert main([*item, "--verified-by", "playbook:work"]) == 0
    capsys.readouterr()
    assert main([*run, "--json"]) == 0
    done = json.loads(capsys.readouterr().out)["run"]
    assert f"run {done} of" in told()
    assert main(["incident", "action", "1", "list", "--json"]) == 0
    [action] = json.loads(capsys.readouterr().out)["actions"]
    assert (action["done_by"], action["proof"]) == ("drd", done)
    assert main(["rollback", done]) == 0
    capsys.readouterr()
    assert f"run {done} of" in of("readiness")


def test_a_playbook_is_rehearsed_in_an_exercise_and_its_messages_stay_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    for name in ("own", "plans"):
        (tmp_path / name).mkdir()
    text = "state: sqlite:///state/drd.db\nplans: plans\nwork_dir: work\n"
    (tmp_path / "drd.yaml").write_text(f"{text}playbooks: own\nexercises: .\n")
    (tmp_path / "own/work.yaml").write_text(f"{WORK}      - notify: done\n")
    (tmp_path / "friday.yaml").write_text(FRIDAY)
    (tmp_path / "nothing.yaml").write_text("")
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))
    catalogue = opened(f"sqlite:///{tmp_path}/state/drd.db", tmp_path)
    exercise = load_exercises(tmp_path).known["friday"]
    table = begin(catalogue, SystemClock(), exercise, by="anna", actor=ANNA, speed=1.0)
    number = str(table.played.number)
    run = ["playbook", "run", "work", "--yes", "--exercise", number]
    assert main([*run, "--json"]) == 0
    shown = capsys.readouterr()
    assert "did not send this message, because this is an exercise" in shown.err
    done = catalogue.runs.get(json.loads(shown.out)["run"])
    assert in_exercise(done)
    play = ["exercise", "run", "--resume", number, "--answers", str(tmp_path / "nothing.yaml")]
    assert main([*play, "--json"]) == 0
    [item] = json.loads(capsys.readouterr().out)["items"]
    assert (item["result"], item["run"]) == ("met", done.id)
    assert main(run) == 2
    assert f"exercise {number} is over" in capsys.readouterr().err
    catalogue.close()


@pytest.mark.parametrize(
    ("speed", "within", "result"),
    [
        (1.0, "5m", "late"),
        (60.0, "5m", "late"),  # a run is real at every speed
        (60.0, "20m", "met"),
        (0.0, "5m", "met"),
    ],
)
def test_a_run_that_ended_too_long_after_its_news_is_late(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
    *,
    speed: float,
    within: str,
    result: str,
) -> None:
    for name in ("own", "plans"):
        (tmp_path / name).mkdir()
    text = "state: sqlite:///state/drd.db\nplans: plans\nwork_dir: work\n"
    (tmp_path / "drd.yaml").write_text(f"{text}playbooks: own\nexercises: .\n")
    (tmp_path / "own/work.yaml").write_text(WORK)
    friday = FRIDAY.replace("run: work", f"run: work, within: {within}")
    (tmp_path / "friday.yaml").write_text(friday)
    (tmp_path / "nothing.yaml").write_text("")
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))
    catalogue = opened(f"sqlite:///{tmp_path}/state/drd.db", tmp_path)
    exercise = load_exercises(tmp_path).known["friday"]
    clock = SetClock()
    clock.at = SystemClock().now() - timedelta(minutes=10)
    table = begin(catalogue, clock, exercise, by="anna", actor=ANNA, speed=speed)
    table.tell("now", 0.0 if speed else None)
    number = str(table.played.number)
    assert main(["playbook", "run", "work", "--yes", "--exercise", number]) == 0
    assert main(["playbook", "run", "work", "--yes", "--set", "word=false"]) == 1
    capsys.readouterr()
    play = ["exercise", "run", "--resume", number, "--answers", str(tmp_path / "nothing.yaml")]
    assert main(play) == (0 if result == "met" else 1)
    shown = capsys.readouterr().out
    assert ("longer than the allowed 5m" in shown) == (result == "late")
    main(["exercise", "report", number, "--json"])
    [item] = json.loads(capsys.readouterr().out)["items"]
    assert item["result"] == result
    assert item["after_s"] == (pytest.approx(600, abs=60) if speed else None)
    catalogue.close()


def test_training_of_a_plan_whose_file_is_broken_is_that_of_the_text_loaded_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    (tmp_path / "plans").mkdir()
    text = "state: sqlite:///state/drd.db\nplans: plans\nplaybooks: plans\nwork_dir: work\n"
    (tmp_path / "drd.yaml").write_text(text)
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))
    file = tmp_path / "plans/shop.yaml"
    rule = "training: {operators: {people: 2, within: 180d}}\n"
    file.write_text(PLAN.replace("HERE", str(tmp_path)) + rule)
    with app(str(tmp_path / "drd.yaml")) as made:
        made.plans.load("shop")
    file.write_text("plan: [")
    for words in (["training", "--json"], ["training", "list", "--plan", "shop", "--json"]):
        assert main(words) == 0
        shown = capsys.readouterr()
        [told] = json.loads(shown.out)["plans"]
        assert told["requires"]["operators"] == {"people": 2, "within_s": 180 * 86400.0}
        assert "shop: drd uses the text of this plan that it loaded before" in shown.err
    assert main(["training", "list", "--plan", "none", "--json"]) != 0

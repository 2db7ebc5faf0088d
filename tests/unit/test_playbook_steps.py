"""What steps that change a live service do: look, read what was there, keep only what is named."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from types import SimpleNamespace

import pytest

from drd import log
from drd.actions.command import CommandAction, CommandSettings
from drd.actions.http import HttpSettings
from drd.daemon.measures import MeasureWatch
from drd.errors import StepFailed, UsageError
from drd.flows.incidents.opening import open_incident
from drd.flows.playbooks.run import Ordered, roll_back_playbook
from drd.flows.playbooks.standing import newer, standing
from drd.flows.playbooks.values import Values
from drd.flows.runbook.live import HAPPENED, VALUE, Answer, changed, remove_reserved, taken
from drd.flows.runbook.step_runner import StepRunner, preflight_step
from drd.flows.runbook.taking_back import to_undo
from drd.kit.playbook_effects import playbook_orders
from drd.model.incidents.entries import Author
from drd.model.new_secrets import of_run
from drd.model.playbook import ExecutedPlaybook, Input, Playbook
from drd.model.playbook_conditions import EXPIRED, EXPIRES, INTERRUPTED, expired
from drd.model.run import Run, RunKind, RunState, StepState
from drd.model.run_details import PlaybookDetail
from drd.model.runbook import Live, NewSecret, OwnRun, Step
from drd.model.step_record import StepRecord
from drd.model.step_results import ActionStepResult
from drd.ports.action import WHOLE, ActionContext
from tests.flow_support import World

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
STEP = Step("block", "http")


def answers(body: str, status: int = 200) -> Callable[[Step], Answer]:
    reported = ActionStepResult.of({"status": status, "body": body})
    return lambda _: Answer(reported, {"body": body, WHOLE: body})


def cut_off() -> StepRecord:
    return StepRecord("r", "block", "http", StepState.RUNNING, 1, NOW)


def test_of_an_answer_only_what_the_step_names_is_kept() -> None:
    act = answers('{"id": 7, "key": "new-key-9", "list": [{"a/b": "x"}]}')
    live = Live(keep={"id": "/id", "deep": "/list/0/a~1b", "code": "status"})
    told = changed(STEP, live, None, act, lambda _: None).to_json()
    assert told == {"status": 200, "id": "7", "deep": "x", "code": "200"}
    with pytest.raises(
        StepFailed, match="the answer is not JSON, or does not contain a value at /nothing"
    ):
        changed(STEP, Live(keep={"a": "/nothing"}), None, act, lambda _: None)


def test_of_a_failed_step_no_answer_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> ActionStepResult:
        raise StepFailed("answers 500", result={"status": 500, "body": "hunter2"})

    monkeypatch.setattr(StepRunner, "_run_action", refused)
    runner = StepRunner.__new__(StepRunner)  # the answer is dropped before anything else is used
    with pytest.raises(StepFailed) as raised:
        runner.roll_back(replace(STEP, live=Live(rollback=STEP)))
    assert raised.value.result == {"status": 500}


def test_a_failed_command_whose_output_has_a_new_secret_shows_nothing_of_it(tmp_path: Path) -> None:
    words = ["sh", "-c", "echo new-key-4711; exit 3"]

    def says(live: Live) -> str:
        step = Step("issue", "command", settings=CommandSettings(run=words), live=live)
        context = ActionContext(step, "r/issue", str, {}, pytest.fail, tmp_path, stays=True)
        with pytest.raises(StepFailed, match="ended with exit code 3") as raised:
            CommandAction().run(context)
        return raised.value.message

    assert "4711" not in says(Live(new_secret=NewSecret("output", "/etc/drd/key")))
    assert "4711" in says(Live())


def test_a_new_secret_goes_to_its_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    file.chmod(0o644)
    live = Live(new_secret=NewSecret("/key", str(file)), keep={"all": "body"})
    told = changed(STEP, live, None, answers('{"key": "new-key-4711"}'), lambda _: None)
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new-key-4711\n", 0o600)
    assert "4711" not in str(told.to_json())
    assert [p.name for p in tmp_path.iterdir()] == ["key"]
    lost = Live(new_secret=NewSecret("/key", str(tmp_path / "none/key")))
    with pytest.raises(StepFailed, match="the step was not executed"):
        changed(STEP, lost, None, lambda _: pytest.fail("asked"), lambda _: None)


def test_a_new_secret_keeps_the_file_that_it_replaces(tmp_path: Path) -> None:
    file, kept = tmp_path / "key", tmp_path / "key.before-r1"
    file.write_text("first")
    file.chmod(0o640)
    declared = Step("issue", "http", live=Live(new_secret=NewSecret("/key", str(file))))
    live = of_run(declared, "r1", practised=False).live
    assert live is not None

    def fails(_: Step) -> Answer:
        raise StepFailed("does not answer")

    with pytest.raises(StepFailed):
        changed(STEP, live, None, fails, lambda _: None)
    assert ([p.name for p in tmp_path.iterdir()], stat.S_IMODE(file.stat().st_mode)) == (
        ["key"],
        0o640,
    )
    os.link(file, kept)  # left by a try that was killed
    told = changed(STEP, live, None, answers('{"key": "new-key-4711"}'), lambda _: None)
    assert (file.read_text(), kept.read_text()) == ("new-key-4711\n", "first")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert told.says == f"the new secret is in {file}; the file that was there is now {kept}"
    changed(STEP, live, None, answers('{"key": "new-key-4712"}'), lambda _: None)
    assert (tmp_path / "key.before-r1-2").read_text() == "new-key-4711\n"
    assert kept.read_text() == "first"


def test_when_people_practise_a_new_secret_has_a_file_of_the_run(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("real")
    declared = Step("issue", "http", live=Live(new_secret=NewSecret("/key", str(file))))
    book = Playbook(
        "b", "t", "a", "u", (Input("key", "k", secret=True),), (), (declared,), "d", "f", own=True
    )
    detail = PlaybookDetail(rehearsal=True, inputs={"key": f"file:{file}"})
    values = Values.of_run(book, detail, "r1")
    assert values.get("key", shown=False) == "real"
    live = of_run(declared, "r1", practised=True).live
    assert live is not None
    told = changed(STEP, live, None, answers('{"key": "new-key-4711"}'), lambda _: None)
    assert told.says == f"the new secret is in {file}.rehearsal-r1"
    assert (file.read_text(), values.get("key", shown=False)) == ("real", "new-key-4711")
    real = Values.of_run(book, replace(detail, rehearsal=False), "r1")
    assert real.get("key", shown=False) == "real"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ("null", r"does not contain a new secret at /key \(found: null\); drd did not change"),
        ('""', r"does not contain a new secret at /key \(found: empty text\); drd did not change"),
    ],
)
def test_an_answer_without_a_new_secret_replaces_no_file(
    tmp_path: Path, found: str, says: str
) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    live = Live(new_secret=NewSecret("/key", str(file)))
    with pytest.raises(StepFailed, match=says):
        changed(STEP, live, None, answers(f'{{"key": {found}}}'), lambda _: None)
    assert ([p.name for p in tmp_path.iterdir()], file.read_text()) == (["key"], "old")


def test_a_step_that_has_happened_is_not_repeated() -> None:
    live = Live(done_when=Step("look block", "http"))
    told = changed(STEP, live, cut_off(), answers("gone", 404), lambda _: pytest.fail("read"))
    assert told.says == "the step had already happened: `done_when` succeeded"


def test_a_secret_that_an_earlier_try_did_not_store_is_not_taken_for_the_new_one(
    tmp_path: Path,
) -> None:
    file = tmp_path / "key"
    live = Live(done_when=Step("look issue", "http"), new_secret=NewSecret("/key", str(file)))

    def told() -> ActionStepResult:
        return changed(STEP, live, cut_off(), answers("{}"), lambda _: pytest.fail("read"))

    for former in (None, "former"):
        if former is not None:
            file.write_text(former)
            os.utime(file, (NOW.timestamp() - 60,) * 2)
        with pytest.raises(StepFailed, match=f"written the new secret to {file}: this secret is"):
            told()
    os.utime(file, (NOW.timestamp() + 1,) * 2)
    assert told().says == "the step had already happened: `done_when` succeeded"


def test_a_value_of_an_answer_that_drd_never_had_is_named_as_lost() -> None:
    issue = replace(STEP, name="issue", live=Live(keep={"id": "/id"}))
    runner = StepRunner.__new__(StepRunner)
    runner.__dict__.update(
        around=SimpleNamespace(steps=(issue,), what="playbook"),
        _lock=Lock(),
        _results={"issue": ActionStepResult.of({"says": HAPPENED})},
        _states={"issue": StepState.SUCCEEDED},
        _unmasked={},
    )
    with pytest.raises(StepFailed, match="the id of step issue is lost: an earlier try") as raised:
        runner.value("steps.issue.id")
    assert "find this id at the service" in (raised.value.hint or "")


def test_a_step_that_cannot_be_looked_at_is_left_to_a_person() -> None:
    def unreachable(_: Step) -> Answer:
        raise StepFailed("does not answer")

    live = Live(done_when=Step("look block", "http"))
    with pytest.raises(StepFailed, match="cannot find out whether the step has happened"):
        changed(STEP, live, cut_off(), unreachable, lambda _: None)


def test_what_there_was_is_kept_whole_or_not_at_all() -> None:
    result, value = taken(Live(takes="/n"), STEP, answers('{"n": {"a": 1}}'))
    assert (value, result.given(VALUE)) == ('{"a": 1}', '{"a": 1}')
    with pytest.raises(StepFailed, match="drd keeps at most"):
        taken(Live(), STEP, answers("x" * 40_000))
    log.mask("hunter2-of-the-route")
    with pytest.raises(StepFailed, match="The step was not executed"):
        taken(Live(), STEP, answers('{"token": "hunter2-of-the-route"}'))


def test_a_step_whose_reading_failed_did_not_happen_and_stops_no_rollback() -> None:
    back = Live(before=Step("before block", "http"), rollback=Step("rollback block", "http"))
    steps = [Step("limit", "http", live=replace(back, before=None)), replace(STEP, live=back)]

    def undone(step: StepState, reading: StepState) -> list[str]:
        states = {"limit": StepState.SUCCEEDED, "block": step, "before block": reading}
        records = {n: StepRecord("r", n, "http", s, 1, NOW) for n, s in states.items()}
        return to_undo(steps, records)[0]

    assert undone(StepState.FAILED, StepState.FAILED) == ["limit"]
    assert undone(StepState.RUNNING, StepState.RUNNING) == ["limit"]
    assert undone(StepState.FAILED, StepState.SUCCEEDED) == ["block", "limit"]


def test_a_measure_is_reported_while_it_stands_after_its_time() -> None:
    run = Run("ab12", "playbook:block", RunKind.PLAYBOOK, "manual", RunState.SUCCEEDED, NOW)
    until = (NOW + timedelta(hours=4)).isoformat()
    done = StepRecord(
        "ab12", "block", "http", StepState.SUCCEEDED, 1, NOW,
        result=ActionStepResult.of({EXPIRES: until}),
    )  # fmt: skip
    late = NOW + timedelta(hours=5)
    assert list(expired(run, [done], NOW)) == []
    [told] = expired(run, [done], late)
    assert (told.kind, told.severity, told.remedy) == (EXPIRED, "warning", "drd rollback ab12")
    [doubtful] = expired(run, [replace(done, state=StepState.WAITING)], late)
    assert doubtful.text.endswith(
        "may still be in effect: the step failed, but may have had an effect"
    )

    def times_out(_: Step) -> Answer:
        raise StepFailed("does not answer")

    with pytest.raises(StepFailed) as raised:
        changed(STEP, Live(), None, times_out, lambda _: None, expires_at=until)
    assert raised.value.result[EXPIRES] == until
    back = StepRecord(
        "ab12", "rollback block", "rollback", StepState.SUCCEEDED, 1, late, subject="block"
    )
    assert list(expired(run, [done, back], late)) == []


def test_the_daemon_finds_a_measure_however_old_its_run_is(tmp_path: Path) -> None:
    world = World(tmp_path, copies=False)
    try:
        catalogue, plan = world.catalogue, world.plan
        for kind, key in (
            (RunKind.PLAYBOOK, EXPIRES),
            (RunKind.PLAYBOOK, "expires-at"),
            (RunKind.DRILL, EXPIRES),
        ):
            owned = catalogue.runs.begin(plan, kind, trigger="manual", at=NOW)
            result = ActionStepResult.of({key: NOW.isoformat()})
            catalogue.steps.begin(owned, "block", "http", NOW)
            catalogue.steps.finish(owned, "block", StepState.SUCCEEDED, at=NOW, result=result)
            catalogue.runs.finish(owned, RunState.SUCCEEDED, at=NOW)
            owned.release()
        late = NOW + timedelta(hours=1)
        assert [c.kind for c in MeasureWatch().conditions(catalogue, late)] == [EXPIRED]
    finally:
        world.close()


def test_a_dry_run_has_nothing_to_check_for_a_run_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path, copies=False)
    try:
        for kind in ("backup", "recover"):
            assert preflight_step(world.services, Step("own", kind, settings=OwnRun())) == []
    finally:
        world.close()


def test_playbooks_of_a_repository_are_shown_before_they_are_accepted() -> None:
    long = "x" * 3000
    text = b"inputs: [{name: a, default: %s}]\n" % long.encode()
    text += b"tasks: [{steps: [{command: {run: [rm, -rf, /]}}, {wait: 1s}, 3]}]\n"
    found = playbook_orders(
        {"playbooks/x.yaml": text, "regimes/a.yaml": b"", "playbooks/y.yaml": b"{"}
    )
    assert [e.line for e in found["playbooks/x.yaml"]] == [
        f'inputs.0: {{"name": "a", "default": "{long}"}}',
        'tasks.0.steps.0: {"command": {"run": ["rm", "-rf", "/"]}}',
        'tasks.0.steps.1: {"wait": "1s"}',
        "tasks.0.steps.2: 3",
    ]
    assert all(effect.asks for effects in found.values() for effect in effects)
    assert set(found) == {"playbooks/x.yaml", "playbooks/y.yaml"}


def test_an_interrupted_playbook_is_an_alert_which_does_not_name_it_if_restricted(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, copies=False)
    try:
        catalogue, watch = world.catalogue, MeasureWatch()
        desk = Author(by="anna", at=NOW)
        number = open_incident(catalogue, desk, "one of us", restricted=True).number
        owned = catalogue.runs.begin(
            ExecutedPlaybook("playbook:insider", "d"), RunKind.PLAYBOOK, trigger="manual", at=NOW,
            detail=PlaybookDetail(incident=number),
        )  # fmt: skip
        assert watch.conditions(catalogue, NOW) == ()
        owned.release()
        assert catalogue.runs.leave(catalogue.runs.get(owned.run.id), NOW)
        [told] = watch.conditions(catalogue, NOW)
        assert (told.kind, told.remedy) == (INTERRUPTED, f"drd resume {owned.run.id}")
        assert "insider" not in told.text
        assert f"a playbook of incident {number} was interrupted" in told.text
        late = NOW + timedelta(hours=5)
        record = StepRecord(
            owned.run.id, "lock", "http", StepState.SUCCEEDED, 1, NOW,
            result=ActionStepResult.of({EXPIRES: NOW.isoformat()}),
        )  # fmt: skip
        [measure] = expired(owned.run, [record], late, hides=True)
        assert "lock" not in f"{measure.text}{measure.subject}"
    finally:
        world.close()


def test_of_two_runs_that_changed_the_same_the_later_one_is_rolled_back_first(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, copies=False)
    try:
        catalogue = world.catalogue
        read = Step("before block", "http", settings=HttpSettings(url="${gw}/route"))
        back = Step("rollback block", "http", settings=HttpSettings(url="${gw}/route"))
        step = Step("block", "http", live=Live(before=read, rollback=back))
        inputs = (Input("gw", "g"),)
        book = Playbook("contain", "t", "a", "u", inputs, (), (step,), "d", "f", own=True)

        def ran(gateway: str, hour: int) -> Run:
            detail, at = PlaybookDetail(inputs={"gw": gateway}), NOW + timedelta(hours=hour)
            owned = catalogue.runs.begin(
                book.executed, RunKind.PLAYBOOK, trigger="manual", at=at, detail=detail
            )
            for name in ("before block", "block"):
                catalogue.steps.begin(owned, name, "http", at)
                catalogue.steps.finish(owned, name, StepState.SUCCEEDED, at=at)
            catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at)
            owned.release()
            return catalogue.runs.get(owned.run.id)

        first, other, last = ran("http://a", 0), ran("http://b", 1), ran("http://a", 2)
        detail = PlaybookDetail(inputs={"gw": "http://a"})
        stands = [(s.run.id, s.steps) for s in standing(catalogue, book, detail)]
        assert stands == [(last.id, ("block",)), (first.id, ("block",))]
        assert newer(catalogue, book, other) == []
        assert newer(catalogue, book, last) == []
        ordered = Ordered(book, detail, lambda _: pytest.fail("no plan"))
        with pytest.raises(UsageError, match=f"before the later run {last.id}") as raised:
            roll_back_playbook(world.services, ordered, first, by="anna")
        assert raised.value.hint.startswith(
            f"roll back the later runs first: drd rollback {last.id}"
        )
        owned = catalogue.runs.adopt(catalogue.runs.reopen(last, NOW, succeeded=True), NOW)
        assert owned is not None
        catalogue.steps.begin(owned, "rollback block", "rollback", NOW, subject="block")
        catalogue.steps.finish(owned, "rollback block", StepState.SUCCEEDED, at=NOW)
        owned.release()
        assert newer(catalogue, book, first) == []
    finally:
        world.close()


def test_without_room_for_a_new_secret_the_request_is_not_sent(tmp_path: Path) -> None:
    live = Live(new_secret=NewSecret("/key", str(tmp_path / "key")))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StepFailed, match="the step was not executed"):
            changed(STEP, live, None, lambda _: pytest.fail("asked"), lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
    (tmp_path / "key").mkdir()
    with pytest.raises(StepFailed, match="the step was not executed"):
        changed(STEP, live, None, lambda _: pytest.fail("asked"), lambda _: None)


def test_a_new_secret_is_written_whole_in_several_parts_and_kept_if_it_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:3])))
    file = tmp_path / "key"
    live = Live(new_secret=NewSecret("/key", str(file)))
    changed(STEP, live, None, answers('{"key": "new-key-4711"}'), lambda _: None)
    assert file.read_text() == "new-key-4711\n"
    file.unlink()

    def then_a_directory(step: Step) -> Answer:
        (file / "full").mkdir(parents=True)
        return answers('{"key": "new-key-4712"}')(step)

    with pytest.raises(StepFailed, match="cannot give this file the name") as raised:
        changed(STEP, live, None, then_a_directory, lambda _: None)
    assert (tmp_path / ".key.drd-new").read_text() == "new-key-4712\n"
    assert f"mv {tmp_path}/.key.drd-new" in raised.value.hint


def test_room_that_a_dead_try_reserved_for_a_secret_is_removed_but_no_whole_secret(
    tmp_path: Path,
) -> None:
    file, new = tmp_path / "key", tmp_path / ".key.drd-new"
    live = Live(new_secret=NewSecret("/key", str(file)), done_when=STEP)

    def dies(_: Step) -> Answer:
        assert new.stat().st_size > 1 << 20
        remove_reserved(file)
        assert new.exists(), "a try that works needs it"
        left.write_bytes(new.read_bytes())
        raise StepFailed("the process died")

    left = tmp_path / "left"
    with pytest.raises(StepFailed, match="died"):
        changed(STEP, live, None, dies, lambda _: None)
    assert not new.exists()

    left.rename(new)
    with pytest.raises(StepFailed, match="this secret is lost"):
        changed(STEP, live, cut_off(), answers("{}"), lambda _: None)
    assert not new.exists()

    new.write_text("new-key-4712\n")
    remove_reserved(file)
    assert new.read_text() == "new-key-4712\n"
    new.unlink()
    new.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").touch()
    remove_reserved(file)
    assert (tmp_path / "elsewhere").exists()


def test_a_playbook_that_a_person_decided_about_says_that_nobody_has_continued_it(
    tmp_path: Path,
) -> None:
    """`drd skip` makes a run that failed wait for `drd resume`: no process died."""
    world = World(tmp_path, copies=False)
    try:
        catalogue, watch = world.catalogue, MeasureWatch()
        owned = catalogue.runs.begin(
            ExecutedPlaybook("playbook:insider", "d"), RunKind.PLAYBOOK, trigger="manual", at=NOW
        )
        catalogue.runs.finish(owned, RunState.FAILED, at=NOW, error="step lock failed")
        assert watch.conditions(catalogue, NOW) == ()
        catalogue.runs.reopen(catalogue.runs.get(owned.run.id), NOW)
        [told] = watch.conditions(catalogue, NOW)
        assert (told.kind, told.remedy) == (INTERRUPTED, f"drd resume {owned.run.id}")
        assert "A person decided about this step, but nobody has continued the run" in told.text
        assert "died" not in told.text
    finally:
        world.close()

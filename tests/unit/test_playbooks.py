"""Playbooks: those of drd, how own files are read, and what a check refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import yaml

from drd.cli.main import main
from drd.config.daemon import load_settings
from drd.config.playbook_words import deed
from drd.config.playbooks import SHIPPED, Playbooks, findings, load_playbooks, playbook_schema
from drd.model.incidents.due import Due
from drd.model.incidents.instants import Instant
from drd.model.malformed import Malformed
from drd.model.playbook import reference
from drd.model.runbook import OwnRun, can_be_undone

OWN = """\
playbook: block
title: Block a route
about: Blocks a route.
use_when: A route must not be used.
inputs:
  - {name: url, what: the route}
  - {name: token, what: the token, secret: true, default: "file:/etc/drd/token"}
tasks:
  - name: contain
    text: Block it.
    role: operator
    due: aware + 30m
    steps:
      - name: block
        http: {url: "${url}", method: PUT, body: "deny", headers: {Key: "Bearer ${token}"}}
        before: {http: {url: "${url}"}, take: /action}
        rollback: {http: {url: "${url}", method: PUT, body: "${before}"}}
        expires: 4h
        keep: {id: /id}
      - name: tell
        notify: "blocked ${steps.block.id}"
"""


def read(directory: Path, text: str = OWN, name: str = "block") -> Playbooks:
    (directory / f"{name}.yaml").write_text(text)
    return load_playbooks(directory)


def problems(directory: Path, old: str, new: str) -> list[tuple[int, str, str]]:
    assert old in OWN
    found = read(directory, OWN.replace(old, new)).problems
    return [(p.line, p.path, p.message) for p in found]


def test_the_shipped_playbooks_are_sound_and_fit_the_published_schema() -> None:
    found = load_playbooks(None)
    assert not found.problems
    assert sorted(found.known) == sorted(path.stem for path in SHIPPED.glob("*.yaml"))
    assert len(found.known) == 8
    schema = playbook_schema()
    for path in SHIPPED.glob("*.yaml"):
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)


def test_what_was_destroyed_is_never_recovered_from_after_the_first_sign() -> None:
    [step] = [
        s
        for s in load_playbooks(None).known["database-destroyed"].runbook
        if isinstance(s.settings, OwnRun)
    ]
    assert step.settings == OwnRun(overwrite=True, recovers=True, clean=True)
    assert "from before the first sign of incident ${incident}" in deed(step)


def test_each_shipped_step_that_acts_says_how_it_is_taken_back_or_that_it_is_not() -> None:
    acting = [
        (playbook.name, step)
        for playbook in load_playbooks(None).known.values()
        for step in playbook.runbook
        if step.kind in ("http", "command")
    ]
    others = ("start-service",)
    for name, step in acting:
        live = step.live
        assert live is not None
        back = can_be_undone(step) or live.final or live.reads or step.name in others
        assert back, (name, step.name)


def test_a_playbook_becomes_the_steps_of_a_runbook(tmp_path: Path) -> None:
    block = read(tmp_path).known["block"]
    assert block.own
    assert (block.tasks[0].steps, str(block.tasks[0].due)) == (("block", "tell"), "aware + 30m")
    step, tell = block.runbook
    live = step.live
    assert live is not None
    assert live.before is not None
    assert live.rollback is not None
    assert (live.takes, live.expires_s, dict(live.keep)) == ("/action", 14400.0, {"id": "/id"})
    assert not step.repeat  # a PUT whose outcome nobody knows
    assert tell.on_failure == "continue"


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("due: aware + 30m", "due: soon + 30m", 12, '"soon + 30m" is not a valid due time'),
        ('body: "deny"', 'body: "${denied}"', 15, "cannot insert a value for ${denied} here"),
        ("${steps.block.id}", "${steps.block.body}", 21, 'step block has no value "body"'),
        ("${steps.block.id}", "${token}", 21, "${token} is a secret"),
        ("take: /action", "take: action", 16, "is not a place in an answer"),
        (
            "        expires: 4h\n",
            "        final: it stays\n",
            18,
            "cannot be combined with `rollback`",
        ),
        ("before: {http: {url", "before: {http: {method: POST, url", 16, "would change something"),
        ("        keep: {id: /id}", "        retries: 3", 19, "although a repetition may do harm"),
        ("name: url, what", "name: run, what", 6, 'drd itself uses the name "run" for a value'),
        ("file:/etc/drd/token", "hunter2", 7, "not a reference to a secret"),
        ("  - name: tell", "  - name: block", 20, 'another step is called "block"'),
        ('notify: "blocked', 'manua: "blocked', 21, "manua"),
        (
            'notify: "blocked ${steps.block.id}"',
            "recover: {point: ab12, clean: true}",
            21,
            "cannot be combined with `po",
        ),
        (
            'notify: "blocked ${steps.block.id}"',
            "manual: x\n        expires: 1h",
            22,
            "kind manual",
        ),
        (
            '        notify: "blocked',
            '        done_when: {http: {url: "https://a.example"}}\n        notify: "blocked',
            21,
            "is not allowed in a step of kind notify",
        ),
        ("role: operator", "rolle: operator", 11, "rolle"),
    ],
)
def test_an_error_has_its_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    found = problems(tmp_path, old, new)
    assert [(at, says in f"{path} {text}") for at, path, text in found][:1] == [(line, True)], found


def test_a_secret_never_stands_in_the_message_about_it(tmp_path: Path) -> None:
    text = OWN.replace("file:/etc/drd/token", "hunter2-hunter2")
    assert not any("hunter2" in str(p) + p.hint for p in read(tmp_path, text).problems)


def test_a_statement_that_writes_needs_an_approval_above_it(tmp_path: Path) -> None:
    writes = '        sql: {component: db, query: "delete from keys", writes: true}'
    (_, _, message), *_ = problems(tmp_path, '        notify: "blocked ${steps.block.id}"', writes)
    assert message == "changes a database in operation, and no step above asks for approval"
    approve = "        approve: {by: lead}\n      - name: delete\n" + writes
    assert not problems(tmp_path, '        notify: "blocked ${steps.block.id}"', approve)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("        on_failure: continue\n", "would let the run continue without the approval"),
        ("        when: {step: block}\n", "no step above asks for approval"),
    ],
)
@pytest.mark.parametrize("at", ["", "rollback: "])
def test_an_approval_is_never_passed_by(tmp_path: Path, keys: str, says: str, at: str) -> None:
    writes = "{component: db, query: delete from keys, writes: true}"
    deed = f"        command: {{run: [/bin/true]}}\n        rollback: {{sql: {writes}}}\n"
    deed = deed if at else f"        sql: {writes}\n"
    steps = f"        approve: {{by: lead}}\n{keys}      - name: delete\n{deed}"
    found = problems(tmp_path, '        notify: "blocked ${steps.block.id}"\n', steps)
    assert [says in message for _, _, message in found] == [True], found


STARTS = """\
      - name: begin
        start: {command: [serve, "${port}"], port: 8080, as: AS}
      - name: ask
        http: {url: "${AS}/health"}
"""


@pytest.mark.parametrize(
    ("known_as", "found"),
    [
        ("web", []),
        ("url", ["${url} already stands for another value"]),
        ("run", ["${run} already stands for another value"]),
    ],
)
def test_steps_use_the_address_of_a_service_that_a_step_above_starts(
    tmp_path: Path, known_as: str, found: list[str]
) -> None:
    read_now = read(tmp_path, OWN + STARTS.replace("AS", known_as))
    assert [p.message for p in read_now.problems] == found


def test_no_step_uses_the_address_of_a_service_before_it_starts(tmp_path: Path) -> None:
    early = OWN.replace("blocked ${steps.block.id}", "blocked ${web}")
    found = read(tmp_path, early + STARTS.replace("AS", "web")).problems
    assert [p.message for p in found] == ["drd cannot insert a value for ${web} here"]


def test_a_broken_own_file_hides_the_shipped_playbook_of_its_name(tmp_path: Path) -> None:
    shipped = (SHIPPED / "insider.yaml").read_text()
    found = read(tmp_path, shipped.replace("role: lead", "rolle: lead"), "insider")
    assert "insider" not in found.known
    assert len(found.known) == 7
    with pytest.raises(Exception, match="rolle"):
        found.get("insider")


def test_a_file_that_others_can_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "block.yaml").write_text(OWN)
    (tmp_path / "block.yaml").chmod(0o666)
    found = load_playbooks(tmp_path, trusted=frozenset({0, tmp_path.stat().st_uid}))
    assert "block" not in found.known
    assert "can be written by anyone" in found.problems[0].message


def test_a_task_is_due_after_a_moment_of_the_incident() -> None:
    at = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
    due = Due.parse("aware+1h30m")
    assert due.at({Instant.AWARE: at}) == datetime(2026, 11, 29, 10, 30, tzinfo=UTC)
    assert due.at({}) is None
    at_once = Due.parse(" aware ")
    assert at_once == Due(Instant.AWARE, 0.0)
    assert (str(at_once), at_once.at({Instant.AWARE: at})) == ("aware", at)
    for text in ("aware + soon", "+ 30m", "aware 30m"):
        with pytest.raises(ValueError, match=r"moment"):
            Due.parse(text)


def test_a_secret_is_given_as_a_reference() -> None:
    assert reference("file:/etc/drd/token").describe() == "file /etc/drd/token"
    for text in ("hunter2", "file:token", "text:x", "credential:../x", "credential:..", "file:"):
        with pytest.raises(Malformed):
            reference(text)


def test_the_command_lists_shows_copies_and_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "drd.yaml"
    config.write_text("playbooks: own\n")
    monkeypatch.setenv("DRD_CONFIG", str(config))
    assert main(["playbook", "new", "--from", "insider"]) == 2
    assert "mkdir -p" in capsys.readouterr().err
    (tmp_path / "own").mkdir()
    assert main(["playbook", "new", "--from", "insider", "--name", "leaver"]) == 0
    assert (tmp_path / "own/leaver.yaml").read_text().startswith("playbook: leaver\n")
    assert main(["playbook", "new", "--from", "insider", "--name", "leaver"]) == 2
    capsys.readouterr()
    assert main(["playbook", "list", "--json"]) == 0
    listed = {p["playbook"]: p["own"] for p in json.loads(capsys.readouterr().out)["playbooks"]}
    assert (len(listed), listed["leaver"], listed["insider"]) == (9, True, False)
    assert main(["playbook", "show", "leaver"]) == 0
    shown = capsys.readouterr().out
    assert "run `usermod --lock --expiredate 1 ${account}`; before this step, drd reads" in shown
    assert "; rollback: run `sh -ec set -- $BEFORE" in shown
    assert main(["playbook", "check"]) == 0
    assert "needs the role lead, which nobody holds" in capsys.readouterr().out
    assert main(["playbook", "check", "leaver", "insider"]) == 0
    [own, shipped, *_] = capsys.readouterr().out.splitlines()
    assert own == f"leaver: ok, your own: {tmp_path / 'own/leaver.yaml'}"
    assert shipped.startswith("insider: ok, the playbook of drd: /")
    assert main(["playbook", "check", "leavr"]) == 2
    assert capsys.readouterr().err == (
        "drd: there is no playbook 'leavr'\n"
        "HINT: did you mean leaver? (if it is a file: drd playbook check ./leavr)\n"
    )
    (tmp_path / "own/leaver.yaml").write_text("playbook: leaver\n")
    assert main(["playbook", "check", "leaver"]) == 2
    assert "leaver: ok" not in capsys.readouterr().out
    assert main(["playbook", "check", "--json"]) == 2
    assert not json.loads(capsys.readouterr().out)["ok"]
    assert main(["playbook", "show", "leavr"]) == 2
    assert main(["playbook", "schema"]) == 0


def test_doctor_names_broken_files_and_roles_that_nobody_holds(tmp_path: Path) -> None:
    (tmp_path / "drd.yaml").write_text("playbooks: .\n")
    (tmp_path / "leaver.yaml").write_text(
        (SHIPPED / "insider.yaml").read_text().replace("playbook: insider", "playbook: leaver")
    )
    settings = load_settings(tmp_path / "drd.yaml", explicit=True)
    codes = {(f.code, f.subject) for f in findings(settings)}
    assert ("playbook-role", "leaver") in codes
    assert ("playbook-file", "drd.yaml") in codes  # it lies in the same directory

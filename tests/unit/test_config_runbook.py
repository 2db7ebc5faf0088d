"""What a plan may say about the steps of its recovery, and which mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from drd.config.plan_file import checked, load_plan
from drd.config.resolved import plan_mapping
from drd.model.run import StepState
from drd.model.runbook import Ask, Notice, Undo, Wait, When
from tests.config_support import GOOD, load, problems, write_plan

STEPS = """\
runbook:
  - {name: back, restore: all}
  - name: serve
    start: {command: [shop-api, --port, "${port}"], port: 8080, ready: {http: /health}, as: service}
  - {name: ask, approve: {by: commander, why: traffic moves, expires: 2h}}
  - {name: move, command: {run: [switch, "${service}"]}, rehearse: skip, reason: moves traffic}
  - check: all
"""
"""A runbook without a problem, on the lines 24 to 30 of its plan; changed below."""

SERVE = '{command: [shop-api, --port, "${port}"], port: 8080, ready: {http: /health}, as: service}'
ASK = "{name: ask, approve: {by: commander, why: traffic moves, expires: 2h}}"
MOVE = "rehearse: skip, reason: moves traffic"
ALL = 'command: {run: [switch, "${service}"]}'
# fmt: off
MISTAKES = [
    (ASK, "{name: ask, approve: {why: x}}", "approve.by", "by is missing", "add the key `by`: the role that the approving person must have under `people` in drd.yaml."),
    (ASK, "{name: ask, approve: {by: x}, retries: 2}", "retries", "is not allowed in a step of kind approve", "remove it."),
    (ASK, "{name: ask, approve: {by: x}, timeout: 2m}", "timeout", "is not allowed in a step of kind approve", "remove `timeout`, and set `expires` under `approve`."),
    (ASK, "{name: ask, approve: {by: x}, rehearse: skip, reason: y}", "rehearse", "a drill always rehearses an approval: it grants the approval and reports that", "remove `rehearse`."),
    (ASK, "{name: ask, manual: pull the plug, rehearse: run}", "rehearse", "a drill cannot run a manual step", "remove `rehearse`, or simulate the step: `rehearse: simulate` and `with: [COMMAND, …]`."),
    (ASK, "{name: ask, wait: soon}", "wait", "'soon' is not a duration", "write a number and a unit, like 15m or 7d."),
    (ASK, "{name: ask, wait: 3s, needs: [serv]}", "needs[0]", 'there is no step "serv"', 'did you mean "serve"?'),
    (ASK, "{name: ask, wait: 3s, needs: [move]}", "needs[0]", "needs move, which comes later in the runbook", "move move above ask, or remove move from the needs of ask."),
    (ASK, "{name: ask, wait: 3s, needs: [ask]}", "needs[0]", "the steps wait for each other: ask → ask", "remove one of these steps from `needs`."),
    (ASK, "{name: ask, wait: 3s, when: {}}", "when", "has no condition", "give `scenario`, `target` or `step`."),
    (ASK, "{name: ask, wait: 3s, when: {scenario: database-los}}", "when.scenario", 'there is no scenario "database-los"', 'did you mean "database-loss"?'),
    (ASK, "{name: ask, wait: 3s, when: {target: standby}}", "when.target", 'there is no target "standby"', 'did you mean "sandbox"?'),
    (ASK, "{name: ask, wait: 3s, when: {step: back, is: gone}}", "when.is", '"gone" is not allowed here', "write succeeded, failed or skipped."),
    (ASK, "{name: ask, wait: 3s, when: {step: bak}}", "when.step", 'there is no step "bak" that the condition can refer to', 'did you mean "back"?'),
    (ASK, "{name: ask, sql: {component: etc, query: x}}", "sql.component", "a sql step cannot work on component etc, which is of kind files", "this kind of step works on postgres and postgres-cluster and sqlite and mariadb and mariadb-server components."),
    (ASK, "{name: ask, sql: {component: db, database: x, query: y}}", "sql.database", "component db, of kind postgres, cannot answer queries of several databases", "leave out `database`."),
    (ASK, "{name: ask, stop: {step: back}}", "stop.step", 'there is no step "back" that starts something', "use one of: serve."),
    (ASK, "{name: ask, stop: {unit: x.service}}", "stop.unit", "a drill cannot stop a systemd unit of the host", "add `rehearse: skip` and `reason: TEXT`, or `rehearse: simulate` and `with: [COMMAND, …]`."),
    (ASK, "{name: ask, stop: {unit: x.service, step: serve}, rehearse: skip, reason: y}", "stop", "needs exactly one of the keys step, unit and command", "give one of `step`, `unit` and `command`."),
    (ASK, "{name: ask, http: {url: 'http://x/', method: PUSH}}", "http.method", '"PUSH" is not allowed here', "write GET, HEAD, POST, PUT, PATCH or DELETE."),
    (ASK, "{name: ask, notify: {message: x, severity: bad}}", "notify.severity", '"bad" is not allowed here', "write critical, warning or info."),
    (ASK, "{name: preflight, wait: 3s}", "name", "the name \"preflight\" is reserved for a step of drd's own", "choose another name."),
    (SERVE, "{command: [x], unit: y, port: 1, as: service}", "start", "needs exactly one of the keys command and unit", "give one of `command` and `unit`."),
    (SERVE, '{command: [x, "${port}"], url: "http://h", as: service}', "start", "uses ${port}, but `port` is missing", "add `port`: the port that the program listens on in a recovery."),
    (MOVE, "rehearse: skip", "rehearse", "a step with `rehearse: skip` needs a reason", "add `reason: TEXT`."),
    (MOVE, "rehearse: simulate", "rehearse", "needs the key `with`: the command that simulates the step", "add `with: [COMMAND, …]`. A drill runs this command instead of the step."),
    (MOVE, "reason: moves traffic", "reason", "`reason` is allowed only in a step with `rehearse: skip`",
                "add `rehearse: skip` to this step, or remove `reason`.",),
    (MOVE, "with: [true]", "with[0]", "is true or false, not text", "put the value in quotes."),
    (MOVE, "on_failure: stop", "on_failure", '"stop" is not allowed here', "write abort, continue or ask."),
    (MOVE, "rollback: []", "rollback", "is empty", "give the key a value, or remove the line."),
    (ALL, "command: {run: [bin/switch]}", "command.run[0]", '"bin/switch" is a relative path', "write its whole path, or the name of a program on PATH."),
    (ALL, 'command: {run: [x, "${servise}"]}', "command.run[1]", "drd cannot insert a value for ${servise} here", 'did you mean "service"?'),
    (ALL, 'command: {run: [x, "${etc.pth}"]}', "command.run[1]", '${etc.pth}: the address of a component has no "pth"', 'did you mean "path"?'),
    (ALL, 'command: {run: [x, "${steps.ask.who}"]}', "command.run[1]", '${steps.ask.who}: step ask has no result "who"', "use one of: by, comment, state."),
    (ALL, 'command: {run: [x], component: dbb}', "command.component", 'there is no component "dbb"', 'did you mean "db"?'),
]
# fmt: on


def whole(old: str = "", new: str = "") -> str:
    assert old in STEPS
    return GOOD + (STEPS.replace(old, new, 1) if old else STEPS)


@pytest.mark.parametrize(("old", "new", "path", "message", "hint"), MISTAKES)
def test_a_mistake_in_a_runbook_is_named_once_with_its_line_and_remedy(
    tmp_path: Path, *, old: str, new: str, path: str, message: str, hint: str
) -> None:
    number = {ASK: 2, SERVE: 1, MOVE: 3, ALL: 3}[old]
    found = problems(tmp_path, whole(old, new))
    lines = {ASK: 28, SERVE: 27, MOVE: 29, ALL: 29}
    assert [(p.line, p.path, p.message, p.hint) for p in found] == [
        (lines[old], f"runbook[{number}].{path}", message, hint)
    ]


def test_steps_are_as_they_were_written(tmp_path: Path) -> None:
    text = (
        STEPS
        + """\
  - name: tell
    notify: on its way
    needs: [serve]
    retries: 3
    pause: 1m
    rollback: [tell, "it was nothing"]
  - {wait: 2m, when: {scenario: region-loss, step: tell, is: [failed, skipped]}, group: last}
  - {manual: {do: look at it, by: hands}, group: last, repeat: true, on_failure: ask}
"""
    )
    steps = {s.name: s for s in load(tmp_path, GOOD + text).plan.runbook}
    assert list(steps) == ["back", "serve", "ask", "move", "check", "tell", "wait", "manual"]
    assert steps["back"].subjects == ("db", "store", "etc")
    assert steps["ask"].settings == Ask("traffic moves", "commander", 7200.0)
    assert (steps["move"].rehearse, steps["move"].reason) == ("skip", "moves traffic")
    tell = steps["tell"]
    assert tell.settings == Notice("on its way")
    assert (tell.needs, tell.retries, tell.pause_s) == (("serve",), 3, 60.0)
    assert tell.rollback == Undo(("tell", "it was nothing"))
    assert tell.on_failure == "continue"
    ended = (StepState.FAILED, StepState.SKIPPED)
    assert steps["wait"].settings == Wait(120.0)
    assert steps["wait"].when == When(("region-loss",), (), "tell", ended)
    assert steps["manual"].settings == Ask("look at it", "hands")
    assert (steps["manual"].rehearse, steps["manual"].reason) == (
        "skip",
        "only a person can do this",
    )


def test_roles_without_a_person_get_a_warning(tmp_path: Path) -> None:
    path = write_plan(tmp_path, whole())
    assert load_plan(path, {"commander", "other"}).warnings == []
    # Nobody stops the backups of a plan by leaving.
    [warning] = load_plan(path, {"comander"}).warnings
    assert (warning.line, warning.path) == (28, "runbook[2].approve.by")
    assert warning.message == 'nobody in drd.yaml has the role "commander"'
    assert warning.hint.startswith('did you mean "comander"? Or add a person: `people: [')
    [warning] = load_plan(path, set()).warnings
    assert warning.hint == "add a person: `people: [{name: NAME, roles: [commander]}]`."


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("traffic moves", "traffic moves now"),
        ("expires: 2h", "expires: 3h"),
        ("port: 8080", "port: 8081"),
        ("reason: moves", "reason: would move"),
        ("name: move,", "name: move, needs: [serve],"),
        ("name: move,", "name: move, rollback: [back],"),
    ],
)
def test_a_changed_step_is_another_plan(tmp_path: Path, old: str, new: str) -> None:
    before = load(tmp_path, whole()).plan.digest
    after = STEPS.replace(old, new)
    assert load(tmp_path, GOOD + after).plan.digest != before


def test_a_program_of_a_step_that_changed_is_another_plan(tmp_path: Path) -> None:
    program = tmp_path / "switch"
    program.write_text("#!/bin/sh\n")
    text = GOOD + STEPS.replace("run: [switch", f"run: [{program}")
    before = load(tmp_path, text).plan.digest
    assert load(tmp_path, text).plan.digest == before
    program.write_text("#!/bin/sh\nexit 1\n")
    assert load(tmp_path, text).plan.digest != before


ERASURES = """\
erasures:
  component: db
  register: {file: /srv/register}
  replay: {sql: delete from people where id in (select id from drd_erased)}
  check: {sql: select count(*) from people where id in (select id from drd_erased)}
"""


def test_erasures_come_after_the_checks_and_before_all_that_serves(tmp_path: Path) -> None:
    early = STEPS.replace("  - check: all\n", "").replace(
        "  - name: serve\n", "  - check: all\n  - name: serve\n    needs: [back]\n"
    )
    plan = load(tmp_path, GOOD + early + ERASURES).plan
    assert [s.name for s in plan.runbook][:4] == ["back", "check", "erasures", "serve"]
    assert plan.runbook[3].needs == ("back", "erasures")
    # As it is written out, it means the same.
    parsed, _ = checked((GOOD + early + ERASURES).encode(), tmp_path / "shop.yaml")
    again = load(tmp_path, yaml.safe_dump(plan_mapping(parsed), sort_keys=False)).plan
    assert again.runbook == plan.runbook
    # Without a runbook they come last.
    assert load(tmp_path, GOOD + ERASURES).plan.runbook[-1].kind == "erasures"
    explicit = early.replace("  - name: serve", "  - {name: gone, erasures: db}\n  - name: serve")
    plan = load(tmp_path, GOOD + explicit + ERASURES).plan
    assert [s.kind for s in plan.runbook].count("erasures") == 1
    assert plan.runbook[3].needs == ("back", "gone")


# fmt: off
BAD_ERASURES = [
    ("component: db", "component: dbb", "component", 'there is no component "dbb"', 'did you mean "db"?'),
    ("component: db", "component: etc", "replay.sql", "component etc is of kind files, which cannot execute SQL", "give `command` instead of `sql`."),
    ("file: /srv/register", "command: [bin/erased]", "register.command[0]", '"bin/erased" is a relative path', "write its whole path, or the name of a program on PATH."),
    ("file: /srv/register", 'command: [erased, "${data_tim}"]', "register.command[1]", "drd cannot insert a value for ${data_tim} here", 'did you mean "data_time"?'),
    ("file: /srv/register", "file: /etc/shop/register", "register.file", (
        "is in the component etc: a recovery would replace this list with an old version"
    ), "keep the list of erased people outside of what the plan restores."),
    ("file: /srv/register", "file: /srv/shop/shop.db", "register.file", (
        "is in the component store: a recovery would replace this list with an old version"
    ), "keep the list of erased people outside of what the plan restores."),
    ("{file: /srv/register}", "{}", "register", "needs exactly one of the keys file and command", "give file or command, not both."),
    ("replay: {", "replay: {command: [x], ", "replay", "needs exactly one of the keys sql and command", "give sql or command, not both."),
]
# fmt: on


@pytest.mark.parametrize(("old", "new", "path", "message", "hint"), BAD_ERASURES)
def test_a_mistake_about_erasures_is_named_with_its_remedy(
    tmp_path: Path, *, old: str, new: str, path: str, message: str, hint: str
) -> None:
    assert old in ERASURES
    found = problems(tmp_path, GOOD + ERASURES.replace(old, new, 1))
    assert (f"erasures.{path}", message, hint) in [(p.path, p.message, p.hint) for p in found]


def test_steps_of_erasures_fit_the_plan(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, GOOD + STEPS + "  - erasures: db\n")
    assert problem.message == "this step replays erasures, but the plan has no `erasures`"
    [problem] = problems(tmp_path, GOOD + STEPS + "  - erasures: store\n" + ERASURES)
    assert problem.hint == "write `erasures: db`."
    twice = STEPS + "  - erasures: db\n  - {name: more, erasures: db}\n"
    [problem] = problems(tmp_path, GOOD + twice + ERASURES)
    assert problem.message == "an earlier step already replays the erasures"
    [warning] = load(tmp_path, GOOD + STEPS + ERASURES).warnings
    assert warning.message == (
        'the check "rows" compares with the backup, but erasures were replayed before'
    )

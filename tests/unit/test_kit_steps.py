"""The steps of a runbook as the kit prints them: in words, and for bash."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd.config.daemon_schema import Person
from drd.kit.document import Commands, Paragraph, html, markdown
from drd.kit.runbook import LastDrill, runbook
from drd.kit.steps import printed_steps
from drd.kit.steps_by_hand import StepsByHand
from drd.model.kit import KitIndex, KitPlan, KitRepository
from drd.model.plan import Plan
from drd.ports.by_hand import ByHand
from tests.config_support import EXAMPLES, GOOD, load

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)

STEPS = """\
runbook:
  - {name: data, restore: [store, etc]}
  - {name: look, check: [files]}
  - name: mark
    sql: {component: store, query: "update t set name = 'it''s back';"}
  - name: serve
    start:
      command: [sh, -c, 'echo "$0 $POINT" >serving; exec sleep 300', "${etc} at ${port}"]
      port: 8080
      env: {POINT: "of ${point}"}
      ready: {command: [test, -s, serving]}
      as: service
  - {name: ask, approve: {by: commander, why: "${target} takes over"}}
  - {name: pause, wait: 0.1s, needs: [serve], on_failure: continue}
  - name: move
    command:
      run: [sh, -c, 'echo "$0 | $DRD_PATH | $DRD_STEP | $DRD_MODE | $A" >moved', "${service} $${x}"]
      component: etc
      env: {A: "1 ${data_time}"}
  - {name: elsewhere, command: {run: [no-such-program]}, when: {target: sandbox}}
  - {name: told, command: {run: [no-such-program, "${steps.move.output}"]}}
  - {name: end, stop: {step: serve}}
  - {name: by-hand, manual: {do: look at it, by: hands}, when: {step: end}}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return load(tmp_path, GOOD + STEPS).plan


def test_steps_are_reported_in_words_with_who_acts(plan: Plan) -> None:
    said = {s.name: (s.does, s.role) for s in printed_steps(plan)}
    assert said["data"] == ("restore store (sqlite), etc (files)", "")
    assert said["look"] == ("run the checks files (files)", "")
    assert said["mark"] == ("in store: update t set name = 'it''s back';", "")
    assert said["ask"] == ("commander approves: ${target} takes over", "commander")
    assert said["pause"] == (
        "wait 0.1s; waits only for step serve; if this step fails, the recovery continues",
        "",
    )
    assert said["end"] == ("stop the service that serve started", "")
    does = "hands does this by hand: look at it; only if step end has succeeded"
    assert said["by-hand"] == (does, "hands")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_steps_of_every_example_are_printed(path: Path, tmp_path: Path) -> None:
    found = load(tmp_path, path.read_text()).plan
    assert all(step.does for step in printed_steps(found))
    target = next(iter(found.targets), None)
    by_hand = StepsByHand(found, target, {})
    for step in found.runbook:
        only = step.when.targets if step.when is not None else ()
        assert bool([*by_hand.step(step)]) is (not only or target in only), step.name


def test_the_steps_are_done_in_bash(plan: Plan, tmp_path: Path) -> None:
    database, tree = tmp_path / "it's.db", tmp_path / "the tree"
    with sqlite3.connect(database) as connection:
        connection.execute("create table t as select 'lost' as name")
    (tmp_path / "manifest.json").write_text(json.dumps({"point": "7c1e", "data_time": "noon"}))
    where = f"'{tree}'"
    hands = {
        "store": ByHand((), change=f'sqlite3 -bail "{database}"'),
        "etc": ByHand((), values={"location": where}, environment=f"DRD_PATH={where}"),
    }
    steps = StepsByHand(plan, "standby", hands)
    blocks = [*steps.begin(), *(b for s in plan.runbook[2:] for b in steps.step(s))]
    script = "".join(b.text for b in blocks if isinstance(b, Commands) and not b.shown)

    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=script, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, script + done.stderr
    with sqlite3.connect(database) as connection:
        assert connection.execute("select name from t").fetchall() == [("it's back",)]
    assert (tmp_path / "serving").read_text() == f"{tree} at 8080 of 7c1e\n"
    told = f"http://127.0.0.1:8080 ${{x}} | {tree} | move | recovery | 1 noon\n"
    assert (tmp_path / "moved").read_text() == told
    [shown] = [b for b in blocks if isinstance(b, Commands) and b.shown]
    assert "no-such-program '${steps.move.output}'" in shown.text
    words = [b.text for b in blocks if isinstance(b, Paragraph)]
    assert any("Replace ${steps.move.output} by the real value" in w for w in words)
    assert not any("elsewhere" in w for w in words)


ERASURES = """\
erasures:
  component: store
  register: {file: REGISTER}
  replay: {sql: delete from t where name in (select id from drd_erased);}
  check: {sql: select count(*) from t where name in (select id from drd_erased)}
"""


def test_erasures_are_carried_out_again_in_bash(tmp_path: Path) -> None:
    """Those since the data time, whatever the ids look like; who is back ends it."""
    register, database = tmp_path / "register", tmp_path / "t.db"
    plan = load(tmp_path, GOOD + ERASURES.replace("REGISTER", str(register))).plan
    register.write_text(
        "# time and id\n2026-11-25T02:59:59Z before\n2026-11-25T03:00:00Z a&b\n\n"
        "2026-11-25T04:00:00+01:00 it's\n2026-11-25T05:00:00Z two words"
    )
    with sqlite3.connect(database) as connection:
        connection.executescript(
            "create table t (name); insert into t values ('before'), ('a&b'), ('it''s'), ('two "
            "words')"
        )
    (tmp_path / "manifest.json").write_text(json.dumps({"data_time": "2026-11-25T03:00:00.0Z"}))
    tool = f"sqlite3 -bail '{database}'"
    steps = StepsByHand(plan, None, {"store": ByHand((), ask=tool, change=tool, feed=tool)})
    [step] = [s for s in plan.runbook if s.kind == "erasures"]
    script = "".join(b.text for b in steps.step(step) if isinstance(b, Commands))

    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=script, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, script + done.stderr
    assert done.stdout == "store: 3 erasures carried out again, no erased person exists\n"
    with sqlite3.connect(database) as connection:
        assert connection.execute("select name from t").fetchall() == [("before",)]
        assert connection.execute("select name from sqlite_schema").fetchall() == [("t",)]


def test_the_page_says_whom_to_call_and_leaves_room_to_tick_off(plan: Plan) -> None:
    """With what the steps took when they were rehearsed."""
    people = [Person(name="Ann", phone="+49 30 1", roles=["commander"]), Person(name="Bob")]
    known = KitPlan("shop", "d", "f", (KitRepository("primary", "/r", None),), needs=("nginx",))
    index = KitIndex(NOW, "old", None, "/etc/drd", (known,), (), {}, {}, {})
    last = LastDrill(NOW, "host-loss", 93.0, "7 of 11 steps rehearsed", {"data": 61.0})
    page = runbook(replace(plan, name="shop"), index, people, [], last)
    text = markdown(page).decode()
    said = "(host-loss): passed, recovered in 1m 33s; 7 of 11 steps rehearsed."
    assert said in text
    assert "| 1 | data | restore store (sqlite), etc (files) |  | 1m 01s |  |" in text
    assert "| commander: Ann +49 30 1 |  |  |" in text
    assert "| hands: nobody has this role |  |  |" in text
    assert "## Install first" in text
    web = html(page).decode()
    assert '<table class="form">' in web
    assert "<code>sh -c " in web

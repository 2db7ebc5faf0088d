"""A runbook of ten steps: rehearsed, carried out, interrupted anywhere, and rolled back."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests import warm
from tests.e2e.runbook_site import (
    APPROVALS,
    STEPS,
    answer,
    end_service,
    is_in,
    run_id,
    runbook_site,
    traced,
    until,
    waits_for,
)
from tests.e2e.site import Site, Started, small_site

MOMENTS = ["before", "undone", "after"]
SEEDS = range(int(os.environ.get("DRD_TEST_ROUNDS", "12")))
PLACES = ["preflight", *STEPS, "restore db", "restore conf"]
SHORT = [("undone", "announce"), ("undone", "serve"), ("inside", "pause")]
ENDS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
RECOVER = ("recover", "shop", "--target", "standby", "--yes")
PHASES = ["fetch_s", "restore_s", "validate_s"]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def site(short_tmp: Path, port: int) -> Iterator[Site]:
    made = runbook_site(short_tmp, port)
    yield made
    end_service(made)


def carried_out(site: Site, child: Started) -> tuple[int, str]:
    """Answer whatever the recovery waits for, until it ends."""
    open_steps = list(APPROVALS)

    def over() -> bool:
        for step in list(open_steps):
            # The run may not go on yet, or may have heard the answer just before.
            if waits_for(site, step) and answer(site, step, code=None).code == 0:
                open_steps.remove(step)
        return child.poll() is not None

    until(over, "the recovery ends")
    out, _ = child.communicate(timeout=30)
    return child.returncode, out.decode()


def assert_recovered(site: Site, port: int) -> None:
    """The end that an undisturbed recovery has, and nothing more."""
    [run] = [r for r in site.runs() if r["kind"] == "recovery"]
    assert run["state"] == "succeeded"
    shown = site.drd("run", "show", run["run"], "--json").json
    states = {s["name"]: s["state"] for s in shown["steps"]}
    assert {states[step] for step in STEPS} == {"succeeded"}
    with sqlite3.connect(site.base / "back/shop.db") as connection:
        [(name,)] = connection.execute("select name from customers where id = 1")
        [(rows,)] = connection.execute("select count(*) from orders")
    assert (name, rows) == ("recovered", 1000)
    with urlopen(f"http://127.0.0.1:{port}/app.conf") as answer_:
        assert answer_.read() == b"listen 8080;\n"
    assert traced(site)[-1] == f"traffic to http://127.0.0.1:{port} for standby anna"
    assert len([p for p in site.processes().values() if "http.server" in p]) == 1


def test_a_drill_rehearses_the_steps_and_names_what_it_left_out(site: Site) -> None:
    told = site.drd("drill", "shop", "--json").json
    assert told["result"] == "passed"
    assert told["coverage"] == {
        "rehearsed": 8,
        "of": 10,
        "simulated": [],
        "granted": ["go-ahead"],
    }
    assert told["not_rehearsed"] == [
        {"step": "plugged-in", "reason": "it takes hands"},
        {"step": "traffic", "reason": "would move real traffic"},
    ]
    assert told["phases"]["serve_s"] >= 1
    assert sum(told["phases"].values()) == pytest.approx(told["rta_s"], abs=0.01)
    assert traced(site) == [], "what a drill runs can write nothing outside of its sandbox"
    status = site.drd("status", "--json", code=None).json["plans"][0]
    assert status["drill"]["steps"] == {"rehearsed": 8, "of": 10}
    site.assert_clean()

    # One component by itself: nothing is done to the whole service, and nobody is asked.
    alone = (*RECOVER, "--component", "db", "--json")
    states = {s["name"]: s["state"] for s in site.drd(*alone).json["steps"]}
    done = ("data", "config", "look", "mark")
    assert states == {n: "succeeded" if n in done else "skipped" for n in STEPS}
    assert traced(site) == []
    assert not (site.base / "back/etc").exists()

    # Where that is all that the target takes, it is no part; and two persons are wanted for any
    # part.
    file = site.base / "plans/shop.yaml"
    plan = file.read_text()
    looked = (*RECOVER[:-1], "--component", "db", "--dry-run")
    assert told_of(site, *looked, "--overwrite")["go-ahead"] == "only db was requested"
    assert not any(told_of(site, *looked, "--component", "conf", "--overwrite").values())
    file.write_text(plan.replace("by: commander,", "by: commander, two_person: true,"))
    beside = ("--table", "orders", "--into", "beside")
    for part in (["--overwrite"], beside[2:], beside):
        assert told_of(site, *looked, *part)["go-ahead"] is None, part


def told_of(site: Site, *words: str) -> dict[str, str | None]:
    """By step why it would be left out."""
    done = warm.run((*words, "--json"), env=site.env(), login=1)
    assert done.returncode == 0, done.stderr
    return {s["name"]: s["left_out"] for s in json.loads(done.stdout)["steps"]}


def test_a_recovery_waits_for_people_and_measures_phases(site: Site, port: int) -> None:
    time.sleep(1)  # the loss comes after the restore point
    child = site.start(*RECOVER, "--lost-at", "1s", "--json")
    until(lambda: waits_for(site, "go-ahead"), "it waits")
    [run] = [r for r in site.runs() if r["kind"] == "recovery"]
    assert run["state"] == "waiting"
    again = site.drd("resume", run["run"], code=11)
    assert "is executing run" in again.err
    code, out = carried_out(site, child)
    assert code == 0, out
    assert_recovered(site, port)
    told = json.loads(out)
    assert list(told["phases"]) == [
        "detect_s",
        "decide_s",
        "fetch_s",
        "restore_s",
        "validate_s",
        "serve_s",
    ]
    assert told["phases"]["detect_s"] >= 1
    assert sum(told["phases"].values()) == pytest.approx(told["rta_s"], abs=0.01)
    assert [s["state"] for s in told["steps"]] == ["succeeded"] * 10
    assert traced(site)[0] == "announce"
    assert "has already succeeded" in site.drd("resume", run["run"], code=2).err
    site.drd("rollback", run["run"], "--by", "anna")
    assert traced(site)[2:] == ["traffic back", "announced-wrongly"]


def _killed(site: Site, moment: str) -> None:
    """A recovery that is killed there; people answer until then."""
    when, _, place = moment.partition(":")
    child = site.start(*RECOVER, dies_at=moment)
    answered: set[str] = set()

    def dead() -> bool:
        if when == "inside" and is_in(site, place, "running"):
            child.kill()
        for step in set(APPROVALS) - answered:
            with contextlib.suppress(sqlite3.OperationalError):  # the catalogue may just be made
                if waits_for(site, step) and child.poll() is None:
                    answer(site, step)
                    answered.add(step)
        return child.poll() is not None

    until(dead, "it dies")
    child.communicate()
    assert child.returncode == -signal.SIGKILL, moment


def _goes_on(site: Site, port: int, moment: str) -> None:
    _killed(site, moment)
    child = site.start("resume", run_id(site))
    code, out = carried_out(site, child)
    assert code == 0, out
    assert_recovered(site, port)
    when, _, step = moment.partition(":")
    # What had ended was not done again; what was in its midst was.
    again = (when, step) == ("undone", "announce")
    assert traced(site).count("announce") == (2 if again else 1)
    traffic = [t for t in traced(site) if t.startswith("traffic to")]
    assert len(traffic) == (2 if (when, step) == ("undone", "traffic") else 1)


@pytest.mark.parametrize(("when", "step"), SHORT)
def test_a_recovery_killed_at_a_step_resumes_there(
    site: Site, port: int, when: str, step: str
) -> None:
    _goes_on(site, port, f"{when}:{step}")


@pytest.mark.faults
@pytest.mark.parametrize("when", MOMENTS)
@pytest.mark.parametrize("step", PLACES)
def test_a_recovery_killed_anywhere_resumes_there(
    site: Site, port: int, when: str, step: str
) -> None:
    if (when, step) in [("undone", "preflight"), ("before", "preflight")]:
        pytest.skip("nothing had begun: drd recover begins anew")
    _goes_on(site, port, f"{when}:{step}")
    assert site.drd("drill", "shop", "--json").json["result"] == "passed"


@pytest.mark.kills
@pytest.mark.faults
@pytest.mark.parametrize("seed", SEEDS)
def test_random_kills_do_not_change_the_outcome_of_a_recovery(
    site: Site, port: int, seed: int
) -> None:
    """By whatever signal, alone or with all its children, and by a terminal that is gone. Answers
    come at random, too, also while nobody carries it out."""
    dice = random.Random(seed)
    child = site.start(*RECOVER)
    kills = 0

    def over() -> bool:
        nonlocal child, kills
        with contextlib.suppress(sqlite3.OperationalError, IndexError):
            for step in APPROVALS:
                if dice.random() < 0.3 and waits_for(site, step):
                    answer(site, step, code=None)
        if child.poll() is None and kills < 12 and dice.random() < 0.15:
            # It had a session of its own: its group has what it runs, and not what it has started.
            end = dice.choice((os.kill, os.killpg))
            end(child.pid, dice.choice(ENDS))
            kills += 1
        if child.poll() is None:
            return False
        child.communicate()
        if child.returncode == 0:
            return True
        assert child.returncode in (*(-s for s in ENDS), 130, 2), child.returncode
        begun = site.catalogue("select 1 from runs where kind='recovery' and detail like '%point%'")
        child = site.start("resume", run_id(site)) if begun else site.start(*RECOVER)
        return False

    until(over, "the recovery ends", limit_s=300)
    assert kills
    assert_recovered(site, port)


def test_answer_to_a_stopped_recovery_counts_and_a_cancelled_one_can_be_resumed(
    site: Site, port: int
) -> None:
    child = site.start(*RECOVER)
    until(lambda: waits_for(site, "go-ahead"), "it waits")
    run = run_id(site)
    refused = site.drd("approve", run, "go-ahead", "--by", "bert", code=2)
    assert "does not have the role commander" in refused.err
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert f"drd resume {run}" in answer(site, "go-ahead").out
    child = site.start("resume", run)
    until(lambda: waits_for(site, "plugged-in"), "it waits for the next")
    site.drd("cancel", run)
    told = child.communicate(timeout=60)[1].decode()
    assert child.returncode == 130
    assert f"HINT: to finish the recovery: `drd resume {run}`" in told
    over = site.drd("done", run, "plugged-in", "--by", "bert", code=2)
    assert "has ended (cancelled)" in over.err
    code, out = carried_out(site, site.start("resume", run))
    assert code == 0, out
    assert_recovered(site, port)
    steps = {s["name"]: s for s in site.drd("run", "show", run, "--json").json["steps"]}
    assert [steps[n]["attempt"] for n in ("data", "go-ahead", "plugged-in")] == [1, 2, 2]


def test_waiting_for_a_decision_is_a_separate_phase(short_tmp: Path, port: int) -> None:
    asks = (
        "\nrunbook:\n  - restore: [db, conf]\n"
        "  - {{name: fragile, command: {{run: ['false']}}, on_failure: ask}}\n"
    )
    site = runbook_site(short_tmp, port, asks)
    child = site.start(*RECOVER, "--json")
    until(lambda: waits_for(site, "fragile"), "somebody is asked")
    asked = time.monotonic()
    until(lambda: time.monotonic() > asked + 1, "a second has gone by")
    site.drd("skip", run_id(site), "fragile", "--by", "anna", "--why", "not needed")
    out, _ = child.communicate(timeout=60)
    phases = json.loads(out)["phases"]
    assert phases["decide_s"] >= 1
    assert phases["serve_s"] < phases["decide_s"]


@pytest.mark.parametrize(
    ("query", "command", "failed"),
    [
        ("select 1", "/bin/false", "step announce failed"),
        ("select 0", "/bin/true", 'check "orders are there" failed, and 1 more'),
    ],
)
def test_the_last_line_names_the_step_or_check_that_stopped_a_runbook_after_the_restore(
    short_tmp: Path, query: str, command: str, failed: str
) -> None:
    site = small_site(short_tmp)
    plan = site.base / "plans/shop.yaml"
    check = f'{{name: lines, kind: sql, component: db, query: "{query}", expect: "> 0"}}'
    text = plan.read_text().replace("{name: row counts, kind: rows, component: db}", check)
    text = text.replace("select count(*) from orders", query)
    step = f"{{name: announce, command: {{run: [{command}]}}}}"
    plan.write_text(f"{text}runbook:\n  - restore: all\n  - check: all\n  - {step}\n")
    site.drd("backup", "shop")
    drilled = site.drd("drill", "shop", code=4).out
    assert drilled.splitlines()[-1] == f"failed: {failed}"
    assert "(expected succeeds)" not in drilled
    (drill,) = (run["run"] for run in site.runs() if run["kind"] == "drill")
    assert list(site.drd("run", "show", drill, "--json").json["phases"])[:3] == PHASES
    for text in (drilled, site.drd("run", "show", drill).out):
        (took,) = [line for line in text.splitlines() if line.startswith("  took       ")]
        named = [one.rpartition(" ")[0] for one in took.removeprefix("  took       ").split(", ")]
        assert named[:3] == ["fetch", "restore", "checks"], text
        assert set(named[3:]) <= {"other steps"}, text
    compared = (
        'not proven db: not compared with the backup, because check "orders are there" failed'
    ) not in drilled
    assert compared == (query == "select 1"), drilled
    recovered = site.drd(*RECOVER, code=None).out
    last = failed if command == "/bin/false" else "checks failed"
    assert recovered.splitlines()[-1].startswith(f"{last}; not recovered. ")
    assert recovered.count("step announce") == recovered.count("step announce failed;")


def test_unrestored_components_are_named_before_and_after(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    plan = site.base / "plans/shop.yaml"
    forgetful = "runbook:\n  - {name: data, restore: [db]}\n  - {name: look, check: [row counts]}\n"
    plan.write_text(plan.read_text() + forgetful)
    site.drd("backup", "shop")
    words = ("recover", "shop", "--target", "standby")
    dry = site.drd(*words, "--dry-run").out
    assert "no step of the runbook restores conf" in dry
    assert "restore    conf" not in dry
    assert "writes     conf" not in dry
    refused = site.drd(*words, "--component", "conf", "--yes", code=2).err
    assert "no step of the runbook restores conf in this recovery" in refused
    assert "not restored: conf" in site.drd(*words, "--yes", code=None).out
    assert not (site.base / "back/etc").exists()
    done = site.drd(*words, "--yes", "--overwrite", "--json", code=None).json
    assert done["not_restored"] == ["conf"]
    assert done["notes"] == ["not restored: conf (no step of the runbook restores conf)"]

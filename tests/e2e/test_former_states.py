"""A state that an earlier version made is read, proven, restored and resumed by this one."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.former_states import make
from tests.former_states.make import BASE, PORT
from tests.user_support import as_root

# On one worker, since only one test at a time has the place of the state.
pytestmark = pytest.mark.xdist_group("former-states")

STATES = sorted(Path(make.__file__).parent.glob("version_*.json"))
OF_ROOT = Path(make.__file__).parent / "of_root_0006.json"


class Former:
    """The state, and what the version that made it answered."""

    def __init__(self, made: dict[str, Any]) -> None:
        self.answers = {question: said["json"] for question, said in made["answers"].items()}
        self.exits = {question: said["exit"] for question, said in made["answers"].items()}
        make.begin()
        for name, data in made["repository"].items():
            file = BASE / "repo" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b64decode(data))
        with closing(sqlite3.connect(BASE / "state/drd.db")) as connection:
            connection.executescript("\n".join(made["catalogue"]))
            # This machine is not the one that made the state.
            connection.execute("delete from daemon_state where key = 'custody'")
            connection.commit()
        if made.get("owner"):
            make.give_to(made["owner"])
            make.ledger().mkdir(mode=0o700, parents=True)
            for name, text in made["ledger"].items():
                file = make.ledger() / name
                file.write_text(text)
                file.chmod(0o600)

    def drd(self, *words: str, code: int = 0) -> str:
        done = warm.run(words, env={**os.environ, "DRD_CONFIG": str(BASE / "drd.yaml")})
        assert b"Traceback" not in done.stderr, done.stderr
        assert done.returncode == code, done
        return done.stdout.decode()

    def json(self, question: str, code: int = 0) -> Any:
        return json.loads(self.drd(*question.split(), "--json", code=code))


@contextmanager
def put_back(file: Path) -> Iterator[Former]:
    """One test at a time: the place is part of the plan's hash."""
    with BASE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make.remove()
        try:
            yield Former(json.loads(file.read_text()))
        finally:
            make.remove()


@pytest.fixture(params=STATES, ids=lambda path: path.stem)
def former(request: pytest.FixtureRequest) -> Iterator[Former]:
    with put_back(request.param) as state:
        yield state


@contextmanager
def listening() -> Iterator[None]:
    """What the last step of the recovery asks for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", PORT), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def proven(status: Any) -> dict[str, Any]:
    """What was judged, without the figures that age."""
    (plan,) = status["plans"]
    drill = plan["drill"]
    return {
        "verdicts": [plan[k]["verdict"] for k in ("rpo", "rto", "drill")] + [plan["verdict"]],
        "readiness": plan["readiness"],
        "drill": [drill["last_at"], drill["result"], drill["due_at"]],
        "rto_s": plan["rto"]["actual_s"],
        "components": [(c["component"], c["data_time"]) for c in plan["components"]],
    }


def runs_of(answer: Any) -> list[tuple[Any, ...]]:
    keys = ("run", "kind", "state", "trigger", "started_at", "finished_at")
    return [tuple(run[key] for key in keys) for run in answer["runs"]]


def points_of(answer: Any) -> list[tuple[Any, ...]]:
    return [(p["point"], p["complete"], p["data_time"]) for p in answer["points"]]


def test_a_plan_proven_before_an_upgrade_is_proven_after_it(former: Former) -> None:
    was = proven(former.answers["status"])
    assert (was["readiness"], was["drill"][1]) == ("ready", "passed")
    assert runs_of(former.json("runs")) == runs_of(former.answers["runs"])
    assert points_of(former.json("points shop")) == points_of(former.answers["points shop"])
    for _ in ("before and after the plan is loaded",) * 2:
        assert proven(former.json("status", code=former.exits["status"])) == was
        digest = former.json("plan show shop")["digest"]
        assert digest == former.answers["plan show shop"]["digest"]
        former.drd("doctor", "shop")
        former.drd("retention", "shop")
    for run in former.answers["runs"]["runs"]:
        shown = former.json(f"run show {run['run']}")
        assert (shown["state"], shown["kind"]) == (run["state"], run["kind"])
        heading = former.drd("run", "show", run["run"]).splitlines()[0]
        of = (
            f"{run['plan']}, repository {shown['repository']}"
            if shown["repository"]
            else run["plan"]
        )
        assert heading == f"{run['kind']} {run['run']} of {of}: {run['state']}"


def test_after_the_upgrade_only_what_a_drill_proves_needs_a_drill(former: Former) -> None:
    was = proven(former.answers["status"])
    plan = BASE / "plans/shop.yaml"

    def judged(old: str, new: str, code: int = 0) -> dict[str, Any]:
        text = plan.read_text()
        assert old in text
        plan.write_text(text.replace(old, new))
        former.drd("retention", "shop")
        return proven(former.json("status", code=code))

    former.drd("retention", "shop")
    for old, new in (
        ("owner: tests", "owner: others"),
        ("backup: {every: 1000d}", "backup: {every: 900d, timeout: 2h}"),
        ("drill: {every: 3600d}", "drill: {every: 3500d}\nretention: {last: 90}"),
        ("rpo: 3600d", "rpo: 3000d"),
    ):
        now = judged(old, new)
        was["drill"][2] = now["drill"][2]  # when the next one is due
        assert now == was
    took = was["rto_s"]
    missed = judged("rto: 1d", f"rto: {took / 2:.3f}s", code=3)
    assert missed["verdicts"] == ["met", "breached", "met", "breached"]
    assert judged(f"rto: {took / 2:.3f}s", "rto: 1d") == was
    changed = judged('expect: "> 0"', 'expect: "> 1"')
    assert (changed["verdicts"][2], changed["readiness"]) == ("at_risk", "needs drill")
    former.drd("drill", "shop")
    assert proven(former.json("status"))["readiness"] == "ready"
    with closing(sqlite3.connect(BASE / "state/drd.db")) as connection:
        newest = "select plan_digest from evidence order by finished_at desc limit 1"
        (carried,) = connection.execute(newest).fetchone()
    assert carried == former.json("plan show shop")["proof"]


def test_the_evidence_agrees_with_the_repository(former: Former) -> None:
    former.drd("catalogue", "verify", "shop")
    former.drd("verify", "shop")
    newest, before = former.answers["points shop"]["points"][:2]
    for point in (newest, before):
        drilled = former.json(f"drill shop --point {point['point']}")
        assert (drilled["result"], drilled["point"]) == ("passed", point["point"])
        assert {c["verdict"] for c in drilled["checks"]} == {"passed"}
    former.drd("retention", "shop", "--dry-run")
    (BASE / "state/drd.db").unlink()
    for left in (BASE / "state").glob("drd.db-*"):
        left.unlink()
    former.drd("catalogue", "rebuild", "shop")
    assert points_of(former.json("points shop")) == points_of(former.answers["points shop"])


def test_a_recovery_that_failed_is_resumed(former: Former) -> None:
    run = failed_recovery(former)
    (BASE / "back/etc").mkdir()
    shutil.copy(BASE / "shop.db", BASE / "back/shop.db")
    with listening():
        former.drd("resume", run, "--yes")
    assert former.json(f"run show {run}")["state"] == "succeeded"


def failed_recovery(former: Former) -> str:
    (run,) = (r["run"] for r in former.answers["runs"]["runs"] if r["kind"] == "recovery")
    return str(run)


@as_root
def test_root_resumes_by_its_own_record_of_before() -> None:
    with put_back(OF_ROOT) as former, listening():
        former.drd("resume", failed_recovery(former), "--yes")
        assert former.json(f"run show {failed_recovery(former)}")["state"] == "succeeded"


@as_root
def test_root_refuses_a_row_that_differs_from_its_record_of_before() -> None:
    with put_back(OF_ROOT) as former, listening():
        with closing(sqlite3.connect(BASE / "state/drd.db")) as connection:
            changed = "update steps set error = 'all is well' where name = 'announce'"
            assert connection.execute(changed).rowcount == 1
            connection.commit()
        former.drd("resume", failed_recovery(former), "--yes", code=2)


def test_the_service_is_recovered_and_backed_up(former: Former) -> None:
    former.drd("done", failed_recovery(former))
    (BASE / "shop.db").unlink()
    with listening():
        former.drd("recover", "shop", "--target", "standby", "--yes")
    with closing(sqlite3.connect(BASE / "back/shop.db")) as connection:
        assert connection.execute("select count(*), sum(total) from orders").fetchall() == [
            (3, 8.0)
        ]
    (back,) = (BASE / "back/etc").rglob("app.conf")
    assert back.read_text() == "listen 8080;\n"
    shutil.move(BASE / "back/shop.db", BASE / "shop.db")
    former.drd("backup", "shop")
    assert len(former.json("points shop")["points"]) == 3

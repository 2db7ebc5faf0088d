"""Attack: the service's user writes a row whose id is a run of another drd, and waits for root.

restic's words show the id of each run to everybody. A row of a dead drill with that id had root's
next command on the service's state end all that worked for the run, under any user. Now the mark of
a run says also of which state it is, which no row says, and processes of root's own take root's
record.
"""

from __future__ import annotations

import os
import pwd
import secrets
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drd.bootstrap import app
from drd.model.run import RunKind, RunState
from drd.process import Mark, kill_marked, rights, state_id, works_for
from tests.e2e.site import Site, make_tree
from tests.security.test_root_rights import owned
from tests.user_support import as_root

OWNER = pwd.getpwnam("games")
OTHER = pwd.getpwnam("daemon")

PLAN = """
components:
  conf: {{kind: files, paths: [{base}/etc]{hook}}}
checks:
  - {{name: files, kind: files, component: conf}}
targets:
  standby: {{conf: {{path: {base}/back}}}}
runbook:
  - {{name: bring, restore: [conf]}}
  - {{name: gate, command: {{run: [sh, -c, "test -e {base}/go"]}}}}
  - {{name: look, check: [files]}}
"""


def made(base: Path, hook: str = "") -> Site:
    site = Site(base)
    make_tree(base / "etc")
    site.plan(PLAN.format(base=base, hook=hook))
    return site


@pytest.fixture
def services(short_tmp: Path) -> Iterator[Site]:
    """Of a service user."""
    site = made(short_tmp / "service")
    for name in ("state", "work", "cache", "repo"):
        owned(site.base / name)
    site.drd("backup", "shop")
    return site


def forge(site: Site, run: str, **values: object) -> None:
    """By the service's user: a copy of a row of his, as of a run that is not over."""
    with closing(sqlite3.connect(site.base / "state/drd.db")) as state:
        state.row_factory = sqlite3.Row
        row = dict(state.execute("select * from runs limit 1").fetchone())
        row |= {"id": run, "kind": "drill", "state": "running", "finished_at": None, **values}
        marks = ",".join("?" * len(row))
        state.execute(f"insert into runs({','.join(row)}) values({marks})", [*row.values()])
        state.commit()


@as_root
@pytest.mark.parametrize("forged", [False, True])
def test_a_forged_row_ends_no_process_of_another_state(
    services: Site, short_tmp: Path, forged: bool
) -> None:
    hook = f", before: {{command: [{short_tmp}/wait]}}"
    roots = made(short_tmp / "roots", hook)
    (short_tmp / "wait").write_text(f"#!/bin/sh\ntouch {short_tmp}/begun\nexec sleep 3\n")
    (short_tmp / "wait").chmod(0o755)
    backup = roots.start("backup", "shop")
    try:
        limit = time.monotonic() + 30
        while not (short_tmp / "begun").exists() and time.monotonic() < limit:
            time.sleep(0.05)
        ((run,),) = roots.catalogue("select id from runs where kind = 'backup'")
        if forged:
            forge(services, run)
        services.drd("backup", "shop")
        assert backup.wait(60) == 0, backup.communicate()
    finally:
        backup.kill()
        backup.communicate()
    states = {r["run"]: r["state"] for r in services.runs()}
    assert not forged or states[run] == "interrupted", "what he wrote is his own run, and over"


# --- what a mark leads to -----------------------------------------------------------------------


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    every: list[subprocess.Popen[bytes]] = []
    yield every
    for one in every:
        one.kill()
        one.wait()


def start(
    started: list[subprocess.Popen[bytes]], user: int, **around: str
) -> subprocess.Popen[bytes]:
    env = {"PATH": os.environ["PATH"], **around}
    started.append(subprocess.Popen(["sleep", "61"], env=env, user=user, start_new_session=True))
    return started[-1]


@as_root
def test_marks_only_match_processes_of_the_state(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    mine, others = tmp_path / "mine", tmp_path / "others"
    mine.mkdir()
    others.mkdir()
    run, of_others = secrets.token_hex(4), state_id(others)
    with rights.acting_for(OWNER.pw_uid):
        mark = Mark(run, state_id(mine))
    assert len({mark.state, state_id(mine), of_others}) == 3, "one's own number is in it"
    here = mark.environment()
    ended = {
        "the owner's": start(started, OWNER.pw_uid, **here),
        "a server's": start(started, OTHER.pw_uid, **here),
        "an earlier drd's": start(started, OWNER.pw_uid, DRD_RUN=run),
    }
    stays = {
        "root's of another state": start(started, 0, DRD_RUN=run, DRD_STATE_ID=of_others),
        "a server's of another state": start(
            started, OTHER.pw_uid, DRD_RUN=run, DRD_STATE_ID=of_others
        ),
        "root's of this directory": start(started, 0, DRD_RUN=run, DRD_STATE_ID=state_id(mine)),
        "root's of an earlier drd": start(started, 0, DRD_RUN=run),
        "a server's of an earlier drd": start(started, OTHER.pw_uid, DRD_RUN=run),
        "of another run": start(started, OWNER.pw_uid, **{**here, "DRD_RUN": "0badcafe"}),
    }
    roots = start(started, 0, **here)
    time.sleep(0.3)
    with rights.acting_for(OWNER.pw_uid):
        kill_marked(mark)
        assert {n for n, p in {**ended, **stays}.items() if p.poll() is not None} == {*ended}
        assert roots.poll() is None
        assert not works_for(roots.pid, mark)
        assert kill_marked(mark, roots=True) == [roots.pid]
    assert {n for n, p in stays.items() if p.poll() is not None} == set()


@as_root
def test_in_roots_state_every_marked_process_is_ended(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    mark = Mark(secrets.token_hex(4), state_id(tmp_path))
    ended = [start(started, user, **mark.environment()) for user in (0, OTHER.pw_uid)]
    ended += [start(started, user, DRD_RUN=mark.run) for user in (0, OTHER.pw_uid)]
    stays = start(started, 0, DRD_RUN=mark.run, DRD_STATE_ID=state_id(tmp_path.parent))
    time.sleep(0.3)
    kill_marked(mark)
    assert all(p.poll() is not None for p in ended)
    assert stays.poll() is None


@as_root
def test_stopped_and_unresponsive_processes_are_ended(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    mark = Mark(secrets.token_hex(4), state_id(tmp_path))
    stopped = start(started, OTHER.pw_uid, **mark.environment())
    stopped.send_signal(signal.SIGSTOP)
    deaf = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo; sleep 61 & wait; sleep 61"],
        env={"PATH": os.environ["PATH"], **mark.environment()},
        stdout=subprocess.PIPE,
    )
    started.append(deaf)
    assert deaf.stdout is not None
    deaf.stdout.readline()
    assert {stopped.pid, deaf.pid} <= {*kill_marked(mark, grace_s=0.5)}
    assert stopped.wait(2) == -signal.SIGTERM
    assert deaf.wait(2) == -signal.SIGKILL


@as_root
def test_ending_processes_of_root_needs_roots_record(
    services: Site, started: list[subprocess.Popen[bytes]]
) -> None:
    services.drd("recover", "shop", "--target", "standby", "--yes", code=1)
    ((run,),) = services.catalogue("select id from runs where kind = 'recovery'")
    with app(str(services.base / "drd.yaml")) as opened:
        catalogue = opened.catalogue
        noted, unknown = catalogue.runs.get(run), catalogue.runs.newest(kind=RunKind.BACKUP)[0]
        left = {
            r.id: start(started, 0, **catalogue.runs.mark(r.id).environment())
            for r in (noted, unknown)
        }
        time.sleep(0.3)
        catalogue.runs.end_left(unknown)
        assert left[unknown.id].poll() is None

        # The same run, as a drill: any backup would settle it.
        as_drill = f"update runs set kind = 'drill' where id = '{run}'"
        with closing(sqlite3.connect(services.base / "state/drd.db")) as state:
            state.execute(as_drill)
            state.commit()
        catalogue.runs.end_left(catalogue.runs.get(run))
        assert left[run].poll() is None

        catalogue.runs.end_left(noted)
        assert left[run].poll() is not None


@as_root
def test_a_lock_belongs_to_the_process_that_took_it(services: Site) -> None:
    """`drd cancel` ends the process of a row that holds the run's lock: a file of that name, which
    somebody has open for another reason, is none."""
    with app(str(services.base / "drd.yaml")) as opened:
        catalogue = opened.catalogue
        plan = opened.plans.load("shop")
        owned_run = catalogue.runs.begin(
            plan, RunKind.DRILL, trigger="manual", at=opened.clock.now()
        )
        run = catalogue.runs.get(owned_run.run.id)
        lock = services.base / f"state/locks/run-{run.id}.lock"
        assert catalogue.runs.process_of(run) == os.getpid()
        catalogue.runs.finish(owned_run, RunState.CANCELLED, at=opened.clock.now())
        lock.touch()
        with lock.open():
            assert catalogue.runs.process_of(run) is None
        lock.unlink()

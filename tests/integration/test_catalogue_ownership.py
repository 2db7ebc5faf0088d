"""Who owns a run, with real processes: killed, stopped, many at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from drd.catalogue import locks
from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.errors import AlreadyRunning
from drd.model.run import RunKind, RunState, StepState
from drd.process import process_alive
from tests.catalogue_support import PREAMBLE, at, plan, program
from tests.servers import PostgresServer

OWNER = """
import time
catalogue = open_catalogue(url, create=True)
owned = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(0))
catalogue.steps.begin(owned, "capture", "capture", at(0))
print(owned.run.id, flush=True)
sys.stdin.readline()
catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(1))
print("finished", flush=True)
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state/drd.db"


@pytest.fixture
def catalogue(url: str) -> Iterator[SqlCatalogue]:
    made = open_catalogue(url, create=True)
    yield made
    made.close()


def begun(owner: subprocess.Popen[str]) -> str:
    assert owner.stdout is not None
    return owner.stdout.readline().strip()


def lock_files(tmp_path: Path) -> list[str]:
    return [p.name for p in (tmp_path / "state" / "locks").iterdir()]


def test_run_of_a_killed_process_is_taken_over(
    catalogue: SqlCatalogue, url: str, tmp_path: Path
) -> None:
    with program(OWNER, url) as owner:
        run = begun(owner)
        with pytest.raises(AlreadyRunning, match=f"run {run}, process {owner.pid}"):
            catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(1))
        assert catalogue.runs.abandoned() == []
        owner.kill()
        owner.wait(10)

    [dead] = catalogue.runs.abandoned()
    assert dead.id == run
    owned = catalogue.runs.adopt(dead, at(2))
    assert owned is not None
    assert catalogue.steps.begin(owned, "capture", "capture", at(2)).attempt == 2
    catalogue.steps.finish(owned, "capture", StepState.SUCCEEDED, at=at(3))
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(3))

    assert catalogue.runs.get(run).state is RunState.SUCCEEDED
    assert lock_files(tmp_path) == []


def test_a_stopped_process_keeps_its_run(catalogue: SqlCatalogue, url: str) -> None:
    """A suspended laptop, a debugger: it will go on, and two must not write."""
    with program(OWNER, url) as owner:
        run = begun(owner)
        os.kill(owner.pid, signal.SIGSTOP)
        try:
            assert catalogue.runs.abandoned() == []
            assert catalogue.runs.adopt(catalogue.runs.get(run), at(1)) is None
            with pytest.raises(AlreadyRunning):
                catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(1))
        finally:
            os.kill(owner.pid, signal.SIGCONT)
        output, _ = owner.communicate("\n", timeout=20)

    assert output.strip() == "finished"
    assert catalogue.runs.get(run).state is RunState.SUCCEEDED


def test_a_living_run_survives_the_removal_of_its_lock_file(
    catalogue: SqlCatalogue, url: str, tmp_path: Path
) -> None:
    with program(OWNER, url) as owner:
        run = begun(owner)
        (tmp_path / "state" / "locks" / f"run-{run}.lock").unlink()
        assert catalogue.runs.abandoned() == []

    assert [r.id for r in catalogue.runs.abandoned()] == [run]


def test_processes_of_a_killed_owner_are_ended_before_its_run_is_adopted(
    catalogue: SqlCatalogue, url: str
) -> None:
    code = """
import subprocess, os
catalogue = open_catalogue(url, create=True)
owned = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(0))
child = subprocess.Popen(["sleep", "300"], start_new_session=True, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, env={**os.environ, "DRD_RUN": owned.run.id})
print(child.pid, flush=True)
sys.stdin.readline()
"""
    with program(code, url) as owner:
        orphan = int(begun(owner))
        owner.kill()
        owner.wait(10)
    assert process_alive(orphan, None), "it outlived its parent, so there is something to end"

    [dead] = catalogue.runs.abandoned()
    owned = catalogue.runs.adopt(dead, at(1))

    assert owned is not None
    assert not process_alive(orphan, None)
    owned.release()


def test_programs_of_the_owner_do_not_inherit_its_lock(catalogue: SqlCatalogue, url: str) -> None:
    """A server that a killed drd left behind would keep its run alive for ever."""
    owned = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(0))
    child = subprocess.Popen(["sleep", "300"], close_fds=False)
    try:
        owned.release()
        assert [r.id for r in catalogue.runs.abandoned()] == [owned.run.id]
    finally:
        child.kill()
        child.wait()


def test_on_a_shared_database_the_runs_of_another_host_count_as_alive(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """Its locks cannot be seen from here; and in a SQLite file only this host writes, whatever it
    was called when the run began."""
    postgres.execute("create database two_hosts")
    shared = postgres.dsn("two_hosts").replace("postgresql://", "postgresql+psycopg://", 1)
    for url in (shared, f"sqlite:///{tmp_path}/state/drd.db"):
        catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
        owned = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(0))
        owned.release()
        with catalogue.database.write() as connection:
            connection.execute(text("UPDATE runs SET owner_host = 'elsewhere'"))

        if url == shared:
            assert catalogue.runs.abandoned() == []
            with pytest.raises(AlreadyRunning, match=r"process \d+ on elsewhere"):
                catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(1))
        else:
            assert [r.id for r in catalogue.runs.abandoned()] == [owned.run.id]
        catalogue.close()


def test_a_run_that_ends_while_we_look_is_not_abandoned(
    catalogue: SqlCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(0))

    @contextmanager
    def ends_first(_: str) -> Iterator[bool]:
        catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(1))
        yield True

    monkeypatch.setattr(catalogue.locks, "glance", ends_first)

    assert catalogue.runs.abandoned() == []


def test_a_lock_on_a_file_that_was_discarded_meanwhile_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We open the file, its holder discards it, somebody locks the next one of that name, and
    only then do we get the lock on what we opened."""
    files = locks.LockFiles(tmp_path)
    first = files.take("init")
    assert first is not None
    others: list[locks.HeldLock | None] = []
    really = locks._flock

    def late(fd: int, how: int) -> bool:
        if not others:
            others.append(None)
            first.discard()
            others.append(files.take("init"))
        return really(fd, how)

    monkeypatch.setattr(locks, "_flock", late)

    assert files.take("init") is None
    assert others[1] is not None
    others[1].discard()


def test_of_many_processes_that_begin_at_once_one_owns_the_run(url: str, tmp_path: Path) -> None:
    """Also the first ones ever: they make the catalogue together."""
    code = """
import threading
sys.stdin.readline()
said = []
catalogue = open_catalogue(url, create=True)
def attempt():
    try:
        catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(0))
    except AlreadyRunning:
        said.append("refused")
    else:
        said.append("owned")
threads = [threading.Thread(target=attempt) for _ in range(25)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*said, flush=True)
sys.stdin.readline()
"""
    command = [sys.executable, "-c", PREAMBLE + code, url]
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=Path(__file__).parents[2],
        )
        for _ in range(4)
    ]  # fmt: skip
    try:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        words: list[str] = []
        for process in processes:
            assert process.stdout is not None
            words += process.stdout.readline().split()
    finally:
        errors = [process.communicate("\n", timeout=30)[1] for process in processes]

    assert errors == [""] * 4
    assert sorted(words) == ["owned"] + ["refused"] * 99


def test_no_update_of_many_processes_is_lost(url: str) -> None:
    """Each adds rows and reads a count that all of them wrote; the default set-up of SQLite in
    Python loses three in four of such updates without an error."""
    open_catalogue(url, create=True).close()
    code = """
catalogue = open_catalogue(url, create=True)
shop = plan(sys.argv[2])
owned = catalogue.runs.begin(shop, RunKind.BACKUP, trigger="manual", at=at(0))
for number in range(15):
    catalogue.points.record(point(f"{sys.argv[2]}-{number}", at(number), plan=sys.argv[2]))
    catalogue.steps.begin(owned, "same", "capture", at(number))
catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(20))
print("ok", flush=True)
"""
    began = time.monotonic()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + code, url, f"plan-{n}"],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )
        for n in range(4)
    ]  # fmt: skip
    for child in children:
        output, _ = child.communicate(timeout=60 - (time.monotonic() - began))
        assert output == "ok\n"

    catalogue = open_catalogue(url, create=False)
    for n in range(4):
        assert len(catalogue.points.of_plan(f"plan-{n}")) == 15
        [run] = catalogue.runs.newest(f"plan-{n}")
        assert [s.attempt for s in catalogue.steps.of_run(run.id)] == [15]
    catalogue.close()


def test_recorded_points_survive_a_kill_of_the_writer_at_any_moment(url: str) -> None:
    open_catalogue(url, create=True).close()
    code = """
import itertools
catalogue = open_catalogue(url, create=True)
for number in itertools.count():
    catalogue.points.record(point(f"{sys.argv[2]}-{number:05}", at(number)))
    print(number, flush=True)
"""
    for attempt in range(4):
        with program(code, url, f"r{attempt}") as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.03 * attempt)
            writer.kill()
            written = len(writer.stdout.read().split()) + 1
        catalogue = open_catalogue(url, create=False)
        mine = [
            p.id for p in catalogue.points.of_plan("orders-api") if p.id.startswith(f"r{attempt}-")
        ]
        catalogue.close()
        assert written <= len(mine) <= written + 1


def test_locks_of_runs_that_are_over_go_and_others_stay(tmp_path: Path) -> None:
    """As a kill leaves one between the end of a run and the removal of its lock."""
    state = tmp_path / "state"
    catalogue = open_catalogue(f"sqlite:///{state}/drd.db", create=True, state_dir=state)
    over, dead, alive = (
        catalogue.runs.begin(plan(name), RunKind.BACKUP, trigger="manual", at=at(0))
        for name in ("over", "dead", "alive")
    )
    catalogue.runs.finish(over, RunState.SUCCEEDED, at=at(1))
    dead.release()
    directory = state / "locks"
    for run in (over.run.id, "feedfeed"):
        (directory / f"run-{run}.lock").touch()
    assert [run.id for run in catalogue.runs.abandoned()] == [dead.run.id]
    left = {p.name for p in directory.glob("run-*")}
    assert left == {f"run-{dead.run.id}.lock", f"run-{alive.run.id}.lock"}
    catalogue.close()

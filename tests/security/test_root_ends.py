"""Attack: the service's user opens the row of a recovery that root has carried out to its end, and
waits until the target is lost again.

Root's own record did not say that it was over. So the same `drd recover` took it for one whose
process had died, and went on with it: every step was done before, the result was good, and nothing
was there.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from drd.bootstrap import app
from drd.daemon.supervisor import Supervisor
from drd.model.run import Run
from tests.e2e.site import Site
from tests.security.test_root_ledger import (  # noqa: F401
    OWNER,
    RECOVER,
    changes,
    noted,
    run_of,
    site,
    stopped,
)
from tests.user_support import acting_as, as_root

pytestmark = as_root

ANEW = (*RECOVER, "--overwrite")
OPEN = "update runs set state = '{state}', finished_at = null where id = '{run}'"


def opened(site: Site, run: str, state: str = "running") -> None:  # noqa: F811
    changes(site, OPEN.format(state=state, run=run))


def state_of(site: Site, run: str) -> str:  # noqa: F811
    ((state, finished_at),) = site.catalogue(
        "select state, finished_at from runs where id = ?", run
    )
    assert (finished_at is None) is (state in ("running", "waiting"))
    return str(state)


def lose(site: Site) -> None:  # noqa: F811
    """All that recoveries have brought."""
    for place in (*site.base.glob("back*"), *site.base.glob("honest*")):
        shutil.rmtree(place) if place.is_dir() else place.unlink()


def is_back(site: Site) -> bool:  # noqa: F811
    return any((site.base / "back").rglob("app.conf")) and (site.base / "honest.end").exists()


def finished(site: Site) -> str:  # noqa: F811
    (site.base / "go").touch()
    site.drd(*RECOVER)
    return run_of(site)


@pytest.mark.parametrize("state", ["running", "waiting"])
def test_a_finished_recovery_is_not_resumed(site: Site, state: str) -> None:  # noqa: F811
    run = finished(site)
    lose(site)
    opened(site, run, state)
    told = site.drd(*RECOVER[:-1], "--dry-run")
    assert "continues" not in told.out
    assert run in told.err
    assert "succeeded" in told.err
    told = site.drd(*RECOVER)
    assert run_of(site) != run
    assert is_back(site)
    assert "drd resume" not in told.err
    assert state_of(site, run) == "succeeded"
    site.assert_clean()


def test_finished_recovery_that_nobody_touched(site: Site) -> None:  # noqa: F811
    run = finished(site)
    (file,) = noted(site)
    assert json.loads(file.read_text())["end"]["state"] == "succeeded"
    lose(site)
    told = site.drd(*RECOVER)
    assert run_of(site) != run
    assert is_back(site)
    assert run not in told.err


def test_a_finished_recovery_has_ended_whatever_its_row_says(site: Site) -> None:  # noqa: F811
    run = finished(site)
    lose(site)
    for state in ("failed", "interrupted", "cancelled"):
        changes(site, f"update runs set state = '{state}' where id = '{run}'")
        told = site.drd("resume", run, code=2).err
        assert state in told
        assert "succeeded" in told
    opened(site, run)
    assert "has already succeeded" in site.drd("resume", run, code=2).err
    assert not is_back(site)


def test_a_finished_recovery_with_an_open_row_can_be_undone(site: Site) -> None:  # noqa: F811
    (site.base / "back").mkdir()
    (site.base / "back/former").touch()
    (site.base / "go").touch()
    site.drd(*ANEW)
    run = run_of(site)
    opened(site, run)
    site.drd("undo", run, "--yes")
    assert state_of(site, run) == "succeeded"
    assert (site.base / "back/former").exists()
    opened(site, run)
    site.drd("rollback", run)
    assert state_of(site, run) == "cancelled"
    assert not (site.base / "honest").exists()
    lose(site)
    opened(site, run)
    changes(site, "delete from decisions")
    site.drd(*RECOVER)
    assert run_of(site) != run
    assert is_back(site)


def test_an_undone_recovery_is_not_resumed(site: Site) -> None:  # noqa: F811
    """Nor where somebody says in root's place that it was redone; only root can."""
    (site.base / "back").mkdir()
    (site.base / "back/former").touch()
    site.drd(*ANEW, code=1)
    (site.base / "go").touch()
    run = run_of(site)
    site.drd("undo", run, "--yes")
    changes(
        site,
        "insert into decisions (run, step, action, by, comment, attempt, at, actor) "
        "select run, step, 'redo', by, comment, attempt, at, actor from decisions where action = "
        "'undo'",
    )
    assert "was undone" in site.drd("resume", run, code=2).err
    assert (site.base / "back/former").exists()
    site.drd("undo", run, "--redo", "--yes")
    assert not (site.base / "back/former").exists()
    site.drd("resume", run)
    assert is_back(site)


def test_a_failed_recovery_is_resumed_only_on_request(site: Site) -> None:  # noqa: F811
    run = stopped(site)
    lose(site)
    opened(site, run)
    told = site.drd(*RECOVER)
    assert f"To continue that run instead: drd resume {run}" in told.err
    assert run_of(site) != run
    assert is_back(site)
    assert state_of(site, run) == "failed"


def test_a_failed_recovery_that_a_user_reopened_is_resumed(site: Site) -> None:  # noqa: F811
    run = stopped(site)
    opened(site, run, "waiting")
    site.drd("resume", run)
    assert state_of(site, run) == "succeeded"
    assert is_back(site)


def test_a_failed_recovery_that_root_retries_is_resumed(site: Site) -> None:  # noqa: F811
    run = stopped(site)
    site.drd("retry", run, "gate")
    site.drd(*RECOVER)
    assert run_of(site) == run
    assert is_back(site)


def test_a_recovery_that_root_ended_is_not_resumed(site: Site) -> None:  # noqa: F811
    (site.base / "go").touch()
    site.killed_at("after:mark", *RECOVER)
    run = run_of(site)
    site.drd("cancel", run)
    lose(site)
    opened(site, run)
    site.drd(*RECOVER)
    assert run_of(site) != run
    assert is_back(site)
    assert state_of(site, run) == "cancelled"


def test_a_recovery_before_the_last_one_is_not_resumed(site: Site) -> None:  # noqa: F811
    """The service's user had ended it, so that root's record did not say how."""
    (site.base / "go").touch()
    site.killed_at("after:mark", *RECOVER)
    run = run_of(site)
    changes(
        site, f"update runs set state = 'cancelled', finished_at = started_at where id = '{run}'"
    )
    site.drd(*ANEW)
    site.drd("done", run_of(site), "--yes")
    lose(site)
    opened(site, run)
    site.drd(*RECOVER)
    assert is_back(site)


def test_a_recovery_taken_over_from_root_is_not_resumed(site: Site) -> None:  # noqa: F811
    """While it was carried out: root was told so, and has left it at that."""
    file, taking = site.base / "plans/shop.yaml", site.base / "taking.py"
    taking.write_text(
        f"import sqlite3; c = sqlite3.connect('{site.base}/state/drd.db')\n"
        "c.execute('update runs set token = token + 1 where finished_at is null'); c.commit()"
    )
    gate = f"test -e {site.base}/go"
    file.write_text(file.read_text().replace(gate, f"{gate} || /usr/bin/python3 {taking}"))
    told = site.drd(*RECOVER, code=None)
    assert told.code != 0
    assert "taken over" in told.err
    run = run_of(site)
    (site.base / "go").touch()
    lose(site)
    opened(site, run)
    site.drd(*RECOVER)
    assert run_of(site) != run
    assert is_back(site)


def test_a_row_cannot_turn_a_dead_recovery_into_a_success(site: Site) -> None:  # noqa: F811
    (site.base / "go").touch()
    site.killed_at("after:mark", *RECOVER)
    run = run_of(site)
    success = f"update runs set state = 'succeeded', finished_at = started_at where id = '{run}'"
    changes(site, success)
    told = site.drd("resume", run, code=2).err
    assert f"root does not continue run {run} of shop, because the catalogue and root's own" in told
    opened(site, run)
    site.drd("resume", run)
    assert is_back(site)


@pytest.mark.parametrize("good", [True, False])
def test_root_killed_at_the_end_learns_the_outcome(site: Site, good: bool) -> None:  # noqa: F811
    if good:
        (site.base / "go").touch()
    site.killed_at("noted:end", *RECOVER)
    run = run_of(site)
    assert state_of(site, run) == "running"
    (site.base / "go").touch()
    told = site.drd(*RECOVER, code=None)
    assert told.code != 0
    assert "is not empty" in told.err
    assert ("succeeded" if good else "failed") in told.err
    assert state_of(site, run) == ("succeeded" if good else "failed")
    if good:
        assert "has already succeeded" in site.drd("resume", run, code=2).err
    else:
        site.drd("resume", run)
    assert is_back(site)
    site.assert_clean()


def test_a_recovery_killed_while_reopened_is_resumed(site: Site) -> None:  # noqa: F811
    run = stopped(site)
    site.killed_at("after:reopen", "resume", run)
    site.drd("resume", run)
    assert is_back(site)
    site.killed_at("after:reopen", "rollback", run)
    site.drd("rollback", run)
    assert not (site.base / "honest").exists()
    assert state_of(site, run) == "cancelled"


def test_a_recovery_during_undo_is_not_resumed(site: Site) -> None:  # noqa: F811
    run = finished(site)
    site.killed_at("after:rollback mark", "rollback", run)
    assert state_of(site, run) == "running"
    told = site.drd(*ANEW)
    assert f"{run}. Reason: it was rolled back" in told.err
    assert run_of(site) != run
    assert is_back(site)


def test_a_record_without_an_end_is_ignored(site: Site) -> None:  # noqa: F811
    """As drd wrote it before."""
    run = finished(site)
    (file,) = noted(site)
    data = json.loads(file.read_text())
    del data["end"]
    file.write_text(json.dumps({**data, "schema": 1}))
    lose(site)
    opened(site, run)
    assert f"sudo -u games drd resume {run}" in site.drd("resume", run, code=2).err
    site.drd(*RECOVER)
    assert run_of(site) != run
    assert is_back(site)


def test_root_resumes_a_killed_recovery_whose_death_the_service_has_noted(site: Site) -> None:  # noqa: F811
    """The service's user finds it by its free lock, and changes nothing that root goes by."""
    (site.base / "go").touch()
    site.killed_at("after:find", *RECOVER)
    run = run_of(site)
    died: list[Run] = []
    workers: Any = SimpleNamespace(alive=[])
    with acting_as(OWNER.pw_uid), app(str(site.base / "drd.yaml")) as state:
        supervisor = Supervisor(state.catalogue, workers, lambda _: None, died.append)
        for _ in range(2):
            open_runs = state.catalogue.queue.open_runs()
            assert supervisor.settle_abandoned(open_runs, datetime.now(UTC)) == []
    assert [r.id for r in died] == [run], "once"
    assert state_of(site, run) == "waiting"
    shown = site.drd("run", "show", run, "--json").json
    assert (shown["state"], shown["fact"]) == ("interrupted", "the process of this recovery died")
    assert shown["unfinished"]["untouched"] == []
    assert shown["unfinished"]["replaced"] == ["conf"]
    resumed = site.drd("resume", run, "--json").json
    assert (resumed["run"], resumed["result"]) == (run, "passed")
    assert state_of(site, run) == "succeeded"

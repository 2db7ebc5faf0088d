"""Attack: while a recovery of root's runs, the service's user writes into the catalogue that its
process died, or that the run is over, and removes its locks.

Root believed that: `drd undo`, `drd done`, `drd resume` and `drd rollback` worked on production
beside root's own recovery. Now root's processes see one another by locks that only root can open.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drd.errors import AlreadyRunning
from drd.flows.root.carriers import Carriers
from drd.process.private import root_place
from tests.e2e.site import Site, Started, make_tree
from tests.security.test_root_ledger import OWNER, RECOVER, changes, run_of, with_runbook
from tests.security.test_root_rights import owned
from tests.user_support import as_root

pytestmark = as_root

_OPEN_GATE = "test -e {base}/go"
_GATE = "test -e {base}/go || {{ echo > {base}/there; read _ < {base}/on; }}"

_RECOVERY = "where kind = 'recovery' and state = 'running'"
_OVER = "update runs set state = '{state}', finished_at = started_at " + _RECOVERY

FORGED = {
    "only locks gone": "",
    "process died": f"update runs set owner_pid = 4194303, owner_start = 'x' {_RECOVERY}",
    "failed": _OVER.format(state="failed"),
    "succeeded": _OVER.format(state="succeeded"),
    "gone": f"delete from runs {_RECOVERY}",
}


@pytest.fixture
def site(short_tmp: Path) -> Iterator[Site]:
    """Of a service user, with an earlier recovery of root's, whose kept copy can be undone."""
    made = Site(short_tmp)
    make_tree(made.base / "etc")
    body = with_runbook(made.base)
    gate = _GATE.format(base=made.base)
    made.plan(
        body.replace(f'[sh, -c, "{_OPEN_GATE.format(base=made.base)}"]', f'[sh, -c, "{gate}"]')
    )
    for name in ("state", "work", "cache", "repo"):
        owned(made.base / name)
    made.drd("backup", "shop")
    (made.base / "back").mkdir()
    (made.base / "back/former").touch()
    (made.base / "go").touch()
    made.drd(*RECOVER, "--overwrite")
    for name in ("go", "honest.end"):
        (made.base / name).unlink()
    return made


@contextmanager
def at_its_gate(site: Site) -> Iterator[Started]:
    """A recovery of root's that waits at its gate, until the test lets it go on."""
    for name in ("there", "on"):
        os.mkfifo(site.base / name)
    started = site.start(*RECOVER, "--overwrite")
    (site.base / "there").read_text()
    try:
        yield started
    finally:
        if started.poll() is None:
            os.kill(started.pid, signal.SIGKILL)
            started.wait(60)


def forges(site: Site, *statements: str) -> None:
    """The service's user removes all locks and changes the rows."""
    user = [f"--reuid={OWNER.pw_uid}", f"--regid={OWNER.pw_gid}", "--clear-groups"]
    remove = ["find", f"{site.base}/state/locks", "-type", "f", "-delete"]
    subprocess.run(["setpriv", *user, "--", *remove], check=True)
    changes(site, *statements)


def places(site: Site) -> list[str]:
    found = site.base.glob("back*")
    return sorted(str(p) for place in found for p in (place, *place.rglob("*")))


def directory_of(site: Site, run: str) -> Path:
    return root_place(site.base / "work") / f"run-{run}"


def beside(run: str, earlier: str) -> list[tuple[str, ...]]:
    """Commands of root's that would change production."""
    kept = [("undo", earlier, "--yes"), ("done", earlier, "--yes"), (*RECOVER, "--overwrite")]
    own = [("undo", run, "--yes"), ("done", run, "--yes", "--accept-unfinished")]
    return [*kept, *own, ("resume", run), ("rollback", run)]


def test_nothing_works_beside_a_living_recovery_of_root(site: Site) -> None:
    earlier = run_of(site)
    with at_its_gate(site) as started:
        run = run_of(site)
        assert run != earlier
        ((row,),) = site.catalogue(f"select rowid from runs {_RECOVERY}")
        columns = ", ".join(n for _, n, *_ in site.catalogue("pragma table_info(runs)"))
        changes(site, f"create table was as select * from runs where rowid = {row}")
        before = places(site)
        for name, statement in FORGED.items():
            forges(site, *filter(None, [statement]))
            commands = beside(run, earlier)[: 3 if name == "gone" else None]
            for words in commands:
                told = site.drd(*words, code=11)
                assert f"run {run}" in told.err, (name, words, told)
            if name == "failed":
                site.drd("backup", "shop")  # which cleans up after runs that have ended
            assert directory_of(site, run).is_dir(), name
            assert places(site) == before, name
            changes(
                site,
                f"delete from runs where id = '{run}'",
                f"insert into runs ({columns}) select {columns} from was",
            )
        assert not (site.base / "honest.end").exists()
        (site.base / "on").write_text("\n")
        _, errors = started.communicate(timeout=120)
        assert started.wait(60) == 0, errors
    assert (site.base / "honest.end").exists()
    assert not directory_of(site, run).exists()
    site.drd("undo", run, "--yes")
    site.assert_clean()


def test_root_ends_its_recovery_whose_locks_are_gone(site: Site) -> None:
    with at_its_gate(site) as started:
        run = run_of(site)
        forges(site)
        assert "has ended: cancelled" in site.drd("cancel", run).out
        started.communicate(timeout=60)
        assert started.wait(60) != 0
    assert not (site.base / "honest.end").exists()


def test_a_dead_process_and_an_old_text_block_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    first, second = Carriers(tmp_path, told.append), Carriers(tmp_path, told.append)
    release = first.take("shop", "0a0b0c0d")
    with pytest.raises(AlreadyRunning, match=rf"process {os.getpid()} is executing run 0a0b0c0d"):
        second.take("shop", "0f0f0f0f")
    again = first.take("shop")
    release()
    release()
    assert list(second.runs()) == ["0a0b0c0d"]
    again()
    assert second.of_plan("shop") is None
    (file,) = root_place(tmp_path).glob("ledger/*.lock")
    assert "0a0b0c0d" in file.read_text()
    for text in ("not json", ""):
        file.write_text(text)
        release = first.take("shop", "0a0b0c0d")
        file.write_text(text)
        with pytest.raises(AlreadyRunning, match="another process of root"):
            second.take("shop")
        release()
    second.take("shop")()
    assert told == []
    shutil.rmtree(root_place(tmp_path))


def test_recovery_works_where_root_cannot_write_its_record(tmp_path: Path) -> None:
    place = root_place(tmp_path)
    place.parent.mkdir(mode=0o711, exist_ok=True)
    place.touch()
    try:
        told: list[str] = []
        Carriers(tmp_path, told.append).take("shop", "0a0b0c0d")()
        assert "start no other command for shop as root" in told[0]
    finally:
        place.unlink()

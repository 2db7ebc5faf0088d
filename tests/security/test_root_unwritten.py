"""The worst day in a container that may only be read, or with a full /var: root cannot write where
it keeps its records and works for another user's state.

Root's recovery was refused there. Now root says that it keeps no record, and recovers; what it has
no record of it does not go on with.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from drd.process.private import ROOTS_OWN
from tests import warm
from tests.e2e.site import Result, Site
from tests.security.test_root_ledger import (  # noqa: F401
    RECOVER,
    changes,
    noted,
    run_of,
    site,
)
from tests.user_support import as_root

pytestmark = as_root

RUN = "mount -t tmpfs -o mode=755 t /run"
WRITABLE = f"mount -t tmpfs -o mode=711 t {ROOTS_OWN}"
READ_ONLY = f"mount -t tmpfs -o ro,mode=711 t {ROOTS_OWN}"
FULL = f"mount -t tmpfs -o size=1m,mode=711 t {ROOTS_OWN}; dd if=/dev/zero of={ROOTS_OWN}/x || :"


def within(site: Site, mounts: str, *words: str, code: int = 0) -> Result:  # noqa: F811
    """A command that sees these instead of the host's own. What it leaves in `back` is the
    host's."""
    ROOTS_OWN.mkdir(mode=0o711, exist_ok=True)
    script = f'({RUN}; {mounts}) 2>/dev/null; exec "$@"'
    apart = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    drd = f"{warm.program(site.env())}/drd"
    done = subprocess.run([*apart, drd, *words], env=site.env(), capture_output=True, check=False)
    told = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert told.code == code, told
    assert "Traceback" not in told.err, told
    return told


def is_back(site: Site) -> bool:  # noqa: F811
    return any((site.base / "back").rglob("app.conf"))


@pytest.mark.parametrize("mounts", [READ_ONLY, FULL])
def test_root_recovers_without_a_record(site: Site, mounts: str) -> None:  # noqa: F811
    within(site, mounts, *RECOVER[:-1], "--dry-run")
    told = within(site, mounts, *RECOVER, code=1)
    assert "root's record" in told.err
    assert "root cannot resume that run later" in told.err
    assert is_back(site)
    assert noted(site) == []
    run = run_of(site)
    (site.base / "go").touch()
    for there in (mounts, ":"):
        told = within(site, there, "resume", run, code=2)
        assert f"sudo -u games drd resume {run}" in told.err
    assert not (site.base / "honest.end").exists()
    within(site, mounts, *RECOVER, "--overwrite")
    assert (site.base / "honest.end").exists()
    within(site, mounts, "drill", "shop", code=4)


def test_root_keeps_its_record_where_it_can(
    site: Site,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRD_TEST_COLD", "1")  # in fresh interpreters
    told = within(site, WRITABLE, *RECOVER, code=1)
    assert "record" not in told.err
    told = within(site, ":", *RECOVER, "--overwrite", code=1)
    assert "record" not in told.err
    assert len(noted(site)) == 1


def test_a_row_without_roots_record_is_not_trusted(site: Site) -> None:  # noqa: F811
    (site.base / "go").touch()
    within(site, READ_ONLY, *RECOVER)
    run = run_of(site)
    for place in (*site.base.glob("back*"), *site.base.glob("honest*")):
        subprocess.run(["rm", "-r", place], check=True)
    changes(site, "update runs set state = 'running', finished_at = null where kind = 'recovery'")
    told = within(site, READ_ONLY, *RECOVER)
    assert f"It does not continue run {run}. Reason: root has no record of run {run}" in told.err
    assert is_back(site)


def breaks(site: Site, command: str) -> None:  # noqa: F811
    """In the midst of a recovery, after its record was begun."""
    file = site.base / "plans/shop.yaml"
    gate = f"test -e {site.base}/go"
    file.write_text(file.read_text().replace(gate, f"{command}; {gate}"))


def test_a_record_that_cannot_be_resumed_is_removed(site: Site) -> None:  # noqa: F811
    kept = site.base / "kept"
    breaks(site, f"dd if=/dev/zero of={ROOTS_OWN}/x; ls {ROOTS_OWN}/*/ledger >{kept}.before")
    (site.base / "go").touch()
    mounts = f"mount -t tmpfs -o size=1m,mode=711 t {ROOTS_OWN}"
    told = within(site, mounts, *RECOVER)
    assert "root cannot resume that run later" in told.err
    assert (site.base / "honest.end").exists()
    assert run_of(site) in Path(f"{kept}.before").read_text()


def test_record_that_cannot_be_removed_is_named(site: Site) -> None:  # noqa: F811
    breaks(site, f"mount -o remount,ro {ROOTS_OWN}")
    (site.base / "go").touch()
    told = within(site, WRITABLE, *RECOVER)
    (file,) = {Path(w) for w in told.err.replace(",", " ").split() if w.endswith(".json")}
    assert file.stem == run_of(site)
    assert "remove it" in told.err
    assert (site.base / "honest.end").exists()


def test_a_missing_work_directory_is_named(site: Site) -> None:  # noqa: F811
    told = within(site, f"{READ_ONLY}; mount -o remount,ro /run", *RECOVER, code=5)
    assert "Read-only file system" in told.err
    assert f"mount a writable file system at {ROOTS_OWN}" in told.err

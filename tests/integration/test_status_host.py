"""What `drd status` sees on the host: a daemon that can record nothing, and a broken drd.yaml."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.cli.main import main
from drd.cli.status_host import daemon_in_unit
from drd.model.drd_facts import SIGN_OF_LIFE
from tests.status_support import HOUR

GOOD = "state: sqlite:///state/drd.db\nplans: plans\n"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans/shop.yaml").write_text("plan: shop\n")
    (tmp_path / "drd.yaml").write_text(GOOD)
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))
    return tmp_path


def catalogue(host: Path) -> SqlCatalogue:
    return open_catalogue(f"sqlite:///{host}/state/drd.db", create=True)


def daemon_was_here(host: Path, *, stopped: bool = True, ago_s: float = HOUR) -> None:
    """Record the last sign of life of a daemon that has read the present drd.yaml."""
    info = (host / "drd.yaml").stat()
    said = {"version": "1", "configuration": [info.st_mtime_ns, info.st_size]}
    said |= {"state": "stopped"} if stopped else {}
    opened = catalogue(host)
    opened.queue.note(SIGN_OF_LIFE, said, datetime.now(UTC) - timedelta(seconds=ago_s))
    opened.close()


def status(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["status", *words])
    return code, capsys.readouterr().out


def test_a_copied_state_is_told_without_a_daemon(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = catalogue(host)
    opened.custody.check(datetime.now(UTC))
    opened.close()
    assert "drd adopt" not in status(capsys)[1]
    (host / "state").rename(host / "former")
    shutil.copytree(host / "former", host / "state")
    said = " ".join(status(capsys)[1].split())
    assert f"the file {host}/state/drd.db is a copy of the file that drd made there: until" in said
    assert "drd adopt" in said
    told = json.loads(status(capsys, "--json")[1])["copied_state"]
    assert told.startswith(f"the file {host}/state/drd.db is a copy")
    opened = catalogue(host)
    opened.custody.take(datetime.now(UTC), None, "it is the only one")
    opened.close()
    assert json.loads(status(capsys, "--json")[1])["copied_state"] is None


@pytest.mark.parametrize("stopped", [True, False])
def test_a_daemon_that_answers_is_not_called_stopped(
    host: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stopped: bool,
) -> None:
    daemon_was_here(host, stopped=stopped)
    words = "the daemon was stopped 1h ago" if stopped else "last sign of life was 1h ago"
    assert words in status(capsys)[1]
    (host / "state-public").mkdir(exist_ok=True)
    monkeypatch.chdir(host / "state-public")  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("drd.sock")
        listener.listen(4)
        told = status(capsys)[1]
        assert "the daemon runs, but could not record anything since " in told
        assert "stopped" not in told
        assert "scheduled runs do not start" not in told
        assert json.loads(status(capsys, "--json")[1])["daemon"]["state"] == "running"
        assert "the daemon runs, but cannot record anything" in status(capsys, "--nagios")[1]
        daemon_was_here(host, stopped=stopped, ago_s=5)
        assert "the daemon" not in status(capsys)[1], "it has only just started"
    assert ("daemon was stopped" in status(capsys)[1]) == stopped


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("limits: {runs: many}", "limits.runs: is text, not a whole number"),
        ("metrics: {http: [", "is not YAML"),
        ("mtrics: {}", 'unknown key "mtrics"'),
    ],
)
def test_a_broken_drd_yaml_is_shown_beside_the_plans(
    host: Path, capsys: pytest.CaptureFixture[str], line: str, error: str
) -> None:
    catalogue(host).close()
    later = (host / "drd.yaml").stat().st_mtime + 10
    (host / "drd.yaml").write_text(f"{GOOD}{line}\n")
    os.utime(host / "drd.yaml", (later, later))
    where = f"{host}/drd.yaml:3: "

    code, told = status(capsys)
    assert code == 3
    assert "shop" in told
    assert f"drd.yaml is broken, so drd cannot make backups: {where}" in told
    assert error in told
    daemon_was_here(host)
    os.utime(host / "drd.yaml", (later + 1, later + 1))
    told = status(capsys)[1]
    assert "drd.yaml is broken, so the service cannot start" in told
    assert "daemon was stopped" not in told
    daemon_was_here(host, stopped=False, ago_s=1)
    os.utime(host / "drd.yaml", (later + 2, later + 2))
    assert "the daemon keeps the settings that it read before" in status(capsys)[1]
    assert "drd.yaml is broken" in status(capsys, "--nagios")[1]
    assert json.loads(status(capsys, "--json")[1])["configuration"]["broken"]


def test_an_edited_drd_yaml_is_shown_until_the_reload(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon_was_here(host, stopped=False, ago_s=1)
    assert "drd.yaml" not in status(capsys)[1]
    (host / "drd.yaml").write_text(f"{GOOD}limits: {{runs: 3}}\n")
    told = status(capsys)[1]
    assert "drd.yaml was edited, but not reloaded" in told
    assert "  > systemctl reload drd" in told
    daemon_was_here(host, stopped=False, ago_s=1)
    assert "drd.yaml" not in status(capsys)[1]


def test_a_broken_drd_yaml_of_which_nobody_knows_the_state_is_an_error(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "drd.yaml").write_text(f"{GOOD}mtrics: {{}}\n")
    assert main(["status"]) == 2
    assert 'unknown key "mtrics"' in capsys.readouterr().err


def test_no_package_is_imported_to_check_a_drd_yaml(
    host: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the file spells the list of its packages."""
    daemon_was_here(host)
    (host / "drd_odd.py").write_text("raise SystemExit('imported')")
    about = host / "drd_odd-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: drd-odd\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[drd.checks]\nodd = drd_odd:SPEC\n")
    monkeypatch.syspath_prepend(str(host))
    for spelt in ("extensions: [drd-odd]", 'extensions:\n- "drd-odd"', "extensions: &x [drd-odd]"):
        (host / "drd.yaml").write_text(f"{GOOD}{spelt}\nlimits: {{runs: many}}\n")
        assert "limits.runs: is text, not a whole number" in status(capsys)[1]


def test_a_daemon_that_waits_for_its_catalogue_is_found_in_its_unit(tmp_path: Path) -> None:
    """It has no socket yet: after a start on a full disk."""
    procs = tmp_path / "system.slice/drd.service/cgroup.procs"
    groups = (str(tmp_path / "none"), str(tmp_path))
    assert not daemon_in_unit(groups)
    procs.parent.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as other:
        procs.write_text(f"{other.pid}\n")
        assert not daemon_in_unit(groups), "a program that a recovery left running"
        other.kill()
    argv = [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)", "daemon"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()  # it has its own arguments now
        procs.write_text(f"{os.getpid()}\n{daemon.pid}\n")
        assert daemon_in_unit(groups)
        daemon.kill()
    assert not daemon_in_unit(groups)

"""The commands by hand that start a copied server: one of an earlier run goes on, and one of the
host keeps its data."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drd.kinds.mariadb.physical import by_hand as mariadb
from drd.kinds.mariadb.physical.settings import ServerSettings
from drd.kinds.postgres.physical import by_hand as cluster
from drd.kinds.postgres.physical.settings import ClusterSettings
from drd.model.plan import Component

_BEGIN = """\
set -euo pipefail
DATA=$PWD/data AS=() IN_USE=
trap 'echo "in use: $IN_USE"' EXIT
fact() { echo 1; }
sleep() { :; }
chown() { :; }
on_server() { [[ $1 == status ]] || echo "started" >> ran; }
"""
_TOOLS = {
    "pg_isready": 'echo "asked $2" >> ran; [ "$(grep -c asked ran)" -gt 2 ]',
    "mariadbd": "echo started >> ran",
    "mariadb": "exit 0",
}
_WORKS = "a server of this host already works in"


def _run(base: Path, commands: str) -> subprocess.CompletedProcess[str]:
    (base / "bin").mkdir()
    for name, does in _TOOLS.items():
        (base / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (base / "bin" / name).chmod(0o755)
    environment = {"PATH": f"{base}/bin:/usr/bin:/bin"}
    return subprocess.run(
        ["bash", "-c", _BEGIN + commands + "\nwait\n"], cwd=base, env=environment,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def _postgres() -> str:
    settings = ClusterSettings.model_validate({"kind": "postgres-cluster", "dsn": "host=localhost"})
    hand = cluster.by_hand(
        Component("db", "postgres-cluster", settings), None, place="", resolve=lambda _: ""
    )
    [commands] = [p.commands for p in hand.passages if "replayed()" in p.commands]
    return commands


def _mariadb() -> str:
    settings = {"kind": "mariadb-server", "dsn": "mariadb://user@localhost/shop"}
    known = Component("db", "mariadb-server", ServerSettings.model_validate(settings))
    hand = mariadb.by_hand(known, None, place="", resolve=lambda _: "")
    [commands] = [p.commands for p in hand.passages if "in_server()" in p.commands]
    return commands


@contextmanager
def _server(base: Path, program: str, *words: str) -> Iterator[int]:
    """Run a program that says when it is ready, and waits for the end of its input."""
    file = base / program
    file.write_text(
        f"#!{sys.executable}\nimport fcntl, sys\n"
        "if sys.argv[1].endswith('control'):\n"
        "    file = open(sys.argv[1], 'r+')\n    fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('ready', flush=True)\nsys.stdin.read()\n"
    )
    file.chmod(0o755)
    with subprocess.Popen(
        [file, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid


def _noted(base: Path, pid: int, socket: str) -> None:
    (base / "data").mkdir()
    lines = [str(pid), "data", "1", "55432", socket, ""]
    (base / "data/postmaster.pid").write_text("\n".join(lines))


def test_a_server_of_an_earlier_run_is_awaited_until_it_has_replayed(tmp_path: Path) -> None:
    with _server(tmp_path, "postgres", "unix_socket_directories=/tmp/drd-a") as pid:
        _noted(tmp_path, pid, "/tmp/drd-a")
        done = _run(tmp_path, _postgres())
    assert done.returncode == 0, done
    assert (tmp_path / "ran").read_text().splitlines() == ["asked --host=/tmp/drd-a"] * 3


def test_a_postgresql_server_of_the_host_keeps_its_data(tmp_path: Path) -> None:
    with _server(tmp_path, "postgres", "-D") as pid:
        _noted(tmp_path, pid, "/run/postgresql")
        done = _run(tmp_path, _postgres())
    assert done.returncode != 0
    assert f"{_WORKS} {tmp_path}/data: stop it, then start the script again" in done.stdout
    assert f"in use: {tmp_path}/data" in done.stdout
    assert not (tmp_path / "ran").exists()


def test_a_mariadb_server_of_the_host_keeps_its_data(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    control = tmp_path / "data/aria_log_control"
    control.touch()
    with _server(tmp_path, "mariadbd", os.fspath(control)):
        done = _run(tmp_path, _mariadb())
    assert done.returncode != 0
    assert f"{_WORKS} {tmp_path}/data: stop it, then start the script again" in done.stdout
    assert f"in use: {tmp_path}/data" in done.stdout
    assert not (tmp_path / "ran").exists()


def test_healthy_twin_a_mariadb_server_starts_in_data_that_nobody_uses(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/aria_log_control").touch()
    done = _run(tmp_path, _mariadb())
    assert done.returncode == 0, done
    assert (tmp_path / "ran").read_text() == "started\n"

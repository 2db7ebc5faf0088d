"""Root in a terminal on a host whose state is the service user's: what it leaves, and what it
may."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers.nspawn import DRD, Machine

pytestmark = pytest.mark.xdist_group("systemd-root")

PLAN = """
plan: shop
objectives: {rpo: 5m, rto: 10m}
components:
  db: {kind: postgres, dsn: "host=/run/shop dbname=shop"}
  conf: {kind: files, paths: [/etc/shop]}
repositories:
  primary: {url: /srv/backups/shop, password: {credential: shop-restic}}
checks:
  - {name: rows, kind: rows, component: db}
  - {name: files, kind: files, component: conf}
targets:
  back: {db: {dsn: "host=/run/shop dbname=back"}, conf: {path: /srv/only-root/etc}}
"""

SERVER = """
plan: server
objectives: {rpo: 1d, rto: 10m}
components:
  all: {kind: postgres-cluster, dsn: "host=/run/shop dbname=shop", incremental: off}
repositories:
  primary: {url: /srv/backups/shop, password: {credential: shop-restic}}
drill: {every: 1m, restore: instant}
checks:
  - {name: orders, kind: sql, component: all, query: "select count(*) from orders", expect: "1000"}
"""

# Root logs in to the target by a role of its own, which the service does not have.
DATABASE = """
install -d -o postgres /run/shop
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
cd /run/shop
runuser -u postgres -- $bin/initdb -D /run/shop/data -A peer --no-sync >/dev/null
systemd-run -q --unit shop-db -p User=postgres $bin/postgres -D /run/shop/data -k /run/shop \\
  -c listen_addresses=
for i in $(seq 600); do
  runuser -u postgres -- $bin/pg_isready -q -h /run/shop && break; sleep 0.1; done
runuser -u postgres -- $bin/psql -q -h /run/shop -c 'create role drd login' \\
  -c 'grant pg_read_all_data to drd' -c 'alter role drd replication' \\
  -c 'create role root login superuser' -c 'create database shop owner drd'
runuser -u drd -- $bin/psql -q -h /run/shop shop \\
  -c 'create table orders as select generate_series(1,1000) id'
"""

EXCHANGE = """
import ctypes, sys
libc = ctypes.CDLL(None)
while True:
    libc.syscall(316, -100, b"/var/lib/drd/real", -100, b"/var/lib/drd/link", 2)
"""

OWNED = "find /var/lib/drd /var/cache/drd /srv/backups/shop -user root"


@pytest.fixture(scope="module")
def host(system: Machine) -> Machine:
    # An overlay cannot lie on the overlay that is the disk of this system.
    for place in ("/var/lib/drd", "/var/lib/drd-sandboxes"):
        system.sh(f"mkdir -p {place}; mount -t tmpfs -o mode=711 tmpfs {place}")
    system.write("/etc/drd/plans/shop.yaml", PLAN)
    said = system.run(DRD, "install").stdout
    assert "1. drd doctor --as-service" in said, "there is a plan already"
    system.sh(DATABASE)
    system.write("/etc/drd/credentials/shop-restic", "correct horse", mode=0o600)
    system.write("/etc/shop/only-root", "for root's eyes", mode=0o600)
    system.sh("chmod 700 /etc/shop; install -d -m 700 /srv/only-root; install -d /srv/backups")
    return system


def drd(machine: Machine, *words: str) -> str:
    done = machine.run(DRD, *words, check=False, timeout=240)
    assert done.returncode in (0, 3), (words, done.stdout, done.stderr)
    return done.stdout


def test_root_leaves_nothing_and_does_what_only_root_may(host: Machine) -> None:
    for words in (
        ("backup", "shop"),
        ("drill", "shop"),
        ("recover", "shop", "--target", "back", "--yes"),
        ("status",),
        ("doctor", "shop"),
    ):
        drd(host, *words)
        assert host.sh(OWNED) == "", words
    count = "runuser -u postgres -- psql -h /run/shop -Atc 'select count(*) from orders' back"
    assert host.sh(f"cd /; {count}").strip() == "1000"
    assert host.sh("stat -c '%U %a' /srv/only-root/etc/etc/shop/only-root").strip() == "root 600"
    (run,) = [
        r["run"] for r in json.loads(drd(host, "runs", "--json"))["runs"] if r["kind"] == "drill"
    ]
    shown = json.loads(drd(host, "run", "show", run, "--json"))
    assert "not_run" not in json.dumps(shown), "owners come back, and are compared"

    if os.uname().machine == "x86_64":
        host.sh(
            "mkdir /srv/stand-ins; for n in shadow sudoers; do touch /srv/stand-ins/$n; "
            "chmod 600 /srv/stand-ins/$n; done; install -d -o drd /var/lib/drd/real; "
            "touch /var/lib/drd/real/shadow /var/lib/drd/real/sudoers; "
            "runuser -u drd -- ln -s /srv/stand-ins /var/lib/drd/link"
        )
        host.write("/srv/exchange.py", EXCHANGE)
        host.run(
            "systemd-run", "-q", "--unit", "loop", "-p", "User=drd", *_python(), "/srv/exchange.py"
        )
        for _ in range(3):
            drd(host, "runs", "shop")
        assert host.unit("ActiveState", "loop.service") == "active"
        host.run("systemctl", "stop", "loop")
        assert host.sh("find /srv/stand-ins ! -user root -o -type f ! -perm 600") == ""


@pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="there is no /dev/fuse")
def test_root_and_the_service_drill_instantly_and_leave_no_mount(host: Machine) -> None:
    host.sh("rm -rf /etc/drd/plans/shop.yaml /var/lib/drd/real /var/lib/drd/link")
    host.write("/etc/drd/plans/server.yaml", SERVER)
    drd(host, "backup", "server")
    assert "no whole restore of this plan has passed yet" in drd(host, "drill", "server")
    assert "instant drill, checks answered in" in drd(host, "drill", "server")
    assert _mounts(host) == 0
    assert host.sh(OWNED) == ""

    before = len(_instant(host))
    host.run("systemctl", "start", "drd")
    host.wait_for_run("server", "drill", 240)
    host.run("systemctl", "stop", "drd")
    newest = _instant(host)
    assert len(newest) == before + 1
    assert newest[0]["result"] == "passed", newest[0]
    assert 0 < newest[0]["instant"]["readings"][0]["share"] < 1
    assert _mounts(host) == 0


def _mounts(machine: Machine) -> int:
    return machine.sh("cat /proc/[0-9]*/mountinfo 2>/dev/null || true").count("drd-instant")


def _instant(machine: Machine) -> list[dict[str, Any]]:
    """The evidence of instant drills, newest first."""
    found = json.loads(drd(machine, "evidence", "list", "server", "--json"))["evidence"]
    return [e for e in found if e["instant"] is not None]


def _python() -> list[str]:
    return [sys.executable, "-I"]

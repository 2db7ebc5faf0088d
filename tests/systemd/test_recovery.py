"""A recovery on a host that goes down in its midst, with services that systemd starts and stops."""

from __future__ import annotations

import json
import sys

import pytest

from tests.servers.nspawn import DRD, Machine

pytestmark = [pytest.mark.xdist_group("systemd-recovery"), pytest.mark.faults]

SETTINGS = """
state: sqlite:////srv/state/drd.db
plans: plans
work_dir: /srv/work
cache_dir: /srv/cache
people:
  - {name: anna, roles: [commander]}
"""

PLAN = """
plan: shop
objectives: {rpo: 1h, rto: 1h}
components:
  db: {kind: sqlite, path: /srv/shop.db}
  web: {kind: files, paths: [/srv/web]}
repositories:
  primary: {url: /srv/repository, password: {file: /srv/password}}
checks:
  - {name: rows, kind: rows, component: db}
  - {name: pages, kind: files, component: web}
runbook:
  - {name: old, stop: {unit: old.service}, rehearse: skip, reason: production}
  - {name: data, restore: all}
  - {name: look, check: all}
  - name: serve
    start: {unit: shop.service, port: 8099, ready: {http: /index.html}, as: service}
    rehearse: skip
    reason: production
  - {name: go-ahead, approve: {by: commander, why: traffic}}
  - {name: traffic, command: {run: [sh, -c, "echo $DRD_STEP_KEY ${service} >>/srv/traffic"]}}
targets:
  here: {db: {path: /srv/back/shop.db}, web: {path: /srv/back/web}}
"""

UNIT = """
[Service]
ExecStart={python} -m http.server --bind 127.0.0.1 --directory {directory} {port}
[Install]
WantedBy=basic.target
"""

SLOW = """#!/bin/sh
case " $* " in *" restore "*)
    if [ -e /srv/slow ]; then touch /srv/begun; sleep 600; fi ;;
esac
exec /usr/bin/restic "$@"
"""

MAKE = """
import sqlite3
with sqlite3.connect("/srv/shop.db") as connection:
    connection.execute("create table orders (id integer primary key)")
    connection.executemany("insert into orders values (?)", [(i,) for i in range(1000)])
"""


@pytest.fixture
def shop(system: Machine) -> Machine:
    """With a backup, and an old service that is started at each boot."""
    system.sh("mkdir -p /srv/web /srv/back /srv/state && echo hello >/srv/web/index.html")
    system.run(sys.executable, "-c", MAKE)
    system.write("/srv/password", "correct horse", mode=0o600)
    system.write("/srv/etc/drd.yaml", SETTINGS)
    system.write("/srv/etc/plans/shop.yaml", PLAN)
    system.write("/usr/local/bin/restic", SLOW, mode=0o755)
    for name, directory, port in (
        ("old", "/srv/web", 8098),
        ("shop", "/srv/back/web/srv/web", 8099),
    ):
        unit = UNIT.format(python=sys.executable, directory=directory, port=port)
        system.write(f"/etc/systemd/system/{name}.service", unit)
    system.sh("systemctl daemon-reload && systemctl enable --now old.service")
    drd(system, "backup", "shop")
    return system


def drd(system: Machine, *words: str) -> str:
    return system.run(DRD, *words, env={"DRD_CONFIG": "/srv/etc/drd.yaml"}, timeout=240).stdout


def begun(system: Machine, *words: str) -> None:
    """As an operator's terminal that nobody waits for."""
    told = (
        f"DRD_CONFIG=/srv/etc/drd.yaml setsid {DRD} {' '.join(words)} >>/srv/told 2>&1 </dev/null &"
    )
    system.sh(told)


def steps(system: Machine) -> dict[str, str]:
    shown = json.loads(drd(system, "run", "show", run(system), "--json"))
    return {s["name"]: s["state"] for s in shown["steps"]}


def waits(system: Machine) -> bool:
    """Whether a person is to approve, by the catalogue: a command takes much longer."""
    query = "select state from steps where name = 'go-ahead'"
    look = ("sqlite3", "-readonly", "/srv/state/drd.db", query)
    return "waiting" in system.run(*look, check=False).stdout


def run(system: Machine) -> str:
    runs = json.loads(drd(system, "runs", "--json"))["runs"]
    return next(str(r["run"]) for r in runs if r["kind"] == "recovery")


def test_a_recovery_goes_on_after_its_host_went_down(shop: Machine) -> None:
    # While its data is coming back.
    shop.sh("touch /srv/slow")
    begun(shop, "recover", "shop", "--target", "here", "--yes")
    shop.wait_until(shop.path("/srv/begun").exists, 120, "it restores")
    shop.reboot(hard=True)
    shop.sh("rm /srv/slow")
    assert shop.unit("ActiveState", "old.service") == "active", "it starts with the host"

    # While it waits for somebody, who answers while it is down.
    begun(shop, "resume", run(shop))
    shop.wait_until(lambda: waits(shop), 120, "it waits")
    assert steps(shop)["go-ahead"] == "waiting"
    assert shop.unit("ActiveState", "shop.service") == "active"
    assert shop.unit("ActiveState", "old.service") == "inactive"
    shop.reboot(hard=True)
    assert shop.unit("ActiveState", "shop.service") == "inactive"
    drd(shop, "approve", run(shop), "go-ahead", "--by", "anna")

    told = shop.run(DRD, "resume", run(shop), env={"DRD_CONFIG": "/srv/etc/drd.yaml"}, timeout=240)
    stopped = "step old: the unit that this step stopped is running again; drd stops it again"
    assert stopped in told.stderr
    assert (
        "step serve: the program that this step started is no longer running; drd starts it again"
    ) in told.stderr
    assert set(steps(shop).values()) == {"succeeded"}
    assert shop.unit("ActiveState", "shop.service") == "active"
    assert shop.unit("ActiveState", "old.service") == "inactive"
    traffic = f"{run(shop)}/traffic http://127.0.0.1:8099\n"
    assert shop.path("/srv/traffic").read_text() == traffic
    count = (
        "import sqlite3; print(*sqlite3.connect('/srv/back/shop.db').execute('select count(*) "
        "from orders'))"
    )
    assert shop.run(sys.executable, "-c", count).stdout == "(1000,)\n"
    assert shop.sh("ls /srv/work; ls /srv/repository/locks").split() in ([], ["templates"])

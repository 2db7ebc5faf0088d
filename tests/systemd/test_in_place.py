"""In place beside a live application: the runbook of `drd plan new` stops and starts it."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest

from tests.servers.nspawn import DRD, Machine

pytestmark = pytest.mark.xdist_group("systemd-in-place")

# The application writes to both databases all the time, and connects again when it must.
HOST = """
install -d -o postgres /run/postgresql /var/lib/shop-db /var/lib/shop
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
runuser -u postgres -- $bin/initdb -D /var/lib/shop-db/data -A peer --no-sync >/dev/null
cat >/etc/systemd/system/shop-db.service <<END
[Service]
User=postgres
ExecStart=$bin/postgres -D /var/lib/shop-db/data -k /run/postgresql \
  -c listen_addresses= -c fsync=off
END
cat >/etc/systemd/system/shop.service <<END
[Service]
User=postgres
ExecStart=$1 /srv/app.py
END
systemctl daemon-reload
systemctl start shop-db
for _ in $(seq 600); do runuser -u postgres -- $bin/pg_isready -q && break; sleep 0.1; done
runuser -u postgres -- psql -q -c 'create database shop'
runuser -u postgres -- psql -q shop -c 'create table orders (id serial primary key)'
systemctl start shop
"""

APP = """
import sqlite3, time
import psycopg

def write():
    with sqlite3.connect("/var/lib/shop/carts.db") as carts:
        carts.execute("create table if not exists carts (id integer primary key)")
        with psycopg.connect("host=/run/postgresql dbname=shop", autocommit=True) as orders:
            while True:
                orders.execute("insert into orders default values")
                carts.execute("insert into carts default values")
                carts.commit()
                time.sleep(0.02)

while True:
    try:
        write()
    except (psycopg.Error, sqlite3.Error):
        time.sleep(0.01)
"""

NOT_STOPPED = """
runbook:
  - {name: data, restore: all}
  - {name: a-while, command: {run: [sleep, "3"]}}
  - {name: checks, check: all}
"""

RECOVER = ("recover", "shop", "--in-place", "--overwrite")


@pytest.fixture(scope="module")
def shop(system: Machine) -> Machine:
    """With the plan that `drd plan new` writes, the rights that it needs, and a backup."""
    system.write("/srv/app.py", APP)
    system.run("bash", "-euc", HOST, "host", sys.executable)
    system.wait_until(system.path("/var/lib/shop/carts.db").exists, 60, "the application")
    system.sh("mkdir /etc/shop && echo port=80 >/etc/shop/conf")
    system.run(DRD, "install")
    system.write("/etc/drd/credentials/shop-restic", "correct horse", mode=0o600)
    system.begin_repository("/srv/repo", "correct horse")
    drd(
        system, "plan", "new", "--name=shop", "--postgres=host=/run/postgresql dbname=shop",
        "--sqlite=/var/lib/shop/carts.db", "--files=/etc/shop", "--repository=/srv/repo",
    )  # fmt: skip
    script = drd(system, "doctor", "shop", "--grants")
    system.write("/srv/grants.sql", script)
    command = script.splitlines()[0].partition("| ")[2]
    system.sh(f"cat /srv/grants.sql | {command}")
    drd(system, "backup", "shop")
    return system


def drd(machine: Machine, *words: str, code: int = 0) -> str:
    done = machine.run(DRD, *words, check=False, timeout=240)
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return done.stdout


def rows(machine: Machine) -> tuple[int, int]:
    """Of the PostgreSQL and of the SQLite database."""
    query = "select count(*) from orders"
    orders = machine.run("runuser", "-u", "postgres", "--", "psql", "-Atc", query, "shop")
    how = ("-readonly", "-cmd", ".timeout 10000", "/var/lib/shop/carts.db")
    carts = machine.run("sqlite3", *how, "select count(*) from carts")
    return int(orders.stdout), int(carts.stdout)


def checks(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        c["component"]: (c["verdict"], c["observed"]) for c in document["checks"] if c["component"]
    }


def test_the_runbook_of_a_new_plan_stops_the_application_and_starts_it_again(shop: Machine) -> None:
    before = shop.unit("InvocationID", "shop.service")
    found = json.loads(drd(shop, *RECOVER, "--dry-run", "--json"))["findings"]
    in_use = {f["subject"]: f for f in found if f["code"] == "in-use"}
    assert set(in_use) == {"shop", "carts"}, found
    assert "is in use by 1 session of postgres" in in_use["shop"]["evidence"]
    assert "by python (process " in in_use["carts"]["evidence"]
    assert "shop.service" in in_use["carts"]["evidence"]
    for finding in in_use.values():
        assert finding["remedy"] == (
            "check that step stop-shop of the runbook, which comes before the restore, "
            "stops the programs that use the data"
        )
    shop.run("rm", "/etc/shop/conf")
    done = json.loads(drd(shop, *RECOVER, "--yes", "--json"))
    assert done["result"] == "passed"
    assert {verdict for verdict, _ in checks(done).values()} == {"passed"}
    assert shop.unit("ActiveState", "shop.service") == "active"
    assert shop.unit("InvocationID", "shop.service") != before
    assert "The runbook has started it (step start-shop)" in done["next"][0]["text"]
    there = rows(shop)
    shop.wait_until(lambda: all(a > b for a, b in zip(rows(shop), there, strict=True)), 60, "rows")
    assert shop.path("/etc/shop/conf").read_text() == "port=80\n"
    drd(shop, "done", str(done["run"]), "--yes")


def test_a_check_that_sees_the_rows_of_an_application_that_was_not_stopped_says_so(
    shop: Machine,
) -> None:
    file = shop.path("/etc/drd/plans/shop.yaml")
    file.write_text(file.read_text().partition("runbook:\n")[0] + NOT_STOPPED)
    done = json.loads(drd(shop, *RECOVER, "--yes", "--json", code=4))
    verdict, observed = checks(done)["shop"]
    assert verdict == "failed"
    more = r"orders has [\d,]+ rows, [\d,]+ rows? more than at the backup: "
    assert re.search(more + r"does the application write already\?$", observed), observed
    assert "that is no reason to undo" in done["next"][0]["text"]
    restarts = [task["text"] for task in done["next"] if task["code"] == "restart"]
    assert len(restarts) == 1, done["next"]
    assert "shop.service" in restarts[0]


def test_a_directory_of_a_lower_layer_is_refused_before_the_application_stops(
    shop: Machine,
) -> None:
    """As one of the image of a container: the kernel renames none, which a recovery has to do."""
    file = shop.path("/etc/drd/plans/shop.yaml")
    text = file.read_text().partition("runbook:\n")[0]
    file.write_text(text.replace("paths: [/etc/shop]", "paths: [/etc/apt]"))
    drd(shop, "backup", "shop")
    before = shop.unit("InvocationID", "shop.service")
    refused = shop.run(DRD, *RECOVER, "--yes", check=False, timeout=240)
    assert refused.returncode == 1, refused
    assert (
        "/etc/apt is in a lower layer of an overlay file system, and cannot be renamed"
        in refused.stderr
    )
    assert shop.unit("InvocationID", "shop.service") == before
    way_out = (
        " ".join(refused.stderr.split()).partition("can be renamed: ")[2].partition(" drd:")[0]
    )
    assert way_out.startswith("cp -a /etc/apt /etc/apt.copy && "), refused.stderr
    shop.sh(way_out)
    done = shop.run(DRD, *RECOVER, "--yes", "--json", check=False, timeout=240)
    assert checks(json.loads(done.stdout))["shop-2"][0] == "passed", done
    assert not [p.name for p in shop.path("/etc").iterdir() if p.name.endswith(".rename")]

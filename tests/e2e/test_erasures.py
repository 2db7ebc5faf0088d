"""Who was erased after the restore point stays erased: docs/recovery.md, "Erasures since the point"."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from tests.e2e.site import SMALL, Site, small_site

_REPLAY = """#!/bin/sh
# What the register has since the data time of the point: times and ids of erased customers.
sqlite3 "$DRD_PATH" "create table if not exists erased_since (id integer primary key)"
while read -r at id; do
    [ "$at" \\< "$2" ] ||
        sqlite3 "$DRD_PATH" "insert or ignore into erased_since values ($id); delete from customers where id = $id"
done <{base}/register
"""

_CHECK = """
  - name: nobody who was erased is back
    kind: sql
    component: db
    query: select count(*) from customers where id in (select id from erased_since)
    expect: "== 0"
  - name: erasures were found
    kind: sql
    component: db
    query: select count(*) from erased_since
    expect: "== 1"
"""

_RUNBOOK = """
runbook:
  - {{name: data, restore: all}}
  - {{name: as-at-backup, check: [orders are there, row counts, configuration]}}
  - name: erasures
    command: {{run: [{base}/replay-erasures, --since, "${{data_time}}"], component: db}}
  - {{name: erased, check: [nobody who was erased is back, erasures were found]}}
"""


def write(site: Site, command: str) -> None:
    body = SMALL.format(base=site.base).replace("targets:", _CHECK.strip("\n") + "\ntargets:")
    runbook = _RUNBOOK.format(base=site.base).replace(f"{site.base}/replay-erasures", command)
    site.plan(body + runbook)


def customers(database: Path) -> set[int]:
    with sqlite3.connect(database) as connection:
        return {row[0] for row in connection.execute("select id from customers")}


def test_a_drill_proves_that_the_erased_stay_so_and_a_recovery_does_it(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    script = short_tmp / "replay-erasures"
    script.write_text(_REPLAY.format(base=short_tmp))
    script.chmod(0o755)
    live = short_tmp / "shop.db"
    known = customers(live)
    register = short_tmp / "register"
    register.write_text("2026-01-01T00:00:00Z 999\n")  # long before the point, which knows of it
    write(site, str(script))
    site.drd("backup", "shop")
    with sqlite3.connect(live) as connection:
        connection.execute("delete from customers where id = 1")
    with register.open("a") as lines:
        lines.write("2999-01-01T00:00:00Z 1\n")

    drill = site.drd("drill", "shop", "--json").json
    assert drill["result"] == "passed", drill
    assert customers(live) == known - {1}, "a rehearsal touches the copy alone"

    site.drd("recover", "shop", "--target", "standby", "--yes")
    assert customers(short_tmp / "back/shop.db") == known - {1}

    # The check can fail: one erasure is found and not carried out.
    found_only = script.with_name("finds-only")
    found_only.write_text(script.read_text().replace("; delete from customers where id = $id", ""))
    shutil.copymode(script, found_only)
    write(site, str(found_only))
    failed = site.drd("drill", "shop", "--json", code=4).json
    verdicts = {c["name"]: c["verdict"] for c in failed["checks"]}
    assert verdicts["nobody who was erased is back"] == "failed"
    site.assert_clean()

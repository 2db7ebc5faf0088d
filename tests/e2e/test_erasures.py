"""Who was erased after the restore point stays erased: docs/recovery.md, "Erasures since the
point"."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.e2e.site import SMALL, Site, small_site

_ERASURES = """
erasures:
  component: db
  register: {{file: {base}/register}}
  replay:
    sql: {replay}
  check:
    sql: select count(*) from customers where id in (select cast(id as integer) from drd_erased)
"""

_DELETE = "delete from customers where id in (select cast(id as integer) from drd_erased)"

CHECK = "erased people stay erased"


def write(site: Site, replay: str = _DELETE, register: str = "") -> None:
    erasures = _ERASURES.format(base=site.base, replay=replay)
    site.plan(SMALL.format(base=site.base) + erasures)


def customers(database: Path) -> set[int]:
    with sqlite3.connect(database) as connection:
        return {row[0] for row in connection.execute("select id from customers")}


def test_drills_prove_erasures_and_recoveries_apply_them(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    live = short_tmp / "shop.db"
    known = customers(live)
    register = short_tmp / "register"
    register.write_text("# who, and when\n2026-01-01T00:00:00Z 2\n")  # before the point
    write(site)
    site.drd("backup", "shop")
    with sqlite3.connect(live) as connection:
        connection.execute("delete from customers where id = 1")
    with register.open("a") as lines:
        lines.write("2999-01-01T00:00:00Z 1\n2999-01-01T00:00:00Z 1\n2999-01-01T00:00:00Z o'x\n")

    drill = site.drd("drill", "shop", "--json").json
    assert drill["result"] == "passed", drill
    [row] = [c for c in drill["checks"] if c["name"] == CHECK]
    assert row["verdict"] == "passed"
    assert row["observed"].startswith("drd repeated 2 erasures since ")
    assert drill["coverage"]["rehearsed"] == 3
    assert customers(live) == known - {1}, "a rehearsal touches the copy alone"

    # Nobody can tell who was erased: refused before anything is touched.
    register.rename(register.with_suffix(".away"))
    words = ("recover", "shop", "--target", "standby", "--yes")
    refused = site.drd(*words, code=1)
    assert f"cannot read the list of erased people {register}" in refused.err
    assert not (short_tmp / "back/shop.db").exists()
    register.with_suffix(".away").rename(register)

    told = site.drd(*words).out
    assert "2 erasures since " in told
    assert customers(short_tmp / "back/shop.db") == known - {1}
    with sqlite3.connect(short_tmp / "back/shop.db") as connection:
        tables = connection.execute("select name from sqlite_master where type = 'table'")
        assert {name for (name,) in tables} == {"customers", "orders"}

    # The check can fail: they are found and not erased.
    write(site, "update customers set name = name")
    failed = site.drd("drill", "shop", "--json", code=4).json
    [row] = [c for c in failed["checks"] if c["name"] == CHECK]
    assert row["verdict"] == "failed"
    assert row["observed"].endswith("; 1 of the erased people are in the restored data")
    site.assert_clean()

"""`drd diff`: what changed since a restore point, by tables, rows and files."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from tests.e2e.site import small_site


def test_diff_works_without_the_repository(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    point = str(site.drd("backup", "shop", "--json").json["point"])
    words = ("diff", "shop", "--point", point, "--component")

    same = site.drd(*words, "conf", "--json").json
    assert (same["equal"], same["files"], same["b"]["name"]) == (True, [], "live")

    with sqlite3.connect(short_tmp / "shop.db") as connection:
        [before] = connection.execute("select count(*) from orders").fetchone()
        connection.execute('create table "neu & ø" (x)')
        connection.execute("delete from orders where id = (select min(id) from orders)")
    odd = os.fsdecode(os.fsencode(short_tmp / "etc") + b"/caf\xe9")
    Path(odd).write_text("x")
    second = str(site.drd("backup", "shop", "--json").json["point"])
    shutil.rmtree(site.repository)

    found = site.drd(*words, "db", "--json").json
    assert found["equal"] is False
    assert {t["table"]: (t["change"], t["a_rows"], t["b_rows"]) for t in found["tables"]} == {
        "neu & ø": ("added", None, 0),
        "orders": ("rows", before, before - 1),
    }
    assert site.drd(*words, "db", "--json", "--with", second).json["tables"] == found["tables"]
    text = site.drd(*words, "conf", "--with", second).out
    assert "  added  " in text
    assert "/caf\\xe9" in text
    told = site.drd(*words, "dbx", code=2)
    assert "components of the plan: db, conf" in told.err
    assert "no restore point" in site.drd("diff", "shop", "-c", "db", "--point", "zz", code=13).err
    site.assert_clean()

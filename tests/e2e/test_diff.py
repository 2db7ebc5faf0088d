"""`drd diff`: what changed since a restore point, by tables, rows and files."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

from tests.e2e.site import Site, small_site
from tests.servers import PostgresServer, postgres_server, short_directory


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
    newest = site.drd("diff", "shop", "-c", "db", "--json").json
    assert (newest["a"]["name"], newest["tables"]) == (second, [])
    assert "choose one with --component: db, conf" in site.drd("diff", "shop", code=2).err
    text = site.drd(*words, "conf", "--with", second).out
    assert "  added  " in text
    assert "/caf\\xe9" in text
    told = site.drd(*words, "dbx", code=2)
    assert "choose one of the plan's components: db, conf" in told.err
    assert "no restore point" in site.drd("diff", "shop", "-c", "db", "--point", "zz", code=13).err
    site.assert_clean()


_SHOP = """
create table customers (id int primary key);
create table orders (id int primary key, customer int constraint of_customer references customers);
insert into customers values (1);
create view big as select * from customers;
create function f() returns trigger language plpgsql as 'begin return new; end';
create trigger tr before insert on customers for each row execute function f();
"""


def test_diff_names_lost_views_and_says_that_it_compares_no_foreign_keys(short_tmp: Path) -> None:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_server(base / "pg") as server,
    ):
        server.execute("create database shop")
        server.execute(_SHOP, "shop")
        site = Site(short_tmp / "host")
        site.plan(f'components:\n  db: {{kind: postgres, dsn: "{server.dsn("shop")}"}}\n')
        point = str(site.drd("backup", "shop", "--json").json["point"])
        words = ("diff", "shop", "--component", "db", "--point", point)
        assert site.drd(*words, "--json").json["relations"] == []
        alone = site.drd("diff", "shop", "--json").json
        assert (alone["component"], alone["a"]["name"]) == ("db", point)

        server.execute("drop table customers cascade", "shop")
        server.execute("create table customers as select 1 id", "shop")
        found = site.drd(*words, "--json").json
        assert (found["equal"], found["tables"]) == (False, [])
        lost = {"name": "public.big", "kind": "view", "change": "removed"}
        assert found["relations"] == [lost]
        assert "names of views" in found["compares"]
        assert {"constraints and foreign keys", "triggers"} <= set(found["not_compared"])
        text = site.drd(*words).out
        assert re.search(r"^  removed +public\.big +view$", text, re.MULTILINE)
        assert "1 difference, 2 tables compared\n" in text
        assert "not compared: columns, definitions of views, constraints and foreign keys," in (
            " ".join(text.split())
        )

        how = re.search(
            r"^to compare these as well, restore a copy with `drd (.*?)`", text, re.MULTILINE
        )
        assert how
        site.drd(*how[1].replace("NAME", "copy").split(), "--yes")
        schema = {name: _schema(server, name) for name in ("shop", "copy")}
        for gone in ("of_customer", "CREATE TRIGGER tr", "CREATE VIEW public.big"):
            assert (gone in schema["copy"], gone in schema["shop"]) == (True, False)


def _schema(server: PostgresServer, database: str) -> str:
    words = [str(server.bin_dir / "pg_dump"), "--schema-only", server.dsn(database)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout

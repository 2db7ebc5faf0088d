"""Single things come back: a component under another name, a table, files."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import Site, small_site
from tests.servers import PostgresServer

BESIDE = (
    "recover", "shop", "--in-place", "--component", "db", "--table", "ORDERS", "--into",
    "orders of yesterday", "--yes",
)  # fmt: skip


def rows(site: Site, table: str, name: str = "shop.db") -> list[Any]:
    with closing(sqlite3.connect(site.base / name)) as connection:
        return connection.execute(f'select rowid, * from "{table}"').fetchall()


def damaged(site: Site, journal: str = "wal") -> list[Any]:
    """Backed up, and then somebody deletes rows and edits files; the rows of before."""
    with closing(sqlite3.connect(site.base / "shop.db")) as connection:
        connection.execute(f"pragma journal_mode = {journal}").fetchall()
        connection.executescript(
            """
            create table lines (id integer primary key autoincrement, "or der" int constraint f
                references orders(id) on delete cascade not null, n text default 'references x(y)');
            create index lines_n on lines (n) where n > '';
            create trigger t after insert on lines begin select raise(abort, 'fired'); end;
            create view v as select * from lines;
            """
        )
    site.drd("backup", "shop")
    before = rows(site, "orders")
    with closing(sqlite3.connect(site.base / "shop.db")) as connection:
        connection.execute("delete from orders where id < 100")
        connection.commit()
    (site.base / "etc" / "app.conf").write_text("listen 1;\n")
    return before


@pytest.mark.parametrize("journal", ["wal", "delete", "persist"])
def test_a_table_comes_back_beside_the_live_one(short_tmp: Path, journal: str) -> None:
    site = small_site(short_tmp)
    before = damaged(site, journal)
    site.drd("drill", "shop")
    status = site.drd("status", "shop", "--json").json["plans"][0]
    live = rows(site, "orders")

    told = site.drd(*BESIDE[:-1], "--dry-run", "--json").json["single"]
    assert (told["tables"], told["into"]) == (["orders"], "orders of yesterday")
    assert told["live"]["things"] == [{"name": "orders", "a_rows": 1000, "b_rows": 901}]
    assert (
        "1,000 rows in the restore point, 901 rows in the live data"
        in site.drd(*BESIDE[:-1], "--dry-run").out
    )
    done = site.drd(*BESIDE, "--json").json
    assert rows(site, "orders of yesterday") == before
    assert rows(site, "orders") == live
    checks = {c["name"]: c["verdict"] for c in done["checks"]}
    assert checks == {
        "orders as at backup": "passed",
        "orders are there": "not_run",
        "row counts": "not_run",
    }
    assert [s["name"] for s in done["steps"]] == ["bring-back", "compare-it"]

    # A copy of the table with a foreign key, a trigger, an index: what is left out is told. It has
    # no row, and nobody said that it may have none: so nothing was compared.
    copy = site.drd(*BESIDE[:6], "lines", "--into", "lines_back", "--yes", "--json", code=5).json
    notes = copy["components"][0]["notes"]
    assert any("foreign key or der to orders is left out" in n for n in notes)
    assert any("drd left out triggers t" in n for n in notes)
    with closing(sqlite3.connect(site.base / "shop.db")) as connection:
        query = "select name, sql from sqlite_master where tbl_name = 'lines_back' and sql > ''"
        made = dict(connection.execute(query).fetchall())
        assert "references orders" not in made["lines_back"]
        assert "not null, n text default 'references x(y)'" in made["lines_back"]
        assert "lines_back_n" in made
        assert connection.execute("pragma foreign_key_check").fetchall() == []

    # What it took is nobody's measure for the service.
    after = site.drd("status", "shop", "--json").json["plans"][0]
    assert (after["rto"], after["drill"]["last_at"]) == (status["rto"], status["drill"]["last_at"])
    whole = site.drd("recover", "shop", "--target", "standby", "--dry-run", "--json").json
    assert whole["expected_s"] == status["rto"]["actual_s"]
    site.assert_clean()


def test_items_that_cannot_be_restored_alone_are_refused(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    damaged(site)
    table = BESIDE[:5]

    def refused(*words: str, code: int = 2) -> str:
        return site.drd(*words, "--yes", code=code).err

    assert "did you mean orders?" in refused(*table, "--table", "order", "--into", "x")
    assert 'already has an object "customers"' in refused(
        *table, "--table", "orders", "--into", "customers", code=1
    )
    assert "but --component is missing" in refused(*BESIDE[:3], "--into", "x")
    near = refused(*BESIDE[:3], "--path", f"{site.base}/etc/limits.conf", "--into", "/tmp/x")
    assert f"did you mean {site.base}/etc/conf.d/limits.conf?" in near

    # What is gone for longer is named with the last point that has it.
    last = site.points()[0]["point"]
    with closing(sqlite3.connect(site.base / "shop.db")) as connection:
        connection.executescript("drop view v; drop table lines")
    site.drd("backup", "shop")
    assert f"--point {last}" in refused(*table, "--table", "lines", "--into", "x")


def test_files_are_restored_to_the_given_directory(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    etc = site.base / "etc"
    odd = os.fsdecode(os.fsencode(etc / "conf.d") + b"/*caf\xe9 [x]")
    Path(odd).write_text("odd")
    Path(f"{etc}/conf.d/xcaf").write_text("not asked for")
    os.link(etc / "app.conf", etc / "conf.d" / "same")
    if os.geteuid() == 0:
        os.chown(etc / "app.conf", 1234, 2345)
    os.setxattr(etc / "app.conf", "user.note", b"kept")
    (etc / "app.conf").chmod(0o4640)
    damaged(site)
    words = ("recover", "shop", "--in-place", "--yes", "--json")

    # A name that is not UTF-8 is shown as text where it gives the comparison its name.
    alone = site.drd(*words, "--path", odd, "--into", f"{site.base}/alone").json
    (named,) = (check["name"] for check in alone["checks"] if check["verdict"] == "passed")
    shown = f"{etc}/conf.d/*caf\\xe9 [x]"
    assert named.removesuffix(" as at backup").removesuffix("…") in (shown, shown[:50])

    # Without its first slash, as some write it, and one that no pattern must be made of.
    asked = [w for p in (f"{etc}/app.conf"[1:], odd) for w in ("--path", p)]
    done = site.drd(*words, *asked, "--into", f"{site.base}/out").json
    assert done["result"] == "passed"
    out = site.base / "out"
    assert sorted(os.fsencode(p.name) for p in out.iterdir()) == [b"*caf\xe9 [x]", b"app.conf"]
    assert (out / "app.conf").read_text() == "listen 8080;\n"
    assert (out / "app.conf").stat().st_mode & 0o7777 == 0o4640
    assert os.getxattr(out / "app.conf", "user.note") == b"kept"
    if os.geteuid() == 0:
        assert (out / "app.conf").stat().st_uid == 1234

    # Nothing is overwritten unless that is said, and what is gone comes to its own place.
    assert (
        "exists already"
        in site.drd(*words, *asked, "--into", f"{site.base}/out", code=1).json["error"]["message"]
    )
    (etc / "conf.d" / "limits.conf").unlink()
    site.drd(*words, "--path", f"{etc}/conf.d/limits.conf")
    assert (etc / "conf.d" / "limits.conf").read_text() == "rate 100;\n"
    assert (etc / "app.conf").read_text() == "listen 1;\n"
    replaced = site.drd(*words, "--path", f"{etc}/app.conf", "--overwrite").json
    assert (etc / "app.conf").read_text() == "listen 8080;\n"
    assert [p["places"] for p in replaced["now_at"]] == [[f"{etc}/app.conf"]]
    assert [task["code"] for task in replaced["next"]] == ["application", "done"]
    (kept,) = replaced["aside"]
    assert Path(kept["kept"]).read_text() == "listen 1;\n"
    site.drd("undo", replaced["run"], "--yes")
    assert (etc / "app.conf").read_text() == "listen 1;\n"
    site.drd("undo", replaced["run"], "--redo", "--yes")
    assert (etc / "app.conf").read_text() == "listen 8080;\n"
    site.drd("done", replaced["run"], "--yes")

    # A directory, below the target's, and the whole tree beside it.
    site.drd(*words[:2], "--target", "standby", *words[3:], "--path", f"{etc}/conf.d")
    back = Path(f"{site.base}/back/etc{etc}/conf.d")
    assert sorted(os.fsencode(p.name) for p in back.iterdir()) == sorted(
        os.fsencode(p.name) for p in (etc / "conf.d").iterdir()
    )
    beside = ("--component", "conf", "--into", "etc of yesterday")
    site.drd(*words[:2], "--target", "standby", *words[3:], *beside)
    assert Path(f"{site.base}/back/etc of yesterday{etc}/app.conf").is_file()
    site.assert_clean()


@pytest.mark.parametrize(
    "moment",
    [
        "undone:restore db",
        pytest.param("before:restore db", marks=pytest.mark.faults),
        pytest.param("after:bring-back", marks=pytest.mark.faults),
    ],
)
def test_a_killed_table_restore_ends_with_one_complete_table(short_tmp: Path, moment: str) -> None:
    site = small_site(short_tmp)
    before = damaged(site)
    site.killed_at(moment, *BESIDE)
    assert site.drd(*BESIDE, "--json").json["result"] == "passed"
    assert rows(site, "orders of yesterday") == before
    assert [r["state"] for r in site.runs() if r["kind"] == "recovery"] == ["succeeded"]
    site.assert_clean()


@pytest.mark.faults
@pytest.mark.parametrize("moment", ["before:restore conf", "undone:restore conf"])
def test_a_killed_file_restore_ends_with_one_copy(short_tmp: Path, moment: str) -> None:
    site = small_site(short_tmp)
    damaged(site)
    words = [*["recover", "shop", "--in-place", "--yes", "--into"], f"{site.base}/out"]
    words += ["--path", f"{site.base}/etc/app.conf", "--path", f"{site.base}/etc/conf.d"]
    site.killed_at(moment, *words)
    assert site.drd(*words, "--json").json["result"] == "passed"
    assert sorted(p.name for p in (site.base / "out").iterdir()) == ["app.conf", "conf.d"]
    site.assert_clean()


POSTGRES = """
components:
  db: {{kind: postgres, dsn: "{dsn}"}}
targets:
  standby: {{db: {{dsn: "{dsn}"}}}}
"""


@pytest.mark.parametrize(
    "moment",
    [
        "undone:restore db",
        pytest.param("before:restore db", marks=pytest.mark.faults),
        pytest.param("after:restore db", marks=pytest.mark.faults),
    ],
)
def test_a_killed_postgres_table_restore_leaves_nothing_partial(
    short_tmp: Path, postgres: PostgresServer, moment: str
) -> None:
    name = f"single_{short_tmp.name[-8:]}".lower()
    postgres.execute(f'create database "{name}"')
    postgres.execute("create table o (id serial primary key, t text)", name)
    postgres.execute("insert into o (t) select 'ü' || i from generate_series(1, 2000) i", name)
    site = Site(short_tmp)
    site.plan(POSTGRES.format(dsn=postgres.dsn(name)))
    site.drd("backup", "shop")
    postgres.execute("delete from o where id % 2 = 0", name)
    words = ("recover", "shop", "--in-place", "--table", "o", "--into", "o_back", "--yes")
    site.killed_at(moment, *words)
    run = site.runs()[0]["run"]
    assert site.drd("resume", run, "--json").json["result"] == "passed"
    query = (
        "select count(*), count(distinct id), min(obj_description('o_back'::regclass)) from o_back"
    )
    assert postgres.execute(query, name) == [(2000, 2000, None)]

    # The whole of it beside that, under another name; then nothing of a run is left.
    beside = ("recover", "shop", "--target", "standby", "--into", f"{name}_back", "--yes")
    done = site.drd(*beside, "--json").json
    assert [c["name"] for c in done["checks"] if c["verdict"] == "passed"][-1] == "db as at backup"
    assert postgres.execute("select count(*) from o", f"{name}_back") == [(2000,)]
    assert postgres.execute("select count(*) from o", name) == [(1000,)]
    left = postgres.execute("select datname from pg_database where datname like 'drd\\_%'")
    left += postgres.execute("select nspname from pg_namespace where nspname like 'drd\\_%'", name)
    assert left == []
    site.assert_clean()

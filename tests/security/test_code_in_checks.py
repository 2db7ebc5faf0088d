"""The owner of a database puts a function where a check reads: behind a view, or in a schema that
stands before pg_catalog in the database's own search path. Whoever asks runs it with his rights.

With `--as-owner` nobody asks as a superuser: not a check, not a step, not a command, and not
after a recovery whose process was killed. Without it the recovery names what can be met, and what
only looks like the server's own is not called by mistake, nor at a backup.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.runbook_site import run_id
from tests.e2e.site import Site
from tests.servers import PostgresServer, postgres_server

_TABLES = """
set role app;
create schema app;
create table public.orders (id int primary key);
create table app.notes (id int primary key);
create table app.locked (id int primary key);
insert into public.orders select g from generate_series(1, 20) g;
insert into app.notes values (1);
insert into app.locked values (1);
alter table app.locked enable row level security, force row level security;
"""

_LEAK = """
set role app;
create function public.leak(v bigint) returns bigint language plpgsql as $f$
begin
  begin
    set session authorization default;
    set role none;
  exception when others then null;
  end;
  if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
    execute format('copy (select current_user) to program %L', 'cat > {loot}/$PPID');
  end if;
  return v;
exception when others then return v;
end $f$;
"""

_VIEW = """
set role app;
create view public.report as select public.leak(id) as id from public.orders;
create function public.calm(v int) returns bigint immutable language plpgsql as
  'begin return public.leak(v); end';
create index on public.orders ((public.calm(1) + id));
"""

_HIDDEN = """
set role app;
create schema evil;
create function evil.step(bigint) returns bigint language sql as 'select public.leak($1 + 1)';
create aggregate evil.count(*) (sfunc = evil.step, stype = bigint, initcond = '0');
alter database shop set search_path = evil, pg_catalog, public, app;
"""

_OWN_PATH = "alter database shop set search_path = public, app"

_PLAN = """
components:
  db: {{kind: postgres, dsn: {{file: {base}/secrets/source}}}}
targets:
  standby: {{db: {{dsn: {{file: {base}/secrets/target}}}}}}
"""

_ASKING = """
checks:
  - {{name: row counts, kind: rows, component: db}}
  - {{name: counted, kind: sql, component: db, query: select count(*) from orders,
      expect: within 10%}}
  - {{name: own schema, kind: sql, component: db, query: select max(id) from notes, expect: 1}}
  - {{name: by hand, kind: command, component: db, run: [psql, -XAtc, select count(*) from notes]}}
runbook:
  - {{name: data, restore: all}}
  - {{name: look, check: all}}
  - {{name: note, sql: {{component: db,
      query: "create table made as select count(*) from orders"}}}}
"""

_ALL = """
checks:
  - {{name: row counts, kind: rows, component: db}}
  - {{name: read, kind: sql, component: db, query: select count(id) from report, expect: "== 20"}}
  - {{name: counted, kind: sql, component: db, query: select count(*) from orders, expect: "> 0"}}
  - {{name: own schema, kind: sql, component: db, query: select max(id) from notes, expect: 1}}
runbook:
  - {{name: data, restore: all}}
  - {{name: look, check: all}}
  - name: note
    sql:
      component: db
      query: "create table public.made (id int); insert into public.made select id from report"
  - name: by-hand
    command: {{component: db, run: [psql, -XAtc, "select count(*), sum(id),
        session_user from report"]}}
"""


@dataclass
class Shop:
    site: Site
    source: PostgresServer
    target: PostgresServer
    loot: Path

    def take_loot(self) -> set[str]:
        """Who ran the function so far, of those who are superusers."""
        found = {p.read_text().strip() for p in self.loot.iterdir()}
        for file in self.loot.iterdir():
            file.unlink()
        return found

    def plan(self, asked: str) -> None:
        self.site.plan((_PLAN + asked).format(base=self.site.base))

    def backup(self) -> str:
        done = self.site.drd("backup", "shop")
        return done.out + done.err

    def recover(self, *options: str, code: int | None = 0) -> str:
        done = self.site.drd(
            "recover", "shop", "--target", "standby", "--no-undo", *options, code=code
        )
        return done.out + done.err

    def roles(self) -> list[tuple[str]]:
        return self.target.execute("select rolname::text from pg_roles where rolcanlogin")


@pytest.fixture
def shop(short_tmp: Path) -> Iterator[Shop]:
    with postgres_server(short_tmp / "s") as source, postgres_server(short_tmp / "t") as target:
        loot = short_tmp / "loot"
        loot.mkdir()
        loot.chmod(0o777)
        source.execute("create role app login")
        source.execute("create database shop owner app")
        source.execute(_TABLES, "shop")
        source.execute(_LEAK.format(loot=loot), "shop")
        site = Site(short_tmp)
        site.secret("source", source.dsn("shop"))
        site.secret("target", target.dsn("shop"))
        yield Shop(site, source, target, loot)
        site.assert_clean()


def assert_as_owner(shop: Shop) -> None:
    assert shop.take_loot() == set()
    assert len(shop.target.execute("select id from public.made", "shop")) == 20
    made = "select tableowner::text from pg_tables where tablename = 'made'"
    assert shop.target.execute(made, "shop") == [("app",)]
    assert sorted(shop.roles()) == [("app",), ("postgres",)], "its login is gone"


def test_checks_and_steps_after_a_restore_as_owner_run_nothing_as_superuser(shop: Shop) -> None:
    shop.source.execute(_VIEW + _HIDDEN, "shop")
    shop.plan(_ALL)
    shop.backup()
    shop.take_loot()
    told = shop.recover("--as-owner", "--yes")
    assert_as_owner(shop)
    assert "by row-level security" in told, "what not even its owner may count is said"
    [(printed,)] = shop.site.catalogue("select result from steps where name = 'by-hand'")
    assert f"20|210|drd_{run_id(shop.site)}_owner" in printed
    # It is no empty replay: whoever does without it runs the function as a superuser.
    shop.recover("--overwrite", "--yes")
    assert shop.take_loot() == {"postgres"}


def test_a_killed_recovery_as_owner_goes_on_as_owner(shop: Shop) -> None:
    shop.source.execute(_VIEW + _OWN_PATH, "shop")
    shop.plan(_ALL)
    shop.backup()
    shop.take_loot()
    words = ("recover", "shop", "--target", "standby", "--no-undo", "--as-owner", "--yes")
    shop.site.killed_at("before:note", *words)
    assert len(shop.roles()) == 3, "its login was in use"
    shop.site.drd("resume", run_id(shop.site))
    assert_as_owner(shop)
    # And one that is given up leaves no login.
    shop.site.killed_at("before:note", *words, "--overwrite")
    shop.recover("--as-owner", "--yes", "--overwrite")
    assert_as_owner(shop)


def test_functions_shadowing_the_servers_are_reported_not_called(shop: Shop) -> None:
    shop.source.execute(_HIDDEN, "shop")
    shop.plan(_ASKING)
    named = "aggregate evil.count(*) of app, which has the name of a function of the server"
    path = "the search path has evil before pg_catalog"
    told = shop.backup()
    assert "postgres is a superuser, and drd's counts and queries at each backup may run" in told
    assert named in told
    assert path in told
    assert shop.take_loot() == set(), "the source was asked for what it counts itself"
    told = shop.recover("--dry-run")
    assert (
        f"would run as superuser postgres if a check, a step or a command uses it: {named}" in told
    )
    assert path in told
    assert "--as-owner restores with the rights" in told
    shop.recover("--yes")
    assert shop.take_loot() == set()
    found = "select setconfig from pg_db_role_setting where setdatabase <> 0"
    [(settings,)] = shop.target.execute(found)
    assert settings == ["search_path=evil, pg_catalog, public, app"], (
        "the setting itself is as it was"
    )


def test_views_and_functions_that_a_check_may_use_are_reported(shop: Shop) -> None:
    shop.source.execute(
        _VIEW
        + """
        create function public.helper(int) returns int language sql as 'select 1';
        create function public.noted() returns trigger language plpgsql as 'begin return new; end';
        create function public.lower(varchar) returns text language sql as 'select 1::text';
        create operator public.= (function = int4eq, leftarg = int, rightarg = int);
        """,
        "shop",
    )
    shop.plan(_ALL)
    told = shop.backup()
    assert "function public.calm(v integer) of app (index public.orders_expr_idx)" in told
    told = shop.recover("--dry-run")
    restored, _, used = told.partition("if a check, a step or a command uses it: ")
    assert "function public.calm(v integer) of app (index public.orders_expr_idx)" in restored
    same = "which has the name of a function of the server"
    assert f"function public.lower(character varying) of app, {same}" in used
    assert "operator public.= of app, which has the name of a function of the server" in used
    assert "view public.report of app" in used
    assert "3 functions of app" in used


def test_a_harmless_search_path_is_not_reported(shop: Shop) -> None:
    """The healthy twin: checks find the tables where the database's setting says that they are."""
    shop.source.execute("drop function leak(bigint)", "shop")
    shop.source.execute(_OWN_PATH, "shop")
    shop.plan(_ASKING)
    assert "superuser" not in shop.backup()
    assert "superuser" not in shop.recover("--dry-run")
    shop.recover("--yes")
    assert shop.target.execute("select * from public.made", "shop") == [(20,)]

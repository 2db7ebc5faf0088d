"""The owner of a database puts a function where a check reads: behind a view, or in a schema that stands
before pg_catalog in the database's own search path. Whoever asks runs it with his rights.

With `--as-owner` nobody asks as a superuser: not a check, not a step, not a command, and not
after a recovery whose process was killed.
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

_PLAN = """
components:
  db: {{kind: postgres, dsn: {{file: {base}/secrets/source}}}}
checks:
  - {{name: row counts, kind: rows, component: db}}
  - {{name: read, kind: sql, component: db, query: select count(id) from report, expect: "== 20"}}
  - {{name: counted, kind: sql, component: db, query: select count(*) from orders, expect: "> 0"}}
  - {{name: own schema, kind: sql, component: db, query: select max(id) from notes, expect: 1}}
targets:
  standby: {{db: {{dsn: {{file: {base}/secrets/target}}}}}}
runbook:
  - {{name: data, restore: all}}
  - {{name: look, check: all}}
  - name: note
    sql:
      component: db
      query: "create table public.made (id int); insert into public.made select id from report"
  - name: by-hand
    command: {{component: db, run: [psql, -XAtc, "select count(*), sum(id), session_user from report"]}}
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

    def backup(self) -> None:
        self.site.drd("backup", "shop")
        self.take_loot()

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
        site.plan(_PLAN.format(base=short_tmp))
        yield Shop(site, source, target, loot)
        site.assert_clean()


def assert_as_owner(shop: Shop) -> None:
    assert shop.take_loot() == set()
    assert len(shop.target.execute("select id from public.made", "shop")) == 20
    made = "select tableowner::text from pg_tables where tablename = 'made'"
    assert shop.target.execute(made, "shop") == [("app",)]
    assert sorted(shop.roles()) == [("app",), ("postgres",)], "its login is gone"


def test_checks_and_steps_after_a_restore_as_owner_run_nothing_as_superuser(shop: Shop) -> None:
    shop.source.execute(_HIDDEN, "shop")
    shop.backup()
    told = shop.recover("--as-owner", "--yes")
    assert_as_owner(shop)
    assert "by row-level security" in told, "what not even its owner may count is said"
    [(printed,)] = shop.site.catalogue("select result from steps where name = 'by-hand'")
    assert f"20|210|drd_{run_id(shop.site)}_owner" in printed
    # It is no empty replay: whoever does without it runs the function as a superuser.
    shop.recover("--overwrite", "--yes")
    assert shop.take_loot() == {"postgres"}


def test_a_killed_recovery_as_owner_goes_on_as_owner(shop: Shop) -> None:
    shop.source.execute("alter database shop set search_path = public, app", "shop")
    shop.backup()
    words = ("recover", "shop", "--target", "standby", "--no-undo", "--as-owner", "--yes")
    shop.site.killed_at("before:note", *words)
    assert len(shop.roles()) == 3, "its login was in use"
    shop.site.drd("resume", run_id(shop.site))
    assert_as_owner(shop)
    # And one that is given up leaves no login.
    shop.site.killed_at("before:note", *words, "--overwrite")
    shop.recover("--as-owner", "--yes", "--overwrite")
    assert_as_owner(shop)

"""The owner of a database puts a function into a CHECK that runs a program when a superuser
restores.

The recovery says so before it asks, and `--as-owner` restores with the owner's rights: also a
function that takes SET ROLE back finds no superuser behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import Site
from tests.security.forging import FORGED, forge
from tests.servers import PostgresServer, postgres_server

_ATTACK = """
set role app;
create function public.leak(text) returns boolean language plpgsql as $f$
begin
  begin
    execute 'reset session authorization';
    execute 'reset role';
  exception when others then null;
  end;
  begin
    execute format('copy (select current_user) to program %L', 'cat > {loot}/$PPID');
  exception when others then null;
  end;
  return true;
end $f$;
create table public.orders (id int primary key, name text check (public.leak(name)));
create table public.more (id int, twice int generated always as (id * 2) stored);
create index orders_name on public.orders (lower(name));
grant select on public.orders to reader;
insert into public.orders select g, 'order ' || g from generate_series(1, 20) g;
insert into public.more (id) select generate_series(1, 5);
"""

_PLAN = """
components:
  db: {{kind: postgres, dsn: {{file: {base}/secrets/source}}}}
checks:
  - {{name: row counts, kind: rows, component: db}}
targets:
  standby: {{db: {{dsn: {{file: {base}/secrets/target}}}}}}
"""


@dataclass
class Attacked:
    site: Site
    source: PostgresServer
    target: PostgresServer
    loot: Path

    def looted(self) -> list[str]:
        return sorted(p.read_text().strip() for p in self.loot.iterdir())

    def recover(self, *options: str, code: int = 0) -> str:
        done = self.site.drd(
            "recover", "shop", "--target", "standby", "--no-undo", *options, code=code
        )
        return done.out + done.err


@pytest.fixture
def attacked(short_tmp: Path) -> Iterator[Attacked]:
    with postgres_server(short_tmp / "s") as source, postgres_server(short_tmp / "t") as target:
        site = Site(short_tmp)
        loot = short_tmp / "loot"
        loot.mkdir()
        loot.chmod(0o777)
        source.execute("create role app login; create role reader")
        source.execute("create database shop owner app")
        source.execute(_ATTACK.format(loot=loot), "shop")
        site.secret("source", source.dsn("shop"))
        site.secret("target", target.dsn("shop"))
        site.plan(_PLAN.format(base=short_tmp))
        site.drd("backup", "shop")
        for file in loot.iterdir():  # what it did where it was made
            file.unlink()
        yield Attacked(site, source, target, loot)
        site.assert_clean()


def test_recovery_says_what_of_others_would_run_as_superuser(attacked: Attacked) -> None:
    told = attacked.recover("--dry-run")
    assert "would run as superuser postgres during the restore" in told
    assert "function public.leak(text) of app" in told
    assert "of app" in told
    assert "--as-owner" in told
    assert attacked.looted() == []
    one = ("--table", "public.orders", "--into", "copy")
    refused = attacked.recover(*one, "--as-owner", "--dry-run", code=2)
    assert "--as-owner does not work with single tables" in refused
    # It is no empty warning: whoever goes on all the same runs it.
    attacked.recover("--yes")
    assert set(attacked.looted()) == {"postgres"}
    for file in attacked.loot.iterdir():
        file.unlink()
    # A single table runs it as well.
    told = attacked.recover(*one, "--dry-run")
    short = "the dump contains code of app, which runs as superuser postgres during the restore"
    assert short in told
    assert (
        "to avoid this, restore the whole database beside this one: --into NAME --as-owne" in told
    )
    assert attacked.looted() == []
    attacked.recover(*one, "--yes")
    assert set(attacked.looted()) == {"postgres"}


def test_restored_as_its_owner_nothing_of_it_runs_as_superuser(attacked: Attacked) -> None:
    told = attacked.recover("--as-owner", "--yes")
    assert "would run as superuser" not in told
    assert attacked.looted() == []
    target = attacked.target
    assert target.execute("select count(*) from orders", "shop") == [(20,)]
    assert target.execute("select sum(twice) from more", "shop") == [(30,)]
    owners = "select distinct tableowner from pg_tables where schemaname = 'public'"
    assert target.execute(owners, "shop") == [("app",)]
    granted = "select has_table_privilege('reader', 'orders', 'select')"
    assert target.execute(granted, "shop") == [(True,)]
    database = "select pg_get_userbyid(datdba) from pg_database where datname = 'shop'"
    assert target.execute(database) == [("app",)]
    roles = "select rolname::text from pg_roles where rolcanlogin order by 1"
    assert target.execute(roles) == [("app",), ("postgres",)], "its login is gone"


def test_recovery_says_which_roles_it_would_make_with_rights_over_the_server(
    attacked: Attacked,
) -> None:
    """Whoever has the repository's key can store a point that names roles of his own."""
    title = "the recovery would create roles with rights beyond this database:"
    assert title not in attacked.recover("--dry-run"), "the healthy twin: app and reader have none"

    def add(manifest: dict[str, Any]) -> None:
        saved = manifest["private"]["db"]["globals"]
        like = next(r for r in saved["roles"] if r["name"] == "app")
        grant = {"admin": False, "inherit": True, "set": True, "grantor": "postgres"}
        saved["roles"] += [
            {**like, "name": "mallory", "superuser": True, "login": True},
            {**like, "name": "eve"},
        ]
        saved["memberships"].append({"role": "postgres", "member": "eve", **grant})

    [point] = attacked.site.points()
    forge(attacked.site, point["point"], add)
    attacked.site.drd("catalogue", "rebuild")
    for words in (("--dry-run",), ("--dry-run", "--as-owner")):
        told = attacked.recover("--point", FORGED, *words)
        assert f"{title} mallory (SUPERUSER), eve (member of postgres)" in told
    assert title not in attacked.recover("--point", FORGED, "--dry-run", "--no-owner")
    assert attacked.target.execute("select 1 from pg_roles where rolname = 'mallory'") == []


def test_a_database_of_superusers_alone_is_not_warned_about(attacked: Attacked) -> None:
    """The healthy twin."""
    attacked.source.execute(
        "reassign owned by app to postgres; alter function leak(text) owner to postgres", "shop"
    )
    attacked.source.execute("alter database shop owner to postgres")
    attacked.site.drd("backup", "shop")
    assert "would run as superuser" not in attacked.recover("--dry-run")
    refused = attacked.recover("--as-owner", "--yes", code=1)
    assert "has the rights of superuser postgres" in refused
    assert "cannot be combined" in attacked.recover("--as-owner", "--no-owner", code=2)

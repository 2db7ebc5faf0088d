"""Components whose client programs run in a container."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import yaml

from drd.kinds.postgres.tools import programs_for
from drd.kinds.redis.client import connected
from drd.kinds.redis.discovery import valkey_found
from drd.kinds.redis.settings import ServerSettings
from drd.process import container_of
from tests.e2e.site import Site
from tests.servers import MariadbServer, PostgresServer
from tests.servers.podman import PodmanContainer, podman_container
from tests.servers.postgres import left_as_found
from tests.servers.redis import RedisServer

_PLAN = """
components:
  shop-db:
    kind: postgres
    dsn: {shop}
    bin_dir: /only-inside/bin
    fingerprint: digest
    in: {{container: {container}, engine: podman}}
  carts:
    kind: mariadb
    dsn: {carts}
    bin_dir: /only-inside/usr-bin
    fingerprint: digest
    in: {{container: {container}, engine: podman}}
  sessions:
    kind: valkey
    url: unix:///only-inside/valkey/live.s
    bin_dir: /only-inside/usr-bin
    dir: {sessions}
    in: {{container: {container}, engine: podman}}
checks:
  - {{name: rows, kind: rows, component: shop-db}}
  - {{name: orders, kind: sql, component: shop-db, query: select count(*) from orders, expect: 3}}
  - {{name: carts, kind: sql, component: carts, query: select count(*) from carts, expect: 2}}
  - {{name: sessions, kind: rows, component: sessions}}
"""


_VARIABLES = {
    "PGHOSTADDR": "192.0.2.1",
    "PGSERVICE": "elsewhere",
    "PGOPTIONS": "-c default_transaction_read_only=on",
    "PGCLIENTENCODING": "LATIN1",
    "MYSQL_HOST": "192.0.2.1",
    "MYSQL_PWD": "wrong",
    "MARIADB_HOST": "192.0.2.1",
    "REDISCLI_AUTH": "wrong",
    "ODD": "a value of\nexport PG;more\nlines",
}
"""Variables of the container for its own programs, some of which change what clients do."""

_CARTS = "mariadb://root@/{}?socket=/run/mysqld/mysqld.sock"


@dataclass(frozen=True)
class Servers:
    """Three servers of this host, whose sockets are in the container at other places."""

    postgres: PostgresServer
    mariadb: MariadbServer
    valkey: RedisServer
    container: PodmanContainer


@pytest.fixture(scope="module")
def servers(
    lasting_postgres: PostgresServer,
    mariadb: MariadbServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Servers]:
    if os.geteuid() != 0:
        pytest.skip("only root can make a container of this host's own root")
    base = tmp_path_factory.mktemp("podman")
    valkey = RedisServer(base / "valkey/live", "valkey")
    mounts = {
        "/only-inside/bin": str(programs_for(17, "pg_dump", bin_dir=None).directory),
        "/only-inside/usr-bin": "/usr/bin",
        "/run/mysqld/mysqld.sock": str(mariadb.socket),
        "/only-inside/valkey": str(base / "valkey"),
        "/var/run/postgresql": str(lasting_postgres.socket_dir),
    }
    try:
        with podman_container(base / "engine", mounts, _VARIABLES) as container:
            yield Servers(lasting_postgres, mariadb, valkey, container)
    finally:
        valkey.stop()


@pytest.fixture
def shop(servers: Servers) -> Iterator[str]:
    """The name of a database of both servers."""
    name = f"shop_{uuid4().hex[:8]}"
    with left_as_found(servers.postgres):
        servers.postgres.execute(f"CREATE DATABASE {name}")
        servers.postgres.execute(
            "CREATE TABLE orders (id INT PRIMARY KEY, total INT);"
            "INSERT INTO orders VALUES (1, 10), (2, 20), (3, 30)",
            name,
        )
        servers.mariadb.execute(f"CREATE DATABASE {name}")
        servers.mariadb.execute(
            "CREATE TABLE carts (id INT PRIMARY KEY, note TEXT)",
            "INSERT INTO carts VALUES (1, 'a'), (2, 'b')",
            database=name,
        )
        servers.valkey.ask("SET", "session", "1")
        yield name
    listed = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA"
    for (database,) in servers.mariadb.execute(listed):
        if database == name or "carts" in database:
            servers.mariadb.execute(f"DROP DATABASE `{database}`")


@pytest.fixture
def site(short_tmp: Path, servers: Servers, shop: str) -> Site:
    made = Site(short_tmp, environment=servers.container.environment)
    made.plan(
        _PLAN.format(
            shop=_dsn(servers.postgres, shop),
            carts=_CARTS.format(shop),
            sessions=servers.valkey.directory,
            container=servers.container.name,
        )
    )
    return made


def _dsn(postgres: PostgresServer, database: str) -> str:
    return f"postgresql://postgres@/{database}?port={postgres.port}"


def test_databases_are_dumped_and_loaded_in_their_container(
    site: Site, servers: Servers, shop: str
) -> None:
    """Neither the programs nor the sockets of the plan exist outside the container."""
    postgres, mariadb = servers.postgres, servers.mariadb
    there = {"container": servers.container.name, "engine": "podman"}
    empty = f"{shop} it's empty"
    postgres.execute(f'CREATE DATABASE "{empty}"')
    new = site.drd("plan", "new", "--no-sqlite", "--name", "new", "--output", "-").out
    assert _found(new, empty) == []
    words = " ".join(new.replace("\n#  ", "").split())
    assert f"drd left out the database {empty}, because it contains no table" in words
    assert _found(new, shop) == [
        {"kind": "postgres", "dsn": _dsn(postgres, shop), "in": there},
        {"kind": "mariadb", "dsn": _CARTS.format(shop), "in": there},
    ]
    told = site.drd("doctor", "shop", code=None).out
    assert f"the container {servers.container.name} of podman runs" in told
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    site.assert_clean()
    postgres.execute("DELETE FROM orders WHERE id = 3", shop)
    mariadb.execute("DELETE FROM carts", database=shop)
    parts = ("--component", "shop-db", "--component", "carts", "--overwrite", "--yes", "--json")
    done = site.drd("recover", "shop", "--in-place", *parts).json
    assert postgres.execute("SELECT count(*) FROM orders", shop) == [(3,)]
    assert mariadb.execute("SELECT note FROM carts", database=shop) == [("a",), ("b",)]
    site.drd("undo", str(done["run"]), "--yes")
    assert postgres.execute("SELECT count(*) FROM orders", shop) == [(2,)]
    assert mariadb.execute("SELECT note FROM carts", database=shop) == []
    site.drd("done", str(done["run"]), "--yes")
    site.assert_clean()
    part = ("--component", "shop-db", "--into", f"{shop}_copy", "--table", "orders", "--yes")
    told = site.drd("recover", "shop", "--in-place", *part, code=2).err
    assert "drd cannot restore single tables into a server in a container" in told


def test_the_script_of_rights_runs_in_the_container(
    short_tmp: Path, servers: Servers, shop: str
) -> None:
    site = Site(short_tmp, environment=servers.container.environment)
    there = f"{{container: {servers.container.name}, engine: podman}}"
    address = f"mariadb://drd_inside@/{shop}?socket=/run/mysqld/mysqld.sock"
    parts = f"kind: mariadb, dsn: '{address}', bin_dir: /only-inside/usr-bin, in: {there}"
    site.plan(f"""
components:
  carts: {{{parts}}}
checks:
  - {{name: rows, kind: rows, component: carts}}
""")
    refused = " ".join(site.drd("doctor", "shop", code=1).out.split())
    assert "drd logs in from the system user root" in refused
    assert "run the script that `drd doctor shop --grants` prints" in refused
    script = site.drd("doctor", "shop", "--grants").out
    first, enter = script.partition("\n")[0], f"podman exec -i {servers.container.name} "
    program = first.partition(" | ")[2]
    assert program == f"{enter}mariadb --batch --user=root --host=localhost"
    password = "${MARIADB_ROOT_PASSWORD:-$MYSQL_ROOT_PASSWORD}"
    assert f'{enter}sh -c \'MYSQL_PWD="{password}" exec mariadb ' in script
    given = program.removeprefix(enter).split()[1:]
    words = [*enter.split(), "/only-inside/usr-bin/mariadb", *given]
    words[2:2] = ["-e", "MYSQL_PWD="]  # no image sets it; here it is wrong
    environment = {**os.environ, **servers.container.environment}
    try:
        subprocess.run(words, input=script, text=True, check=True, env=environment)
        assert "refuses the login" not in site.drd("doctor", "shop", code=None).out
        site.drd("backup", "shop")
    finally:
        servers.mariadb.execute("DROP USER IF EXISTS drd_inside@localhost")


def _found(plan: str, database: str) -> list[dict[str, Any]]:
    """The components of a new plan that have this database in a container."""
    components: dict[str, dict[str, Any]] = yaml.safe_load(plan)["components"]
    found = (c for c in components.values() if "in" in c and f"/{database}?" in c["dsn"])
    return [{key: component[key] for key in ("kind", "dsn", "in")} for component in found]


def test_a_new_plan_names_the_container_of_a_server(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in servers.container.environment.items():
        monkeypatch.setenv(name, value)
    words = ["valkey-server", "--port", "0", "--unixsocket", "/run/inside.s", "--save", ""]
    name = servers.container.name
    servers.container.podman("exec", "-d", "-w", "/run", name, *words)
    try:
        deadline = time.monotonic() + 30
        while "/run/inside.s" not in servers.container.processes():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        wishes, _ = valkey_found()
        (keys,) = [
            made for wish in wishes if (made := dict(wish.keys([], "")))["url"].endswith("inside.s")
        ]
        placed = {"container": name, "engine": "podman"}
        keys.pop("#")
        assert keys == {"url": "unix:///run/inside.s", "in": placed}
        settings = ServerSettings.model_validate(keys)
        with connected(settings, container_of(settings)) as client:
            assert client.ask("PING") == b"PONG"
    finally:
        servers.container.podman("exec", name, "pkill", "-f", "inside.s")


def test_a_backup_says_that_its_container_was_replaced_meanwhile(
    site: Site, servers: Servers, shop: str
) -> None:
    with psycopg.connect(servers.postgres.dsn(shop)) as holder:
        holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        backup = site.start("backup", "shop")
        _wait_until(lambda: "pg_dump --format" in servers.container.processes())
        servers.container.replace_by_another()
        holder.rollback()
        said, complaint = backup.communicate(timeout=300)
    told = f"{said}{complaint}"
    assert f"the container {servers.container.name} of podman was replaced meanwhile" in told
    assert backup.returncode == 1
    points = site.drd("points", "shop", "--json").json["points"]
    assert all(not point["complete"] for point in points)
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    site.assert_clean()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_drd_ends_the_program_in_the_container(
    site: Site, servers: Servers, shop: str, end: signal.Signals
) -> None:
    with psycopg.connect(servers.postgres.dsn(shop)) as holder:
        holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        backup = site.start("backup", "shop")
        _wait_until(lambda: "pg_dump --format" in servers.container.processes())
        os.kill(backup.pid, end)
        backup.wait()
        _wait_until(lambda: "pg_dump --format" not in servers.container.processes())
    if end == signal.SIGTERM:  # drd has stopped restic, and waited for it
        site.assert_clean()
    site.assert_nothing_runs()
    # After kill -9 nobody reads what restic writes while it removes its lock. It may die of that
    # before it has removed the lock, and then the next backup does it.
    assert site.drd("backup", "shop", "--json").json["state"] == "succeeded"
    ended = {signal.SIGKILL: "interrupted", signal.SIGTERM: "cancelled"}[end]
    assert [r["state"] for r in site.runs()] == ["succeeded", ended]
    assert len(site.points()) == 1
    site.assert_clean()


def _wait_until(found: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not found():
        assert time.monotonic() < limit
        time.sleep(0.1)

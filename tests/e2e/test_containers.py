"""Components whose client programs run in a container."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import yaml

from drd.kinds.postgres.tools import programs_for
from tests.e2e.site import Site
from tests.servers import PostgresServer
from tests.servers.podman import PodmanContainer, podman_container
from tests.servers.postgres import left_as_found

_PLAN = """
components:
  shop-db:
    kind: postgres
    dsn: {dsn}
    bin_dir: /only-inside/bin
    fingerprint: digest
    in: {{container: {container}, engine: podman}}
checks:
  - {{name: rows, kind: rows, component: shop-db}}
  - {{name: orders, kind: sql, component: shop-db, query: select count(*) from orders, expect: 3}}
"""


@pytest.fixture(scope="module")
def container(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PodmanContainer]:
    programs = programs_for(17, "pg_dump", bin_dir=None).directory
    mounts = {"/only-inside/bin": str(programs), "/var/run/postgresql": str(postgres.socket_dir)}
    with podman_container(tmp_path_factory.mktemp("podman"), mounts) as made:
        yield made


@pytest.fixture
def site(short_tmp: Path, container: PodmanContainer) -> Site:
    return Site(short_tmp, environment=container.environment)


@pytest.fixture
def shop(postgres: PostgresServer) -> Iterator[str]:
    name = f"shop_{uuid4().hex[:8]}"
    with left_as_found(postgres):
        postgres.execute(f"CREATE DATABASE {name}")
        postgres.execute(
            "CREATE TABLE orders (id INT PRIMARY KEY, total INT);"
            "INSERT INTO orders VALUES (1, 10), (2, 20), (3, 30)",
            name,
        )
        yield name


def _dsn(postgres: PostgresServer, database: str) -> str:
    return f"postgresql://postgres@/{database}?port={postgres.port}"


def test_a_database_is_dumped_and_loaded_in_its_container(
    site: Site, postgres: PostgresServer, shop: str, container: PodmanContainer
) -> None:
    """Neither the programs nor the socket of the plan exist outside the container."""
    site.plan(_PLAN.format(dsn=_dsn(postgres, shop), container=container.name))
    words = ("--no-sqlite", "--no-mariadb", "--name", "new", "--output", "-")
    assert _found(site.drd("plan", "new", *words).out, shop) == {
        "kind": "postgres",
        "dsn": _dsn(postgres, shop),
        "in": {"container": container.name, "engine": "podman"},
    }
    told = site.drd("doctor", "shop", code=None).out
    assert f"the container {container.name} of podman runs" in told
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    site.assert_clean()
    postgres.execute("DELETE FROM orders WHERE id = 3", shop)
    done = site.drd("recover", "shop", "--in-place", "--overwrite", "--yes", "--json").json
    assert postgres.execute("SELECT count(*) FROM orders", shop) == [(3,)]
    site.drd("undo", str(done["run"]), "--yes")
    assert postgres.execute("SELECT count(*) FROM orders", shop) == [(2,)]
    site.drd("done", str(done["run"]), "--yes")
    site.assert_clean()
    postgres.execute("CREATE INDEX broken ON orders (total)", shop)
    part = ("--component", "shop-db", "--into", f"{shop}_copy", "--yes")
    told = site.drd("recover", "shop", "--in-place", *part, "--table", "orders", code=2).err
    assert "drd cannot restore single tables into a server in a container" in told


def _found(plan: str, database: str) -> dict[str, Any]:
    """The component of a new plan that has this database in a container."""
    components: dict[str, dict[str, Any]] = yaml.safe_load(plan)["components"]
    (found,) = (c for c in components.values() if "in" in c and f"/{database}?" in c["dsn"])
    return {key: found[key] for key in ("kind", "dsn", "in")}


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_drd_ends_the_program_in_the_container(
    site: Site, postgres: PostgresServer, shop: str, container: PodmanContainer, end: signal.Signals
) -> None:
    site.plan(_PLAN.format(dsn=_dsn(postgres, shop), container=container.name))
    with psycopg.connect(postgres.dsn(shop)) as holder:
        holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        backup = site.start("backup", "shop")
        _wait_until(lambda: "pg_dump --format" in container.processes())
        os.kill(backup.pid, end)
        backup.wait()
        _wait_until(lambda: "pg_dump --format" not in container.processes())
    site.drd("status", "shop", code=None)
    site.assert_clean(settled=False)


def _wait_until(found: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not found():
        assert time.monotonic() < limit
        time.sleep(0.1)

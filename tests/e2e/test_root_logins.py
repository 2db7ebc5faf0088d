"""Root recovers single databases and tables into servers that let in system users without a
password, by the logins and rights that `drd doctor --grants` prints.

The state is the service user's, and so is the login in the dsn: backups of root and the doctor
worked, and the first recovery was refused.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.one_database import HERE, ask, plan_of
from tests.e2e.site import Site
from tests.security.test_root_rights import owned
from tests.servers import (
    MariadbServer,
    PostgresServer,
    mariadb_server,
    postgres_server,
    short_directory,
)
from tests.user_support import as_root

pytestmark = as_root

OWNER = "games"
TABLE = ("--table", "shop.public.orders", "--into", "orders_then")
DATABASE = ("--database", "shop", "--into", "shop_then")


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_server(base / "pg") as server,
    ):
        (server.data_dir / "pg_hba.conf").write_text(
            "local all postgres trust\nlocal replication games peer\nlocal all all peer\n"
        )
        server.execute("select pg_reload_conf()")
        server.execute("create role clerk")
        server.execute("create database stock")
        server.execute("create database shop owner clerk")
        server.execute("create table items as select generate_series(1, 50) n", "stock")
        made = "create table orders as select generate_series(1, 300) id"
        server.execute(f"{made}; alter table orders owner to clerk", "shop")
        yield server


@pytest.fixture
def mariadb() -> Iterator[MariadbServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        mariadb_server(base / "m") as server,
    ):
        server.execute("create database stock", "create database shop")
        server.execute("create table items as select seq n from seq_1_to_50", database="stock")
        server.execute("create table orders as select seq id from seq_1_to_300", database="shop")
        _readable(server)
        yield server


def _readable(server: MariadbServer) -> None:
    """Let everybody read the files, as the group of a server may on a host of a user."""
    subprocess.run(["chmod", "-R", "a+rX", server.directory / "data"], check=True)


def _site(server: PostgresServer | MariadbServer, settings: str, base: Path) -> Site:
    site = Site(base / "s")
    plan = plan_of(server, settings, base / "back")
    of_server = server.dsn("stock")
    site.plan(plan.replace(of_server, server.dsn("stock", OWNER)))
    _own(site)
    return site


def _own(site: Site) -> None:
    for name in ("state", "work", "cache", "repo"):
        owned(site.base / name)


def _script(server: PostgresServer | MariadbServer, sql: str) -> None:
    """Run it as an administrator."""
    words = (
        f"psql -X -q -h {server.socket_dir} -p {server.port} -U postgres -d postgres -f -".split()
        if isinstance(server, PostgresServer)
        else ["mariadb", "--no-defaults", "-uroot", f"--socket={server.socket}"]
    )
    done = subprocess.run(words, input=sql, text=True, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_root_recovers_into_a_server_that_lets_in_only_the_services_user(
    postgres: PostgresServer, short_tmp: Path
) -> None:
    site = _site(postgres, "kind: postgres-cluster", short_tmp)
    script = site.drd("doctor", "shop", "--grants").out
    allowed = '\n-- ALTER ROLE "games" SUPERUSER;\n'
    assert allowed in script
    head = " ".join(script.partition("\\set")[0].replace("\n--", "").split())
    assert 'need more: role "games" must be a superuser' in head
    _script(postgres, script)
    superusers = "select rolname from pg_roles where rolsuper order by 1"
    assert ask(postgres, superusers) == ["postgres"]
    site.drd("backup", "shop")
    postgres.execute("delete from orders where id > 100", "shop")

    refused = " ".join(site.drd(*HERE, *TABLE, code=1).err.split())
    assert "user games may not create databases" in refused
    assert (
        'ALTER ROLE "games" CREATEDB; GRANT CREATE ON DATABASE "shop" TO "games"; '
        'GRANT USAGE, CREATE ON SCHEMA "public" TO "games";'
    ) in refused

    _script(postgres, script.replace(allowed, allowed.replace("-- ", "")))
    assert ask(postgres, superusers) == ["games", "postgres"]
    assert "200" in site.drd("diff", "shop", "--component", "server", "--database", "shop").out
    for part in (TABLE, DATABASE):
        assert site.drd(*HERE, *part, "--json").json["result"] == "passed"
    assert ask(postgres, "select count(*) from orders_then") == [300]
    assert ask(postgres, "select count(*) from orders", "shop_then") == [300]
    replaced = site.drd(*HERE, "--database", "shop", "--overwrite", "--json").json
    assert ask(postgres, "select count(*) from orders") == [300]
    site.drd("undo", replaced["run"], "--yes")
    assert ask(postgres, "select count(*) from orders") == [100]


def test_the_role_of_root_gives_the_service_no_more_rights(
    postgres: PostgresServer, short_tmp: Path
) -> None:
    site = _site(postgres, "kind: postgres-cluster", short_tmp)
    plan = site.base / "plans/shop.yaml"
    text, own = plan.read_text(), postgres.dsn("stock", OWNER)
    _, elsewhere = text.split("targets:")
    elsewhere = elsewhere.replace(own, postgres.dsn("postgres", "root"))
    plan.write_text(f"{text.split('targets:')[0]}targets:{elsewhere}")
    _script(postgres, site.drd("doctor", "shop", "--grants").out)
    superusers = "select rolname from pg_roles where rolsuper order by 1"
    assert ask(postgres, superusers) == ["postgres", "root"]
    site.drd("backup", "shop")
    done = site.drd(*HERE, "--target", "elsewhere", *TABLE, "--json").json
    assert done["result"] == "passed"
    assert ask(postgres, "select count(*) from orders_then") == [300]


@pytest.mark.parametrize("lets_in", ["both", "the service alone"])
def test_root_recovers_by_what_the_script_made(
    mariadb: MariadbServer, short_tmp: Path, lets_in: str
) -> None:
    site = _site(mariadb, "kind: mariadb-server", short_tmp)
    script = site.drd("doctor", "shop", "--grants").out
    both = "IDENTIFIED VIA unix_socket OR unix_socket USING 'root'"
    assert both in script, script
    if lets_in != "both":  # as earlier scripts made the user
        mariadb.execute("create user games@localhost identified via unix_socket")
    _script(mariadb, script)
    site.drd("backup", "shop")
    mariadb.execute("delete from orders where id > 100", database="shop")
    part = ("--table", "shop.orders", "--into", "shop.orders_then")

    refused = " ".join(site.drd(*HERE, *part, code=1).err.split())
    assert "may not restore a database on this server" in refused
    hint = refused.partition("as an administrator of the server: ")[2]
    statements = hint.partition("; or use another login")[0]
    assert statements.count("GRANT ") >= 4
    _script(mariadb, f"{statements};")
    if lets_in == "both":  # the script has these lines as comments, for the database of the dsn
        mentioned = script.replace("`stock`", "`shop`")
        assert all(f"\n-- {line};" in mentioned for line in statements.split("; "))

    _readable(mariadb)
    assert "200" in site.drd("diff", "shop", "--component", "server", "--database", "shop").out
    assert site.drd(*HERE, *part, "--json").json["result"] == "passed"
    assert ask(mariadb, "select count(*) from orders_then") == [300]
    site.drd(*HERE, "--database", "shop", "--overwrite")
    assert ask(mariadb, "select count(*) from orders") == [300]

"""A database of MariaDB and one of MySQL: backup, drill and recovery, by the command line and by
hand."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from drd.config.plan_file import plan_of_text
from drd.kinds.mariadb.settings import MariadbTarget
from drd.kinds.registry import by_hand_of
from tests import warm
from tests.e2e.site import PASSWORD, Site
from tests.e2e.test_docs import commands, section
from tests.servers import MariadbServer
from tests.servers.mysql import MysqlServer

_PLAN = """
components:
  shop-db: {{kind: mariadb, dsn: {dsn}, fingerprint: digest}}
checks:
  - {{name: rows, kind: rows, component: shop-db}}
  - {{name: orders, kind: sql, component: shop-db, query: select count(id) from orders, expect: 3}}
  - {{name: seen, kind: command, component: shop-db, run: [sh, -c, 'test -n "$MYSQL_DATABASE"']}}
erasures:
  component: shop-db
  register: {{file: {base}/register}}
  replay: {{sql: delete from orders where id in (select id from drd_erased)}}
  check: {{sql: select count(*) from orders where id in (select id from drd_erased)}}
"""


def _tickets(server: MariadbServer) -> tuple[str, ...]:
    """Statements that make a table; in MariaDB it takes numbers from a sequence."""
    if isinstance(server, MysqlServer):
        return ("CREATE TABLE tickets (no INT DEFAULT (1 + 6), x INT)",)
    return (
        "CREATE SEQUENCE numbers START WITH 7",
        "CREATE TABLE tickets (no INT DEFAULT NEXT VALUE FOR numbers, x INT)",
    )


@pytest.fixture(params=["mariadb", "mysql"])
def server(request: pytest.FixtureRequest) -> MariadbServer:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, MariadbServer)
    return found


@pytest.fixture
def shop(server: MariadbServer) -> Iterator[str]:
    name = f"shop_{uuid4().hex[:8]}"
    server.execute(f"CREATE DATABASE {name}", "CREATE USER IF NOT EXISTS app@'%'")
    server.execute(
        "CREATE TABLE orders (id INT PRIMARY KEY, total INT)",
        "INSERT INTO orders VALUES (1, 10), (2, 20), (3, 30)",
        "CREATE DEFINER=app@'%' VIEW large AS SELECT id FROM orders WHERE total > 15",
        "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SET NEW.total = NEW.total + 1",
        "CREATE TRIGGER u BEFORE INSERT ON orders FOR EACH ROW FOLLOWS t SET NEW.id = NEW.id + 0",
        "CREATE USER IF NOT EXISTS keeper@localhost",
        f"GRANT SELECT ON {name}.* TO app@'%', keeper@localhost",
        "CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2",
        f"GRANT EXECUTE ON {name}.* TO keeper@localhost",
        "CREATE DEFINER=keeper@localhost VIEW a_inner AS SELECT twice(id) AS id FROM orders",
        "CREATE DEFINER=keeper@localhost VIEW b_outer AS SELECT id FROM a_inner",
        "CREATE TABLE short (id INT)",
        "CREATE VIEW broken AS SELECT id FROM short",
        "DROP TABLE short",
        *_tickets(server),
        "INSERT INTO tickets (x) VALUES (1)",
        database=name,
    )
    yield name
    server.execute("DROP USER IF EXISTS keeper@localhost")
    for (database,) in server.execute("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA"):
        if database == name or "shop-db" in database or database == f"{name}_copy":
            server.execute(f"DROP DATABASE `{database}`")


@pytest.fixture
def counted(server: MariadbServer, shop: str) -> Callable[[str], int]:
    return lambda table: int(server.execute(f"SELECT COUNT(*) FROM {table}", database=shop)[0][0])


def bash(script: str, site: Site, **more: str) -> str:
    path = f"{warm.program(os.environ)}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        env={**site.env(), "PATH": path, "PLAN": "shop", "COMPONENT": "shop-db",
             "RESTIC_REPOSITORY": site.repository, "RESTIC_PASSWORD": PASSWORD, **more},
        cwd=site.base,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_database_comes_back_in_place_and_by_hand(
    short_tmp: Path, server: MariadbServer, shop: str, counted: Callable[[str], int]
) -> None:
    site = Site(short_tmp)
    (short_tmp / "register").write_text("2999-01-01T00:00:00Z 2\n")
    site.plan(_PLAN.format(dsn=server.dsn(shop), base=short_tmp))
    site.drd("backup", "shop")
    point = str(site.points()[0]["point"])
    told = site.drd("drill", "shop").out
    assert "drd repeated 1 erasure" in told
    site.assert_clean()
    shown = " ".join(site.drd("ls", "shop").out.split())
    assert "--component shop-db --into NAME" in shown
    assert "--table" not in shown
    server.execute("DELETE FROM orders WHERE id = 3", "DROP TRIGGER t", database=shop)
    told = site.drd("diff", "shop", "--component", "shop-db", "--point", point, code=None).out
    assert "orders" in told
    done = site.drd("recover", "shop", "--in-place", "--overwrite", "--yes", "--json").json
    erased = [(1,), (3,)]
    assert server.execute("SELECT id FROM orders ORDER BY id", database=shop) == erased
    assert counted("large") == 1
    site.drd("undo", str(done["run"]), "--yes")
    assert server.execute("SELECT id FROM orders ORDER BY id", database=shop) == [(1,), (2,)]
    site.drd("done", str(done["run"]), "--yes")
    part = ("--in-place", "--component", "shop-db", "--into", f"{shop}_copy", "--yes")
    site.drd("recover", "shop", *part)
    assert server.execute(f"SELECT COUNT(*) FROM {shop}_copy.orders") == [(2,)]
    site.assert_clean()
    login = short_tmp / "login.cnf"
    login.write_text(f"[client]\nuser=root\nsocket={server.socket}\n")
    words = {"LOGIN": f"--defaults-extra-file={login}"}
    page = "docs/recovery-without-drd.md"
    opened = "\n".join(commands(page, section(page, n)) for n in "12")
    file = site.base / "plans/shop.yaml"
    component = plan_of_text(file.read_text(), file).components["shop-db"]
    by_hand, copy = by_hand_of("mariadb"), f"{shop}_copy"
    target = MariadbTarget.model_validate({"dsn": server.dsn(copy)})
    printed = by_hand(component, None, place="", resolve=str)
    elsewhere = by_hand(component, target, place="site", resolve=lambda _: server.dsn(copy))
    for name, content in elsewhere.files.items():
        (site.base / name).parent.mkdir(exist_ok=True)
        (site.base / name).write_bytes(content)
    for way, into in (
        (commands("docs/mariadb.md", "Recovery by hand"), shop),
        ("\n".join(p.commands for p in printed.passages), shop),
        ("\n".join(p.commands for p in elsewhere.passages), copy),
    ):
        server.execute(f"DROP DATABASE {into}", "DROP USER keeper@localhost")
        subprocess.run(["rm", "-rf", str(site.base / "recovered")], check=True)
        said = bash(f"{opened}\n{way}", site, KIT=str(site.base), **words)
        assert "orders: 3 rows" in said
        server.execute("INSERT INTO tickets (x) VALUES (2)", database=into)
        both = "SELECT (SELECT COUNT(*) FROM large), (SELECT SUM(id) FROM b_outer)"
        assert server.execute(both, database=into) == [(2, 12)]

"""A live server with the databases `shop` and `stock`, of which single ones come back: what the
tests of all kinds of server do and assert."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tests import warm
from tests.e2e.site import Site
from tests.e2e.test_docs import bash, commands
from tests.servers import MariadbServer, PostgresServer

Server = TypeVar("Server", MariadbServer, PostgresServer)

HERE = ("recover", "shop", "--in-place", "--yes")

_PLAN = """
components:
  server: {{{settings}, dsn: "{dsn}"}}
targets:
  elsewhere: {{server: {{data_dir: {back}, dsn: "{dsn}"}}}}
  stopped: {{server: {{data_dir: {back}}}}}
checks:
  - {{name: items, kind: sql, component: server, database: stock,
     query: select count(*) from items, expect: 50}}
"""

_ERASURES = """
erasures:
  component: server
  database: shop
  register: {{file: {register}}}
  replay: {{sql: "delete from customers where {id} in (select id from drd_erased)"}}
  check: {{sql: "select count(*) from customers where {id} in (select id from drd_erased)"}}
"""


def plan_of(server: MariadbServer | PostgresServer, settings: str, back: Path) -> str:
    return _PLAN.format(settings=settings, dsn=server.dsn("stock"), back=back)


def erasures(register: Path, person: str) -> str:
    """`person` is the SQL of a customer's id as the register has it."""
    return _ERASURES.format(register=register, id=person)


def ask(server: MariadbServer | PostgresServer, sql: str, database: str = "shop") -> list[object]:
    return [row[0] for row in server.execute(sql, database=database)]


def assert_replaced_undone_and_done(
    server: Server,
    site: Site,
    as_it_was: Callable[[Server, str], None],
    databases: Callable[[Server], list[object]],
) -> None:
    """Of `shop` the orders after the 100th and a view are gone, and of `stock` ten items."""
    refused = site.drd(*HERE, "--database", "shop", code=1)
    assert "would overwrite the production data" in refused.err
    assert "--into NEW" in refused.err
    done = site.drd(*HERE, "--database", "shop", "--overwrite", "--json").json
    assert done["result"] == "passed"
    as_it_was(server, "shop")
    assert ask(server, "select count(*) from items", "stock") == [40]
    site.drd("undo", done["run"], "--yes")
    assert ask(server, "select count(*) from orders") == [100]
    site.drd("undo", done["run"], "--redo", "--yes")
    assert ask(server, "select count(*) from orders") == [300]
    site.drd("done", done["run"], "--yes")
    assert not [name for name in databases(server) if "drd" in str(name)]
    site.assert_clean()


def assert_no_database_is_written_over(site: Site) -> None:
    taken = site.drd(*HERE, "--database", "stock", "--into", "shop", code=1)
    assert "is not empty" in taken.err
    own = site.drd(*HERE, "--database", "stock", "--into", "stock", code=2)
    assert "is the name of the database itself" in own.err


def assert_beside_at_a_target(
    server: Server, site: Site, as_it_was: Callable[[Server, str], None]
) -> None:
    """A target that is production itself gets a new database, and a stopped one gets none."""
    nowhere = ("recover", "shop", "--target", "stopped", "--yes", "--database", "shop")
    assert "has no `dsn`" in site.drd(*nowhere, code=2).err
    there = ("recover", "shop", "--target", "elsewhere", "--yes", "--database", "shop")
    over = site.drd(*there, "--overwrite", code=1)
    assert "target elsewhere is production itself" in " ".join(over.err.split())
    assert ask(server, "select count(*) from orders") == [300]
    site.drd(*there, "--into", "shop_then")
    as_it_was(server, "shop_then")
    whole = site.drd("recover", "shop", "--target", "elsewhere", "--into", "x", code=2)
    assert "add --database NAME" in whole.err


def difference_since(point: str) -> tuple[str, ...]:
    return ("diff", "shop", "--component", "server", "--point", point)


def changes(found: dict[str, Any]) -> dict[str, tuple[str, int | None, int | None]]:
    return {t["table"]: (t["change"], t["a_rows"], t["b_rows"]) for t in found["tables"]}


def assert_difference_of_single_databases(
    site: Site, words: tuple[str, ...], orders: str, items: str
) -> dict[str, Any]:
    """Of `shop` only the table `orders` has changed, and of `stock` only `items`. Returns the
    difference of `stock`."""
    one = site.drd(*words, "--database", "stock", "--json").json
    assert [t["table"] for t in one["tables"]] == [items]
    second = site.drd("backup", "shop", "--json").json["point"]
    both = site.drd(*words, "--with", second, "--database", "shop", "--json").json
    assert [t["table"] for t in both["tables"]] == [orders]
    nowhere = site.drd(*words, "--database", "shopp", code=2)
    assert "both sides of the comparison lack database shopp" in nowhere.err
    return dict(one)


def done_as_on_page(site: Site, page: str, point: str, directory: Path) -> str:
    """What the commands of the page say about this restore point."""
    script = commands(page, "A single database or table")
    script = re.sub(r"(drd recover .*?)(#|$)", r"\1 --yes \2", script, flags=re.MULTILINE)
    there = {**site.env(), "PATH": f"{warm.program(os.environ)}:{os.environ['PATH']}"}
    said = bash(script.replace("7c1e", point), directory, there)
    assert "kept copy" in said
    return " ".join(said.split())


def assert_people_stay_erased(server: Server, site: Site, body: str, register: Path) -> None:
    """In a drill, and in a database that is replaced."""
    register.touch()
    site.plan(body)
    site.drd("backup", "shop")
    register.write_text("2099-01-01T00:00:00Z 7\n")
    assert_erased(site.drd("drill", "shop", "--json").json)
    server.execute("delete from customers where id < 9", database="shop")
    assert_erased(site.drd(*HERE, "--database", "shop", "--overwrite", "--json").json)
    assert ask(server, "select count(*) from customers") == [39]


def assert_erased(done: dict[str, Any]) -> None:
    verdicts = {c["name"]: c["verdict"] for c in done["checks"]}
    assert verdicts["erased people stay erased"] == "passed"

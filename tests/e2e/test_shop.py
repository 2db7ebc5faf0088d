"""A whole shop by the command line: five components of five kinds as one restore point whose data
is of one moment; drilled and recovered as one. The plan is the example."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from tests.e2e.site import Site
from tests.servers import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.rest_api import TOKEN, RestApi, documents

EXAMPLE = Path(__file__).parents[2] / "plans/shop.yaml"
LONG = "1h"
"""A slow machine may need any time."""


class Shop:
    """The services of the shop, and the standby that it is recovered to."""

    def __init__(self, base: Path, postgres: PostgresServer) -> None:
        self.site = Site(base / "site")
        self.base = base
        self.postgres = postgres
        self.database = f"shop_{uuid4().hex[:8]}"
        postgres.execute(f"create database {self.database}")
        self.valkey = RedisServer(base / "valkey", "valkey")
        self.gateway, self.standby = RestApi(), RestApi()
        for name in ("uploads", "back", "back/valkey"):
            (base / name).mkdir()

    def fill(self) -> None:
        sql = "create table orders (id int primary key); insert into orders values (1), (2), (3)"
        self.postgres.execute(sql, self.database)
        self.valkey.ask("SET", "session:1", "anna")
        with closing(sqlite3.connect(self.base / "stock.db")) as stock:
            stock.execute("create table stock (item text, pieces int)")
            stock.execute("insert into stock values ('chair', 4)")
            stock.commit()
        (self.base / "uploads/chair.jpg").write_bytes(b"a chair")
        self.gateway.fill()

    def plan(self, within: str) -> None:
        """Write the example's plan, with the places of this shop."""
        plan: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
        components, back = plan["components"], plan["targets"]["standby"]
        components["orders-db"]["dsn"] = self.postgres.dsn(self.database)
        components["sessions"] |= {"url": self.valkey.url, "dir": str(self.valkey.directory)}
        components["stock"]["path"] = str(self.base / "stock.db")
        components["uploads"]["paths"] = [str(self.base / "uploads")]
        token = yaml.safe_load(self.site.secret("token", TOKEN))
        components["gateway"] |= {"url": self.gateway.url, "token": token, "documents": documents()}
        back["orders-db"]["dsn"] = self.postgres.dsn(f"{self.database}_back")
        back["gateway"] = {"url": self.standby.url, "token": token}
        for name, place in (("sessions", "valkey"), ("stock", "stock.db"), ("uploads", "uploads")):
            back[name]["path"] = str(self.base / "back" / place)
        plan["consistency"][0]["within"] = within
        plan["consistency"][1]["within"] = LONG
        password = yaml.safe_load(self.site.secret("restic", "correct horse battery staple"))
        plan["repositories"]["primary"] = {"url": self.site.repository, "password": password}
        (self.site.base / "plans/shop.yaml").write_text(json.dumps(plan))

    def close(self) -> None:
        self.valkey.kill()
        self.gateway.close()
        self.standby.close()


@pytest.fixture
def shop(short_tmp: Path, postgres: PostgresServer) -> Iterator[Shop]:
    made = Shop(short_tmp, postgres)
    yield made
    made.close()


def test_a_whole_shop_is_one_point_of_one_moment(shop: Shop) -> None:
    site = shop.site
    shop.fill()
    shop.plan(LONG)
    made = site.drd("backup", "shop").out
    document = site.drd("points", "shop", "--json").json["points"][0]
    first, second = document["consistency"]
    times = {c["component"]: c["data_time"] for c in document["components"]}
    assert first["components"] == ["orders-db", "sessions", "stock"]
    assert second["components"] == ["orders-db", "uploads"]
    assert len(times) == 5
    assert first["spread_s"] > 0
    told = f"data times {first['spread_s']:.3f}s apart, at most 1h allowed"
    assert f"orders-db, sessions, stock: {told}" in made
    assert told in site.drd("status", "shop", code=3).out
    assert told in site.drd("run", "show", document["point"]).out
    assert f"{first['spread_s']:.3f}s, {second['spread_s']:.3f}s" in site.drd("points", "shop").out

    drilled = site.drd("drill", "shop", "--json").json
    assert drilled["result"] == "passed"
    row = next(c for c in drilled["checks"] if c["name"].startswith("consistency of orders-db, s"))
    assert (row["verdict"], row["expected"]) == ("passed", "at most 1h")
    assert row["observed"] == told.partition(",")[0]

    site.drd("recover", "shop", "--target", "standby", "--yes")
    back = shop.postgres.execute("select count(*) from orders", f"{shop.database}_back")
    assert back == [(3,)]
    with closing(sqlite3.connect(shop.base / "back/stock.db")) as stock:
        assert stock.execute("select * from stock").fetchall() == [("chair", 4)]
    picture = shop.base / "uploads/chair.jpg"
    assert (shop.base / f"back/uploads{picture}").read_bytes() == b"a chair"
    assert shop.standby.names() == shop.gateway.names()
    assert (shop.base / "back/valkey/dump.rdb").is_file()

    # Nothing is that close.
    shop.plan("0.0001s")
    refused = site.drd("backup", "shop", code=1)
    assert "the data in restore point" in refused.out
    assert "orders-db, sessions, stock: data times " in refused.err
    assert "apart, at most 0.0001s allowed" in refused.err
    assert "raise `within` of orders-db, sessions, stock" in refused.err
    shown = site.drd("status", "shop", code=None).out
    assert "orders-db, sessions, stock: data times" in " ".join(shown.split())
    listed = site.drd("points", "shop").out
    assert "incomplete: orders-db, sessions, stock: data times " in listed
    assert "complete" in listed.splitlines()[2]
    site.assert_clean()

"""Resend, 2024: a migration that was run against production dropped all tables. The first restore
took six hours and turned out to be of the wrong time, the second took five more; twelve hours down,
and nobody had known how long it would take."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.e2e.site import Site
from tests.e2e.test_services import fill, plan_body
from tests.servers import PostgresServer

MORE = "insert into orders(customer, total) select 1, i from generate_series(1, 100) i"
RECOVER = ("recover", "shop", "--target", "standby")


def dry(site: Site, *words: str) -> dict[str, Any]:
    return site.drd(*RECOVER, *words, "--dry-run", "--json").json


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def test_time_of_loss_chooses_the_point_and_shows_the_data_loss(
    short_tmp: Path, postgres: PostgresServer
) -> None:
    name = f"orders_{secrets.token_hex(4)}"
    fill(postgres, name, rows=3000)
    site = Site(short_tmp / "site")
    body = plan_body(postgres.dsn(name), postgres.dsn(f"{name}_back"), rows=3000)
    site.plan(body.replace("== 3000", "> 1000"))
    first = site.drd("backup", "shop", "--json").json["point"]
    postgres.execute(MORE, name)
    between = now()
    second = site.drd("backup", "shop", "--json").json["point"]

    # Before it happens: the newest point is good, and how long it takes is measured.
    drilled = site.drd("drill", "shop", "--json").json
    assert (drilled["result"], drilled["point"]) == ("passed", second)
    healthy = dry(site)
    assert (healthy["point"], healthy["expected_s"]) == (second, drilled["rta_s"])

    lost_at = now()
    postgres.execute("drop schema public cascade; create schema public", name)
    shrunk = site.drd("backup", "shop", "--json", code=1).json["components"][0]
    assert shrunk["error"].startswith("component db shrank from ")
    assert [p["point"] for p in site.points() if p["complete"]] == [second, first]
    # Somebody believes it all the same: the newest point is the disaster's.
    third = site.drd("backup", "shop", "--accept-size", "--json").json["point"]
    bad = site.drd("drill", "shop", "--json", code=4).json
    assert (bad["point"], bad["result"]) == (third, "failed")
    assert site.drd("drill", "shop", "--point", second, "--json").json["result"] == "passed"

    # The time of the loss leads to the right one, and the others are refused or told for what they
    # are.
    right = dry(site, "--lost-at", lost_at)
    assert (right["point"], right["loss_rows"][0]["counted"]) == (second, False)
    refused = site.drd(*RECOVER, "--point", third, "--lost-at", lost_at, "--yes", code=1)
    assert "later than the loss that --lost-at states" in refused.err
    wrong = dry(site, "--before", between, "--lost-at", lost_at)
    assert wrong["point"] == first
    assert wrong["loss_rows"] == [{"component": "db", "rows": 100, "counted": True}]

    back = site.drd(*RECOVER, "--lost-at", lost_at, "--yes", "--json").json
    assert (back["result"], back["point"]) == ("passed", second)
    assert back["rta_s"] > 0
    assert postgres.execute("select count(*) from orders", f"{name}_back") == [(3100,)]
    site.assert_clean()

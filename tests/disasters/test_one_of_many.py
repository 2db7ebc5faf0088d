"""Atlassian, 2022: a script deleted the sites of hundreds of customers out of many. To bring back
some of them beside the others had never been rehearsed; it took up to 14 days."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.e2e.site import Site, make_sqlite

CUSTOMERS = ("acme", "blue", "coda")


def test_one_component_of_many_is_drilled_and_restored(short_tmp: Path) -> None:
    site = Site(short_tmp / "site")
    live, back = short_tmp / "live", short_tmp / "back"
    for directory in (live, back):
        directory.mkdir()
    for at, name in enumerate(CUSTOMERS):
        make_sqlite(live / f"{name}.db", rows=1000 * (at + 1))
    names = "\n".join(f"  {n}: {{kind: sqlite, path: {live}/{n}.db}}" for n in CUSTOMERS)
    checks = "\n".join(f"  - {{name: {n} rows, kind: rows, component: {n}}}" for n in CUSTOMERS)
    places = ", ".join(f"{n}: {{path: {back}/{n}.db}}" for n in CUSTOMERS)
    site.plan(
        f"components:\n{names}\nchecks:\n{checks}\ntargets:\n  beside: {{{places}}}\n"
        "drill: {every: 7d}\n"
    )
    site.drd("backup", "shop")

    # Its own drill, its own time, and what that means for all of them.
    one = site.drd("drill", "shop", "--component", "acme", "--json").json
    assert (one["result"], one["scenario"]) == ("passed", "partial-drill")
    assert {c["component"] for c in one["checks"]} == {"acme"}
    assert one["whole_s"] > one["rta_s"] > 0
    status = site.drd("status", "--json", code=3).json["plans"][0]
    assert status["drill"]["last_at"] is None, "one of many proves nothing about the whole"
    assert site.points()[0]["proven_by"] is None
    # Its healthy twin: the drill of all.
    whole = site.drd("drill", "shop", "--json").json
    assert (whole["result"], len(whole["checks"])) == ("passed", 3)
    assert "whole_s" not in whole
    assert site.points()[0]["proven_by"] == whole["evidence"]

    (live / "acme.db").unlink()
    told = site.drd(
        "recover", "shop", "--target", "beside", "--component", "acme", "--yes", "--json"
    )
    assert (told.json["result"], [c["component"] for c in told.json["components"]]) == (
        "passed",
        ["acme"],
    )
    assert [p.name for p in back.iterdir()] == ["acme.db"]
    with sqlite3.connect(back / "acme.db") as connection:
        assert connection.execute("select count(*) from orders").fetchall() == [(1000,)]
    site.assert_clean()

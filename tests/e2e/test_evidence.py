"""What a drill found is shown again later: by the run, by its evidence, and by the status."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.e2e.site import Site, make_sqlite

BODY = """
components:
  app: {{kind: sqlite, path: {base}/shop.db}}
checks:
  - name: few orders
    kind: sql
    component: app
    query: select count(*) from orders
    expect: "< 10"
"""
FOUND = ("few orders", "2,433 (expected < 10)", "failed")


def change(site: Site, statement: str) -> None:
    with closing(sqlite3.connect(f"{site.base}/state/drd.db")) as connection:
        connection.execute(statement)
        connection.commit()


def has(text: str, *words: str) -> bool:
    """Whether a line has all these words."""
    return any(all(word in line for word in words) for line in text.splitlines())


def test_the_result_of_a_drill_is_shown_by_its_run_its_evidence_and_the_status(
    short_tmp: Path,
) -> None:
    site = Site(short_tmp)
    make_sqlite(site.base / "shop.db", rows=2433)
    site.plan(BODY.format(base=site.base))
    site.drd("backup", "shop")
    drilled = site.drd("drill", "shop", code=4).out
    told = site.drd("drill", "shop", "--json", code=4).json
    shown = site.drd("run", "show", told["run"]).out
    record = site.drd("evidence", "show", told["evidence"]).out
    for text in (drilled, shown, record):
        assert has(text, "check ", *FOUND)
        assert has(text, 'failed: check "few orders" failed; recovered in')
    document = site.drd("run", "show", told["run"], "--json").json
    assert document["evidence"]["checks"] == told["checks"]
    assert document["phases"] == told["phases"]
    words = 'check "few orders": 2,433 (expected < 10)'
    assert has(site.drd("status", code=3).out, "the last drill failed at 20", words)

    listed = site.drd("evidence", "list", "shop").out
    assert has(listed, told["evidence"], "shop: drill of database-loss failed")
    assert has(listed, words)
    assert len(site.drd("evidence", "list", "--limit", "1", "--json").json["evidence"]) == 1
    first, second = (e["evidence"] for e in site.drd("evidence", "list", "--json").json["evidence"])
    assert first == told["evidence"]
    by_run = site.drd("evidence", "show", told["run"][:6], "--json").json
    assert by_run["evidence"] == first
    assert by_run["tools"]["restic"]
    assert {c["what"]: c["agrees"] for c in by_run["integrity"]["comparisons"]} == {
        "run": True,
        "checks": True,
        "restore point": True,
        "manifest": None,
        "plan": True,
        "record": True,
    }
    assert "no signed record refers to this evidence" in record
    assert "entry 3 of the records agrees, which is not signed" in record
    several = site.drd("evidence", "show", first[:4], code=2).err
    assert "several evidence records" in several
    assert first in several
    assert second in several
    unknown = site.drd("evidence", "show", "ffffffff", code=2).err
    assert "there is no evidence record with the id 'ffffffff'" in unknown

    change(site, f"update evidence set result = 'passed' where id = '{first}'")
    forged = site.drd("evidence", "show", first, code=1).out
    assert has(
        forged,
        "CONTRADICTS",
        f"the result of run {told['run']} is failed, but the result of the evidence is passed",
    )
    assert has(forged, "CONTRADICTS", "the result is passed, but 1 of")
    assert not has(site.drd("evidence", "show", second).out, "CONTRADICTS")
    site.assert_clean()

"""What an incident reaches: plans, what depends on them, and the people, counted in a sandbox."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.site import Site

PLAN = """\
tier: 1
components:
  db: {{kind: sqlite, path: {base}/shop.db}}
checks:
  - {{name: people, kind: sql, component: db, query: select count(*) from people, expect: "> 0"}}
runbook:
  - {{restore: all}}
  - {{check: all}}
  - {{name: serve, command: {{run: [/bin/false]}}}}
credentials: [{{name: stripe}}]
data:
  - what: customers
    categories: [contact]
    residents: [DE]
    where: [db.people]
    count: select country, count(*) from people group by country
  - {{what: staff, people: 12}}
  - {{what: visitors}}
"""


@pytest.fixture
def site(short_tmp: Path) -> Site:
    made = Site(short_tmp)
    with closing(sqlite3.connect(made.base / "shop.db")) as connection, connection:
        connection.execute("create table people (name, country)")
        rows = [(f"p{n}", "DE" if n % 4 else "US-CA") for n in range(400)]
        connection.executemany("insert into people values (?, ?)", rows)
    made.plan(PLAN.format(base=made.base))
    return made


def test_people_are_counted_on_the_point_before_the_first_sign(site: Site) -> None:
    site.drd("backup", "shop")
    whole = (site.base / "plans/shop.yaml").read_text()
    other = whole.split("credentials:")[0].replace("plan: shop", "plan: mail")
    (site.base / "plans/mail.yaml").write_text(f"{other}depends_on: [shop]\n")
    site.drd("incident", "open", "orders leaked", "--plan", "shop")
    with closing(sqlite3.connect(site.base / "shop.db")) as connection, connection:
        connection.execute("delete from people where country = 'DE'")
    site.drd("backup", "shop")
    with closing(sqlite3.connect(site.base / "state/drd.db")) as connection, connection:
        # Somebody makes the newer one look older: its manifest knows better.
        connection.execute("update points set data_time = (select min(data_time) from points)")

    (site.base / "plans/shop.yaml").write_text(f"{whole}broken: [")
    told = site.drd("incident", "scope").out
    (site.base / "plans/shop.yaml").write_text(whole)
    assert "shop: tier 1" in told
    assert "  customers: unknown number of people; contact\n    residents: DE\n" in told
    assert "  mail: depends on shop\n  > drd incident scope 1 --add mail\n" in told
    assert "to count the people: drd incident scope 1 --count" in told

    counted = site.drd("incident", "scope", "--count")
    told = counted.out
    assert "but the catalogue says" in counted.err
    assert "  customers: 400 people (counted); contact\n    residents: DE 300, US-CA 100\n" in told
    unknown = "    residents: unknown, so each duty that depends on them is undecided\n"
    assert f"  staff: 12 people (estimated)\n{unknown}" in told
    assert f"  visitors: unknown number of people\n{unknown}" in told
    data = site.drd("incident", "scope", "--json").json["data"]
    assert [(one["known"], one["people"]) for one in data] == [
        ("counted", 400),
        ("estimated", 12),
        ("unknown", None),
    ]
    facts = site.drd("incident", "obligation", "--json").json["facts"]
    assert (facts["residents.DE"], facts["residents.US-CA"]) == (300, 100)
    timeline = site.drd("incident", "show").out
    assert "shop: customers: 400 people (counted)" in timeline
    assert "passed" in timeline  # the drill that counted, without the service of the runbook


def test_an_unknown_number_of_people_is_reported_with_the_reason(site: Site) -> None:
    site.drd("incident", "open", "orders leaked", "--plan", "shop")
    site.drd("backup", "shop")
    told = site.drd("incident", "scope", "--count").out
    assert "plan shop has no complete restore point from before the first sign" in told

    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("select country, count(*)", "select country, name"))
    site.drd("incident", "open", "again", "--plan", "shop")
    told = site.drd("incident", "scope", "2", "--count").out
    assert "customers: unknown number of people; contact" in told
    assert "drd could not count: the query `count` returns" in told


def test_a_plan_that_drd_never_loaded_counts_for_reports(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"
    whole = plan.read_text()
    plan.write_text(whole.replace("people: 12", "people: 12, residents: {AT: 10}"))
    site.drd("incident", "open", "orders leaked", "--plan", "shop")
    assert "cannot be read" not in site.drd("incident", "obligation").err
    facts = site.drd("incident", "obligation", "--json").json["facts"]
    assert (facts["personal_data"], facts["residents.AT"]) == (True, 10)
    told = site.drd("incident", "scope").out
    assert "    residents: AT 10\n    residents of the other 2: unknown, so each duty" in told
    assert site.drd("status", "--json", code=None).json["plans"][0]["state"] != "protected"
    plan.write_text(f"{whole}broken: [")
    said = site.drd("incident", "obligation").err
    assert "plan shop cannot be read, so drd does not know whose personal data" in said
    assert "shop.yaml:" in said

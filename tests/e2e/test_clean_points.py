"""The way back after an attack: the clean restore point, what has to be secured again, and what is
kept as evidence."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import subprocess
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drd.model.units import to_rfc3339
from tests.e2e.copies import copied_site
from tests.e2e.runbook_site import run_id, until, waits_for
from tests.e2e.site import PASSWORD, Site

PLAN = """\
components:
  db: {{kind: sqlite, path: {base}/shop.db}}
checks:
  - {{name: orders, kind: sql, component: db, query: select count(*) from orders, expect: "> 0"}}
targets:
  beside: {{db: {{path: {base}/back.db}}}}
credentials: [{{name: stripe, rotate_with: rotate-stripe}}, {{name: mail}}]
"""


@pytest.fixture
def site(short_tmp: Path) -> Site:
    made = Site(short_tmp)
    with closing(sqlite3.connect(made.base / "shop.db")) as connection, connection:
        connection.execute("create table orders (id integer primary key)")
        connection.executemany("insert into orders values (?)", [(n,) for n in range(400)])
        connection.execute("create table audit (id integer primary key)")
    made.plan(PLAN.format(base=made.base))
    return made


def execute(site: Site, *statements: str) -> None:
    with closing(sqlite3.connect(site.base / "shop.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_the_clean_point_is_shown_and_recovered(site: Site) -> None:
    site.drd("backup", "shop")
    execute(site, "insert into orders select id + 1000 from orders")
    site.drd("backup", "shop")
    occurred = to_rfc3339(datetime.now(UTC))
    execute(site, "delete from orders where id > 50", "drop table audit")
    site.drd("backup", "shop")
    site.drd("incident", "open", "orders are gone", "--plan", "shop")
    site.drd("incident", "anchor", "occurred", "2020-01-01T00:00:00Z")
    assert site.drd("incident", "clean-points", "--json").json["plans"][0]["choice"] is None
    site.drd("incident", "anchor", "occurred", occurred, "--reason", "the log says so")

    told = site.drd("incident", "clean-points", "--json").json
    assert told["first_sign"]["what"] == "occurred"
    [plan] = told["plans"]
    newest, chosen, oldest = plan["points"]
    assert [p["before_first_sign"] for p in (newest, chosen, oldest)] == [False, True, True]
    assert [p["chosen"] for p in (newest, chosen, oldest)] == [False, True, False]
    assert plan["choice"] == chosen["point"]
    assert newest["unusual"] == [
        "db: 1 table or view is gone: audit",
        "db: table orders shrank from 800 to 51 rows",
        "db: properties of the database changed: schema",
    ]
    assert oldest["loss_rows"] == [{"component": "db", "rows": 400, "counted": True}]
    assert chosen["unusual"] == ["db: table orders grew from 400 to 800 rows"]
    screen = site.drd("incident", "clean-points").out
    assert f"shop: clean restore point {chosen['point']} (data of" in screen
    assert "> drd recover shop --incident 1 --clean --target TARGET --dry-run" in screen
    assert "(moment occurred)" in screen

    site.drd("incident", "rotated", "mail", "--by", "anna")
    assert "rotated since the first sign: mail" in site.drd("incident", "scope").out
    recover = ["recover", "shop", "--target", "beside", "--incident", "1", "--clean"]
    dry = site.drd(*recover, "--dry-run", "--json").json
    assert (dry["point"], [step["name"] for step in dry["steps"]]) == (
        chosen["point"],
        ["restore", "check", "re-secure"],
    )
    assert "it is the newest complete restore point" in dry["clean"]
    assert "(moment occurred)" in dry["clean"]
    running = site.start(*recover, "--yes")
    until(lambda: waits_for(site, "re-secure"), "it waits for the approval")
    running.kill()
    running.wait()
    told = site.drd("run", "show", run_id(site)).out
    assert "stripe (rotate with rotate-stripe)" in told
    assert "mail" not in told
    entry = site.drd("incident", "rotated", "stripe", "--json").json["entry"]
    site.drd("incident", "rotated", "--withdraw", str(entry), "--reason", "the old one works")
    running = site.start("resume", run_id(site))
    until(lambda: waits_for(site, "re-secure"), "it waits for the approval again")
    site.drd("approve", run_id(site), "re-secure", "--by", "anna")
    assert running.wait() == 0
    with closing(sqlite3.connect(site.base / "back.db")) as connection:
        assert connection.execute("select count(*) from orders").fetchone() == (800,)
    timeline = site.drd("incident", "show").out
    assert f"clean restore point {chosen['point']}" in timeline.replace("\n", " ")


def sets_of(site: Site) -> list[dict[str, Any]]:
    return list(site.drd("incident", "preserve", "--list", "--json").json["preserved"])


def test_preserved_evidence_stays_until_it_is_released(short_tmp: Path) -> None:
    site = copied_site(short_tmp)
    log = short_tmp / "odd\nname\\.log"
    log.write_text(f"a secret: {PASSWORD}\n")
    site.drd("backup", "shop")
    site.drd("incident", "open", "somebody was here", "--plan", "shop")
    keep = ("incident", "preserve", "--by", "anna", "--reason", "before we contain it")

    running = site.start(*keep)
    begun = "select 1 from records where kind = 'incident.preserve'"
    until(lambda: bool(site.catalogue(begun)), "it has begun")
    running.kill()
    running.wait()
    [killed] = sets_of(site)
    assert (killed["state"], killed["whole"]) == ("not whole", False)
    assert site.drd("incident", "preserve", "--verify", killed["preserved"], code=2)

    found = short_tmp / "found"
    (found / "empty").mkdir(parents=True)
    (found / "link").symlink_to("/etc/shadow")
    made = site.drd(*keep, "--path", str(log), "--path", str(found), "--json").json
    assert [item["item"] for item in made["items"]] == [
        "volatile",
        "component-conf",
        "path-1",
        "path-2",
        "component-db",
        "tree",
    ]
    assert {r["state"] for r in site.runs() if r["kind"] == "preservation"} == {
        "interrupted",
        "succeeded",
    }
    name = made["preserved"]

    # Nothing that forgets by itself touches it.
    site.drd("copy", "shop")
    site.drd("retention", "shop")
    site.drd("prune", "shop")
    site.drd("catalogue", "rebuild", "shop")
    assert name not in {point["point"] for point in site.points()}
    plan = short_tmp / "plans/shop.yaml"
    plan.rename(short_tmp / "shop.yaml")
    site.drd("plan", "forget", "shop", "--yes")
    (short_tmp / "shop.yaml").rename(plan)
    assert site.drd("incident", "preserve", "--verify", name).out.endswith("as it was taken\n")

    into = short_tmp / "given"
    site.drd("incident", "preserve", "--export", name, "--output", str(into))
    check = ["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"]
    subprocess.run(check, cwd=into, check=True)
    digest = hashlib.sha256((into / "SHA256SUMS").read_bytes()).hexdigest()
    assert digest == made["digests_sha256"]
    with tarfile.open(into / "volatile/volatile.tar") as tar:
        assert "processes.txt" in tar.getnames()
    assert (into / f"path-1{log}").read_text() == log.read_text()
    others = (into / "tree/OTHERS").read_bytes().split(b"\0")
    below = f"./path-2{found}"
    assert f"l {below}/link // /etc/shadow".encode() in others
    assert f"d {below}/empty // ".encode() in others
    page = (Path(__file__).parents[2] / "docs/incidents.md").read_text()
    [command] = re.findall(r"`cd DIR && (find .*?OTHERS)`", page, re.DOTALL)
    subprocess.run(command, shell=True, cwd=into, check=True)

    # Somebody with the password removes a part of it.
    database = next(i["snapshot"] for i in made["items"] if i["item"] == "component-db")
    site.restic("forget", database)
    wrong = site.drd("incident", "preserve", "--verify", name, code=1)
    assert "is not as it was taken" in wrong.err
    site.drd("incident", "preserve", "--release", name, "--reason", "over", "--by", "bert")
    again = ("incident", "preserve", "--release", name, "--reason", "over")
    assert f"evidence {name} was released already" in site.drd(*again, code=2).err
    [_, released] = sets_of(site)
    assert (released["custody"][0]["by"], released["custody"][-1]["by"]) == ("anna", "bert")
    assert [one["act"] for one in released["custody"]] == [
        "begin",
        "taken",
        "verified",
        "exported",
        "verified",
        "released",
    ]
    tagged = site.restic("snapshots", "--json", "--tag", f"run:{name}")
    assert json.loads(tagged) in ([], None)
    assert json.loads(site.restic("snapshots", "--json", "--tag", "drd"))  # the restore points stay


KEEP = """
playbook: keep
title: Keep evidence
about: Preserves evidence.
use_when: Always.
tasks:
  - name: keep
    text: Keep it.
    role: lead
    steps:
      - name: keep
        preserve: {reason: "before ${plan} is contained", components: [conf], paths: ["${path}"]}
inputs: [{name: path, what: a file}]
"""


def test_a_playbook_preserves_evidence_once(short_tmp: Path) -> None:
    site = copied_site(short_tmp)
    (short_tmp / "playbooks").mkdir()
    (short_tmp / "playbooks/keep.yaml").write_text(KEEP)
    with (short_tmp / "drd.yaml").open("a") as file:
        file.write("playbooks: playbooks\n")
    words = ("playbook", "run", "keep", "--set", f"path={short_tmp}/drd.yaml", "--plan", "shop")
    assert "no incident was given" in site.drd(*words, "--yes", code=2).err
    site.drd("incident", "open", "somebody was here")
    site.killed_at("undone:keep", *words, "--incident", "1", "--yes")
    [made] = sets_of(site)
    assert [item["item"] for item in made["items"]] == [
        "volatile",
        "component-conf",
        "path-1",
        "tree",
    ]
    [run] = [r["run"] for r in site.runs() if r["kind"] == "playbook"]
    assert made["reason"] == (f"before shop is contained (playbook keep, run {run}, step keep)")
    done = site.drd("resume", "--yes")
    assert f"run {run} of playbook keep" in done.out
    assert f"evidence {made['preserved']} was preserved by an earlier try of this step" in done.out
    assert [one["preserved"] for one in sets_of(site)] == [made["preserved"]]
    site.assert_clean()

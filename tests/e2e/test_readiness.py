"""`drd readiness`: a plan is proven, or it is said by name what is missing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.e2e.site import SMALL, Site, make_sqlite, make_tree
from tests.e2e.test_docs import bash, commands

TARGETS = "targets:\n  standby:\n    db: {{path: {base}/back/shop.db}}\n"


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = Site(short_tmp)
    make_sqlite(site.base / "shop.db")
    make_tree(site.base / "etc")
    (site.base / "back").mkdir()
    return site


def write(site: Site, *more: str) -> None:
    body = SMALL.split("targets:")[0] + TARGETS
    site.plan(body.format(base=site.base) + "".join(f"{line}\n" for line in more))


def look(site: Site, code: int) -> tuple[str, dict[str, dict[str, Any]]]:
    [plan] = site.drd("readiness", "--json", code=code).json["plans"]
    return str(plan["readiness"]), {f["name"]: f for f in plan["findings"]}


def shown(site: Site) -> tuple[str, str]:
    """By `drd status`: readiness, and all reasons."""
    [plan] = site.drd("status", "--json", code=None).json["plans"]
    return str(plan["readiness"]), "\n".join(plan["reasons"])


def test_readiness_names_each_missing_proof_until_it_exists(site: Site) -> None:
    write(site, "risks: [{what: data-loss, covers: [database-loss]}]")
    verdict, found = look(site, 3)
    assert verdict == "not ready"
    assert site.drd("plan", "risks", "shop").out.splitlines()[1:4] == [
        "  data-loss: not covered",
        "    database-loss: never drilled, so nobody knows whether a recovery works",
        "    > drd drill shop --scenario database-loss",
    ]
    assert found["restore point"]["severity"] == "error"
    assert found["drill database-loss"]["allows"] == "needs drill"

    site.drd("backup", "shop")
    site.drd("drill", "shop")
    verdict, found = look(site, 0)
    assert verdict == "ready", found
    assert "  data-loss: covered by database-loss\n" in site.drd("plan", "risks", "shop").out
    assert found["kit missing"]["severity"] == "warning"
    assert found["target standby: db: target"]["severity"] == "ok"
    assert found["restic version"]["severity"] == "ok"
    assert found["db: SQLite version"]["severity"] == "ok"
    room = found["room for a drill"]["evidence"]
    assert room.startswith("a drill of all components, with its downloads, needs ")
    assert shown(site)[0] == "ready"
    assert not list((site.base / "back").iterdir()), "looking changes nothing"

    (site.base / "back").rmdir()
    write(site, "kit: {required: true}")
    verdict, found = look(site, 3)
    assert (verdict, found["kit missing"]["severity"]) == ("not ready", "error")
    gone = found["target standby: db: target"]
    assert (gone["severity"], gone["allows"]) == ("error", "not ready")
    assert "install -d -o " in gone["remedy"]
    verdict, reasons = shown(site)
    assert verdict == "not ready"
    assert "drd readiness shop" in reasons
    assert site.drd("runs", "shop", "--json").json["runs"][0]["state"] == "failed"

    (site.base / "back").mkdir()
    accepted = "{finding: kit missing, reason: keys come on Friday, until: 2999-12-31}"
    write(site, "kit: {required: true}", f"readiness: {{exceptions: [{accepted}]}}")
    text = site.drd("readiness", "shop").out
    assert "shop: ready" in text
    assert "accepted until 2999-12-31: keys come on Friday" in text
    assert shown(site)[0] == "ready"
    site.assert_clean()


def test_another_restic_than_in_the_last_drill_needs_one(site: Site) -> None:
    """One that was upgraded since, as far as it says of itself."""
    write(site)
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    real = shutil.which("restic")
    (site.base / "bin").mkdir()
    newer = site.base / "bin/restic"
    said = (
        '{"message_type":"version","version":"0.99.0",'
        '"go_version":"go1","go_os":"linux","go_arch":"x"}'
    )
    newer.write_text(
        f"#!/bin/sh\ncase $* in *version*) echo '{said}'; exit 0;; esac\nexec {real} \"$@\"\n"
    )
    newer.chmod(0o755)
    site.environment["PATH"] = f"{site.base}/bin:{os.environ['PATH']}"
    verdict, found = look(site, 3)
    assert (verdict, found["restic version"]["allows"]) == ("needs drill", "needs drill")
    assert "version 0.99.0 on this host" in found["restic version"]["evidence"]
    verdict, reasons = shown(site)
    assert (verdict, "restic version" in reasons) == ("needs drill", True), reasons
    site.drd("drill", "shop")
    assert look(site, 0)[0] == "ready"


def test_a_recovery_since_the_last_drill_hides_no_version(site: Site) -> None:
    write(site)
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    drilled = look(site, 0)[1]
    versions = {name for name in drilled if name.endswith(" version")}
    assert {"drd version", "restic version", "db: SQLite version"} <= versions
    site.drd("recover", "shop", "--target", "standby", "--yes")
    assert {name for name in look(site, 0)[1] if name.endswith(" version")} == versions


def test_the_page_on_readiness_holds(site: Site) -> None:
    write(site)
    (site.base / "plans/shop.yaml").rename(site.base / "plans/orders-api.yaml")
    text = (site.base / "plans/orders-api.yaml").read_text()
    (site.base / "plans/orders-api.yaml").write_text(text.replace("plan: shop", "plan: orders-api"))
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    told = bash(commands("docs/readiness.md"), site.base, site.env() | path)
    assert told.splitlines()[-2:] == ["orders-api", "not ready"]


def test_readiness_reports_a_broken_plan_and_a_wrong_date(site: Site) -> None:
    write(site, "readiness: {exceptions: [{finding: x, reason: y, until: soon}]}")
    told = site.drd("readiness", "shop", code=2)
    assert "shop.yaml:" in told.err
    assert '"soon" is not a date\nHINT: write a date like 2026-12-31.' in told.err
    verdict, found = look(site, 3)
    assert verdict == "not ready"
    assert "soon" in found["plan file"]["evidence"]


def test_two_readiness_commands_at_once_both_get_an_answer(site: Site) -> None:
    """The daemon may just be looking, too."""
    write(site)
    looking = [site.start("readiness", "shop", "--json") for _ in range(2)]
    told = [process.communicate(timeout=120) for process in looking]
    assert [process.returncode for process in looking] == [3, 3], told


PEOPLE = "people: [{name: Anna, user: daemon}, {name: Bert, user: bin}]\n"


def test_people_attest_texts_for_themselves_alone(site: Site) -> None:
    """In the records, also over sudo, and never for another."""
    config, key = site.base / "drd.yaml", site.base / "key"
    config.write_text(f"{config.read_text()}{PEOPLE}records: {{key: {{file: {key}}}}}\n")
    write(site, "training: {awareness: {every: 365d, texts: [report]}}", "review: {every: 180d}")
    site.drd("backup", "shop")
    digest = site.drd("training", "show", "report", "--json").json["digest"]
    attest = ("training", "attest", "report", "--digest", digest[:12])

    def as_login(login: int | None, *words: str, code: int = 0) -> str:
        done = warm.run(words, env=site.env(), login=login)
        assert done.returncode == code, done
        return (done.stdout + done.stderr).decode()

    assert "cannot sign the record" in as_login(1, *attest, code=2)
    site.drd("records", "init")
    assert "root without a login" in as_login(None, *attest, code=2)
    assert "cannot attest a text for 'Bert'" in as_login(1, *attest, "--by", "Bert", code=2)
    assert "--digest" in as_login(1, *attest[:3], code=2)
    assert as_login(1, *attest, "--by", "anna").startswith("Anna attested the text report")

    told = site.drd("training", "--json").json
    states = {p["person"]: p["qualifications"][0]["state"] for p in told["people"]}
    assert states == {"Anna": "valid", "Bert": "never"}
    _, found = look(site, 3)
    assert found["report: awareness text"]["text"].endswith("missing: Bert (never)")
    assert found["review"]["severity"] == "warning"
    shown = site.drd("status", "shop", code=None).out
    assert "People        report: awareness text: 1 of 2 people" in shown

    # Another text is another one, and a changed record counts no more.
    (config.parent / "texts").mkdir()
    (config.parent / "texts/report.md").write_text("# Call 112\n")
    config.write_text(config.read_text() + "awareness: texts\n")
    [anna] = site.drd("training", "--person", "anna", "--json").json["people"]
    assert anna["qualifications"][0]["state"] == "changed"
    assert "does not have the digest" in as_login(1, *attest, code=2)
    with closing(sqlite3.connect(site.base / "state/drd.db")) as database, database:
        wanted = "select name from sqlite_master where type='trigger' and tbl_name='record_bodies'"
        for (name,) in database.execute(wanted).fetchall():
            database.execute(f"drop trigger {name}")
        database.execute("update record_bodies set body = replace(body, '\"daemon\"', '\"bin\"')")
    people = site.drd("training", "--json").json["people"]
    assert {q["state"] for p in people for q in p["qualifications"]} == {"never"}

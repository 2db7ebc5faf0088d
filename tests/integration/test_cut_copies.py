"""A dump that was cut off before it got into a finished copy does not count, and no drill is needed
to find out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.cli.main import main
from drd.flows.host.doctor import examine
from drd.flows.upkeep.listing import listing
from drd.model.adopted import copy_name
from drd.model.finding import Finding
from drd.model.plan import Plan
from drd.ports.adopted import FoundFile
from drd.repositories.adopted.restic import ResticCopies
from drd.secrets import resolve
from tests.integration.test_adopt_bucket import (
    Bucket,
    adopt,
    database,
    give_keys,
    use_keys,
)
from tests.integration.test_adopted import Site
from tests.servers import S3Server


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def copies_finding(site: Site, plan: Plan) -> Finding:
    (found,) = [
        f for f in examine(site.services(plan), plan, resolve) if f.code == "repository-copies"
    ]
    return found


def test_a_cut_dump_in_a_finished_copy_of_restic_does_not_count(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = site.copy()
    dump = site.base / "dumps/orders.db"
    site.dump(2000)
    dump.write_bytes(dump.read_bytes()[:-4096])
    cut = site.copy()
    plan = site.plan()
    listing(site.services(plan), plan)
    states = {copy_name(p): p for p in site.points(plan)}
    assert (states[whole].complete, states[cut].complete) == (True, False)
    row = states[cut].component("orders")
    assert row is not None
    assert "the dump is cut off: the SQLite file has only" in (row.error or "")
    assert site.drilled(plan).evidence.point == states[whole].id

    looks: list[str] = []
    find = ResticCopies.find

    def counted(self: ResticCopies, copy: object, path: str) -> FoundFile | None:
        looks.append(path)
        return find(self, copy, path)  # type: ignore[arg-type]

    monkeypatch.setattr(ResticCopies, "find", counted)
    listing(site.services(plan), plan)
    assert not looks, "the answer is remembered with the copy"


def test_sql_and_packed_files_in_restic_are_judged_by_their_ends(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    dump = site.base / "dumps/ldap.sql"
    begin, end = b"-- MariaDB dump 10.19\n--\n" + b"x\n" * 4000, b"-- Dump completed\n"
    component = (
        f"  ldap: {{kind: command, restore: [/bin/cat], copied_as: {dump}, "
        "query: [/bin/echo, '1']}\n"
    )
    plan = site.plan(components=component)
    named = {}
    for what, data in {
        "whole": begin + os.urandom(5 << 20) + end,
        "cut": begin + os.urandom(5 << 20),
        "unknown": os.urandom(4 << 20),
    }.items():
        dump.write_bytes(data)
        named[site.copy()] = what
    listing(site.services(plan), plan)
    found = {named[copy_name(p)]: p for p in site.points(plan)}
    assert {what: p.complete for what, p in found.items()} == {
        "whole": True,
        "cut": False,
        "unknown": True,
    }
    row = found["cut"].component("ldap")
    assert row is not None
    assert "ends with the line '-- Dump completed', which is missing" in (row.error or "")
    assert "without a drill drd cannot know whether ldap is whole there" in (
        copies_finding(site, plan).text
    )
    capsys.readouterr()
    assert main(["--config", str(site.base / "drd.yaml"), "points", "shop"]) == 0
    said = capsys.readouterr().out
    assert said.count("not read to its end: ldap") == 1


def test_a_cut_dump_in_a_bucket_does_not_count(
    site: Site, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_keys(monkeypatch, s3.access_key, s3.secret_key)
    bucket = Bucket(s3)
    for day in (1, 2):
        bucket.put(f"nightly/shop-2026-11-2{day}.db", database(site, 2000))
    assert adopt(site, s3.repository(bucket.name, "nightly"), "shop") == 0
    give_keys(site, s3, monkeypatch, "shop")
    plan = site.app.plans.load("shop")
    listing(site.services(plan), plan)
    bucket.put("nightly/shop-2026-11-23.db", database(site, 3000)[:-4096])
    listing(site.services(plan), plan)
    states = {copy_name(p): p for p in site.points(plan)}
    assert {name: p.complete for name, p in states.items()} == {
        "shop-2026-11-21.db": True,
        "shop-2026-11-22.db": True,
        "shop-2026-11-23.db": False,
    }
    row = states["shop-2026-11-23.db"].components[0]
    assert "the dump is cut off: the SQLite file has only" in (row.error or "")
    assert "log of the other tool" in (row.remedy or "")
    found = copies_finding(site, plan)
    assert (found.severity, "the dump is cut off" in found.text) == ("error", True)

"""A repository is what its id says. A plan that names another place finds nothing there of what
lies in the former one, however many points the catalogue remembers: they were counted as
protection, offered as a way back, and marked as forgotten by the first retention. The same
repository at another address is the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.daemons import until
from tests.e2e.site import Site, small_site


@pytest.fixture
def site(short_tmp: Path) -> Site:
    return small_site(short_tmp)


def names(site: Site, url: str) -> None:
    """The plan gives its repository another URL."""
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace(f"url: {site.repository}\n", f"url: {url}\n"))
    site.repository = url


def moved(site: Site) -> None:
    """The same repository at another address."""
    where = f"{site.base}/elsewhere"
    shutil.move(site.repository, where)
    names(site, where)


def begun_anew(site: Site) -> None:
    names(site, f"{site.base}/anew")
    site.restic("init")


def status(site: Site) -> dict[str, object]:
    (plan,) = site.drd("status", "--json", code=None).json["plans"]
    return dict(plan)


def test_points_of_a_former_repository_do_not_count(site: Site) -> None:
    site.drd("backup", "shop")
    (old,) = site.points()
    begun_anew(site)
    site.drd("drill", "shop", code=13)
    assert status(site)["verdict"] in ("breached", "unknown")
    (shown,) = site.points()
    assert shown["repositories"] == []
    assert set(shown["elsewhere"]) == {"primary"}
    assert "only in a former repository of the plan" in site.drd("points", "shop").out
    refused = site.drd("recover", "shop", "--target", "standby", "--point", old["point"], code=13)
    assert "and plan shop no longer names this repository" in refused.err
    site.drd("recover", "shop", "--target", "standby", "--dry-run", code=13)


def test_point_of_a_backup_that_began_before_lies_where_it_was_stored(site: Site) -> None:
    """As when a daemon reloads a plan with another address while a backup runs."""
    site.drd("backup", "shop")
    plan = site.base / "plans/shop.yaml"
    waits = site.base / "waits"
    waits.write_text(f"#!/bin/sh\nuntil [ -e {site.base}/go ]; do sleep 0.1; done\n")
    waits.chmod(0o755)
    hook = f"conf: {{kind: files, before: {{command: [{waits}]}}"
    plan.write_text(plan.read_text().replace("conf: {kind: files", hook))
    child = site.start("backup", "shop")
    until(lambda: site.runs()[0]["state"] == "running", "the backup began")
    before = site.repository
    begun_anew(site)
    site.drd("verify", "shop")  # it loads the plan, and meets the new repository
    (site.base / "go").touch()
    told = child.communicate(timeout=60)[1].decode()
    assert child.returncode == 0, told
    assert "checks whether other data is missing" not in told
    late = site.points()
    assert [(p["repositories"], set(p["elsewhere"])) for p in late] == [([], {"primary"})] * 2
    assert not [r for r in status(site)["repositories"] if r["state"] == "damaged"]  # type: ignore[attr-defined]
    names(site, before)
    site.drd("verify", "shop")
    assert [p["repositories"] for p in site.points()] == [["primary"]] * 2


def test_retention_leaves_points_of_the_former_place_alone(site: Site) -> None:
    site.drd("backup", "shop")
    before, (old,) = site.repository, site.points()
    begun_anew(site)
    site.drd("backup", "shop")
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    retained = site.drd("retention", "shop")
    assert "no longer in any repository" not in retained.err
    assert old["point"] in [p["point"] for p in site.points()]
    names(site, before)
    site.drd("recover", "shop", "--target", "standby", "--point", old["point"], "--dry-run")


def test_the_same_repository_at_another_address_keeps_its_points(site: Site) -> None:
    site.drd("backup", "shop")
    (old,) = site.points()
    moved(site)
    site.drd("doctor", "shop")
    assert site.points()[0]["repositories"] == ["primary"], "doctor has met it"
    site.drd("recover", "shop", "--target", "standby", "--yes")
    assert status(site)["verdict"] != "breached"
    site.drd("drill", "shop", "--point", old["point"])
    (shown,) = site.points()
    assert shown["repositories"] == ["primary"]
    assert shown["elsewhere"] == {}


def test_another_name_for_a_repository_loses_nothing(site: Site) -> None:
    site.drd("backup", "shop")
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("  primary:\n", "  vault:\n"))
    site.drd("drill", "shop")
    (shown,) = site.points()
    assert shown["repositories"] == ["vault"]


def test_a_point_that_somebody_removed_is_not_damage_and_is_not_drilled(site: Site) -> None:
    """The repository is sound: what is missing was taken out of it."""
    site.drd("backup", "shop")
    (old,) = site.points()
    site.drd("backup", "shop")
    listed = json.loads(site.restic("snapshots", "--json", "--tag", f"run:{old['point']}"))
    site.restic("forget", *(s["id"] for s in listed))
    drilled = site.drd("drill", "shop", "--point", old["point"], code=5)
    told = drilled.out + drilled.err
    assert f"restore point {old['point']} is no longer in primary" in told
    assert "is damaged" not in told
    assert "the plan has no checks" not in told
    assert old["point"] not in [p["point"] for p in site.points()]
    site.drd("drill", "shop")

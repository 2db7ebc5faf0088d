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


def test_points_of_a_former_repository_do_not_count(stored: Site) -> None:
    (old,) = stored.points()
    begun_anew(stored)
    stored.drd("drill", "shop", code=13)
    assert status(stored)["verdict"] in ("breached", "unknown")
    (shown,) = stored.points()
    assert shown["repositories"] == []
    assert set(shown["elsewhere"]) == {"primary"}
    assert "only in a former repository of the plan" in stored.drd("points", "shop").out
    refused = stored.drd("recover", "shop", "--target", "standby", "--point", old["point"], code=13)
    assert "and plan shop no longer names this repository" in refused.err
    stored.drd("recover", "shop", "--target", "standby", "--dry-run", code=13)


def test_point_of_a_backup_that_began_before_lies_where_it_was_stored(stored: Site) -> None:
    """As when a daemon reloads a plan with another address while a backup runs."""
    plan = stored.base / "plans/shop.yaml"
    waits = stored.base / "waits"
    waits.write_text(f"#!/bin/sh\nuntil [ -e {stored.base}/go ]; do sleep 0.1; done\n")
    waits.chmod(0o755)
    hook = f"conf: {{kind: files, before: {{command: [{waits}]}}"
    plan.write_text(plan.read_text().replace("conf: {kind: files", hook))
    child = stored.start("backup", "shop")
    until(lambda: stored.runs()[0]["state"] == "running", "the backup began")
    before = stored.repository
    begun_anew(stored)
    stored.drd("verify", "shop")  # it loads the plan, and meets the new repository
    (stored.base / "go").touch()
    told = child.communicate(timeout=60)[1].decode()
    assert child.returncode == 0, told
    assert "checks whether other data is missing" not in told
    late = stored.points()
    assert [(p["repositories"], set(p["elsewhere"])) for p in late] == [([], {"primary"})] * 2
    assert not [r for r in status(stored)["repositories"] if r["state"] == "damaged"]  # type: ignore[attr-defined]
    names(stored, before)
    stored.drd("verify", "shop")
    assert [p["repositories"] for p in stored.points()] == [["primary"]] * 2


def test_retention_leaves_points_of_the_former_place_alone(stored: Site) -> None:
    before, (old,) = stored.repository, stored.points()
    begun_anew(stored)
    stored.drd("backup", "shop")
    plan = stored.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    retained = stored.drd("retention", "shop")
    assert "no longer in any repository" not in retained.err
    assert old["point"] in [p["point"] for p in stored.points()]
    names(stored, before)
    stored.drd("recover", "shop", "--target", "standby", "--point", old["point"], "--dry-run")


def test_the_same_repository_at_another_address_keeps_its_points(stored: Site) -> None:
    (old,) = stored.points()
    moved(stored)
    stored.drd("doctor", "shop")
    assert stored.points()[0]["repositories"] == ["primary"], "doctor has met it"
    stored.drd("recover", "shop", "--target", "standby", "--yes")
    assert status(stored)["verdict"] != "breached"
    stored.drd("drill", "shop", "--point", old["point"])
    (shown,) = stored.points()
    assert shown["repositories"] == ["primary"]
    assert shown["elsewhere"] == {}


def test_another_name_for_a_repository_loses_nothing(stored: Site) -> None:
    plan = stored.base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("  primary:\n", "  vault:\n"))
    stored.drd("drill", "shop")
    (shown,) = stored.points()
    assert shown["repositories"] == ["vault"]


def test_a_point_that_somebody_removed_is_not_damage_and_is_not_drilled(stored: Site) -> None:
    """The repository is sound: what is missing was taken out of it."""
    (old,) = stored.points()
    stored.drd("backup", "shop")
    listed = json.loads(stored.restic("snapshots", "--json", "--tag", f"run:{old['point']}"))
    stored.restic("forget", *(s["id"] for s in listed))
    drilled = stored.drd("drill", "shop", "--point", old["point"], code=5)
    told = drilled.out + drilled.err
    assert f"restore point {old['point']} is no longer in primary" in told
    assert "is damaged" not in told
    assert "the plan has no checks" not in told
    assert old["point"] not in [p["point"] for p in stored.points()]
    stored.drd("drill", "shop")

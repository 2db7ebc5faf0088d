"""Lie: "old enough to go". Retention counted from now, so that after an outage, or by a clock that
is ahead, rules by age forgot nearly everything, and the same command pruned it. Now it counts from
the newest complete point, is paused while anything is doubtful, and forgets little at once.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.daemons import WallClock
from tests.e2e.site import Site, small_site
from tests.retention_support import age, backup, codes, kept, past, policy, retention


@pytest.fixture
def site(short_tmp: Path) -> Site:
    return small_site(short_tmp)


def test_an_outage_of_forty_days_costs_no_point(site: Site) -> None:
    policy(site, "{keep_within: 30d}")
    points = past(site, [3, 2, 1, 0])
    assert retention(site)["state"] == "succeeded"
    for point, days in zip(points, (43, 42, 41, 40), strict=True):
        age(site, point, days)
    planned = retention(site, "--dry-run")
    assert (planned["state"], codes(planned), planned["forget"]) == ("paused", ["rpo"], [])
    told = retention(site)
    assert (told["state"], codes(told), told["forgotten"]) == ("paused", ["rpo"], [])
    assert kept(site) == set(points)

    # What was missed comes back: rules by age let all but the newest go, but not at once.
    new = backup(site)
    told = retention(site)
    assert (told["state"], told["limit"]) == ("succeeded", 2)
    assert told["forgotten"] == points[1::-1]
    assert told["waiting"] == points[:1:-1]
    assert kept(site) == {new, *points[2:]}
    assert retention(site)["forgotten"] == [], "what is over the limit waits for a person"
    assert site.drd("retention", "shop", "--force", code=2).err
    forced = retention(site, "--force", "--reason", "the outage is over")
    assert set(forced["forgotten"]) == set(points[2:])
    [detail] = site.catalogue("select detail from runs where id = ?", forced["run"])
    assert "the outage is over" in detail[0]
    assert '"login_uid"' in detail[0], "who forced it is recorded"
    assert "the outage is over" in site.drd("run", "show", forced["run"]).out


def test_rules_go_on_while_backups_arrive(site: Site) -> None:
    """The healthy twin."""
    policy(site, "{keep_within: 2d}")
    old, recent = past(site, [5, 1])
    new = backup(site)
    told = retention(site)
    assert (told["state"], told["pauses"], told["forgotten"]) == ("succeeded", [], [old])
    assert kept(site) == {recent, new}


def test_forgetting_prunes_nothing(site: Site) -> None:
    """So that there is a time in which what was forgotten can still be brought back."""
    policy(site, "{last: 1}")
    old = backup(site)
    backup(site)
    assert retention(site)["forgotten"] == [old]
    assert [r["kind"] for r in site.runs() if r["kind"] == "prune"] == []
    assert site.drd("prune", "shop", "--json").json["repositories"][0]["state"] == "succeeded"


def test_a_clock_that_is_forty_days_ahead_costs_no_point(site: Site) -> None:
    """The clock is wrong from the boot on, and a backup is made by it: its point is the newest."""
    policy(site, "{keep_within: 30d}")
    points = [backup(site) for _ in range(3)]
    assert retention(site)["state"] == "succeeded"
    clock = WallClock(site)
    clock.set(40 * 86400)
    told = retention(site)
    assert "clock-jumped" in codes(told)
    assert "rpo" in codes(told)
    ahead = backup(site)
    told = retention(site)
    assert "clock-jumped" in codes(told)
    assert (told["state"], told["forgotten"]) == ("paused", [])
    assert kept(site) == {*points, ahead}

    # Put right, its point lies in the future; without that one all goes on.
    clock.set(0)
    told = retention(site)
    assert codes(told) == ["future"]
    assert f"drd points forget {ahead}" in told["pauses"][0]["hint"]
    site.drd("points", "forget", ahead, "--reason", "a wrong clock made it")
    backup(site)
    assert retention(site)["state"] == "succeeded"
    assert set(points) <= kept(site)


def test_a_backup_that_failed_pauses_retention(site: Site) -> None:
    policy(site, "{last: 1}")
    old = backup(site)
    new = backup(site)
    (site.base / "shop.db").rename(site.base / "away.db")
    site.drd("backup", "shop", code=None)
    told = retention(site)
    assert (codes(told), told["forgotten"]) == (["backup-failed"], [])
    assert {old, new} <= kept(site)
    (site.base / "away.db").rename(site.base / "shop.db")
    backup(site)
    assert retention(site)["state"] == "succeeded"


def test_a_paused_retention_is_shown_and_neither_failed_nor_late(site: Site) -> None:
    policy(site, "{last: 1, every: 1d}")
    point = backup(site)
    age(site, point, 2)
    told = retention(site)
    assert told["state"] == "paused"
    [run] = [r for r in site.runs() if r["kind"] == "retention"]
    assert run["state"] == "paused"
    shown = site.drd("run", "show", told["run"]).out
    assert "paused: the newest complete restore point has data of " in shown
    [plan] = site.drd("status", "shop", "--json", code=None).json["plans"]
    assert [p["code"] for p in plan["retention"]["pauses"]] == ["rpo"]
    assert any(r.startswith("retention is paused: ") for r in plan["reasons"])
    text = site.drd("status", "shop", code=None).out
    assert "retention is paused" in text
    [item] = [
        i for i in site.drd("schedule", "shop", "--json").json["items"] if i["kind"] == "retention"
    ]
    assert item["why"].startswith("paused: ")
    assert item["trigger"] == "schedule", "and no retry of a failure"


def test_a_point_of_now_is_not_old(site: Site) -> None:
    """Its twin: nothing to show."""
    policy(site, "{last: 1, every: 1d}")
    backup(site)
    assert retention(site)["state"] == "succeeded"
    [plan] = site.drd("status", "shop", "--json", code=None).json["plans"]
    assert plan["retention"] == {"paused_since": None, "pauses": [], "waiting": 0}

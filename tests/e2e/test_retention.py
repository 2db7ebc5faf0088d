"""Whole points by the days of the plan's zone, through the command line."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.e2e.daemons import WallClock
from tests.e2e.runbook_site import until
from tests.e2e.site import Site, small_site

ZONE = ZoneInfo("Asia/Tokyo")
"""Nine hours ahead of UTC, all year: what is of one day there is of two in UTC, and vice versa."""

DAY = timedelta(days=1)


class Nights:
    """A site whose clock stands at times of the past; `crosses` is when the capture of `conf` waits
    until that of `db` is over, and midnight with it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.clock = WallClock(site)
        site.environment |= {
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # finding out whether it is needed takes a second
        }
        self.later = site.base / "clock.later"
        plan = site.base / "plans/shop.yaml"
        move = f"[ ! -e {self.later} ] || mv {self.later} {self.clock.file}"
        wait = f"while [ -e {self.later} ]; do sleep 0.05; done"
        text = plan.read_text()
        text = text.replace(
            "{kind: sqlite,", f"{{kind: sqlite, after: {{command: [sh, -c, '{move}']}},"
        )
        text = text.replace(
            "{kind: files,", f"{{kind: files, before: {{command: [sh, -c, '{wait}']}},"
        )
        text = text.replace("rpo: 15m", "rpo: 7d")
        plan.write_text(text + "backup: {timezone: Asia/Tokyo}\nretention: {daily: 3}\n")

    def backup(self, at: datetime, until: datetime | None = None) -> str:
        """The point of a run that begins at a time, and ends about `until`."""
        now = datetime.now(ZONE)
        if until is not None:
            self.later.write_text(f"{(until - now).total_seconds():+.0f}\n")
        self.clock.set(round((at - now).total_seconds()))
        told = self.site.drd("backup", "shop", "--json").json
        assert told["state"] == "succeeded"
        return str(told["point"])


@pytest.fixture
def nights(short_tmp: Path) -> Nights:
    return Nights(small_site(short_tmp))


def test_run_that_crosses_midnight_is_of_the_day_on_which_it_began(nights: Nights) -> None:
    """restic's `--keep-daily` would keep its files for the one day and drop its database of the
    other; by UTC, or by the end of the run, other points would be chosen."""
    site = nights.site
    midnight = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0) - 2 * DAY
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    before = nights.backup(midnight - DAY - 12 * hour)
    noon = nights.backup(midnight - 12 * hour)
    crossing = nights.backup(midnight - minute, midnight + 5 * minute)
    after = nights.backup(midnight + 8 * hour)

    [shown] = [p for p in site.points() if p["point"] == crossing]
    db, conf = (datetime.fromisoformat(c["data_time"]) for c in shown["components"])
    assert db.astimezone(ZONE).date() == (midnight - minute).date()
    assert conf.astimezone(ZONE).date() == midnight.date()
    assert datetime.fromisoformat(shown["data_time"]) == db

    del site.environment["LD_PRELOAD"]
    paused = site.drd("retention", "shop", "--json").json
    assert [p["code"] for p in paused["pauses"]] == ["clock-jumped"]
    assert (paused["forgotten"], paused["due"]) == ([], [noon])
    confirmed = ("--clock-is-right", "--reason", "the nights are over")
    assert site.drd("retention", "shop", "--clock-is-right", code=2).err
    planned = site.drd("retention", "shop", "--dry-run", "--json").json
    assert (planned["forget"], planned["due"]) == ([], [noon])
    assert len(site.points()) == 4
    told = site.drd("retention", "shop", "--json", *confirmed).json
    assert told["forgotten"] == [noon]
    assert {k["point"]: k["reasons"] for k in told["keep"]} == {
        after: ["daily", "newest"],
        crossing: ["daily"],
        before: ["daily"],
    }
    assert told["repositories"] == [{"repository": "primary", "snapshots": 3, "error": None}]

    assert {p["point"] for p in site.points()} == {after, crossing, before}
    assert site.catalogue("select id from points where forgotten_at is not null") == [(noon,)]
    states = site.catalogue("select state from runs where kind = 'retention' order by started_at")
    assert states == [("paused",), ("succeeded",)]
    tags = [s["tags"] for s in json.loads(site.restic("snapshots", "--json"))]
    left = Counter(t[2] for t in tags if "component:drd" not in t)
    whole = {f"run:{p}": 3 for p in (after, crossing, before)}
    assert left == whole, "of each the database, the files and the manifest"
    site.restic("check", "--read-data")
    site.assert_clean()


def test_nothing_is_forgotten_while_a_snapshot_lies_in_the_future(short_tmp: Path) -> None:
    """Somebody else's, too: it says as much about the clocks as one of ours."""
    site = small_site(short_tmp)
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    [old, _] = [site.drd("backup", "shop", "--json").json["point"] for _ in range(2)]
    tomorrow = f"{datetime.now(UTC) + DAY:%Y-%m-%d %H:%M:%S}"
    strange = ("backup", "--host", "elsewhere", "--tag", "run:1234abcd", str(site.base / "etc"))
    site.restic(*strange)
    site.restic(*strange, "--time", tomorrow)
    for more in ((), ("--dry-run",)):
        [told] = site.drd("retention", "shop", "--json", *more).json["pauses"]
        assert told["code"] == "future"
        assert "in the future" in told["text"]
        assert "check this host's clock" in told["hint"]
    assert len(site.points()) == 2
    runs = site.catalogue("select state, error from runs where kind = 'retention'")
    assert [(state, "in the future" in error) for state, error in runs] == [("paused", True)]
    [command] = re.findall(r"`restic (forget [0-9a-f ]+)`", told["hint"])
    site.restic(*command.split())
    assert json.loads(site.restic("snapshots", "--json", "--host", "elsewhere")) == []
    assert site.drd("retention", "shop", "--json").json["forgotten"] == [old]
    site.assert_clean()


def test_point_dated_in_the_future_can_be_forgotten(
    short_tmp: Path,
) -> None:
    """Where restic saw another clock than drd."""
    site = small_site(short_tmp)
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    [ahead, new] = [site.drd("backup", "shop", "--json").json["point"] for _ in range(2)]
    with sqlite3.connect(site.base / "state/drd.db") as connection:
        tomorrow = (datetime.now(UTC) + DAY).isoformat()
        connection.execute("update points set data_time = ? where id = ?", (tomorrow, ahead))
    [told] = site.drd("retention", "shop", "--json").json["pauses"]
    assert told["code"] == "future"
    assert f"restore point {ahead} is dated" in told["text"]
    assert f"drd points forget {ahead} --reason" in told["hint"]
    site.drd("points", "forget", ahead, "--reason", "the clock was wrong then")
    assert [p["point"] for p in site.points()] == [new]
    assert site.drd("retention", "shop", "--json").json["state"] == "succeeded"


def test_point_that_lost_a_snapshot_to_others_does_not_stand_for_a_whole_one(
    short_tmp: Path,
) -> None:
    site = small_site(short_tmp)
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    older, newer = (site.drd("backup", "shop", "--json").json for _ in range(2))
    site.restic("forget", newer["components"][0]["snapshot"])
    done = site.drd("retention", "shop", "--json")
    assert (
        f"{newer['point']} of shop is incomplete now, because somebody removed its snapshot "
        "of db without drd: find out who" in done.err
    )
    assert done.json["forgotten"] == []
    assert {k["point"]: k["reasons"] for k in done.json["keep"]} == {
        newer["point"]: ["incomplete, but no newer point is complete"],
        older["point"]: ["last", "newest"],
    }
    assert [p["complete"] for p in site.points()] == [False, True]
    [state] = site.drd("status", "--json", code=3).json["plans"]
    assert state["components"][0]["data_time"] == older["components"][0]["data_time"]
    assert site.drd("drill", "shop", "--json").json["point"] == older["point"]
    assert site.drd("retention", "shop").err == "", "it was told"
    site.assert_clean()


def test_a_point_forgotten_during_its_drill_is_not_a_failure(short_tmp: Path) -> None:
    """It had decided about the point before the drill took it, and forgets it while that reads."""
    site = small_site(short_tmp)
    point = site.drd("backup", "shop", "--json").json["point"]
    site.drd("backup", "shop")
    go_on = site.base / "go-on"
    plan = site.base / "plans/shop.yaml"
    waits = f"until test -e {go_on}; do sleep 0.1; done"
    plan.write_text(
        plan.read_text().replace("{every: 7d}", f"{{every: 7d, read: [{site.base}]}}")
        + "retention: {keep_within: 1d}\n"
        + f'runbook:\n  - command: {{run: [sh, -c, "{waits}"]}}\n  - restore: all\n  - check: all\n'
    )
    drill = site.start("drill", "shop", "--point", point, "--json")
    rehearsed = (
        "select 1 from steps join runs on runs.id = steps.run"
        " where runs.kind = 'drill' and steps.name = 'command'"
    )
    until(lambda: bool(site.catalogue(rehearsed)), "the drill waits")
    taken = json.loads(site.restic("snapshots", "--json", "--tag", f"run:{point}"))
    site.restic("forget", *(s["id"] for s in taken))
    site.drd("retention", "shop", code=None)
    go_on.touch()
    out, err = drill.communicate(timeout=120)
    assert drill.returncode == 5, err
    assert json.loads(out)["result"] == "inconclusive"
    assert f") has forgotten restore point {point} meanwhile" in site.drd("runs", "shop").out
    assert site.drd("drill", "shop", "--json", code=None).json["result"] == "passed"

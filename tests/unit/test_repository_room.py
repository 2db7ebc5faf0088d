"""Little room in a repository, and restore points of a time that has not come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from drd.flows.host.repository_findings import repository_findings
from drd.flows.host.repository_room import ahead
from drd.model.finding import Finding
from drd.repositories.local import LocalPlace
from tests.flow_support import DAY, NOON, World

MIB = 1 << 20


def stored(world: World, *added: int) -> None:
    """A backup for each size in MiB, oldest first; each of two components added the half of it."""
    for number, size in enumerate(added):
        at = NOON - DAY + timedelta(hours=number)
        point = world.stored(f"{number:08x}", at)
        rows = tuple(replace(c, added_bytes=size * MIB // 2) for c in point.components)
        world.catalogue.points.record(replace(point, components=rows))


def told(world: World, name: str = "primary") -> Finding:
    found = repository_findings(world.services, world.plan, world.founded(name))
    [room] = [f for f in found if f.code == "repository-room"]
    assert room.subject == name
    return room


@pytest.mark.parametrize(
    ("added", "free", "severity", "words"),
    [
        (
            (4000, 20, 30),
            300,
            "ok",
            "300 MiB free; the largest of the last 2 backups added 30.0 MiB",
        ),
        ((4000, 20, 30), 299, "warning", "added 30.0 MiB: there is space for about 9 more backups"),
        (
            (4000, 30),
            59,
            "warning",
            "the last backup added 30.0 MiB: there is space for about 1 more",
        ),
        (
            (4000, 30),
            29,
            "warning",
            "added 30.0 MiB: perhaps there is not enough space for the next backup",
        ),
        (
            (4000, 0),
            15,
            "warning",
            "added 0 B: perhaps there is not enough space for the next backup",
        ),
        ((40,), 40, "ok", "40.0 MiB free; the only backup so far added 40.0 MiB"),
        ((40,), 39, "warning", "39.0 MiB free; the only backup so far added 40.0 MiB"),
        ((), 1, "ok", "1.0 MiB free; there is no restore point yet to compare with"),
    ],
)
def test_free_room_is_compared_with_what_backups_add(
    world: World, added: tuple[int, ...], free: int, severity: str, words: str
) -> None:
    stored(world, *added)
    world.founded("primary").free = free * MIB
    found = told(world)
    assert found.severity == severity
    assert words in found.text
    assert ("drd prune shop --repository primary" in found.remedy) == (severity != "ok")


def test_a_place_without_a_point_needs_the_whole_of_one(world: World) -> None:
    stored(world, 1)
    world.founded("offsite").free = 199
    assert (
        "no restore point is stored there yet, and the newest has 200 B"
        in told(world, "offsite").text
    )
    assert told(world, "offsite").severity == "warning"
    world.offsite.free = 200
    assert told(world, "offsite").severity == "ok"


def test_holes_of_files_need_no_room_in_a_repository(world: World) -> None:
    """restic stores the zeros of holes in next to nothing."""
    stored(world, 1)
    [point] = world.catalogue.points.of_plan("shop")
    rows = tuple(replace(c, kind="files", facts={"holes": c.bytes - 1}) for c in point.components)
    world.catalogue.points.record(replace(point, components=rows))
    world.founded("offsite").free = len(rows)
    room = told(world, "offsite")
    assert room.severity == "ok"
    assert f"the newest has {len(rows)} B before compression" in room.text


def test_a_place_that_does_not_report_its_room_has_no_finding(world: World) -> None:
    stored(world, 1)
    found = repository_findings(world.services, world.plan, world.primary)
    assert [f for f in found if f.code == "repository-room"] == []


def test_a_directory_has_the_room_of_its_disk_also_before_it_is_made(tmp_path: Path) -> None:
    free = LocalPlace(tmp_path / "not/yet").free_bytes()
    assert free is not None
    assert free > 0


def test_the_reserve_of_root_is_not_free_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SimpleNamespace(f_blocks=100, f_bfree=60, f_bavail=10, f_frsize=4096)
    monkeypatch.setattr("drd.repositories.local.os.statvfs", lambda _: disk)
    assert LocalPlace(tmp_path).free_bytes() == 10 * 4096


def test_points_of_the_future_are_told_with_the_way_out(world: World) -> None:
    stored(world, 1, 1)
    assert ahead(world.services, world.plan) == []
    world.stored("aaaaaaaa", NOON + DAY)
    [found] = ahead(world.services, world.plan)
    assert (found.code, found.severity) == ("future", "warning")
    assert found.text.startswith(
        "1 restore point is dated in the future: aaaaaaaa (2026-11-26 12:00:00 UTC). A clock was"
    )
    assert "`drd points forget aaaaaaaa --reason TEXT`" in found.remedy
    assert "`--clock-is-right --reason TEXT`" in found.remedy

"""Which repositories may give a restore point, and what happens when one of them cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from drd.errors import (
    DrdError,
    ManifestRefused,
    NoRestorePoint,
    PointGone,
    RepositoryDamaged,
    RepositoryUnreachable,
    SecretUnavailable,
    TargetNotEmpty,
    UsageError,
)
from drd.flows.components.repository_choice import (
    Holders,
    former_places,
    holders,
    named,
    repository_spec,
    usable_repositories,
)
from drd.model.snapshot import RestorePoint
from drd.ports import Repository, no_progress
from tests.fakes_repository import MemoryRepository
from tests.flow_support import NOON, World


@pytest.fixture
def point(world: World) -> RestorePoint:
    """One that a backup made, and that is copied."""
    made = world.backup()
    world.copy()
    return world.point(made.id)


def held(world: World, point: RestorePoint, *only: str) -> Holders:
    return Holders(world.services, world.plan, point, only=only or None)


# --- which may be used ---


def test_repositories_are_tried_in_the_order_of_the_plan(world: World) -> None:
    point = world.stored("aaaaaaaa", NOON, copied=True)
    turned = replace(point, repositories=dict(reversed(point.repositories.items())))
    assert [s.name for s in holders(world.plan, turned)] == ["primary", "offsite"]
    assert [s.name for s in holders(world.plan, turned, ["offsite"])] == ["offsite"]
    assert [r.name for r in held(world, turned).repositories] == ["primary", "offsite"]
    assert [r.name for r in held(world, turned, "offsite").repositories] == ["offsite"]


def test_a_point_that_is_elsewhere_is_refused_with_the_way_to_it(world: World) -> None:
    point = world.stored("aaaaaaaa", NOON)
    with pytest.raises(NoRestorePoint) as caught:
        holders(world.plan, point, ["offsite", "third"])
    assert caught.value.message == "restore point aaaaaaaa is in primary, not in offsite or third"
    assert caught.value.hint == "use another point: drd points shop"
    unknown = replace(point, repositories={"old": "5a", "older": "5b"})
    with pytest.raises(NoRestorePoint) as caught:
        holders(world.plan, unknown)
    assert caught.value.message == (
        "no repository of plan shop contains restore point aaaaaaaa (the catalogue says: "
        "old, older)"
    )
    assert caught.value.hint == (
        "read the repositories of the plan again: drd catalogue rebuild shop; or choose another "
        "point: drd points shop"
    )
    with pytest.raises(NoRestorePoint, match=r"\(the catalogue says: no repository\)$"):
        holders(world.plan, replace(point, repositories={}))


def test_a_point_of_former_repositories_names_them(world: World) -> None:
    point = replace(
        world.stored("aaaaaaaa", NOON),
        repositories={},
        elsewhere={"primary": "0123456789abcdef", "old": ""},
    )
    places = (
        "the repository 01234567 that was called primary and the repository of unknown id that "
        "was called old"
    )
    assert former_places(point) == places
    with pytest.raises(NoRestorePoint) as caught:
        holders(world.plan, point)
    assert caught.value.message == (
        f"restore point aaaaaaaa is only in {places}, and plan shop no longer names this repository"
    )
    assert (
        caught.value.hint
        == "add this repository to the plan again, or choose another point: drd points shop"
    )


def test_a_repository_by_its_name(world: World) -> None:
    assert named(world.plan, None) is None
    assert named(world.plan, "offsite") == ("offsite",)
    assert repository_spec(world.plan, "offsite").copy_of == "primary"
    with pytest.raises(UsageError) as caught:
        named(world.plan, "third")
    assert caught.value.message == "plan shop has no repository 'third'"
    assert caught.value.hint == "choose one of the plan's repositories: primary, offsite."


def test_after_a_region_loss_only_copies_are_left(world: World) -> None:
    assert usable_repositories(world.plan, None, "database-loss") is None
    assert usable_repositories(world.plan, "primary", None) == ("primary",)
    assert usable_repositories(world.plan, None, "region-loss") == ("offsite",)
    assert usable_repositories(world.plan, "offsite", "region-loss") == ("offsite",)
    with pytest.raises(UsageError) as caught:
        usable_repositories(world.plan, "primary", "region-loss")
    assert caught.value.message == (
        "in the scenario region-loss only copies are left, but repository primary is not a copy"
    )
    assert caught.value.hint == "choose a copy: --repository offsite"


def test_a_region_loss_without_a_copy_is_refused(world: World) -> None:
    plan = replace(world.plan, repositories={"primary": world.plan.primary})
    with pytest.raises(UsageError) as caught:
        usable_repositories(plan, None, "region-loss")
    assert (
        caught.value.message == "in the scenario region-loss only copies are left, but plan "
        "shop has no copy"
    )
    assert caught.value.hint == "add a repository with `copy_of:` to the plan (docs/copies.md)."


# --- reading from them ---


def test_the_first_that_can_deliver_is_used(
    world: World, point: RestorePoint, tmp_path: Path
) -> None:
    place = tmp_path / "landing"
    place.mkdir()
    where = held(world, point)
    assert where.manifest().point.id == point.id
    row = point.component("conf")
    assert row is not None
    assert where.fetch("conf", str(row.snapshot), place, no_progress).torn == ()
    assert (place / str(world.base / "etc/file").lstrip("/")).read_text() == "of etc\n"
    assert list(where.used) == ["primary"]
    assert where.passed_over == []
    assert world.warnings == []


def test_times_of_entries_come_from_the_first_that_has_the_snapshot(
    world: World, point: RestorePoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, str]] = []

    def changed(self: MemoryRepository, snapshot: str, directory: str) -> dict[str, datetime]:
        self._files(snapshot)
        asked.append((self.name, snapshot, directory))
        return {"file": NOON}

    monkeypatch.setattr(MemoryRepository, "changed", changed)
    row = point.component("conf")
    assert row is not None
    snapshot = str(row.snapshot)
    there = next(s.id for s in world.offsite.snapshots() if s.original == snapshot)
    assert held(world, point).changed("conf", snapshot, "/etc") == {"file": NOON}
    world.primary.forget([snapshot])
    assert held(world, point).changed("conf", snapshot, "/etc") == {"file": NOON}
    assert asked == [("primary", snapshot, "/etc"), ("offsite", there, "/etc")]


def test_only_the_named_paths_are_fetched(
    world: World, point: RestorePoint, tmp_path: Path
) -> None:
    (tmp_path / "landing").mkdir()
    row = point.component("conf")
    assert row is not None
    with pytest.raises(DrdError, match="any of the requested paths"):
        held(world, point).fetch(
            "conf", str(row.snapshot), tmp_path / "landing", no_progress, include=["/nowhere"]
        )


def test_another_one_delivers_what_the_first_lost(
    world: World, point: RestorePoint, tmp_path: Path
) -> None:
    (tmp_path / "landing").mkdir()
    row = point.component("conf")
    assert row is not None
    world.primary.forget([str(row.snapshot)])
    where = held(world, point)
    where.manifest()
    where.fetch("conf", str(row.snapshot), tmp_path / "landing", no_progress)
    assert list(where.used) == ["primary", "offsite"]
    [(what, name, error)] = where.passed_over
    assert (what, name, type(error)) == ("conf", "primary", PointGone)
    assert where.damaged == {}
    [warning] = world.warnings
    assert warning.startswith(
        f"drd read conf of restore point {point.id} from repository offsite, because drd could not "
        "read it from repository primary: snapshot "
    )
    # What lacks one snapshot may well have the next.
    other = point.component("data")
    assert other is not None
    (tmp_path / "second").mkdir()
    where.fetch("data", str(other.snapshot), tmp_path / "second", no_progress)
    assert len(where.passed_over) == 1


def test_a_copy_that_lacks_a_snapshot_says_how_to_copy_it(
    world: World, point: RestorePoint, tmp_path: Path
) -> None:
    (tmp_path / "landing").mkdir()
    row = point.component("conf")
    assert row is not None
    there = next(s.id for s in world.offsite.snapshots() if s.original == row.snapshot)
    world.offsite.forget([there])
    with pytest.raises(PointGone) as caught:
        held(world, point, "offsite").fetch(
            "conf", str(row.snapshot), tmp_path / "landing", no_progress
        )
    assert (
        caught.value.message
        == f"repository offsite has no copy of snapshot {str(row.snapshot)[:8]}"
    )
    assert caught.value.hint == "copy the snapshot there: drd copy shop"


def test_all_that_failed_is_in_the_error(world: World, point: RestorePoint) -> None:
    world.primary.forget([point.repositories["primary"]])
    world.offsite.forget([point.repositories["offsite"]])
    where = held(world, point)
    with pytest.raises(PointGone) as caught:
        where.manifest()
    first, second = caught.value.message.split("; offsite: ")
    assert first.startswith("snapshot ")
    assert second.startswith("snapshot ")
    assert not where.used


@pytest.mark.parametrize("error", [RepositoryUnreachable, SecretUnavailable])
def test_one_that_does_not_answer_is_not_asked_again(
    world: World, point: RestorePoint, error: type[DrdError]
) -> None:
    where, asked = held(world, point), []

    def attempt(repository: object) -> str:
        asked.append(getattr(repository, "name", ""))
        if asked[-1] == "primary":
            raise error("no answer")
        return "here"

    assert where._first("conf", attempt) == "here"  # type: ignore[arg-type]
    assert where._first("data", attempt) == "here"  # type: ignore[arg-type]
    assert asked == ["primary", "offsite", "offsite"]
    assert [(what, name) for what, name, _ in where.passed_over] == [
        ("conf", "primary"),
        ("data", "primary"),
    ]
    assert where.damaged == {}
    where.rule_in("primary")
    where.rule_in("primary")
    where._first("more", attempt)  # type: ignore[arg-type]
    assert asked[3:] == ["primary", "offsite"]


def test_one_that_was_ruled_out_is_not_asked(world: World, point: RestorePoint) -> None:
    where = held(world, point)
    where.rule_out("primary", RepositoryUnreachable("no answer"))
    assert where.manifest().point.id == point.id
    assert list(where.used) == ["offsite"]
    told = (
        f"drd read the manifest of restore point {point.id} from repository offsite, because drd "
        "could not read it from repository primary: no answer"
    )
    assert world.warnings == [told]
    assert where.manifest() is where.manifest()
    assert len(where.passed_over) == 1


def test_damage_is_noted_by_repository(world: World, point: RestorePoint) -> None:
    where = held(world, point)

    def attempt(repository: object) -> str:
        if getattr(repository, "name", "") == "primary":
            raise RepositoryDamaged("a pack is gone")
        return "here"

    assert where._first("conf", attempt) == "here"  # type: ignore[arg-type]
    assert list(where.damaged) == ["primary"]
    where._first("data", attempt)  # type: ignore[arg-type]
    assert [type(e) for _, _, e in where.passed_over] == [RepositoryDamaged] * 2


def test_another_error_is_not_one_of_the_repository(world: World, point: RestorePoint) -> None:
    where = held(world, point)

    def attempt(_: object) -> str:
        raise TargetNotEmpty("no room here")

    with pytest.raises(TargetNotEmpty):
        where._first("conf", attempt)
    assert where.passed_over == []


def test_a_manifest_of_another_state_is_refused(world: World, point: RestorePoint) -> None:
    rows = tuple(replace(row, snapshot="5a" * 32) for row in point.components)
    with pytest.raises(ManifestRefused, match="is not the manifest that drd stored") as found:
        held(world, replace(point, components=rows)).manifest()
    assert found.value.repair == "none", "restic finds nothing to repair there"


def test_a_host_without_a_past_reads_with_a_cache_of_its_own(
    world: World, point: RestorePoint, tmp_path: Path
) -> None:
    asked: list[Path] = []

    class Caching(MemoryRepository):
        def cold(self, cache: Path) -> Repository:
            asked.append(cache)
            return self

    services = replace(world.services, open_repository=lambda s: Caching(s.name, s.url))
    cache = tmp_path / "cache"
    assert [r.name for r in Holders(services, world.plan, point).repositories] == [
        "primary",
        "offsite",
    ]
    assert asked == []
    where = Holders(services, world.plan, point, cache=cache)
    assert [r.name for r in where.repositories] == ["primary", "offsite"]
    assert where.repositories[0] is where.repositories[0]
    assert asked == [cache, cache]


def test_a_point_that_drd_did_not_write_is_refused_at_once(
    world: World, point: RestorePoint
) -> None:
    rows = tuple(replace(row, snapshot="-rf") for row in point.components)
    with pytest.raises(ManifestRefused):
        held(world, replace(point, components=rows))

"""What every repository promises: the one in memory, restic on a local disk, on S3, and at the
servers that only restic reaches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drd.errors import (
    DumpFailed,
    ImplausibleDump,
    PointGone,
    RepositoryDamaged,
    RepositoryError,
    RepositoryMissing,
    SnapshotIncomplete,
    TargetNotEmpty,
)
from drd.ports import Progress, Repository, Torn, Tree
from drd.repositories.restic import ResticRepository
from tests.fakes_repository import MemoryRepository
from tests.repository_support import (
    FAR,
    directory_of,
    far_repository,
    founded_anywhere,
    local_repository,
    restic_processes,
    s3_repository,
    shell,
)
from tests.torn_support import note

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(params=["memory", "local", "s3", *FAR])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    """A place without a repository; afterwards no restic may be left, nor a lock."""
    if request.param == "memory":
        yield MemoryRepository()
        return
    if request.param in FAR:
        repository = far_repository(request.param, request, tmp_path)
    elif request.param == "local":
        repository = local_repository(tmp_path)
    else:
        repository = s3_repository(request.getfixturevalue("s3"), tmp_path)
    yield repository
    assert restic_processes(tmp_path) == []
    assert repository.runner.session.place.locks() == frozenset()


@pytest.fixture
def repository(fresh: Repository, request: pytest.FixtureRequest) -> Repository:
    if isinstance(fresh, ResticRepository):
        return founded_anywhere(fresh, request)
    fresh.initialise()
    return fresh


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "inner" / "empty").mkdir(parents=True)
    (root / "a").write_bytes(b"first")
    (root / "inner" / "b").write_bytes(b"second")
    return root


def test_directory_of_a_snapshot_says_when_its_entries_changed(
    repository: Repository, tree: Path
) -> None:
    os.utime(tree / "a", (1_000_000_000.25, 1_000_000_000.25))
    stored = repository.store(Tree((str(tree),)), host="shop", tags=["drd"])
    times = repository.changed(stored.snapshot, str(tree))
    if isinstance(repository, MemoryRepository):
        assert times == {}
        return
    assert times[str(tree / "a")] == datetime(2001, 9, 9, 1, 46, 40, 250000, tzinfo=UTC)
    assert str(tree / "inner") in times
    assert str(tree / "inner" / "b") not in times


def restored(repository: Repository, snapshot: str, into: Path, **how: Any) -> Path:
    into.mkdir()
    repository.restore(snapshot, into, **how)
    return into


def test_a_place_without_a_repository_has_no_identity(fresh: Repository) -> None:
    fresh.preflight()
    assert fresh.identity() is None
    with pytest.raises(RepositoryMissing):
        fresh.snapshots()


def test_identity_is_what_initialise_returned(fresh: Repository) -> None:
    made = fresh.initialise()
    assert len(made) == 64
    assert fresh.identity() == made


def test_a_stream_comes_back_as_one_file(repository: Repository, tmp_path: Path) -> None:
    seen: list[Progress] = []
    stored = repository.store(shell("printf data"), host="p", tags=["t"], on_progress=seen.append)
    assert (stored.bytes, stored.files) == (4, 1)
    assert stored.added_bytes > 0
    place = restored(repository, stored.snapshot, tmp_path / "out")
    assert (place / "dump").read_bytes() == b"data"
    assert repository.read_file(stored.snapshot, "dump") == b"data"


def test_a_failed_producer_leaves_no_snapshot(repository: Repository) -> None:
    with pytest.raises(DumpFailed, match=r"exited with 3.*out of luck"):
        repository.store(shell("printf data; echo out of luck >&2; exit 3"), host="p", tags=["t"])
    assert repository.snapshots() == []


def test_an_empty_stream_is_implausible_and_leaves_no_snapshot(repository: Repository) -> None:
    with pytest.raises(ImplausibleDump):
        repository.store(shell("true"), host="p", tags=["t"])
    assert repository.snapshots(fresh=True) == []


def test_a_tree_comes_back_under_its_absolute_path(
    repository: Repository, tree: Path, tmp_path: Path
) -> None:
    stored = repository.store(Tree((str(tree),)), host="p", tags=["t"])
    assert (stored.bytes, stored.files) == (11, 2)
    into = tmp_path / "out"
    place = restored(repository, stored.snapshot, into) / str(tree).lstrip("/")
    found = {str(p.relative_to(place)) for p in place.rglob("*")}
    assert found == {"a", "inner", "inner/b", "inner/empty"}
    assert (place / "inner" / "b").read_bytes() == b"second"
    assert repository.read_file(stored.snapshot, str(tree / "a")) == b"first"


def test_exclude_leaves_out_what_it_names_and_all_below(
    repository: Repository, tree: Path, tmp_path: Path
) -> None:
    stored = repository.store(
        Tree((str(tree),), exclude=(str(tree / "inner"),)), host="p", tags=["t"]
    )
    place = restored(repository, stored.snapshot, tmp_path / "out") / str(tree).lstrip("/")
    assert [p.name for p in place.iterdir()] == ["a"]


def test_include_restores_only_what_it_names(
    repository: Repository, tree: Path, tmp_path: Path
) -> None:
    stored = repository.store(Tree((str(tree),)), host="p", tags=["t"])
    place = restored(repository, stored.snapshot, tmp_path / "out", include=[str(tree / "inner")])
    found = sorted(p.name for p in (place / str(tree).lstrip("/")).rglob("*"))
    assert found == ["b", "empty", "inner"]


def test_include_of_what_is_not_there_is_damage(
    repository: Repository, tree: Path, tmp_path: Path
) -> None:
    stored = repository.store(Tree((str(tree),)), host="p", tags=["t"])
    with pytest.raises(RepositoryDamaged):
        restored(repository, stored.snapshot, tmp_path / "out", include=["/nowhere"])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("part", [False, True])
def test_file_that_changed_while_stored_has_the_size_of_what_was_stored(
    repository: Repository, tree: Path, tmp_path: Path, request: pytest.FixtureRequest, part: bool
) -> None:
    stored = repository.store(Tree((str(tree),)), host="p", tags=["t"])
    hot = str(tree / "inner" / "b")
    if isinstance(repository, MemoryRepository):
        snapshot = repository.note(stored.snapshot, {hot: 4000})
    else:
        assert isinstance(repository, ResticRepository)
        on_s3 = repository.url.startswith("s3:")
        server = request.getfixturevalue("s3") if on_s3 else None
        place = None if on_s3 else directory_of(repository, request)
        snapshot = note(repository, stored.snapshot, {hot: 4000}, server, place)
    for number, (of, torn) in enumerate([(stored.snapshot, ()), (snapshot, (Torn(hot, 6, 4000),))]):
        (tmp_path / str(number)).mkdir()
        include = [str(tree / "inner")] if part else []
        fetched = repository.restore(of, tmp_path / str(number), include=include)
        assert (fetched.bytes, fetched.torn) == (6 if part else 11, torn)
        assert (tmp_path / f"{number}{hot}").read_bytes() == b"second"


def test_a_restore_into_a_filled_directory_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    stored = repository.store_bytes(b"1", "m", host="p", tags=["drd"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with pytest.raises(TargetNotEmpty):
        repository.restore(stored.snapshot, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]


def test_a_missing_path_makes_the_snapshot_incomplete(repository: Repository, tree: Path) -> None:
    missing = str(tree.parent / "missing")
    with pytest.raises(SnapshotIncomplete, match="could not read 1 of the files") as caught:
        repository.store(Tree((str(tree), missing)), host="p", tags=["t"])
    assert caught.value.unread == (missing,)
    assert [s.id for s in repository.snapshots()] == [caught.value.snapshot]


def test_snapshots_are_listed_oldest_first_with_all_that_was_said(repository: Repository) -> None:
    later = repository.store_bytes(
        b"2", "m", host="p", tags=["drd", "run:b"], time=AT + timedelta(hours=1)
    )
    early = repository.store_bytes(b"1", "m", host="p", tags=["drd", "run:a"], time=AT)
    listed = repository.snapshots(fresh=True)
    assert [s.id for s in listed] == [early.snapshot, later.snapshot]
    assert listed[0].time == AT
    assert listed[0].host == "p"
    assert set(listed[0].tags) == {"drd", "run:a"}
    assert listed[0].paths == ("/m",)
    assert listed[0].original is None


def test_a_listing_is_of_one_host_and_of_all_tags_given(repository: Repository) -> None:
    mine = repository.store_bytes(b"1", "m", host="p", tags=["drd", "run:a"], time=AT).snapshot
    repository.store_bytes(b"2", "m", host="p", tags=["drd", "run:b"], time=AT)
    repository.store_bytes(b"3", "m", host="other", tags=["drd", "run:a"], time=AT)
    found = repository.snapshots(host="p", tags=["drd", "run:a"])
    assert [s.id for s in found] == [mine]
    assert repository.snapshots(host="p", tags=["run:none"]) == []


def test_bytes_come_back_exactly(repository: Repository) -> None:
    data = bytes(range(256)) * 5 + b"\r\n\0a password\n"
    stored = repository.store_bytes(data, "manifest.json", host="p", tags=["drd"])
    assert repository.read_file(stored.snapshot, "manifest.json") == data


def test_a_file_is_saved_up_to_a_size(repository: Repository, tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    stored = repository.store_bytes(data, "drd.tar", host="p", tags=["drd"])
    repository.save_file(stored.snapshot, "drd.tar", tmp_path / "saved", most=len(data))
    assert (tmp_path / "saved").read_bytes() == data
    with pytest.raises(RepositoryError):
        repository.save_file(stored.snapshot, "drd.tar", tmp_path / "more", most=len(data) - 1)
    assert not (tmp_path / "more").exists()


def test_a_file_that_is_not_there_is_damage_and_a_snapshot_is_gone(repository: Repository) -> None:
    stored = repository.store_bytes(b"1", "m", host="p", tags=["drd"])
    with pytest.raises(RepositoryDamaged):
        repository.read_file(stored.snapshot, "other")
    with pytest.raises(PointGone):
        repository.read_file("0" * 64, "m")


def test_forgetting_is_by_id_and_can_be_repeated(repository: Repository) -> None:
    gone = repository.store_bytes(b"1", "m", host="p", tags=["drd"]).snapshot
    kept = repository.store_bytes(b"2", "m", host="p", tags=["drd"]).snapshot
    repository.forget([gone])
    repository.forget([gone])
    assert [s.id for s in repository.snapshots(fresh=True)] == [kept]


def test_pruning_and_checking_leave_what_is_kept(repository: Repository) -> None:
    gone = repository.store(shell("head -c 100000 /dev/urandom"), host="p", tags=["t"])
    kept = repository.store_bytes(b"2", "m", host="p", tags=["drd"])
    repository.forget([gone.snapshot])
    done = repository.prune(deadline_s=60)
    assert "removed" in done.summary
    assert done.removed_bytes > 90_000 or not isinstance(repository, ResticRepository)
    repository.check(read_subset="100%", deadline_s=60)
    assert 0 < repository.size_bytes() < 100_000 or repository.size_bytes() == 1
    assert repository.read_file(kept.snapshot, "m") == b"2"


def test_a_healthy_repository_has_no_stale_locks(repository: Repository) -> None:
    assert repository.remove_stale_locks() == 0


def test_doctor_finds_nothing_wrong(repository: Repository) -> None:
    assert [f for f in repository.doctor() if f.failed] == []

"""What every repository promises of copies, between all kinds of places, and of looking for
damage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd.errors import PointGone, RepositoryDamaged
from drd.ports import Progress, Repository
from drd.process import Command
from drd.repositories.restic import ResticRepository
from drd.repositories.restic.two_repositories import command
from tests.fakes_repository import MemoryRepository
from tests.repository_support import (
    far_repository,
    founded,
    founded_anywhere,
    held_lock,
    lightened,
    limited_repository,
    local_repository,
    restic,
    restic_processes,
    s3_repository,
    shell,
)
from tests.servers import S3Server

# On one worker, since what the pairs are takes seconds to make.
pytestmark = pytest.mark.xdist_group("repository-copies")

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Pair = tuple[Repository, Repository]

PAIRS = ["memory", "local to s3", "s3 to local", "two keys"]
PAIRS += ["sftp to rest", "sftp to sftp", "sftp to rclone"]


def make(kind: str, request: pytest.FixtureRequest, directory: Path) -> Pair:
    if kind == "memory":
        return MemoryRepository(), MemoryRepository("offsite", "/memory/offsite")
    s3 = request.getfixturevalue("s3")
    if kind == "two keys":
        return limited_repository(s3, directory, "alpha"), limited_repository(s3, directory, "beta")
    if kind.startswith("sftp to "):
        there = far_repository(kind.removeprefix("sftp to "), request, directory, name="copy")
        return far_repository("sftp", request, directory), there
    local, bucket = local_repository(directory), s3_repository(s3, directory, password="another")
    return (local, bucket) if kind == "local to s3" else (bucket, local)


@pytest.fixture(params=PAIRS, scope="module")
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Pair, Path]:
    """A repository and one that holds copies of it, which restic makes: that takes seconds."""
    directory = tmp_path_factory.mktemp("pair")
    source, copy = make(request.param, request, directory)
    if isinstance(source, ResticRepository) and isinstance(copy, ResticRepository):
        founded_anywhere(source, request)
        copy.initialise(chunker_from=source)
        lightened(copy, request)
    else:
        source.initialise()
        copy.initialise(chunker_from=source)
    return (source, copy), directory


@pytest.fixture
def pair(made: tuple[Pair, Path]) -> Iterator[Pair]:
    """Both empty; afterwards no process is left, nor a lock."""
    both, directory = made
    for one in both:
        one.forget([s.id for s in one.snapshots()])
    yield both
    assert restic_processes(directory) == []
    for one in both:
        if isinstance(one, ResticRepository):
            assert one.runner.session.place.locks() == frozenset()


def test_a_copy_is_the_same_under_another_id_and_names_its_original(pair: Pair) -> None:
    source, copy = pair
    tags = ["drd", "run:a"]
    one = source.store(shell("printf one"), host="p", tags=tags, time=AT).snapshot
    two = source.store_bytes(b"two", "m", host="p", tags=tags, time=AT).snapshot
    source.store_bytes(b"three", "m", host="p", tags=tags, time=AT)
    seen: list[Progress] = []

    copy.copy_from(source, [one], expected_bytes=3, on_progress=seen.append)
    copy.copy_from(source, [one, two])

    found = {s.original: s for s in copy.snapshots(fresh=True)}
    assert len(copy.snapshots()) == 2
    assert set(found) == {one, two}
    for original, info in found.items():
        assert info.id != original
        assert (info.host, set(info.tags), info.time) == ("p", set(tags), AT)
    assert copy.read_file(found[one].id, "dump") == b"one"
    assert all(p.phase == "copy" and p.done_bytes <= 3 for p in seen)


@pytest.mark.parametrize("made", ["memory", "local to s3"], indirect=True)
def test_a_snapshot_that_the_source_lacks_is_gone_and_the_others_are_copied(pair: Pair) -> None:
    source, copy = pair
    gone = source.store_bytes(b"gone", "m", host="p", tags=["t"]).snapshot
    kept = source.store_bytes(b"kept", "m", host="p", tags=["t"]).snapshot
    source.forget([gone])
    with pytest.raises(PointGone):
        copy.copy_from(source, [gone, kept])
    assert [s.original for s in copy.snapshots(fresh=True)] == [kept]


# --- restic only ----------------------------------------------------------------------------


@pytest.fixture
def local(tmp_path: Path) -> ResticRepository:
    return founded(local_repository(tmp_path))


def test_a_copy_of_a_copy_names_the_first(tmp_path: Path, local: ResticRepository) -> None:
    one = local.store_bytes(b"one", "m", host="p", tags=["t"]).snapshot
    before = local
    for name in ("second", "third"):
        after = local_repository(tmp_path, name=name)
        after.initialise(chunker_from=before)
        after.copy_from(before, [s.id for s in before.snapshots()])
        before = after
    (last,) = before.snapshots()
    assert last.original == one
    assert before.read_file(last.id, "m") == b"one"


def test_a_copy_uses_the_same_chunk_boundaries(tmp_path: Path, local: ResticRepository) -> None:
    copy = local_repository(tmp_path, name="copy")
    copy.initialise(chunker_from=local)
    data = tmp_path / "data"
    data.write_bytes(os.urandom(8 << 20))
    script = shell(f"cat {data}")
    copy.copy_from(local, [local.store(script, host="p", tags=["t"]).snapshot])
    assert copy.store(script, host="p", tags=["t"]).added_bytes < 10_000


def words_of_a_copy(s3: S3Server, directory: Path, source: str, copy: str) -> Command:
    repositories = [limited_repository(s3, directory, name) for name in (copy, source)]
    return command(*(r.runner.session for r in repositories), ["copy"])


def test_one_key_for_both_needs_no_rclone(s3: S3Server, tmp_path: Path) -> None:
    made = words_of_a_copy(s3, tmp_path, "alpha", "alpha")
    assert "rclone" not in " ".join(made.argv)
    assert str(made.env["RESTIC_FROM_REPOSITORY"]).startswith("s3:")


def test_no_secret_is_in_the_words_of_a_copy_and_rclone_gets_none_but_its_own(
    s3: S3Server, tmp_path: Path
) -> None:
    made = words_of_a_copy(s3, tmp_path, "alpha", "beta")
    secret = [*s3.limited.values(), "password of alpha", "password of beta"]
    assert not [s for s in secret if any(s in word for word in made.argv)]
    hidden = next(word for word in made.argv if word.startswith("rclone.program="))
    for name in ("RESTIC_PASSWORD", "RESTIC_FROM_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        assert f"-u {name}" in hidden


def flip(repository: ResticRepository) -> str:
    """Flip a byte in the largest pack; its name."""
    packs = Path(repository.url, "data").rglob("*")
    pack = max((p for p in packs if p.is_file()), key=lambda p: p.stat().st_size)
    pack.chmod(0o600)
    data = bytearray(pack.read_bytes())
    data[100] ^= 0xFF
    pack.write_bytes(data)
    return pack.name


def test_a_flipped_byte_is_found_by_the_part_that_reads_it(local: ResticRepository) -> None:
    lost = local.store(shell("head -c 300000 /dev/urandom"), host="p", tags=["t"]).snapshot
    kept = local.store_bytes(b"kept", "m", host="p", tags=["t"]).snapshot
    name = flip(local)
    part = int(name[:2], 16) % 4 + 1  # as restic deals packs out
    local.check()
    local.check(read_subset=f"{part % 4 + 1}/4")
    with pytest.raises(RepositoryDamaged, match=f"pack {name}") as caught:
        local.check(read_subset=f"{part}/4", deadline_s=60)
    assert caught.value.parts == (name,)
    assert "\n" not in caught.value.message
    assert local.snapshots_with(caught.value.parts) == {lost}
    assert local.read_file(kept, "m") == b"kept"


def test_a_check_needs_no_lock_and_believes_damage_only_under_one(
    local: ResticRepository,
) -> None:
    local.store(shell("head -c 300000 /dev/urandom"), host="p", tags=["t"])
    with held_lock(local):
        local.check(read_subset="100%", deadline_s=30)
    restic(local, "unlock")
    (Path(local.url) / "data" / flip(local)[:2]).iterdir().__next__().unlink()
    with pytest.raises(RepositoryDamaged, match="does not exist"):
        local.check()

"""Files with holes come back with their holes: the same content, in as little room."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd.flows.components.fetch import fetched
from drd.kinds.files import SPEC
from drd.kinds.files.holes import HOLES, disk_bytes, holes
from drd.kinds.files.manifest import require_written
from drd.model.snapshot import ComponentSnapshot
from drd.model.strict import UnexpectedValue
from drd.model.units import format_size
from drd.ports import Workplace, no_progress
from drd.ports.repository import Fetched
from drd.process.clock import SystemClock
from tests.integration.files.support import KIND, component, source, taken
from tests.repository_support import local_repository
from tests.restic_support import place

MIB = 1 << 20
SIZE = 64 * MIB


@pytest.fixture
def work(short_tmp: Path) -> Workplace:
    return place(short_tmp / "w")


@pytest.fixture
def image(short_tmp: Path) -> Path:
    """A disk of 64 MiB with 1 MiB of data in the middle, beside a file without holes."""
    (short_tmp / "data").mkdir()
    (short_tmp / "data/plain").write_bytes(os.urandom(MIB))
    image = short_tmp / "data/disk.img"
    with image.open("wb") as file:
        file.truncate(SIZE)
        file.seek(SIZE // 2)
        file.write(os.urandom(MIB))
    return image


def room_of(file: Path) -> int:
    return file.stat().st_blocks * 512


def asks_for_sparse(snapshot: ComponentSnapshot) -> bool:
    """What a fetch of this component asks of its repository."""
    asked: list[bool] = []

    def fetch(*_: object, sparse: bool, **__: object) -> Fetched:
        asked.append(sparse)
        return Fetched(0)

    services = SimpleNamespace(clock=SystemClock(), on_progress=no_progress)
    holders: Any = SimpleNamespace(services=services, fetch=fetch)
    fetched(holders, snapshot, Path("/nowhere"), None)
    return asked[0]


def test_a_sparse_file_comes_back_sparse(image: Path, work: Workplace, short_tmp: Path) -> None:
    repository = local_repository(short_tmp)
    repository.initialise()
    with source(work, image.parent).open() as capture:
        snapshot = taken(capture, repository.store(capture.payload, host="shop", tags=["drd"]))
    require_written(snapshot, {})
    assert snapshot.bytes == SIZE + MIB
    assert SIZE - 20 * MIB < snapshot.facts[HOLES] < SIZE - MIB
    needed = disk_bytes(snapshot)
    sandbox = KIND.sandbox(component(image.parent), snapshot, work)
    [room, *_] = sandbox.preflight(snapshot, overwrite=False)
    assert f"needs {needed / MIB:.1f} MiB" in room.text

    landing = sandbox.landing()
    repository.restore(str(snapshot.snapshot), landing, sparse=asks_for_sparse(snapshot))

    back = next(landing.rglob("disk.img"))
    assert back.read_bytes() == image.read_bytes()
    total = sum(room_of(f) for f in landing.rglob("*") if f.is_file())
    assert total <= needed + MIB
    assert room_of(back) < SIZE // 2


def test_files_without_holes_say_nothing_of_them(work: Workplace, image: Path) -> None:
    image.unlink()
    with source(work, image.parent).open() as capture:
        assert HOLES not in capture.facts
    assert not asks_for_sparse(ComponentSnapshot("data", "files", "captured", bytes=5))


def test_holes_that_no_source_writes_are_refused() -> None:
    facts = {"paths": ["/data"], HOLES: -1}
    with pytest.raises(UnexpectedValue, match="holes"):
        require_written(ComponentSnapshot("data", "files", "captured", facts=facts), {})
    more = ComponentSnapshot("data", "files", "captured", bytes=5, facts={HOLES: 9})
    assert disk_bytes(more) == 0


def test_doctor_counts_no_holes_before_the_first_backup(image: Path, work: Workplace) -> None:
    """The room that doctor names before a backup is the one that a snapshot needs afterwards."""
    (found,) = KIND.sandbox_findings(component(image.parent), work)
    size, saved = SIZE + MIB, holes([os.fsencode(image)])
    needs = SPEC.room_for(size, {HOLES: saved})
    assert needs == size - saved < SIZE // 2
    assert f"needs {format_size(needs)}; " in found.text

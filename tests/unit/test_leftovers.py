"""Directories that no run of this catalogue has made."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drd.flows.services import Services
from drd.flows.state import leftovers, run_dirs, run_stamps
from tests.flow_support import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path)) as world:
        yield world


def _named_like_a_run(world: World) -> Path:
    directory = world.services.work_dir / f"{run_dirs.RUN}1e1890a3"
    directory.mkdir(parents=True, mode=0o700)
    (directory / "data").write_bytes(b"x" * 2048)
    return directory


def test_an_unknown_directory_is_named_with_its_size(world: World) -> None:
    directory = _named_like_a_run(world)
    (finding,) = [f for f in leftovers.leftovers(world.services) if f.code == "leftover"]
    assert str(directory) in finding.text
    assert "2.0 KiB" in finding.text
    assert finding.remedy is not None
    assert str(directory) in finding.remedy


def test_a_directory_that_its_run_removes_meanwhile_is_not_a_leftover(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, judged = _named_like_a_run(world), run_stamps.why_foreign

    def removed_meanwhile(services: Services, path: Path, run: str) -> str | None:
        shutil.rmtree(directory)
        return judged(services, path, run)

    monkeypatch.setattr(run_stamps, "why_foreign", removed_meanwhile)
    assert "leftover" not in [f.code for f in leftovers.leftovers(world.services)]

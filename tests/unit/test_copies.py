"""A copy of the catalogue, which leaves no trace, goes even if its process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.flows.state.copies import make_copy_place, sweep_copies

MAKER = """
import sys, time
from pathlib import Path
from drd.flows.state.copies import make_copy_place
place = make_copy_place(Path(sys.argv[1]))
(place.directory / "scratch.db").write_text("catalogue")
print(place.directory, flush=True)
time.sleep(600)
"""


@pytest.fixture
def work(short_tmp: Path) -> Path:
    place = short_tmp / "work"
    place.mkdir(mode=0o700)
    return place


@pytest.fixture
def maker(work: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    command = [sys.executable, "-c", MAKER, work]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield child, Path(child.stdout.readline().strip())
        finally:
            child.kill()


def test_copy_of_a_killed_process_goes_with_the_next_one(
    maker: tuple[subprocess.Popen[str], Path], work: Path
) -> None:
    child, left = maker
    ours, second = make_copy_place(work), make_copy_place(work)
    assert (left / "scratch.db").exists(), "its process lives"

    child.send_signal(signal.SIGKILL)
    child.wait()
    sweep_copies(work)
    assert not left.exists()
    assert ours.directory.is_dir()
    for place in (ours, second):
        place.remove()
    assert list(work.iterdir()) == []


def test_nothing_goes_but_the_own_unlocked_directory_of_a_dead_process(work: Path) -> None:
    locked = make_copy_place(work)
    # As a container sees it: the process has another pid there.
    elsewhere = locked.directory.rename(work / "run-doctor-copy-4194999-7-0badcafe")
    target = work / "precious"
    target.mkdir()
    link = work / "run-doctor-copy-4194999-8-0badcafe"
    link.symlink_to(target)
    other = work / "run-doctor-copy-mine"
    other.mkdir()
    sweep_copies(work)
    assert elsewhere.is_dir()
    assert link.is_symlink()
    assert target.is_dir()
    assert other.is_dir()

    os.close(locked.lock)
    work.chmod(0o777)
    sweep_copies(work)
    assert elsewhere.is_dir(), "others could have put it there"
    work.chmod(0o700)
    sweep_copies(work)
    assert not elsewhere.exists()
    assert target.is_dir()

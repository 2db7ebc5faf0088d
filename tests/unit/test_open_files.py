"""Who has files open that a recovery replaces: also files that somebody has removed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from drd.kinds.kept_files import Beside, KeptPlaces, ReplacedPath, Within
from drd.kinds.open_files import usage
from drd.model.restored import Usage


@dataclass
class Way:
    target: Path

    @property
    def before(self) -> Path:
        return self.target.with_name(f"{self.target.name}.drd_run1_before")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Path], int]]:
    """Opens a file in a program of somebody else: its parent has ended."""
    programs: list[int] = []

    def program(file: Path) -> int:
        script = f"exec 3<{file}; sleep 600 <&- >&- 2>&- & echo $!"
        done = subprocess.run(["bash", "-c", script], check=True, capture_output=True)
        programs.append(int(done.stdout))
        return programs[-1]

    yield program
    for pid in programs:
        os.kill(pid, signal.SIGKILL)


def words(found: list[Usage]) -> list[tuple[str | None, bool]]:
    return [(u.what, u.former) for u in found]


def test_a_program_that_writes_into_a_removed_file_is_named(
    tmp_path: Path, opened: Callable[[Path], int]
) -> None:
    file = tmp_path / "journal.db"
    file.write_text("old")
    pid = opened(file)
    file.unlink()
    (before,) = usage([Way(file)])
    assert before.words == f"{file} (removed) is in use by sleep (process {pid})"
    assert before.former
    file.write_text("restored")
    assert words(usage([Way(file)])) == [(f"{file} (removed)", True)]


def test_a_program_in_a_removed_directory_is_named_also_when_the_directory_is_back(
    tmp_path: Path, opened: Callable[[Path], int]
) -> None:
    directory = tmp_path / "conf"
    directory.mkdir()
    (directory / "log").write_text("old")
    opened(directory / "log")
    (directory / "log").unlink()
    directory.rmdir()
    assert words(usage([Way(directory)])) == [(f"{directory} (removed)", True)]
    directory.mkdir()
    (directory / "log").write_text("restored")
    assert words(usage([Way(directory)])) == [(f"{directory} (removed)", True)]


def test_a_removed_file_that_no_other_file_replaced_is_an_open_file_of_the_directory(
    tmp_path: Path, opened: Callable[[Path], int]
) -> None:
    directory = tmp_path / "conf"
    directory.mkdir()
    (directory / "scratch").write_text("of a program that removes what it has open")
    opened(directory / "scratch")
    (directory / "scratch").unlink()
    assert words(usage([Way(directory)])) == [(str(directory), False)]


def _beside(base: Path) -> tuple[ReplacedPath, Path]:
    place = Beside(base / "shop.db", "drd_4f2a1c3e", ("-wal",))
    place.before.write_text("old")
    place.target.write_text("new")
    return place, place.target


def _within(base: Path) -> tuple[ReplacedPath, Path]:
    place = Within(base, "drd_4f2a1c3e")
    place.before.mkdir()
    (place.before / "shop.db").write_text("old")
    (base / "shop.db").write_text("new")
    return place, base / "shop.db"


@pytest.mark.parametrize("make", [_beside, _within])
def test_after_an_undo_who_still_has_the_restored_data_open_is_named_with_the_kept_copy(
    make: Callable[[Path], tuple[ReplacedPath, Path]],
    tmp_path: Path,
    opened: Callable[[Path], int],
) -> None:
    place, file = make(tmp_path)
    kept = KeptPlaces("db", [place])
    pid = opened(file)
    assert words(kept.in_use()) == [(str(place.target), False)]
    kept.swap(back=True)
    (copy,) = kept.held()
    (used,) = kept.in_use()
    assert (used.what, used.former, used.by) == (copy.kept, True, (f"sleep (process {pid})",))
    kept.swap(back=False)
    assert words(kept.in_use()) == [(str(place.target), False)]

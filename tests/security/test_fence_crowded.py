"""A place that a fence hides lies among thousands of others, which a command may read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drd import process
from drd.errors import SandboxUnavailable
from drd.process import Command, Fences
from tests.fence_support import fences, own_directory

pytestmark = fences

OPENS = 'cat "$0" && ! cat "$1"'


@pytest.fixture
def crowd() -> Iterator[Path]:
    with own_directory() as place:
        for n in range(3000):
            (place / f"shared/{n:04}-of-somebody-else").mkdir(parents=True)
        (place / "shared/2999-of-somebody-else/note").write_text("theirs")
        (place / "shared/1000-of-somebody-else/note").write_text("hidden")
        (place / "own").mkdir()
        yield place


def test_neighbours_of_a_hidden_place_are_read_however_many_they_are(crowd: Path) -> None:
    hidden, read = (crowd / f"shared/{n}-of-somebody-else" for n in (1000, 2999))
    box = Fences(closed=(hidden,), reads=(crowd,))
    try:
        fence = box.fence("look", [crowd / "own"])
        argv = ["sh", "-c", OPENS, f"{read}/note", f"{hidden}/note"]
        done = process.run(Command(argv, fence=fence, deadline_s=30.0))
    finally:
        box.close()
    assert (done.exit_code, done.stdout) == (0, "theirs"), (done, box.failures())


def test_more_neighbours_than_a_command_line_takes_are_refused_by_name(
    crowd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drd.process.fence.MOST", 200_000)
    box = Fences(closed=(crowd / "shared/1000-of-somebody-else",), reads=(crowd,))
    try:
        fence = box.fence("look", [crowd / "own"])
        with pytest.raises(SandboxUnavailable, match=rf"because {crowd}/shared contains a place"):
            process.run(Command(["true"], fence=fence, deadline_s=30.0))
    finally:
        box.close()

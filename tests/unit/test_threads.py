"""Work in a thread of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.errors import Cancelled
from drd.process import cancel, check_cancelled, reset_cancel
from drd.process import threads as module
from drd.process.threads import can_confine, run_in_thread


@pytest.fixture
def cancelling() -> Iterator[None]:
    yield
    reset_cancel()


def test_results_and_errors_of_a_thread_are_returned() -> None:
    assert run_in_thread(lambda: 7) == 7
    with pytest.raises(KeyError):
        run_in_thread(lambda: {}["x"])


def test_work_that_blocks_is_abandoned_by_a_cancel(
    tmp_path: Path, cancelling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.1)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Timer(0.2, cancel).start()

    with pytest.raises(Cancelled):
        run_in_thread(lambda: pipe.open("rb").close())

    os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))  # it may end now


def test_work_that_checks_for_a_cancel_ends(cancelling: None) -> None:
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.01):
            try:
                check_cancelled()
            finally:
                ended.append(threading.get_ident())

    ended: list[int] = []
    threading.Timer(0.2, cancel).start()
    with pytest.raises(Cancelled):
        run_in_thread(work)
    assert ended


@pytest.mark.skipif(not can_confine(), reason="the kernel has no Landlock")
def test_a_confined_thread_can_change_only_its_directory(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "other").write_text("is read")

    def work() -> str:
        (tmp_path / "own/new").write_text("x")
        (tmp_path / "own/new").unlink()
        return (tmp_path / "other").read_text()

    assert run_in_thread(work, changes=tmp_path / "own") == "is read"
    with pytest.raises(PermissionError):
        run_in_thread((tmp_path / "other").unlink, changes=tmp_path / "own")
    (tmp_path / "other").unlink()

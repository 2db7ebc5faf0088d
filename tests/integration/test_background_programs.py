"""What is kept about services that recoveries have started, and for how long."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.catalogue.sql_catalogue import open_catalogue
from drd.flows.services import Services
from drd.flows.state.run_dirs import make_started
from drd.flows.state.run_removal import sweep_started
from drd.model.run import RunKind, RunState
from drd.process import process_start_time
from drd.process.background import MARK, BackgroundProgram, end, note
from tests.catalogue_support import at, plan


class Clock:
    def now(self) -> object:
        return at(0)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Services]:
    class Made:
        catalogue = open_catalogue(f"sqlite:///{tmp_path}/drd.db", create=True)
        work_dir = tmp_path
        clock = Clock()
        is_root = False

    yield Made()  # type: ignore[misc]
    Made.catalogue.close()


def test_notes_go_a_day_after_the_service_has_ended_and_never_before(here: Services) -> None:
    owned = here.catalogue.runs.begin(plan(), RunKind.RECOVERY, trigger="manual", at=at(0))
    notes = make_started(here, owned.run.id)
    key = f"{owned.run.id}/serve"
    service = subprocess.Popen(
        ["sleep", "600"], env={**os.environ, MARK: key}, start_new_session=True
    )
    try:
        note(notes, "serve", BackgroundProgram(service.pid, process_start_time(service.pid)))
        (notes / "serve.log").write_text("listening\n")
        long_ago = at(0).timestamp() - 2 * 86400
        os.utime(notes / "serve.log", (long_ago, long_ago))
        os.utime(notes / "serve.json", (long_ago, long_ago))

        sweep_started(here)
        here.catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(1))
        sweep_started(here)
        assert (notes / "serve.json").exists(), "it runs"

        # Also one that drd could not note down before it died.
        (notes / "serve.json").rename(notes / "serve.pid")
        (notes / "serve.pid").write_text(f"{service.pid}\n")
        os.utime(notes / "serve.pid", (long_ago, long_ago))
        sweep_started(here)
        assert (notes / "serve.pid").exists(), "it runs"
        assert not end(notes, "other", key=key.replace("serve", "other"))
        assert end(notes, "serve", key=key)
    finally:
        service.kill()
        service.wait()

    (notes / "serve.log").touch()
    os.utime(notes / "serve.log", (at(0).timestamp() - 60,) * 2)
    sweep_started(here)
    assert (notes / "serve.log").exists(), "somebody may want to know why"
    os.utime(notes / "serve.log", (long_ago, long_ago))
    sweep_started(here)
    assert not notes.exists()

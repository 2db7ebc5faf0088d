"""A run whose process died is recorded with the reason that the daemon knows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from drd.cli.command_line import build_parser
from drd.daemon import workers
from drd.flows.state.crash_cleanup import Ending, settle
from drd.model.cause import PROCESS_DIED, STOPPED, Cause
from drd.model.run import RunKind, RunState
from tests.flow_support import World

_WRITES_ARGV = "import json, sys; json.dump(sys.argv[2:], open(sys.argv[1], 'w'))"


@pytest.mark.parametrize("cause", [STOPPED, PROCESS_DIED])
def test_a_run_is_settled_with_the_text_and_the_code_of_its_cause(
    world: World, cause: Cause
) -> None:
    now = world.clock.now()
    owned = world.catalogue.runs.begin(world.plan, RunKind.BACKUP, trigger="manual", at=now)
    owned.release()
    settle(world.services, world.plan, {owned.run.id: Ending(cause=cause)})
    run = world.catalogue.runs.get(owned.run.id)
    assert (run.state, run.error, run.error_code) == (
        RunState.INTERRUPTED,
        cause.text,
        cause.code,
    )


@pytest.mark.parametrize("cause", [STOPPED, PROCESS_DIED])
@pytest.mark.parametrize("cancelled", [True, False])
def test_a_worker_is_told_the_text_and_the_code_of_the_cause(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: Cause, cancelled: bool
) -> None:
    argv = tmp_path / "argv"
    monkeypatch.setattr(workers, "PROGRAM", [sys.executable, "-c", _WRITES_ARGV, str(argv)])
    now = world.clock.now()
    owned = world.catalogue.runs.begin(world.plan, RunKind.BACKUP, trigger="manual", at=now)
    owned.release()
    started = workers.Workers(None, "{}")
    worker = started.start(owned.run, settle=cause, cancelled=cancelled)
    worker.child.wait()
    started.reap()
    words = ["worker", *json.loads(argv.read_text())]
    args = build_parser(words).parse_args(words)
    assert (args.run, args.settle, args.code, args.cancelled) == (
        owned.run.id,
        cause.text,
        cause.code,
        cancelled,
    )

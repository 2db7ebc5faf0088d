"""`python -m tests.e2e.dies_at MOMENT WORD …`: drd, killed with SIGKILL at a step boundary.

MOMENT is `before:STEP` (the intent is recorded, nothing done), `undone:STEP` (the effect is done,
its result not recorded) or `after:STEP` (the result is recorded). `undone:STEP,STEP` is when the
effects of all these steps are done, which run side by side. Before them come `noted:STEP`
(nothing is recorded but what root notes for itself) and `noted:run` (of the run itself).
`noted:end` is the same of its end, `after:reopen` when a run that was over has become open.
`amid:removal` is when the first file of a run's directory, its stamp, is removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from drd.catalogue.run_store import SqlRunStore
from drd.catalogue.steps import SqlStepStore
from drd.cli.main import main
from drd.process.private import STAMP


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str) -> None:
    """Make the catalogue deadly at one moment."""
    moments = {
        "noted:run": arm_run,
        "noted:end": arm_end,
        "after:reopen": arm_reopen,
        "amid:removal": arm_removal,
    }
    moments.get(moment, lambda: arm_step(moment))()


def arm_step(moment: str) -> None:
    when, _, step = moment.partition(":")
    open_steps = set(step.split(","))
    begin, finish = SqlStepStore.begin, SqlStepStore.finish

    def begin_step(self: Any, owned: Any, name: str, *rest: Any, **more: Any) -> Any:
        if when == "noted" and name == step:
            _die()
        record = begin(self, owned, name, *rest, **more)
        if when == "before" and name == step:
            _die()
        return record

    def finish_step(self: Any, owned: Any, name: str, *rest: Any, **more: Any) -> Any:
        if when == "undone" and name in open_steps:
            open_steps.discard(name)
            while open_steps:
                time.sleep(0.01)
            _die()
        finish(self, owned, name, *rest, **more)
        if when == "after" and name == step:
            _die()

    SqlStepStore.begin = begin_step  # type: ignore[method-assign]
    SqlStepStore.finish = finish_step  # type: ignore[method-assign]


def arm_run() -> None:
    """Make it deadly before anybody sees a run."""
    begin = SqlRunStore.begin

    def begin_or_die(self: Any, *rest: Any, before: Any = None, **more: Any) -> Any:
        def then(run: Any) -> None:
            if before is not None:
                before(run)
            _die()

        return begin(self, *rest, before=then, **more)

    SqlRunStore.begin = begin_or_die  # type: ignore[method-assign]


def arm_end() -> None:
    """Make it deadly before the row of a run says that it is over."""
    SqlRunStore.finish = lambda *_, **__: _die()  # type: ignore[method-assign]


def arm_reopen() -> None:
    reopen = SqlRunStore.reopen

    def reopen_and_die(self: Any, *rest: Any, **more: Any) -> Any:
        reopen(self, *rest, **more)
        _die()

    SqlRunStore.reopen = reopen_and_die  # type: ignore[method-assign]


def arm_removal() -> None:
    """Make it deadly to remove what has a stamp."""
    remove = shutil.rmtree

    def remove_or_die(path: Any, *rest: Any, **more: Any) -> None:
        stamp = Path(path) / STAMP
        if stamp.exists():
            stamp.unlink()
            _die()
        remove(path, *rest, **more)

    shutil.rmtree = remove_or_die  # type: ignore[assignment]


if __name__ == "__main__":
    arm(sys.argv[1])
    sys.exit(main(sys.argv[2:]))

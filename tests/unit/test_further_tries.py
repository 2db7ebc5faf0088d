"""Tries of steps of a playbook that may have happened: looked at, asked about, and rolled back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.errors import StepFailed
from drd.flows.runbook.engine import Engine
from drd.flows.runbook.taking_back import to_undo
from drd.model.run import RunKind, StepState
from drd.model.runbook import Live, OnFailure, Step
from drd.model.step_record import StepRecord
from drd.model.step_results import StepResult

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
BACK = Live(rollback=Step("rollback", "http"))


def record(name: str, state: StepState, kind: str = "http", **more: Any) -> StepRecord:
    return StepRecord("r", name, kind, state, **{"attempt": 1, "started_at": NOW, **more})


def engine(step: Step, records: list[StepRecord], perform: Any = None) -> Engine:
    """An engine of one step, whose tries `perform` carries out."""

    def begin(name: str, kind: str, effect: Callable[[], StepResult]) -> StepResult:
        records[:] = [record(name, StepState.FAILED, kind)]
        return effect()

    catalogue = SimpleNamespace(
        steps=SimpleNamespace(of_run=lambda _: records),
        decisions=SimpleNamespace(of_run=lambda _: []),
    )
    services = SimpleNamespace(
        catalogue=catalogue, clock=SimpleNamespace(monotonic=lambda: 0.0, now=lambda: NOW)
    )
    run = SimpleNamespace(id="r", kind=RunKind.RECOVERY, detail=None)
    runner = SimpleNamespace(run=run, step=begin)
    around = SimpleNamespace(
        runner=runner, services=services, steps=(step,), drill=False, asks_people=True, spans=[]
    )
    step_runner = SimpleNamespace(
        around=around, perform=perform, pause=lambda _: None, note_result=lambda *_: None
    )
    return Engine(cast("Any", step_runner))


def test_each_further_try_looks_whether_the_step_has_happened() -> None:
    seen: list[bool] = []

    def perform(_: Step, before: StepRecord | None) -> StepResult:
        seen.append(before is not None)
        if len(seen) < 3:
            raise StepFailed("no answer")
        return StepResult()

    looks = Live(done_when=Step("look", "http"))
    step = Step("post", "http", retries=2, live=looks)
    engine(step, [], perform)._carry_out(step)
    assert seen == [False, True, True]


@pytest.mark.parametrize(
    ("state", "on_failure", "live", "asked"),
    [
        (StepState.CANCELLED, "ask", BACK, True),
        (StepState.CANCELLED, "ask", None, False),
        (StepState.FAILED, "abort", BACK, True),
        (StepState.FAILED, "abort", None, False),
        (StepState.RUNNING, "abort", None, True),
    ],
)
def test_a_step_that_may_have_happened_is_asked_about(
    state: StepState, on_failure: OnFailure, live: Live | None, asked: bool
) -> None:
    step = Step("deed", "command", on_failure=on_failure, repeat=False, live=live)
    made = engine(step, [])
    made._load_record(step, record("deed", state))
    assert (made.outcome.states == {"deed": StepState.FAILED}) == asked
    assert ("deed" in made.earlier_records) != asked
    again = engine(step, [])
    again._load_record(Step("deed", "command", live=live), record("deed", StepState.CANCELLED))
    assert "deed" in again.earlier_records


def test_what_may_have_happened_is_rolled_back_or_named() -> None:
    known = [Step(name, "http", live=BACK) for name in ("waits", "skipped", "left-out")]
    known += [Step("read", "http", live=Live(reads=True)), Step("by-hand", "manual", live=BACK)]
    asked = StepResult(asked_at=NOW)
    found = [
        record("waits", StepState.WAITING),
        record("skipped", StepState.SKIPPED, result=asked),
        record("left-out", StepState.SKIPPED),
        record("read", StepState.SUCCEEDED),
        record("by-hand", StepState.SKIPPED, "manual", result=asked),
        record("renamed", StepState.SUCCEEDED),
        record("said", StepState.SUCCEEDED, "notify"),
        record("before waits", StepState.SUCCEEDED, "before", subject="waits"),
    ]
    can, left = to_undo(known, {r.name: r for r in found})
    assert (can, left) == (["skipped", "waits"], ["renamed"])

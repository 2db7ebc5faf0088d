"""What every catalogue promises (drd.ports.Catalogue), on each database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.errors import AlreadyRunning, Fenced, UsageError
from drd.model.run import RunKind, RunState, StepState
from drd.model.run_details import BackupDetail, DrillDetail
from drd.model.step_results import RestoreStepResult
from drd.ports import Catalogue, RunLease
from tests.catalogue_support import (
    at,
    evidence,
    plan,
    point,
)


def begin(
    catalogue: SqlCatalogue, kind: RunKind = RunKind.BACKUP, when: datetime | None = None
) -> RunLease:
    return catalogue.runs.begin(plan(), kind, trigger="manual", at=when or at(0))


def test_the_catalogue_has_every_method_of_its_port(catalogue: SqlCatalogue) -> None:
    port: Catalogue = catalogue
    assert port.plans.names() == []


# --- runs -----------------------------------------------------------------------------------


def test_run_is_recorded_before_anything_can_fail(catalogue: SqlCatalogue) -> None:
    owned = catalogue.runs.begin(
        plan(),
        RunKind.DRILL,
        trigger="schedule",
        detail=DrillDetail(scenario="host-loss"),
        at=at(0),
    )

    run = catalogue.runs.get(owned.run.id)

    assert run == owned.run
    assert (run.state, run.started_at, run.finished_at) == (RunState.RUNNING, at(0), None)
    assert (run.plan_digest, run.trigger, run.detail) == (
        "d1",
        "schedule",
        DrillDetail(scenario="host-loss"),
    )
    assert len(run.id) == 8
    assert set(run.id) <= set("0123456789abcdef")


def test_finish_keeps_what_the_run_was_asked_for(catalogue: SqlCatalogue) -> None:
    owned = catalogue.runs.begin(
        plan(), RunKind.BACKUP, trigger="manual", detail=BackupDetail(components=("a",)), at=at(0)
    )

    catalogue.runs.finish(
        owned, RunState.INCOMPLETE, at=at(2), error="gateway: gone", detail=BackupDetail(point="p1")
    )

    run = catalogue.runs.get(owned.run.id)
    assert (run.state, run.error, run.duration_s) == (RunState.INCOMPLETE, "gateway: gone", 120)
    assert run.detail == BackupDetail(components=("a",), point="p1")
    assert run.detail.to_json() == {"components": ["a"], "point": "p1"}


def test_the_first_final_state_stays(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(1))

    catalogue.runs.finish(owned, RunState.FAILED, at=at(2), error="said later")

    run = catalogue.runs.get(owned.run.id)
    assert (run.state, run.finished_at, run.error) == (RunState.SUCCEEDED, at(1), None)


def test_a_state_that_is_not_final_finishes_nothing(catalogue: SqlCatalogue) -> None:
    with pytest.raises(ValueError, match="is not a final state"):
        catalogue.runs.finish(begin(catalogue), RunState.RUNNING, at=at(1))


def test_errors_with_bytes_that_no_database_takes_are_recorded(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)

    catalogue.runs.finish(owned, RunState.FAILED, at=at(1), error="cannot read /etc/\udcff\0x")

    assert catalogue.runs.get(owned.run.id).error == "cannot read /etc/\\xff\\x00x"


def test_runs_are_newest_first_and_limited(catalogue: SqlCatalogue) -> None:
    first = begin(catalogue, RunKind.BACKUP, at(0))
    second = begin(catalogue, RunKind.DRILL, at(1))
    other = catalogue.runs.begin(plan("billing"), RunKind.DRILL, trigger="manual", at=at(2))

    assert [r.id for r in catalogue.runs.newest()] == [other.run.id, second.run.id, first.run.id]
    assert [r.id for r in catalogue.runs.newest("orders-api")] == [second.run.id, first.run.id]
    assert [r.id for r in catalogue.runs.newest(limit=1)] == [other.run.id]
    assert catalogue.runs.newest(kind=RunKind.RECOVERY) == []
    assert len(catalogue.runs.newest(kind=first.run.kind)) >= 1


def test_run_is_found_by_the_start_of_its_id(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)

    assert catalogue.runs.get(owned.run.id[:5].upper()).id == owned.run.id


@pytest.mark.parametrize("prefix", ["", "ffffffffff", "no_such", "%"])
def test_unknown_run_is_a_usage_error(catalogue: SqlCatalogue, prefix: str) -> None:
    begin(catalogue)

    with pytest.raises(UsageError, match="no run") as raised:
        catalogue.runs.get(prefix)
    assert raised.value.hint == "drd runs lists the runs."


def test_ambiguous_run_is_a_usage_error(catalogue: SqlCatalogue) -> None:
    ids: list[str] = []
    while len({run[0] for run in ids}) == len(ids):
        owned = begin(catalogue)
        catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(1))
        ids.append(owned.run.id)

    with pytest.raises(UsageError, match="the ids of several runs begin with"):
        catalogue.runs.get(ids[-1][0])


# --- ownership (more with processes in tests/integration) ------------------------------------


@pytest.mark.parametrize("kind", [RunKind.BACKUP, RunKind.DRILL, RunKind.RECOVERY])
def test_a_second_run_of_the_same_kind_is_refused(catalogue: SqlCatalogue, kind: RunKind) -> None:
    owned = begin(catalogue, kind)

    with pytest.raises(AlreadyRunning, match=f"run {owned.run.id}, process") as raised:
        begin(catalogue, kind)

    assert raised.value.run == owned.run.id
    assert raised.value.hint == f"wait until this run ends: drd run show {owned.run.id} --follow"
    assert len(catalogue.runs.newest()) == 1


def test_kinds_that_do_not_touch_each_other_run_side_by_side(catalogue: SqlCatalogue) -> None:
    for kind in (RunKind.BACKUP, RunKind.DRILL, RunKind.RECOVERY, RunKind.RETENTION):
        begin(catalogue, kind)
    catalogue.runs.begin(plan("billing"), RunKind.BACKUP, trigger="manual", at=at(0))

    assert len(catalogue.runs.newest()) == 5


@pytest.mark.parametrize(
    ("first", "second"),
    [(RunKind.RETENTION, RunKind.PRUNE), (RunKind.PRUNE, RunKind.RETENTION)],
)
def test_retention_and_prune_exclude_each_other(
    catalogue: SqlCatalogue, first: RunKind, second: RunKind
) -> None:
    begin(catalogue, first)

    with pytest.raises(AlreadyRunning):
        begin(catalogue, second)


def test_after_the_end_the_next_may_begin(catalogue: SqlCatalogue, tmp_path: Path) -> None:
    catalogue.runs.finish(begin(catalogue), RunState.FAILED, at=at(1))

    assert begin(catalogue).token == 1
    assert len(list((tmp_path / "state" / "locks").iterdir())) == 1


def test_of_many_that_begin_at_once_one_owns_the_run(catalogue: SqlCatalogue) -> None:
    def attempt(_: int) -> bool:
        try:
            begin(catalogue)
        except AlreadyRunning:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(100))) == 1
    assert len(catalogue.runs.newest()) == 1


def test_run_that_nobody_holds_is_abandoned_and_does_not_block(catalogue: SqlCatalogue) -> None:
    dead = begin(catalogue)
    alive = begin(catalogue, RunKind.DRILL)
    dead.release()

    assert [r.id for r in catalogue.runs.abandoned()] == [dead.run.id]
    assert catalogue.runs.abandoned("billing") == []
    assert begin(catalogue).run.id != dead.run.id
    alive.release()
    assert {r.id for r in catalogue.runs.abandoned("orders-api")} == {dead.run.id, alive.run.id}


def test_a_living_run_cannot_be_adopted(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)

    assert catalogue.runs.adopt(owned.run, at(1)) is None
    assert catalogue.runs.get(owned.run.id).token == 1


def test_a_run_is_adopted_once(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)
    owned.release()

    adopted = catalogue.runs.adopt(owned.run, at(1))

    assert adopted is not None
    assert (adopted.token, adopted.run.id) == (2, owned.run.id)
    assert catalogue.runs.abandoned() == []
    adopted.release()
    assert catalogue.runs.adopt(owned.run, at(2)) is None, "it was read before the first takeover"


def test_a_run_that_is_left_waits_for_a_process_that_adopts_it(catalogue: SqlCatalogue) -> None:
    dead = catalogue.runs.begin(plan(), RunKind.RECOVERY, trigger="manual", at=at(0))
    assert not catalogue.runs.leave(dead.run, at(1)), "its process lives"
    dead.release()
    assert catalogue.runs.leave(dead.run, at(1))
    assert not catalogue.runs.leave(dead.run, at(2)), "somebody was faster"
    [left] = catalogue.runs.abandoned()
    assert (left.state, left.left_by_its_process) == (RunState.WAITING, True)
    with pytest.raises(Fenced):
        catalogue.runs.finish(dead, RunState.SUCCEEDED, at=at(2))
    again = catalogue.runs.adopt(left, at(3))
    assert again is not None
    assert not catalogue.runs.get(dead.run.id).left_by_its_process
    again.release()


def test_of_many_that_adopt_at_once_one_gets_it(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)
    owned.release()

    with ThreadPoolExecutor(8) as pool:
        got = [o for o in pool.map(lambda _: catalogue.runs.adopt(owned.run, at(1)), range(8)) if o]

    assert len(got) == 1
    assert catalogue.runs.get(owned.run.id).token == 2


def test_a_process_whose_run_was_taken_over_cannot_record(catalogue: SqlCatalogue) -> None:
    mine = begin(catalogue)
    catalogue.steps.begin(mine, "capture", "capture", at(0))
    mine.release()
    theirs = catalogue.runs.adopt(mine.run, at(1))
    assert theirs is not None

    with pytest.raises(Fenced) as raised:
        catalogue.steps.finish(mine, "capture", StepState.SUCCEEDED, at=at(2))
    with pytest.raises(Fenced):
        catalogue.steps.begin(mine, "manifest", "manifest", at(2))
    with pytest.raises(Fenced):
        catalogue.points.record(point("p1", at(0)), owned=mine)
    with pytest.raises(Fenced):
        catalogue.evidence.record(mine, evidence())
    with pytest.raises(Fenced):
        catalogue.runs.finish(mine, RunState.SUCCEEDED, at=at(2))

    assert raised.value.hint == f"to see the state of this run: drd run show {mine.run.id}"
    assert [s.state for s in catalogue.steps.of_run(mine.run.id)] == [StepState.RUNNING]
    assert catalogue.points.of_plan("orders-api", kept_only=False) == []
    assert catalogue.evidence.newest("orders-api") == []
    catalogue.runs.finish(theirs, RunState.INTERRUPTED, at=at(3))
    assert catalogue.runs.get(mine.run.id).state is RunState.INTERRUPTED


# --- steps ----------------------------------------------------------------------------------


def test_a_finished_step_is_never_begun_again(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)
    catalogue.steps.begin(owned, "restore", "restore", at(0))
    catalogue.steps.finish(
        owned, "restore", StepState.SUCCEEDED, at=at(1), result=RestoreStepResult(bytes=9)
    )

    again = catalogue.steps.begin(owned, "restore", "restore", at(5))

    assert (again.state, again.attempt) == (StepState.SUCCEEDED, 1)
    assert (again.result, again.result.to_json()) == (RestoreStepResult(bytes=9), {"bytes": 9})
    assert (again.started_at, again.finished_at) == (at(0), at(1))


def test_a_failed_step_is_tried_again_and_counted(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)
    catalogue.steps.begin(owned, "restore", "restore", at(0))
    catalogue.steps.finish(owned, "restore", StepState.FAILED, at=at(1), error="no space")
    assert catalogue.steps.of_run(owned.run.id)[0].error == "no space"

    again = catalogue.steps.begin(owned, "restore", "restore", at(5))

    assert (again.state, again.attempt, again.error) == (StepState.RUNNING, 2, None)


def test_steps_are_in_the_order_in_which_they_first_began(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)
    for name in ("z", "a", "m", "z"):
        catalogue.steps.begin(owned, name, "capture", at(0))

    assert [s.name for s in catalogue.steps.of_run(owned.run.id)] == ["z", "a", "m"]


def test_a_step_that_never_began_cannot_end(catalogue: SqlCatalogue) -> None:
    with pytest.raises(ValueError, match="never began"):
        catalogue.steps.finish(begin(catalogue), "restore", StepState.SUCCEEDED, at=at(1))


def test_steps_of_many_threads_are_all_recorded(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)

    def work(number: int) -> None:
        catalogue.steps.begin(owned, f"step {number}", "capture", at(0))
        catalogue.steps.finish(owned, f"step {number}", StepState.SUCCEEDED, at=at(1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))

    steps = catalogue.steps.of_run(owned.run.id)
    assert len({s.name for s in steps}) == 40
    assert {s.state for s in steps} == {StepState.SUCCEEDED}

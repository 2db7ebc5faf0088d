"""What every catalogue promises about pending runs and histories (drd.ports.Queue)."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.errors import AlreadyRunning, Fenced, UsageError
from drd.model.job_history import JobHistory
from drd.model.run import Run, RunKind, RunState
from drd.model.run_details import BackupDetail, DrillDetail, ReadinessDetail, RunDetail
from drd.ports import Queue
from tests.catalogue_support import at, evidence, plan, point

DUE = Run("", "orders-api", RunKind.BACKUP, "schedule", RunState.PENDING, None, due_at=at(5))


def done(
    catalogue: SqlCatalogue,
    minute: float,
    state: RunState = RunState.SUCCEEDED,
    *,
    kind: RunKind = RunKind.BACKUP,
    subject: str = "",
    permanent: bool = False,
    trigger: str = "schedule",
) -> str:
    owned = catalogue.runs.begin(plan(), kind, trigger=trigger, at=at(minute), subject=subject)
    error = None if state is RunState.SUCCEEDED else f"why {minute}"
    detail = RunDetail(permanent=permanent)
    catalogue.runs.finish(owned, state, at=at(minute + 1), error=error, detail=detail)
    return owned.run.id


def history(catalogue: SqlCatalogue, kind: str = "backup", subject: str = "") -> JobHistory:
    [row] = [r for r in catalogue.queue.jobs() if (r.kind, r.subject) == (kind, subject)]
    return row


def pending(catalogue: SqlCatalogue) -> list[str]:
    return [r.id for r in catalogue.queue.open_runs() if r.state is RunState.PENDING]


def test_a_queue_has_every_method_of_the_port(catalogue: SqlCatalogue) -> None:
    port: Queue = catalogue.queue
    assert (port.jobs(), port.open_runs(), port.plan_rows()) == ([], [], [])


def test_history_counts_failures_since_the_last_success(catalogue: SqlCatalogue) -> None:
    first = done(catalogue, 0)
    known = history(catalogue)
    assert known == JobHistory(
        plan="orders-api",
        kind="backup",
        subject="",
        changed=known.changed,
        last_run=first,
        last_started_at=at(0),
        last_finished_at=at(1),
        last_success_at=at(1),
        last_state="succeeded",
        last_duration_s=60.0,
        p95_s=60.0,
    )
    done(catalogue, 2, RunState.FAILED)
    last = done(catalogue, 4, RunState.INTERRUPTED, permanent=True)
    row = history(catalogue)
    assert row.changed > known.changed > 0
    assert (row.tries, row.permanent, row.last_error) == (2, True, "why 4")
    assert (row.last_run, row.last_success_at, row.p95_s) == (last, at(1), 60.0)
    done(catalogue, 6)
    row = history(catalogue)
    assert (row.tries, row.permanent, row.last_error) == (0, False, None)


def test_a_cancelled_run_is_neither_success_nor_failure(catalogue: SqlCatalogue) -> None:
    done(catalogue, 0, RunState.FAILED)
    done(catalogue, 2, RunState.CANCELLED)
    row = history(catalogue)
    assert (row.tries, row.last_state, row.last_started_at) == (1, "cancelled", at(2))


def test_a_run_by_hand_without_a_result_delays_no_run_of_the_schedule(
    catalogue: SqlCatalogue,
) -> None:
    done(catalogue, 0)
    done(catalogue, 2, RunState.CANCELLED, trigger="manual")
    row = history(catalogue)
    assert (row.last_started_at, row.last_state, row.last_finished_at) == (
        at(0),
        "succeeded",
        at(1),
    )
    done(catalogue, 4, RunState.FAILED)
    for minute, state in ((6, RunState.FAILED), (8, RunState.INCOMPLETE), (9, RunState.CANCELLED)):
        done(catalogue, minute, state, permanent=True, trigger="manual")
    row = history(catalogue)
    assert (row.last_started_at, row.tries, row.permanent) == (at(4), 3, False)
    assert (row.last_state, row.last_error) == ("incomplete", "why 8")
    made = done(catalogue, 10, trigger="manual")
    assert (history(catalogue).last_run, history(catalogue).last_started_at) == (made, at(10))
    running = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(12))
    assert history(catalogue).last_started_at == at(10)
    catalogue.runs.finish(running, RunState.CANCELLED, at=at(13))


@pytest.mark.parametrize(
    ("kind", "detail", "counts"),
    [
        (RunKind.READINESS, ReadinessDetail(readiness="not ready"), True),
        (RunKind.READINESS, ReadinessDetail(), False),
        (RunKind.DRILL, DrillDetail(result="failed"), True),
        (RunKind.DRILL, DrillDetail(result="inconclusive"), False),
    ],
)
def test_a_bad_result_by_hand_is_a_result(
    catalogue: SqlCatalogue, kind: RunKind, detail: RunDetail, *, counts: bool
) -> None:
    owned = catalogue.runs.begin(plan(), kind, trigger="manual", at=at(0), subject="")
    catalogue.runs.finish(owned, RunState.FAILED, at=at(1), error="no", detail=detail)
    assert history(catalogue, kind).last_started_at == (at(0) if counts else None)


def test_only_failures_by_hand_leave_the_schedule_its_first_run(catalogue: SqlCatalogue) -> None:
    done(catalogue, 0, RunState.FAILED, permanent=True, trigger="manual")
    row = history(catalogue)
    assert (row.last_started_at, row.tries, row.permanent) == (None, 1, True)


def test_histories_are_apart_by_kind_and_subject(catalogue: SqlCatalogue) -> None:
    done(catalogue, 0, RunState.FAILED, kind=RunKind.COPY, subject="offsite")
    done(catalogue, 0, kind=RunKind.COPY, subject="vault")
    done(catalogue, 0)
    assert history(catalogue, "copy", "offsite").tries == 1
    assert history(catalogue, "copy", "vault").tries == 0
    assert history(catalogue).tries == 0


def test_only_changes_since_the_last_question_are_returned(catalogue: SqlCatalogue) -> None:
    done(catalogue, 0)
    seen = max(r.changed for r in catalogue.queue.jobs())
    assert catalogue.queue.jobs(seen) == []
    done(catalogue, 2, kind=RunKind.DRILL)
    assert [r.kind for r in catalogue.queue.jobs(seen)] == ["drill"]


def test_a_dead_run_found_late_does_not_count_as_the_newest(
    catalogue: SqlCatalogue,
) -> None:
    old = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(0))
    old.release()
    newer = done(catalogue, 5)
    taken = catalogue.runs.adopt(catalogue.runs.get(old.run.id), at(9))
    assert taken is not None
    catalogue.runs.finish(taken, RunState.INTERRUPTED, at=at(9), error="died")
    row = history(catalogue)
    assert (row.last_run, row.tries) == (newer, 0)


def test_a_pending_run_is_claimed_once(catalogue: SqlCatalogue) -> None:
    waiting = catalogue.queue.enqueue(replace(DUE, detail=RunDetail(why="it is due")))
    assert pending(catalogue) == [waiting.id]
    assert catalogue.runs.newest()[0].state is RunState.PENDING
    assert catalogue.runs.abandoned() == []

    owned = catalogue.runs.begin(
        plan(),
        RunKind.BACKUP,
        trigger="x",
        detail=BackupDetail(components=("db",)),
        at=at(6),
        claim=waiting.id,
    )

    run = catalogue.runs.get(waiting.id)
    assert (run.state, run.trigger, run.due_at) == (RunState.RUNNING, "schedule", at(5))
    assert run.detail == BackupDetail(why="it is due", components=("db",))
    assert pending(catalogue) == []
    owned.release()
    with pytest.raises(Fenced, match="no longer pending"):
        catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="x", at=at(7), claim=waiting.id)


@pytest.mark.parametrize("wrong", ["drill", "subject"])
def test_only_a_matching_process_claims_a_pending_run(catalogue: SqlCatalogue, wrong: str) -> None:
    waiting = catalogue.queue.enqueue(DUE)
    kind = RunKind.DRILL if wrong == "drill" else RunKind.BACKUP
    with pytest.raises(Fenced):
        catalogue.runs.begin(
            plan(),
            kind,
            trigger="x",
            at=at(6),
            claim=waiting.id,
            subject="s" if wrong == "subject" else "",
        )
    assert pending(catalogue) == [waiting.id]


def test_a_live_run_keeps_a_pending_one_waiting(catalogue: SqlCatalogue) -> None:
    waiting = catalogue.queue.enqueue(DUE)
    mine = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(5))
    with pytest.raises(AlreadyRunning):
        catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="x", at=at(6), claim=waiting.id)
    catalogue.runs.finish(mine, RunState.SUCCEEDED, at=at(7))
    catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="x", at=at(8), claim=waiting.id)


def test_the_same_is_not_queued_twice(catalogue: SqlCatalogue) -> None:
    first = catalogue.queue.enqueue(DUE)
    assert catalogue.queue.enqueue(replace(DUE, due_at=at(9))).id == first.id
    other = catalogue.queue.enqueue(replace(DUE, kind=RunKind.COPY, subject="offsite"))
    assert other.id != first.id


def test_a_pending_run_can_be_dropped_and_a_begun_one_not(catalogue: SqlCatalogue) -> None:
    waiting = catalogue.queue.enqueue(DUE)
    assert catalogue.queue.drop(waiting.id, "failed", "no worker", at(6))
    assert catalogue.runs.get(waiting.id).error == "no worker"
    assert history(catalogue).tries == 1
    again = catalogue.queue.enqueue(DUE)
    assert catalogue.queue.drop(again.id, "failed", "no plan that can be read", at(7))
    counted = history(catalogue)
    assert (counted.tries, counted.last_started_at) == (2, at(7)), "or it is due again at once"
    begun = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(6))
    assert not catalogue.queue.drop(begun.run.id, "failed", "no", at(7))
    assert catalogue.runs.get(begun.run.id).state is RunState.RUNNING


def test_an_end_is_asked_for_only_of_what_is_not_over(catalogue: SqlCatalogue) -> None:
    begun = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(0))
    assert [r.cancel_asked for r in catalogue.queue.open_runs()] == [False]
    catalogue.queue.ask_cancel(begun.run.id[:6], at(1))
    assert [r.cancel_asked for r in catalogue.queue.open_runs()] == [True]
    catalogue.runs.finish(begun, RunState.CANCELLED, at=at(2))
    assert catalogue.queue.open_runs() == []
    with pytest.raises(UsageError, match="was cancelled"):
        catalogue.queue.ask_cancel(begun.run.id, at(3))


def test_the_accepted_text_of_a_plan_stays_with_its_schedule(catalogue: SqlCatalogue) -> None:
    schedule = {"plan": "orders-api", "jobs": [1]}
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    assert catalogue.queue.accepted("orders-api") is None
    catalogue.queue.accept("orders-api", "plan: orders-api\n", schedule)
    catalogue.points.record(point("p1", at(3)))
    [row] = catalogue.queue.plan_rows()
    assert catalogue.queue.accepted("orders-api") == "plan: orders-api\n"
    assert (row.schedule, row.first_loaded_at, row.data_time) == (schedule, at(0), at(3))
    assert catalogue.queue.plan_rows(["another"]) == []
    catalogue.plans.load(plan(digest="d2"), file_digest="g", at=at(4))
    assert catalogue.queue.plan_rows()[0].schedule == schedule
    catalogue.queue.accept("orders-api", "plan: orders-api\n", {**schedule, "plan": "another"})
    assert catalogue.queue.plan_rows()[0].schedule is None, "it is worked out from the file again"


def test_notes_round_trip(catalogue: SqlCatalogue) -> None:
    assert catalogue.queue.noted("heartbeat") is None
    catalogue.queue.note("heartbeat", {"pid": 1}, at(0))
    catalogue.queue.note("heartbeat", {"pid": 2}, at(1))
    assert catalogue.queue.noted("heartbeat") == (at(1), {"pid": 2})
    catalogue.queue.note("heart:b", 3, at(1))
    assert catalogue.queue.notes("heart:") == {"heart:b": 3}


def test_what_was_noted_of_components_that_have_no_log_any_more_is_forgotten(
    catalogue: SqlCatalogue,
) -> None:
    for key in ("log:shop:a", "log:shop:b", "log:shop_2:a", "log:shopX2:a"):
        catalogue.queue.note(key, {"reaches": None}, at(0))
    catalogue.queue.forget_notes("shop", "log:shop:", ["log:shop:b"])
    catalogue.queue.forget_notes("shop_2", "log:shop_2:", [])
    left = ("log:shop:a", "log:shop:b", "log:shop_2:a", "log:shopX2:a")
    assert [catalogue.queue.noted(k) is None for k in left] == [True, False, True, False]


def test_old_runs_are_removed_unless_still_referenced(catalogue: SqlCatalogue) -> None:
    gone = done(catalogue, 0, RunState.FAILED)
    drilled = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(2))
    catalogue.steps.begin(drilled, "choose", "choose", at(2))
    catalogue.evidence.record(drilled, evidence("e1", run=drilled.run.id))
    catalogue.runs.finish(drilled, RunState.SUCCEEDED, at=at(3))
    again = done(catalogue, 4, kind=RunKind.DRILL)
    last = done(catalogue, 6)
    stays = done(catalogue, 50)

    assert catalogue.queue.remove_old(at(40)) == 2

    left = {r.id for r in catalogue.runs.newest()}
    assert gone not in left
    assert last not in left
    assert {drilled.run.id, again, stays} <= left


def test_backups_go_with_their_points_once_these_were_forgotten_for_long(
    catalogue: SqlCatalogue,
) -> None:
    long_ago, kept, lately, newest = (done(catalogue, minute) for minute in (0, 2, 4, 50))
    for number, run in enumerate((long_ago, kept, lately, newest)):
        catalogue.points.record(point(run, at(number)))
    catalogue.points.forget([long_ago], at(30))
    catalogue.points.forget([lately], at(45))

    assert catalogue.queue.remove_old(at(40)) == 1
    assert catalogue.queue.remove_old(at(40)) == 0

    assert {r.id for r in catalogue.runs.newest()} == {kept, lately, newest}
    points = catalogue.points.of_plan("orders-api", kept_only=False)
    assert {p.id for p in points} == {kept, lately, newest}
    assert catalogue.points.get("orders-api", kept).components


def test_old_runs_go_piece_by_piece(catalogue: SqlCatalogue) -> None:
    for minute in range(0, 12, 2):
        done(catalogue, minute)
    pieces = [catalogue.queue.remove_old(at(40), limit=2) for _ in range(4)]
    assert pieces == [2, 2, 1, 0]  # the newest stays


def test_runs_during_a_clock_change_do_not_count_as_durations(
    catalogue: SqlCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = time.time
    for minute, set_s in ((10.0, 3600.0), (20.0, -10 * 365 * 86400.0), (30.0, 0.5)):
        owned = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="schedule", at=at(minute))
        monkeypatch.setattr(time, "time", lambda set_s=set_s: true() + set_s)
        catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(minute) + timedelta(seconds=set_s))
        monkeypatch.undo()
        took = catalogue.runs.get(owned.run.id).duration_s
        assert took is not None
        assert 0 <= took < 60
    usual = history(catalogue).p95_s
    assert usual is not None
    assert 0 <= usual < 60
    assert all(0 <= seconds < 60 for seconds in catalogue.runs.backup_durations("orders-api"))


def test_writes_in_together_are_atomic(
    catalogue: SqlCatalogue,
) -> None:
    def half() -> None:
        with catalogue.together():
            catalogue.plans.load(plan(), file_digest="f", at=at(0))
            assert catalogue.plans.names() == []
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert catalogue.plans.names() == []
    with catalogue.together():
        for name in ("orders-api", "billing"):
            catalogue.plans.load(plan(name), file_digest="f", at=at(0))
            catalogue.queue.accept(name, f"plan: {name}\n", {"jobs": []})
    assert catalogue.plans.names() == ["billing", "orders-api"]
    catalogue.queue.note("after", 1, at(1))  # a transaction of its own again
    assert catalogue.queue.noted("after") == (at(1), 1)

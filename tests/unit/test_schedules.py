"""What the agenda makes of histories: those of copies, and of what was found not to be in order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from drd.flows.alerts.facts import Histories
from drd.flows.schedules import Agenda
from drd.model.due import Due
from drd.model.job_history import JobHistory
from drd.model.schedule import schedule_of
from drd.ports.queue import PlanRow
from tests.schedule_support import DAY, HOUR, MINUTE, NOW, ago, ahead, plan, repository
from tests.status_support import healthy

COPIED = plan(
    repositories={
        "primary": repository("primary"),
        "offsite": repository("offsite", copy_of="primary"),
    }
)


def agenda(
    *rows: JobHistory, data_time: datetime | None, copied: Mapping[str, datetime | None]
) -> dict[tuple[str, str], Due]:
    """What is next by kind and subject, of a plan with one copy."""
    queue: Any = SimpleNamespace(jobs=lambda seen, _plan: [r for r in rows if r.changed > seen])
    queue.plan_rows = lambda _: [row]
    row = PlanRow("orders-api", "d1", "/f", 0, 0, "", ago(30 * DAY), data_time, None, copied=copied)
    made = Agenda(queue)
    made.set_plan(row, schedule_of(COPIED), NOW)
    made.refresh(NOW)
    return {(d.job.kind, d.job.subject): d for d in made.items()}


def test_nothing_is_copied_before_there_is_a_point() -> None:
    found = agenda(data_time=None, copied={"offsite": None})
    assert ("copy", "offsite") not in found
    assert ("verification", "primary") not in found


def test_an_empty_copy_is_filled_at_once_and_not_verified() -> None:
    """It may not even have been made, while the primary is verified already."""
    found = agenda(data_time=ago(MINUTE), copied={"offsite": None})
    assert found["copy", "offsite"].at <= NOW
    assert ("verification", "primary") in found
    assert ("verification", "offsite") not in found
    assert ("prune", "offsite") not in found


def test_a_filled_copy_is_verified_by_its_own_schedule() -> None:
    found = agenda(data_time=ago(MINUTE), copied={"offsite": ago(MINUTE)})
    assert ("copy", "offsite") not in found
    assert ("verification", "offsite") in found
    assert ("prune", "offsite") in found


def test_failed_readiness_is_checked_again_soon() -> None:
    """An alert of such a finding ends only by another look."""

    def looked(tries: int, state: str) -> JobHistory:
        return JobHistory(
            "orders-api",
            "readiness",
            "",
            1,
            last_started_at=ago(60),
            last_finished_at=ago(50),
            last_state=state,
            tries=tries,
        )

    known: dict[str, Any] = {"data_time": ago(MINUTE), "copied": {"offsite": ago(MINUTE)}}
    assert agenda(looked(1, "failed"), **known)["readiness", ""].at < ahead(HOUR / 4)
    assert agenda(looked(0, "succeeded"), **known)["readiness", ""].at > ahead(HOUR * 23)


def test_failing_and_recovered_runs_trigger_readiness() -> None:
    """Once each: a service that stays down for a day does not start a look with every backup."""

    def row(kind: str, changed: int, at: float, tries: int = 0) -> JobHistory:
        state = "failed" if tries else "succeeded"
        ended = {"last_started_at": ago(at), "last_finished_at": ago(at), "last_state": state}
        success = None if tries else ago(at)
        return JobHistory(
            "orders-api", kind, "", changed, tries=tries, last_success_at=success, **ended
        )  # type: ignore[arg-type]

    rows = [row("readiness", 1, HOUR), row("backup", 2, 2 * HOUR)]
    queue: Any = SimpleNamespace(jobs=lambda seen, _plan: [r for r in rows if r.changed > seen])
    plan_row = PlanRow("orders-api", "d1", "/f", 0, 0, "", ago(30 * DAY), ago(HOUR), None)
    queue.plan_rows = lambda _: [plan_row]
    made = Agenda(queue)
    made.set_plan(plan_row, schedule_of(COPIED), NOW)

    def look() -> Due:
        made.refresh(NOW)
        [found] = [d for d in made.items() if d.job.kind == "readiness"]
        return found

    def later(*more: JobHistory) -> Due:
        rows.extend(more)
        return look()

    assert look().at > NOW
    failed = later(row("backup", 3, 50 * MINUTE, tries=1))
    assert (failed.at, failed.why) == (
        ago(50 * MINUTE),
        "a backup failed at 2026-11-24 23:41, which may change the result",
    )
    assert later(row("readiness", 4, 49 * MINUTE), row("backup", 5, 40 * MINUTE, tries=2)).at > NOW
    mended = later(row("backup", 6, 30 * MINUTE))
    assert mended.at == ago(30 * MINUTE)
    assert later(row("readiness", 7, 29 * MINUTE), row("backup", 8, 20 * MINUTE)).at > NOW


def test_changed_plans_and_configuration_trigger_readiness() -> None:
    looked = JobHistory("orders-api", "readiness", "", changed=1, last_started_at=ago(HOUR))
    queue: Any = SimpleNamespace(jobs=lambda seen, _plan: [looked] if seen < 1 else [])
    row = PlanRow("orders-api", "d1", "/f", 0, 0, "", ago(DAY), ago(MINUTE), None, copied={})
    queue.plan_rows = lambda _: [row]
    made = Agenda(queue)

    def look() -> Due:
        return next(d for d in made.items() if d.job.kind == "readiness")

    made.set_plan(row, schedule_of(COPIED), NOW)
    made.refresh(NOW)
    assert look().at > NOW
    made.set_plan(row, schedule_of(COPIED), NOW)
    assert (look().at, look().why) == (
        NOW,
        "the plan changed at 00:31, which may change the result",
    )
    made.note_change(NOW, "drd.yaml changed")
    assert (look().at, look().why) == (
        NOW,
        "drd.yaml changed at 00:31, which may change the result",
    )


def test_a_plan_that_was_forgotten_has_none_of_its_former_runs() -> None:
    """With a reload after its file was gone, and without one: it is a new plan."""
    rows = [JobHistory("orders-api", "backup", "", 7, last_started_at=ago(5))]

    def jobs(seen: int, plan: str | None) -> list[JobHistory]:
        return [r for r in rows if r.changed > seen and plan in (None, r.plan)]

    def loaded(first: float) -> PlanRow:
        return PlanRow("orders-api", "d1", "/f", 0, 0, "", ago(first), None, None)

    queue: Any = SimpleNamespace(jobs=jobs, plan_rows=lambda _: [loaded(DAY)])
    made = Agenda(queue)

    def is_due() -> bool:
        return any(d.job.kind == "backup" for d in made.due(NOW))

    made.set_plan(loaded(DAY), schedule_of(COPIED), NOW)
    made.refresh(NOW)
    assert not is_due()
    rows.clear()
    made.set_plan(loaded(HOUR), schedule_of(COPIED), NOW)
    assert is_due()

    made.drop_plan("orders-api")
    rows.append(JobHistory("orders-api", "backup", "", 8, last_started_at=ago(5)))
    made.set_plan(loaded(HOUR), schedule_of(COPIED), NOW)
    assert not is_due(), "its file was away for a while, and it ran meanwhile"
    made.drop_plan("orders-api")
    rows.clear()
    made.set_plan(loaded(HOUR / 2), schedule_of(COPIED), NOW)
    assert is_due()


def test_alerts_know_no_former_runs_of_a_plan_that_was_forgotten_either() -> None:
    rows = [JobHistory("orders-api", "backup", "", 7, tries=3)]
    queue = SimpleNamespace(jobs=lambda seen, plan=None: [r for r in rows if r.changed > seen])
    watched = SimpleNamespace(verifications={}, readiness={})
    alerts = SimpleNamespace(watched=lambda _plan: watched)
    catalogue: Any = SimpleNamespace(queue=queue, alerts=alerts)
    known = Histories(catalogue)

    def tries(first: datetime) -> list[int]:
        known.refresh()
        facts = healthy()._replace(plan="orders-api", first_loaded_at=first)
        return [job.history.tries for job in known.of(facts, None).jobs]

    assert tries(ago(DAY)) == [3]
    rows.clear()
    assert tries(ago(DAY)) == [3], "only what changed is read"
    assert tries(ago(HOUR)) == []

"""What the agenda makes of histories: those of copies, and of what was found not to be in order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from drd.flows.agenda import Agenda
from drd.model.due import Due
from drd.model.schedule import schedule_of
from drd.ports.queue import JobRow, PlanRow
from tests.schedule_support import DAY, HOUR, MINUTE, NOW, ago, ahead, plan, repository

COPIED = plan(
    repositories={
        "primary": repository("primary"),
        "offsite": repository("offsite", copy_of="primary"),
    }
)


def agenda(
    *rows: JobRow, data_time: datetime | None, copied: Mapping[str, datetime | None]
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


def test_a_copy_that_nothing_reached_is_filled_at_once_and_not_looked_after() -> None:
    """It may not even have been made, while the primary is verified already."""
    found = agenda(data_time=ago(MINUTE), copied={"offsite": None})
    assert found["copy", "offsite"].at <= NOW
    assert ("verification", "primary") in found
    assert ("verification", "offsite") not in found
    assert ("prune", "offsite") not in found


def test_a_copy_that_holds_something_is_looked_after_by_itself() -> None:
    found = agenda(data_time=ago(MINUTE), copied={"offsite": ago(MINUTE)})
    assert ("copy", "offsite") not in found
    assert ("verification", "offsite") in found
    assert ("prune", "offsite") in found


def test_what_was_not_in_order_is_looked_at_again_soon() -> None:
    """An alert of such a finding ends only by another look."""

    def looked(tries: int, state: str) -> JobRow:
        return JobRow(
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

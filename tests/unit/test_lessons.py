"""What a post-mortem says went well and badly, part by part of the record."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from drd.config.regimes import load_regimes
from drd.model.incidents.actions import ActionItem
from drd.model.incidents.incident import Task
from drd.model.incidents.lessons import went_badly, went_well
from drd.model.incidents.messages import Delivery, Fate, IncidentMessage
from drd.model.incidents.review import Contained, Goals, Prediction, Promise, Recovery, Review
from drd.model.obligations.clocks import ClockKind, ClockState
from drd.model.playbook_conditions import Measure
from drd.model.run import DrillResult
from tests.unit.test_postmortem import HOUR, NOON, evidence, review, step

NOW = NOON + HOUR
MINUTE = timedelta(minutes=1)
GDPR = load_regimes(None).known["eu-gdpr-33"]
SUBMITTED = "the report eu-gdpr-33 was submitted"
MEASURE = "step x of playbook contain (run p1), a temporary measure, should have ended at"
GOOD = Recovery("r1", "shop", "succeeded", result="passed", loss_s=3600.0, took_s=3600.0)
GOALS = {"goals": {"shop": Goals(3600, 3600)}}
AS_DRILLED = {"predictions": {"r1": Prediction(evidence(rta_s=3600.0))}}
IN_TIME = [
    "the recovery of shop took 1h, within the RTO of 1h",
    "the recovery of shop lost 1h of data, within the RPO of 1h",
]


def clock(kind: ClockKind, **values: Any) -> dict[str, Any]:
    return {"clocks": (ClockState(GDPR, kind, **values),)}


def real(**values: Any) -> dict[str, Any]:
    return {"recoveries": (replace(GOOD, **values),), **GOALS}


def message(*fates: Fate, **values: Any) -> dict[str, Any]:
    told = tuple(Delivery(fate) for fate in fates)
    made = IncidentMessage(4, 9, None, NOON, "anna", "customers", deliveries=told, **values)
    return {"messages": (made,)}


def measure(ended: timedelta | None, until: timedelta = HOUR) -> dict[str, Any]:
    at = NOON + ended if ended is not None else None
    return {"contained": (Contained("p1", "contain", (Measure(step("x"), 1, NOON + until, at),)),)}


@pytest.mark.parametrize(
    ("values", "well", "badly"),
    [
        (
            clock(ClockKind.FILED, submitted_at=NOON, due_at=NOW),
            [
                f"{SUBMITTED} in time (2026-11-28 12:00 UTC, due 2026-11-28 13:00 UTC)",
            ],
            [],
        ),
        (
            clock(ClockKind.FILED_LATE, submitted_at=NOW, late=True, late_reason="no network"),
            [],
            ["the report eu-gdpr-33 was submitted late (2026-11-28 13:00 UTC): no network"],
        ),
        (
            clock(ClockKind.FILED_LATE, late=True),
            [],
            ["the report eu-gdpr-33 was submitted late: nobody has recorded why"],
        ),
        (
            clock(ClockKind.OVERDUE, due_at=NOON, late=True),
            [],
            ["the report eu-gdpr-33 is late, it was due 2026-11-28 12:00 UTC"],
        ),
        (clock(ClockKind.NOT_STARTED, late=True), [], ["the report eu-gdpr-33 is late"]),
        (clock(ClockKind.NOT_APPLICABLE, late=True), [], []),
        (clock(ClockKind.RUNNING, due_at=NOW), [], []),
        (
            clock(ClockKind.UNDECIDED),
            [],
            ["nobody has decided whether 1 report was needed"],
        ),
        (clock(ClockKind.UNDECIDED, proposed=False), [], []),
        (clock(ClockKind.UNDECIDED, placed=False), [], []),
        (
            {"clocks": (ClockState(GDPR, ClockKind.SCOPE_NOT_DECLARED),) * 2},
            [],
            ["nobody has decided whether 2 reports were needed"],
        ),
        (
            {"clocks_unknown": "a file is damaged"},
            [],
            ["drd does not know which reports were due: a file is damaged"],
        ),
    ],
)
def test_lessons_of_reports(values: dict[str, Any], well: list[str], badly: list[str]) -> None:
    assert (list(went_well(review(**values))), list(went_badly(review(**values)))) == (well, badly)


@pytest.mark.parametrize(
    ("values", "well", "badly"),
    [
        (real(), IN_TIME, []),
        (real(state=""), IN_TIME, []),  # the end of the run is not in the record
        (real(took_s=None, loss_s=None), [], []),
        (real(on_purpose=True), IN_TIME[:1], []),
        (real(on_purpose=True, loss_s=7200.0), IN_TIME[:1], []),
        (real(partial=True), [], []),
        (real(partial=True, took_s=7200.0, loss_s=7200.0), [], []),
        ({**real(), "goals": {}}, [], []),
        (
            real(back="undone"),
            [],
            ["the recovery r1 of shop was undone"],
        ),
        (
            real(state="failed", error="no room"),
            [],
            ["the recovery r1 of shop ended as failed: no room"],
        ),
        (real(state="cancelled"), [], ["the recovery r1 of shop ended as cancelled"]),
        (
            real(state="", result="failed"),
            [],
            ["the checks of the recovery r1 of shop ended as failed"],
        ),
        (
            real(result="failed"),
            IN_TIME,
            ["the checks of the recovery r1 of shop ended as failed"],
        ),
        (
            real(state="", result=""),
            [],
            [],
        ),
        (
            {**real(), **AS_DRILLED},
            [*IN_TIME, "the recovery of shop succeeded, as the last drill had predicted"],
            [],
        ),
        (
            {**real(state="failed"), **AS_DRILLED},
            [],
            ["the recovery r1 of shop ended as failed"],
        ),
        (
            {
                **real(),
                "predictions": {
                    "r1": Prediction(evidence(result=DrillResult.FAILED, reason="a check failed"))
                },
            },
            IN_TIME,
            ["the last drill of shop before its recovery was failed: a check failed"],
        ),
        (
            {
                **real(),
                "predictions": {
                    "r1": Prediction(evidence(result=DrillResult.INCONCLUSIVE, rta_s=1.0))
                },
            },
            IN_TIME,
            ["the last drill of shop before its recovery was inconclusive"],
        ),
        (
            {**real(partial=True), "predictions": {"r1": Prediction(evidence(rta_s=1.0))}},
            ["the recovery of shop succeeded, as the last drill had predicted"],
            [],
        ),
    ],
)
def test_lessons_of_recoveries(values: dict[str, Any], well: list[str], badly: list[str]) -> None:
    assert (list(went_well(review(**values))), list(went_badly(review(**values)))) == (well, badly)


@pytest.mark.parametrize(
    ("values", "well", "badly"),
    [
        (
            {"promises": (Promise("a", NOON, NOON), Promise("b", NOON, NOON - MINUTE))},
            ["2 updates came in time: a, b"],
            [],
        ),
        (
            {"promises": tuple(Promise(audience, NOON, NOON) for audience in "abcdefg")},
            ["7 updates came in time: a, b, c, d, e, f and 1 more"],
            [],
        ),
        (
            {"promises": (Promise("a", NOON, NOON + 5 * MINUTE),)},
            [],
            ["the update to a that was due 2026-11-28 12:00 UTC came 5m late"],
        ),
        (message(Fate.ACCEPTED, Fate.TOLD, Fate.QUEUED), [], []),
        (
            message(Fate.BOUNCED, Fate.ACCEPTED, Fate.BOUNCED, Fate.UNKNOWN),
            [],
            ["message 4 to customers did not reach everybody: 2 bounced, 1 unknown"],
        ),
        (
            message(Fate.TO_TELL, Fate.TO_TELL, Fate.TOLD),
            [],
            ["message 4 to customers did not reach everybody: 2 to be told by a person"],
        ),
        (message(Fate.REFUSED, withdrawn="a typo"), [], []),
        (measure(HOUR), ["1 temporary measure was rolled back in time"], []),
        (
            measure(HOUR + MINUTE),
            [],
            [f"{MEASURE} 2026-11-28 13:00 UTC, and was rolled back 1m late"],
        ),
        (measure(None), [], []),  # it has to end now
        (
            measure(None, 59 * MINUTE),
            [],
            [f"{MEASURE} 2026-11-28 12:59 UTC, and is still in effect"],
        ),
        (
            {"contained": tuple(measure(HOUR)["contained"] * 2)},
            ["2 temporary measures were rolled back in time"],
            [],
        ),
    ],
)
def test_lessons_of_updates_messages_and_measures(
    values: dict[str, Any], well: list[str], badly: list[str]
) -> None:
    assert (list(went_well(review(**values))), list(went_badly(review(**values)))) == (well, badly)


def with_incident(**values: Any) -> Review:
    found = review()
    return replace(found, incident=replace(found.incident, **values))


@pytest.mark.parametrize(
    ("task", "well", "badly"),
    [
        (Task(1, "x"), [], []),
        (Task(1, "x", done_at=NOON), [], []),
        (Task(1, "x", due=NOW), [], []),
        (
            Task(1, "x", due=NOON),
            [],
            ["task 1 was due 2026-11-28 12:00 UTC, and is not done"],
        ),
        (Task(1, "x", due=NOON, done_at=NOON), ["1 task with a due time was done in time"], []),
        (Task(1, "x", due=NOON, done_at=NOON + MINUTE), [], ["task 1 was done 1m late"]),
    ],
)
def test_lessons_of_tasks(task: Task, well: list[str], badly: list[str]) -> None:
    found = with_incident(tasks=(task,))
    assert (list(went_well(found)), list(went_badly(found))) == (well, badly)


def test_lessons_of_tasks_and_action_items_together() -> None:
    tasks = tuple(Task(n, "x", due=NOON, done_at=NOON) for n in (1, 2))
    items = [ActionItem(n, NOON, "anna", "x", "ben", NOW - n * MINUTE) for n in (0, 1)]
    done = replace(items[1], entry=7, done_at=NOON)
    found = with_incident(tasks=tasks, actions=(*items, done))
    assert list(went_well(found)) == ["2 tasks with a due time were done in time"]
    assert list(went_badly(found)) == [
        "action item 1 was due 2026-11-28 12:59 UTC, and is not done"
    ]

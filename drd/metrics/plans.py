"""The metrics of plans and their components, from the result of `assess()`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from drd.metrics.gauge import (
    Metric,
    Sample,
    gauge,
    gauge_of,
    labelled,
    moment,
    one_of,
    printable,
)
from drd.model.repositories import STATES
from drd.model.run import DrillResult
from drd.model.verdicts import Assessment, ComponentAssessment, PlanState, Readiness, Verdict


def _label(words: str) -> str:
    return words.replace(" ", "_")


_READINESS = tuple(map(_label, Readiness))
_STATES_OF_PLAN = tuple(map(_label, PlanState))

_FIGURES: tuple[tuple[str, str, Callable[[Assessment], float | None]], ...] = (
    (
        "drd_plan_load_error",
        "1 if drd has not loaded the current plan file: the file is broken, changed, gone or new.",
        lambda p: float(p.load_error is not None),
    ),
    (
        "drd_rpo_objective_seconds",
        "Data that may be lost: the RPO that the exposure of the plan is compared with.",
        lambda p: p.rpo.objective_s,
    ),
    (
        "drd_point_rpo_objective_seconds",
        "Age that the newest restore point may have: the shortest RPO of what only backups keep.",
        lambda p: p.rpo.points_within_s,
    ),
    (
        "drd_rpo_exposure_seconds",
        "Data that would have been lost when drd last checked the plan; absent when unknown.",
        lambda p: p.rpo.exposure_s,
    ),
    (
        "drd_rpo_achievable_seconds",
        "Largest data loss that the schedule allows: the interval plus the duration of a backup.",
        lambda p: p.rpo.achievable_s,
    ),
    (
        "drd_rpo_attainment_ratio",
        "Share of the compliance window in which the exposure stayed within the objective.",
        lambda p: p.rpo.attainment,
    ),
    (
        "drd_rto_objective_seconds",
        "Promised recovery time: the recovery time objective.",
        lambda p: p.rto.objective_s,
    ),
    (
        "drd_rto_actual_seconds",
        "Recovery time that the last passed drill measured.",
        lambda p: p.rto.actual_s,
    ),
    (
        "drd_rto_projected_seconds",
        "The measured recovery time, scaled to the current amount of data.",
        lambda p: p.rto.projected_s,
    ),
    (
        "drd_drill_timestamp_seconds",
        "When the last drill ended; absent when there was no drill.",
        lambda p: moment(p.drill.last_at),
    ),
    (
        "drd_drill_due_timestamp_seconds",
        "When the next drill is due; absent when drills are started by hand only.",
        lambda p: moment(p.drill.due_at),
    ),
)


Samples = Callable[[str, Assessment], Iterable[Sample]]
"""The samples of a plan, given its printable name."""

_SAMPLES: tuple[tuple[str, str, tuple[str, ...], Samples], ...] = (
    (
        "drd_drill_result",
        "Result of the last drill: 1 for the result of this drill; absent when there was no drill.",
        ("plan", "result"),
        lambda name, p: one_of((name,), DrillResult, p.drill.result),
    ),
    (
        "drd_plan_loses_everything",
        "1 if drd does not know a restore point that can be restored.",
        ("plan",),
        lambda name, p: [((name,), float(p.rpo.loses_everything))],
    ),
    (
        "drd_repository_state",
        "State of a plan's repository: 1 for the state that drd found last.",
        ("plan", "repository", "state"),
        lambda name, p: (
            sample
            for r in p.repositories
            for sample in one_of((name, printable(r.repository)), STATES, r.state)
        ),
    ),
    (
        "drd_scenario_verdict",
        "Verdict of each scenario that the plan drills: 1 for the verdict that holds now.",
        ("plan", "scenario", "verdict"),
        lambda name, p: (
            sample
            for s in p.drill.scenarios
            if s.wanted and not s.repository
            for sample in one_of((name, printable(s.scenario)), Verdict, s.verdict)
        ),
    ),
)


def plan_metrics(plans: Sequence[Assessment], at: datetime) -> Iterator[Metric]:
    """Metrics of plans that were assessed at `at`."""
    named = [(printable(p.plan), p) for p in plans]
    yield from _states(named)
    of_plan = [(labelled(("plan",), (name,)), p) for name, p in named]
    for metric, text, figure in _FIGURES:
        yield gauge_of(metric, text, [(of, figure(p)) for of, p in of_plan])
    yield gauge(
        "drd_restore_point_timestamp_seconds",
        "Data time of the newest complete restore point; absent when there is no such point.",
        ("plan",),
        (((name,), moment(_data_time(p, at))) for name, p in named),
    )
    for metric, text, labels, samples in _SAMPLES:
        yield gauge(metric, text, labels, (s for name, p in named for s in samples(name, p)))
    yield from _component_metrics([(name, c) for name, p in named for c in p.components])


def _states(named: Sequence[tuple[str, Assessment]]) -> Iterator[Metric]:
    """Who answers for each plan, its verdict and its readiness."""
    yield gauge(
        "drd_plan_info",
        "Who is responsible for the service.",
        ("plan", "owner"),
        (((name, printable(p.owner)), 1.0) for name, p in named if p.owner is not None),
    )
    yield gauge(
        "drd_plan_state",
        "State of the plan: 1 for the current state, the worst of verdict and readiness.",
        ("plan", "state"),
        (s for n, p in named for s in one_of((n,), _STATES_OF_PLAN, _label(p.state))),
    )
    yield gauge(
        "drd_plan_verdict",
        "Verdict of each objective: 1 for the verdict that holds now; plan is the worst of the "
        "three.",
        ("plan", "objective", "verdict"),
        (sample for name, plan in named for sample in _verdicts(name, plan)),
    )
    yield gauge(
        "drd_plan_readiness",
        "Readiness of the plan: 1 for the value that holds now.",
        ("plan", "readiness"),
        (s for n, p in named for s in one_of((n,), _READINESS, _label(p.readiness))),
    )


def _component_metrics(found: Sequence[tuple[str, ComponentAssessment]]) -> Iterator[Metric]:
    labels = ("plan", "component", "kind")
    named = [(labelled(labels, (plan, c.component, c.kind)), c) for plan, c in found]
    yield gauge_of(
        "drd_component_timestamp_seconds",
        "Data time of the component's newest snapshot, also in an incomplete restore point.",
        [(of, moment(c.data_time)) for of, c in named],
    )
    yield gauge_of(
        "drd_component_exposure_seconds",
        "Data of the component that would have been lost when drd last checked the plan.",
        [(of, c.exposure_s) for of, c in named],
    )
    yield gauge_of(
        "drd_component_rpo_objective_seconds",
        "Data of the component that may be lost: its own RPO, or the RPO of the plan.",
        [(of, c.rpo_s) for of, c in named],
    )
    yield gauge_of(
        "drd_component_rpo_achievable_seconds",
        "Largest loss of the component's data that the schedule allows; absent when unknown.",
        [(of, c.achievable_s) for of, c in named],
    )
    yield gauge(
        "drd_component_verdict",
        "Verdict of the component against its RPO: 1 for the verdict that holds now.",
        (*labels, "verdict"),
        (
            sample
            for plan, c in found
            for sample in one_of(
                (plan, printable(c.component), printable(c.kind)), Verdict, c.verdict
            )
        ),
    )
    yield gauge_of(
        "drd_component_size_bytes",
        "Size of the component's newest snapshot, before compression and deduplication.",
        [(of, c.size_bytes) for of, c in named],
    )


def _verdicts(name: str, plan: Assessment) -> Iterator[Sample]:
    of = (
        ("plan", plan.verdict),
        ("rpo", plan.rpo.verdict),
        ("rto", plan.rto.verdict),
        ("drill", plan.drill.verdict),
    )
    for objective, verdict in of:
        yield from one_of((name, objective), Verdict, verdict)


def _data_time(plan: Assessment, at: datetime) -> datetime | None:
    exposure_s = plan.rpo.exposure_s
    return None if exposure_s is None else at - timedelta(seconds=exposure_s)

"""What holds for every plan, whatever its facts."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from drd.model.compliance import assess
from drd.model.drill_facts import DrillFacts
from drd.model.facts import ComponentFacts, PlanFacts
from drd.model.verdicts import PlanState, Readiness, Verdict, worst
from tests.status_support import (
    DAY,
    NOW,
    ago,
    drill,
    failures,
    healthy,
    incomplete,
    point,
    with_point,
)

ages = st.one_of(
    st.floats(-7200, 7200),
    st.floats(-10 * DAY, 400 * DAY),
    st.sampled_from([0.0, 720.0, 900.0, 900.001, -5.0, -5.001]),
)
points = st.builds(point, ages, took_s=st.floats(0, 7200), size=st.integers(0, 10**12))
drills = st.builds(
    drill,
    st.sampled_from(["passed", "failed", "inconclusive"]),
    since_s=ages,
    plan_digest=st.sampled_from(["digest-1", "digest-2"]),
    rta_s=st.none() | st.floats(0, 7200),
    restored_bytes=st.integers(0, 10**12),
    reason=st.none() | st.just("why"),
)
components = st.builds(
    ComponentFacts,
    st.sampled_from(["a", "b"]),
    st.just("postgres"),
    st.none() | ages.map(ago),
    st.none() | st.integers(0, 10**9),
    st.none() | st.just("gone"),
)


@st.composite
def plans(draw: st.DrawFn) -> PlanFacts:
    last = draw(st.none() | drills)
    passed: DrillFacts | None = None
    if last is not None:
        passed = last if last.result == "passed" else draw(st.none() | drills)
    if passed is not None:
        passed = passed._replace(result="passed")
    return healthy(
        rpo_s=draw(st.sampled_from([1.0, 900.0, 86400.0])),
        rto_s=draw(st.sampled_from([1.0, 1800.0])),
        first_loaded_at=ago(draw(ages)),
        interval_s=draw(st.none() | st.floats(1, 90000)),
        drill_every_s=draw(st.none() | st.floats(60, 30 * DAY)),
        load_error=draw(st.none() | st.just("broke")),
        components=tuple(draw(st.lists(components, max_size=2))),
        newest=draw(st.none() | points),
        incomplete=draw(st.none() | st.just(incomplete())),
        backup_p95_s=draw(st.none() | st.floats(0, 7200)),
        failures=draw(st.none() | st.just(failures())),
        last_drill=last,
        last_passed_drill=passed,
    )


@given(plans())
def test_nothing_unknown_is_ever_green(facts: PlanFacts) -> None:
    plan = assess(facts, NOW)
    unmeasured = (
        plan.rpo.exposure_s is None
        or plan.rto.actual_s is None
        or plan.drill.result != "passed"
        or any(
            c.exposure_s is None and facts.components[i].data_time is None
            for i, c in enumerate(plan.components)
        )
    )
    if unmeasured:
        assert plan.verdict in {Verdict.UNKNOWN, Verdict.BREACHED}
    if plan.drill.result != "passed" or facts.digest != _drilled(facts):
        assert plan.readiness is not Readiness.READY
    if plan.readiness is not Readiness.READY or facts.load_error:
        assert plan.state is not PlanState.OK


def _drilled(facts: PlanFacts) -> str | None:
    return facts.last_drill.plan_digest if facts.last_drill else None


@given(plans())
def test_the_plan_is_as_bad_as_its_worst_part_and_as_its_gravest_reason(facts: PlanFacts) -> None:
    plan = assess(facts, NOW)
    assert plan.verdict is worst((plan.rpo.verdict, plan.rto.verdict, plan.drill.verdict))
    assert plan.verdict is worst((Verdict.MET, *(r.verdict for r in plan.reasons)))
    order = [r.verdict.severity for r in plan.reasons]
    assert order == sorted(order, reverse=True)


@given(plans())
def test_figures_are_never_negative(facts: PlanFacts) -> None:
    plan = assess(facts, NOW)
    figures = [
        plan.rpo.exposure_s,
        plan.rpo.achievable_s,
        plan.rto.actual_s,
        plan.rto.projected_s,
        *(c.exposure_s for c in plan.components),
    ]
    assert all(f is None or f >= 0 for f in figures)
    assert plan.rpo.attainment is None or 0 <= plan.rpo.attainment <= 1
    if plan.rto.actual_s is not None and plan.rto.projected_s is not None:
        assert plan.rto.projected_s >= plan.rto.actual_s


@given(plans(), ages, ages)
def test_older_data_never_makes_a_better_verdict(
    facts: PlanFacts, one: float, other: float
) -> None:
    """Among points whose time can be trusted."""
    young, old = sorted(max(a, 0.0) for a in (one, other))
    fresh = assess(with_point(facts, point(young)), NOW)
    stale = assess(with_point(facts, point(old)), NOW)
    assert stale.rpo.verdict.severity >= fresh.rpo.verdict.severity
    assert stale.verdict.severity >= fresh.verdict.severity


@given(plans(), st.floats(0, 100 * DAY), st.floats(0, 100 * DAY))
def test_verdicts_never_improve_by_waiting(facts: PlanFacts, first: float, then: float) -> None:
    """With nothing new recorded, a plan that is judged later is not judged better.

    Left out are times in the future, which become credible when the clock reaches them."""
    moments = [facts.first_loaded_at]
    moments += [facts.newest.data_time, facts.newest.available_at] if facts.newest else []
    moments += [facts.last_drill.at] if facts.last_drill else []
    start = max(NOW, *moments) + timedelta(seconds=first)
    sooner = assess(facts, start)
    later = assess(facts, start + timedelta(seconds=then))
    assert later.verdict.severity >= sooner.verdict.severity
    if sooner.readiness is not Readiness.READY:
        assert later.readiness is not Readiness.READY

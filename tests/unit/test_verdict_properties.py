"""Whatever drd knows that hurts a restore, no verdict stays `met`; what it does not know is never
green, and knowing something worse never makes a better verdict."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.model.compliance import assess
from drd.model.drill_facts import ScenarioFacts, Unproven
from drd.model.facts import PlanFacts, RepositoryFacts, VanishedFacts
from drd.model.verdicts import Readiness, Verdict
from tests.status_support import DAY, HOUR, MINUTE, NOW, ago, drill, healthy, point
from tests.unit.test_compliance_properties import drills

since = st.floats(0, 30 * DAY).map(ago)
ages = st.floats(0, 2 * HOUR)
names = st.sampled_from(["primary", "offsite", "vault"])


@st.composite
def repositories(draw: st.DrawFn) -> tuple[RepositoryFacts, ...]:
    """One to three, each with a point or none, and with anything wrong that may be."""
    found = []
    for number, name in enumerate(("primary", "offsite", "vault")[: draw(st.integers(1, 3))]):
        newest = draw(st.none() | ages.map(point))
        sound = draw(st.sampled_from([newest, None])) if newest is not None else None
        damage = draw(st.none() | st.just("packs are damaged"))
        lost = draw(st.sampled_from([None, None, "gone", "emptied", "replaced"]))
        found.append(
            RepositoryFacts(
                name,
                copy_of=None if number == 0 else "primary",
                newest=newest,
                sound=newest if damage is None else sound,
                lost=lost,
                lost_since=draw(since) if lost else None,
                lost_says="somebody did it" if lost else "",
                unreachable=draw(st.none() | st.just("cannot reach it")),
                unreachable_since=draw(since),
                damage=damage,
                damaged_since=draw(since) if damage else None,
            )
        )
    return tuple(found)


@st.composite
def scenarios(draw: st.DrawFn) -> tuple[ScenarioFacts, ...]:
    found = []
    for name in ("database-loss", "region-loss", "host-loss")[: draw(st.integers(1, 3))]:
        last = draw(st.none() | drills)
        if last is not None and draw(st.booleans()):
            last = last._replace(unproven=(Unproven("orders-db", "not restored"),))
        found.append(ScenarioFacts(name, last=last, passed=last))
        held = draw(st.none() | drills)
        if held is not None:
            found.append(ScenarioFacts(name, repository="offsite", last=held))
    return tuple(found)


@st.composite
def plans(draw: st.DrawFn) -> PlanFacts:
    places = draw(repositories())
    there = [r.newest for r in places if r.newest is not None]
    newest = max(there, key=lambda p: p.data_time, default=None)
    at = draw(ages)
    vanished = VanishedFacts(2, ago(at + HOUR), ago(at + HOUR), ago(at))
    return healthy(
        newest=newest,
        repositories=places,
        scenarios=draw(scenarios()),
        vanished=draw(st.none() | st.just(vanished)),
        drill_every_s=draw(st.none() | st.just(7 * DAY)),
        first_loaded_at=draw(since),
    )


def hurts(facts: PlanFacts) -> list[str]:
    """What of the facts would hurt a restore, by other words than those of `assess()`."""
    found = [f"{r.repository} is {r.lost}" for r in facts.repositories if r.lost]
    found += [f"{r.repository} is damaged" for r in facts.repositories if r.damage]
    for scenario in facts.scenarios:
        last = scenario.last
        if last is None or last.result != "passed":
            found.append(f"{scenario.scenario} {scenario.repository} not passed")
        elif last.unproven and not scenario.repository:
            found.append(f"{scenario.scenario} left something out")
        elif last.plan_digest != facts.digest and not scenario.repository:
            found.append(f"{scenario.scenario} was of another plan")
    if not any(r.newest for r in facts.repositories):
        found.append("there is no point")
    return found


@given(plans())
def test_facts_that_hurt_a_restore_are_never_met(facts: PlanFacts) -> None:
    plan = assess(facts, NOW)
    wrong = hurts(facts)
    if wrong:
        assert plan.verdict is not Verdict.MET, wrong
        assert plan.readiness is not Readiness.READY, wrong
    readable = [r.sound for r in facts.repositories if not r.lost and r.sound]
    if not readable and any(r.newest for r in facts.repositories):
        assert plan.verdict is Verdict.BREACHED
        assert plan.rpo.loses_everything
        assert plan.readiness is Readiness.NOT_READY
    elif readable:
        best = max(p.data_time for p in readable)
        assert plan.rpo.exposure_s == pytest.approx((NOW - best).total_seconds())


@given(plans())
def test_every_verdict_but_met_has_a_reason(facts: PlanFacts) -> None:
    plan = assess(facts, NOW)
    assert plan.verdict is Verdict.MET or any(r.verdict is plan.verdict for r in plan.reasons)


SILENCES: dict[str, Callable[[PlanFacts], PlanFacts]] = {
    "repositories": lambda f: f._replace(repositories=()),
    "points of repositories": lambda f: f._replace(
        repositories=tuple(r._replace(newest=None, sound=None) for r in f.repositories)
    ),
    "points that can be read": lambda f: f._replace(
        repositories=tuple(r._replace(sound=None) for r in f.repositories)
    ),
    "all points": lambda f: f._replace(newest=None, repositories=()),
    "drills of a scenario": lambda f: f._replace(
        scenarios=tuple(s._replace(last=None, passed=None) for s in f.scenarios)
    ),
    "all drills": lambda f: f._replace(scenarios=(), last_drill=None, last_passed_drill=None),
    "time of a drill": lambda f: f._replace(
        scenarios=tuple(
            s._replace(
                last=s.last and s.last._replace(rta_s=None),
                passed=s.passed and s.passed._replace(rta_s=None),
            )
            for s in f.scenarios
        )
    ),
}


@pytest.mark.parametrize("missing", SILENCES)
def test_missing_facts_are_never_green(missing: str) -> None:
    assert assess(healthy(), NOW).verdict is Verdict.MET
    plan = assess(SILENCES[missing](healthy()), NOW)
    assert plan.verdict in (Verdict.UNKNOWN, Verdict.BREACHED)


def worse(facts: PlanFacts, name: str) -> list[PlanFacts]:
    """The same with one more fact that hurts, about the repository of this name."""

    def place(**changes: object) -> PlanFacts:
        return facts._replace(
            repositories=tuple(
                r._replace(**changes) if r.repository == name else r for r in facts.repositories
            )
        )

    def drilled(result: str) -> PlanFacts:
        scenario = facts.scenarios[0]
        failed = drill(result, since_s=HOUR)
        first = scenario._replace(last=failed)
        return facts._replace(scenarios=(first, *facts.scenarios[1:]))

    known = next((r for r in facts.repositories if r.repository == name), RepositoryFacts(name))
    found = [drilled("failed")]
    if known.lost is None:
        found.append(place(lost="gone", lost_since=ago(MINUTE), lost_says="no bucket"))
    if known.damage is None:
        found.append(place(damage="packs", damaged_since=ago(MINUTE), sound=None))
    if known.unreachable is None:
        found.append(place(unreachable="cannot reach it", unreachable_since=ago(MINUTE)))
    last = facts.scenarios[0].last
    if last is not None and last.result == "passed":
        left = last._replace(unproven=(Unproven("orders-db", "not compared"),))
        first = facts.scenarios[0]._replace(last=left)
        found.append(facts._replace(scenarios=(first, *facts.scenarios[1:])))
    return found


@given(plans(), names)
def test_worse_facts_never_improve_a_verdict(facts: PlanFacts, name: str) -> None:
    before = assess(facts, NOW)
    for hurt in worse(facts, name):
        after = assess(hurt, NOW)
        assert after.verdict.severity >= before.verdict.severity
        ranks = list(Readiness)
        assert ranks.index(after.readiness) >= ranks.index(before.readiness)
        if before.rpo.attainment is not None and after.rpo.attainment is not None:
            assert after.rpo.attainment <= before.rpo.attainment + 1e-9

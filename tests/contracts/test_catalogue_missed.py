"""When the objective was missed, kept up to date by each writer."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.catalogue.summary import read_facts
from drd.model.attainment import missed_intervals
from drd.model.facts import PlanFacts
from drd.model.policies import BackupPolicy
from drd.model.snapshot import RestorePoint
from tests.catalogue_support import at, plan, point

Facts = Callable[..., PlanFacts]


def test_missed_intervals_grow_with_each_point(catalogue: SqlCatalogue, facts: Facts) -> None:
    catalogue.plans.load(plan(rpo_s=600), file_digest="f", at=at(0))
    assert facts().missed == ()

    catalogue.points.record(point("p1", at(5)))
    assert facts().missed == ((at(0), at(6)),), "there was nothing to go back to"
    catalogue.points.record(point("p2", at(12)))
    assert facts().missed == ((at(0), at(6)),)
    catalogue.points.record(point("p3", at(30)))
    assert facts().missed == ((at(0), at(6)), (at(22), at(31)))


def test_a_late_point_lengthens_the_missed_interval(catalogue: SqlCatalogue, facts: Facts) -> None:
    catalogue.plans.load(plan(rpo_s=600), file_digest="f", at=at(0))
    catalogue.points.record(point("p1", at(5), available_at=at(40)))
    catalogue.points.record(point("p2", at(50), available_at=at(51)))

    assert facts().missed == ((at(0), at(51)),)


def test_missed_intervals_follow_the_objective(catalogue: SqlCatalogue, facts: Facts) -> None:
    catalogue.plans.load(plan(rpo_s=600), file_digest="f", at=at(0))
    for name, minutes in (("p1", 0), ("p2", 30)):
        catalogue.points.record(point(name, at(minutes)))
    assert facts().missed == ((at(0), at(1)), (at(10), at(31)))

    catalogue.plans.load(plan(rpo_s=7200), file_digest="f", at=at(40))
    assert facts().missed == ((at(0), at(1)),)

    catalogue.plans.load(plan(rpo_s=600, window_s=600), file_digest="f", at=at(40))
    assert facts().missed == ((at(10), at(31)),), "what lies before the window is dropped"
    catalogue.plans.load(plan(rpo_s=600), file_digest="f", at=at(40))
    assert facts().missed == ((at(0), at(1)), (at(10), at(31))), "a longer window brings it back"


def test_missed_intervals_follow_the_rpo_that_points_have_to_keep(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    stricter = replace(plan(rpo_s=7200), backup=BackupPolicy(every_s=300.0, rpo_s=600.0))
    catalogue.plans.load(stricter, file_digest="f", at=at(0))
    for name, minutes in (("p1", 0), ("p2", 30)):
        catalogue.points.record(point(name, at(minutes)))
    assert facts().missed == ((at(0), at(1)), (at(10), at(31)))

    catalogue.plans.load(plan(rpo_s=7200), file_digest="f", at=at(40))
    assert facts().missed == ((at(0), at(1)),)
    catalogue.plans.load(stricter, file_digest="f", at=at(40))
    assert facts().missed == ((at(0), at(1)), (at(10), at(31)))


def test_missed_intervals_end_where_the_newest_kept_point_came(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(rpo_s=600), file_digest="f", at=at(0))
    for name, minutes in (("p1", 30), ("p2", 60)):
        catalogue.points.record(point(name, at(minutes)))

    catalogue.points.forget(["p2"], at(70))

    assert facts().missed == ((at(0), at(31)),)


def test_a_clock_jump_ahead_does_not_shorten_missed_time(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(rpo_s=600), file_digest="f", at=at(0))
    catalogue.points.record(point("p1", at(60)))
    missed = ((at(0), at(61)),)
    assert facts().missed == missed
    a_year = 365 * 24 * 60
    catalogue.points.record(point("ahead", at(a_year)))
    catalogue.points.record(point("p2", at(65)))  # the clock was set right
    assert facts().missed[:1] == missed
    catalogue.points.forget(["ahead"], at(66))
    assert facts().missed == missed


@pytest.mark.parametrize("seed", range(6))
def test_missed_intervals_equal_those_of_the_whole_history(
    catalogue: SqlCatalogue, catalogue_url: str, seed: int
) -> None:
    """Points early, late, overtaken, incomplete, from a clock that was set back, recorded twice."""
    chance = random.Random(seed)
    catalogue.plans.load(plan(rpo_s=600), file_digest="f", at=at(20))
    made: dict[str, RestorePoint] = {}
    clock = 0.0
    for number in range(25):
        clock += chance.choice([1, 4, 9, 11, 25, -3])
        data_time = at(clock - chance.choice([0, 1, 12, 30, -5]))
        name = chance.choice([f"p{number}"] * 9 + ["p3"])
        made[name] = point(name, data_time, available_at=at(clock), complete=chance.random() < 0.8)
        catalogue.points.record(made[name])

        [facts] = read_facts(catalogue_url)
        complete = [(p.data_time, p.available_at) for p in made.values() if p.complete]
        until = facts.newest.available_at if facts.newest else at(0)
        assert list(facts.missed) == missed_intervals(complete, 600, at(20), until)

"""Which repositories hold which points, and how far the reading of each has come: on each
database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.errors import Fenced
from drd.model.facts import CopyFacts, PlanFacts
from drd.model.plan import Plan, RepositorySpec, SecretRef
from drd.model.read_progress import Reading
from drd.model.run import RunKind
from drd.ports import RunLease
from tests.catalogue_support import at, plan, point

Facts = Callable[..., PlanFacts]


def with_copies(*names: str) -> Plan:
    made = plan()
    copies = {
        n: RepositorySpec(n, f"/srv/{n}", SecretRef("env", "P"), copy_of="primary") for n in names
    }
    return replace(made, repositories={**made.repositories, **copies})


def owned(catalogue: SqlCatalogue, subject: str = "offsite") -> RunLease:
    return catalogue.begin(
        plan(), RunKind.COPY, trigger="manual", detail={}, at=at(0), subject=subject
    )


def test_a_copy_that_nothing_ever_reached_is_known_as_such(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.record_point(point("p1", at(0)))
    catalogue.load_plan(with_copies("offsite", "third"), file_digest="", at=at(0))
    assert facts().copies == (CopyFacts("offsite", "primary"), CopyFacts("third", "primary"))
    catalogue.load_plan(with_copies("third"), file_digest="", at=at(1))
    assert [c.repository for c in facts().copies] == ["third"]


def test_a_point_that_arrived_is_there_since_then_and_again_is_no_news(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.load_plan(with_copies("offsite"), file_digest="", at=at(0))
    for name, minute in (("p1", 0), ("p2", 5)):
        catalogue.record_point(point(name, at(minute)))
    run = owned(catalogue)
    catalogue.record_copies(run, "offsite", {"p2": "m2"}, at(7))
    assert facts().copies == (CopyFacts("offsite", "primary", at(5), at(7)),)
    catalogue.record_copies(run, "offsite", {"p1": "m1", "p2": "m2", "unknown": "m3"}, at(9))
    assert facts().copies == (CopyFacts("offsite", "primary", at(5), at(7)),)
    there = catalogue.point("orders-api", "p2")
    assert there.repositories == {"primary": "manifest-of-p2", "offsite": "m2"}
    assert there.copied == {"offsite": at(7)}
    assert catalogue.point("orders-api", "p1").copied == {"offsite": at(9)}
    run.release()


def test_incomplete_and_forgotten_points_are_no_copy_worth_having(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.load_plan(with_copies("offsite"), file_digest="", at=at(0))
    for name, minute, complete in (("p1", 0, True), ("p2", 5, True), ("p3", 10, False)):
        catalogue.record_point(point(name, at(minute), complete=complete))
    run = owned(catalogue)
    catalogue.record_copies(run, "offsite", {p: p for p in ("p1", "p2", "p3")}, at(11))
    assert facts().copies[0].data_time == at(5)
    catalogue.forget_points(["p2"], at(12))
    assert facts().copies[0].data_time == at(0)
    assert catalogue.forgotten_points("orders-api", ["p1", "p2", "nobody"]) == {"p2"}
    catalogue.remove_from("orders-api", "offsite", ["p1"])
    assert facts().copies == (CopyFacts("offsite", "primary"),)
    assert catalogue.point("orders-api", "p1").repositories == {"primary": "manifest-of-p1"}
    run.release()


def test_recording_a_point_again_keeps_since_when_its_copies_are_there(
    catalogue: SqlCatalogue,
) -> None:
    catalogue.record_point(point("p1", at(0)))
    run = owned(catalogue)
    catalogue.record_copies(run, "offsite", {"p1": "m1"}, at(7))
    known = catalogue.point("orders-api", "p1")
    catalogue.record_point(known)
    assert catalogue.point("orders-api", "p1") == known
    run.release()


def test_copies_of_two_repositories_run_side_by_side_and_of_one_do_not(
    catalogue: SqlCatalogue,
) -> None:
    first, second = owned(catalogue), owned(catalogue, "third")
    assert catalogue.run(first.run.id).subject == "offsite"
    with pytest.raises(Exception, match="already running"):
        owned(catalogue)
    first.release()
    second.release()


def test_reading_comes_back_as_it_was_recorded_and_is_the_owners(catalogue: SqlCatalogue) -> None:
    run = owned(catalogue, "primary")
    assert catalogue.reading("orders-api", "primary") is None
    for reading in (Reading(12, 3, at(0), at(1)), Reading(12, 4, at(0), at(2), at(1), "damaged")):
        catalogue.record_reading(run, "primary", reading)
        assert catalogue.reading("orders-api", "primary") == reading
    assert catalogue.reading("orders-api", "offsite") is None
    with pytest.raises(Fenced):
        catalogue.record_reading(replace(run, token=9), "primary", reading)
    run.release()

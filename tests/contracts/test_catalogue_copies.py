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
    return catalogue.runs.begin(plan(), RunKind.COPY, trigger="manual", at=at(0), subject=subject)


def test_an_empty_copy_is_recorded_as_empty(catalogue: SqlCatalogue, facts: Facts) -> None:
    catalogue.points.record(point("p1", at(0)))
    catalogue.plans.load(with_copies("offsite", "third"), file_digest="", at=at(0))
    offsite, third = (CopyFacts(n, "primary", added_at=at(0)) for n in ("offsite", "third"))
    assert facts().copies == (offsite, third)
    catalogue.plans.load(with_copies("third"), file_digest="", at=at(1))
    assert facts().copies == (third,), "it keeps the time since when the plan has it"


def test_recording_a_copied_point_twice_keeps_its_first_time(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(with_copies("offsite"), file_digest="", at=at(0))
    for name, minute in (("p1", 0), ("p2", 5)):
        catalogue.points.record(point(name, at(minute)))
    run = owned(catalogue)
    catalogue.copies.record(run, "offsite", {"p2": "m2"}, at(7))
    assert facts().copies == (CopyFacts("offsite", "primary", at(5), at(7), added_at=at(0)),)
    catalogue.copies.record(run, "offsite", {"p1": "m1", "p2": "m2", "unknown": "m3"}, at(9))
    assert facts().copies == (CopyFacts("offsite", "primary", at(5), at(7), added_at=at(0)),)
    there = catalogue.points.get("orders-api", "p2")
    assert there.repositories == {"primary": "manifest-of-p2", "offsite": "m2"}
    assert there.copied == {"offsite": at(7)}
    assert catalogue.points.get("orders-api", "p1").copied == {"offsite": at(9)}
    run.release()


def test_incomplete_and_forgotten_points_do_not_count_in_copies(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(with_copies("offsite"), file_digest="", at=at(0))
    for name, minute, complete in (("p1", 0, True), ("p2", 5, True), ("p3", 10, False)):
        catalogue.points.record(point(name, at(minute), complete=complete))
    run = owned(catalogue)
    catalogue.copies.record(run, "offsite", {p: p for p in ("p1", "p2", "p3")}, at(11))
    assert facts().copies[0].data_time == at(5)
    catalogue.points.forget(["p2"], at(12))
    assert facts().copies[0].data_time == at(0)
    assert catalogue.points.forgotten("orders-api", ["p1", "p2", "nobody"]) == {"p2"}
    catalogue.copies.remove("orders-api", "offsite", ["p1"])
    assert facts().copies == (CopyFacts("offsite", "primary", added_at=at(0)),)
    assert catalogue.points.get("orders-api", "p1").repositories == {"primary": "manifest-of-p1"}
    run.release()


def test_recording_a_point_again_keeps_the_times_of_its_copies(
    catalogue: SqlCatalogue,
) -> None:
    catalogue.points.record(point("p1", at(0)))
    run = owned(catalogue)
    catalogue.copies.record(run, "offsite", {"p1": "m1"}, at(7))
    known = catalogue.points.get("orders-api", "p1")
    catalogue.points.record(known)
    assert catalogue.points.get("orders-api", "p1") == known
    run.release()


def test_copies_of_two_repositories_run_side_by_side_and_of_one_do_not(
    catalogue: SqlCatalogue,
) -> None:
    first, second = owned(catalogue), owned(catalogue, "third")
    assert catalogue.runs.get(first.run.id).subject == "offsite"
    with pytest.raises(Exception, match="already running"):
        owned(catalogue)
    first.release()
    second.release()


def test_read_progress_round_trips(catalogue: SqlCatalogue) -> None:
    run = owned(catalogue, "primary")
    assert catalogue.copies.reading("orders-api", "primary") is None
    for reading in (Reading(12, 3, at(0), at(1)), Reading(12, 4, at(0), at(2), at(1), "damaged")):
        catalogue.copies.record_reading(run, "primary", reading)
        assert catalogue.copies.reading("orders-api", "primary") == reading
    assert catalogue.copies.reading("orders-api", "offsite") is None
    with pytest.raises(Fenced):
        catalogue.copies.record_reading(replace(run, token=9), "primary", reading)
    run.release()

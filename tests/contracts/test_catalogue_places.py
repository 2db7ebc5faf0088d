"""Points are known by the id of the repository in which they lie: on each database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.model.facts import PlanFacts
from drd.model.manifest_signature import ManifestSignature, Replaced, TrustedKeys
from drd.model.plan import Plan, RepositorySpec, SecretRef
from drd.model.run import RunKind, RunState
from drd.model.seals import Seal, seal_of
from tests.catalogue_support import at, plan, point

Facts = Callable[..., PlanFacts]

OLD, NEW = "0a" * 32, "0b" * 32


def naming(url: str, name: str = "primary") -> Plan:
    spec = RepositorySpec(name, url, SecretRef("env", "P"))
    return replace(plan(), repositories={name: spec})


def known(catalogue: SqlCatalogue) -> list[str]:
    return [p.id for p in catalogue.points.of_plan("orders-api")]


def test_a_new_repository_has_none_of_the_points_of_the_former(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(naming("/srv/r"), file_digest="", at=at(0))
    catalogue.repositories.record("/srv/r", OLD, at(0))
    catalogue.points.record(point("p1", at(1)))
    catalogue.plans.load(naming("/srv/new"), file_digest="", at=at(2))
    assert known(catalogue) == []
    assert facts().newest is None
    (away,) = catalogue.points.of_plan("orders-api", elsewhere=True)
    assert (dict(away.repositories), dict(away.elsewhere)) == ({}, {"primary": OLD})
    catalogue.repositories.record("/srv/new", NEW, at(3))
    catalogue.points.record(point("p2", at(4)))
    assert known(catalogue) == ["p2"]
    assert facts().complete_points == 1
    # Back again, and both are where they were.
    catalogue.plans.load(naming("/srv/r"), file_digest="", at=at(5))
    assert known(catalogue) == ["p1"]
    newest = facts().newest
    assert newest is not None
    assert newest.id == "p1"


def test_a_repository_with_a_new_address_starts_without_the_failures_of_the_former_one(
    catalogue: SqlCatalogue,
) -> None:
    at_old = naming("/srv/r")
    catalogue.plans.load(at_old, file_digest="", at=at(0))
    for kind, subject in ((RunKind.VERIFICATION, "primary"), (RunKind.BACKUP, "")):
        lease = catalogue.runs.begin(at_old, kind, trigger="schedule", at=at(1), subject=subject)
        catalogue.runs.finish(lease, RunState.FAILED, error="it is gone", at=at(2))
    seen = max(job.changed for job in catalogue.queue.jobs())
    catalogue.plans.load(naming("/srv/new"), file_digest="", at=at(3))
    [verification] = catalogue.queue.jobs(since=seen)
    assert (verification.kind, verification.subject) == ("verification", "primary")
    assert (verification.tries, verification.last_error, verification.last_state) == (0, None, None)
    [backup] = [job for job in catalogue.queue.jobs() if job.kind == "backup"]
    assert (backup.tries, backup.last_error) == (1, "it is gone")


def test_the_same_repository_at_a_new_url_keeps_its_points(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(naming("/srv/r"), file_digest="", at=at(0))
    catalogue.repositories.record("/srv/r", OLD, at(0))
    catalogue.points.record(point("p1", at(1)))
    catalogue.plans.load(naming("/mnt/r"), file_digest="", at=at(2))
    catalogue.repositories.record("/mnt/r", OLD, at(3))
    assert known(catalogue) == ["p1"]
    assert facts().complete_points == 1


def test_a_renamed_repository_keeps_its_points(catalogue: SqlCatalogue) -> None:
    catalogue.plans.load(naming("/srv/r"), file_digest="", at=at(0))
    catalogue.repositories.record("/srv/r", OLD, at(0))
    catalogue.points.record(point("p1", at(1)))
    catalogue.plans.load(naming("/srv/r", "vault"), file_digest="", at=at(2))
    (found,) = catalogue.points.of_plan("orders-api")
    assert dict(found.repositories) == {"vault": "manifest-of-p1"}
    catalogue.copies.remove("orders-api", "vault", ["p1"])
    assert catalogue.points.get("orders-api", "p1").repositories == {}


def test_a_point_that_is_recorded_again_stays_known_at_the_old_place(
    catalogue: SqlCatalogue,
) -> None:
    catalogue.plans.load(naming("/srv/r"), file_digest="", at=at(0))
    catalogue.repositories.record("/srv/r", OLD, at(0))
    catalogue.points.record(point("p1", at(1)))
    catalogue.plans.load(naming("/srv/new", "second"), file_digest="", at=at(2))
    catalogue.repositories.record("/srv/new", NEW, at(2))
    moved = replace(point("p1", at(1)), repositories={"second": "copied"})
    catalogue.points.record(moved)
    (found,) = catalogue.points.of_plan("orders-api")
    assert dict(found.repositories) == {"second": "copied"}
    assert dict(found.elsewhere) == {"primary": OLD}


def test_a_kit_replaces_the_recorded_seals(catalogue: SqlCatalogue) -> None:
    catalogue.origins.record_seals("orders-api", [seal_of(point("p1", at(0)), "0c" * 32)])
    assert catalogue.origins.kit_base("orders-api") is None
    kit = Seal("p2", "0d" * 32, {"primary": "0e" * 32}, {"orders-db": "0f" * 32})
    catalogue.origins.base_on_kit("orders-api", at(1), [kit])
    assert catalogue.origins.seals("orders-api") == {"p2": kit}
    base = catalogue.origins.kit_base("orders-api")
    assert base is not None
    assert (base.made_at, base.listed) == (at(1), True)
    catalogue.origins.base_on_kit("orders-api", at(2), None)
    assert catalogue.origins.seals("orders-api") == {}
    assert not catalogue.origins.kit_base("orders-api").listed  # type: ignore[union-attr]


def test_signatures_are_noted_and_what_came_of_a_copy_first_counts(catalogue: SqlCatalogue) -> None:
    store = catalogue.signatures
    assert store.trusted() == TrustedKeys()
    assert store.get("orders-api", "p1") is None
    said = ManifestSignature("d" * 64, "a" * 16, "s" * 88)
    store.record("orders-api", "p1", said)
    store.record("orders-api", "p1", replace(said, public="k" * 44))
    assert store.of_plan("orders-api") == {"p1": replace(said, public="k" * 44)}
    assert store.of_plan("billing") == {}
    store.trust({}, after=7)
    store.trust({"a" * 16: "k" * 44}, after=9)
    assert store.trusted() == TrustedKeys({"a" * 16: "k" * 44}, 7)
    end = Replaced(at(3), 12)
    store.trust({"a" * 16: "k" * 44}, after=9, replaced={"a" * 16: end})
    store.trust({"a" * 16: "k" * 44}, after=9, replaced={"a" * 16: Replaced(at(9))})
    assert store.trusted() == TrustedKeys({"a" * 16: "k" * 44}, 7, {"a" * 16: end})
    store.record("orders-api", "p2", replace(said, digest="e" * 64))  # by none that is known
    assert store.by_key("a" * 16) == ["d" * 64]

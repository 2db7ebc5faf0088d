"""What the catalogue remembers of recovery kits, on each database."""

from __future__ import annotations

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.model.kit_findings import EXPORT, VERIFY, KitRecord
from drd.model.run import RunKind, RunState
from tests.catalogue_support import at, plan


def run(
    catalogue: SqlCatalogue,
    subject: str,
    minute: int,
    *,
    sha256: str,
    error: str | None = None,
) -> None:
    owned = catalogue.begin(
        plan(), RunKind.KIT, trigger="manual", detail={}, at=at(minute), subject=subject
    )
    state = RunState.FAILED if error else RunState.SUCCEEDED
    catalogue.finish(owned, state, at=at(minute + 1), error=error, detail={"sha256": sha256})
    owned.release()


def test_the_last_kit_counts_and_looks_with_that_very_kit(catalogue: SqlCatalogue) -> None:
    catalogue.load_plan(plan(), file_digest="", at=at(0))
    name = plan().name
    assert catalogue.kit_record(name) is None
    run(catalogue, EXPORT, 0, sha256="a")
    assert catalogue.kit_record(name) == KitRecord(at(0), plan().digest, "a")
    run(catalogue, VERIFY, 2, sha256="a", error="no repository")
    assert catalogue.kit_record(name) == KitRecord(
        at(0), plan().digest, "a", at(3), "no repository"
    )
    run(catalogue, VERIFY, 4, sha256="a")
    assert catalogue.kit_record(name) == KitRecord(at(0), plan().digest, "a", at(5))
    # A newer kit that nobody tried, and an attempt that came to nothing.
    run(catalogue, EXPORT, 6, sha256="b")
    run(catalogue, EXPORT, 8, sha256="c", error="disk full")
    assert catalogue.kit_record(name) == KitRecord(at(6), plan().digest, "b")
    assert catalogue.kit_record("another") is None

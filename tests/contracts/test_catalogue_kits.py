"""What the catalogue remembers of recovery kits, on each database."""

from __future__ import annotations

from typing import Any

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.model.kit_findings import EXPORT, VERIFY, KitRecord, KitTry
from drd.model.run import RunKind, RunState
from drd.model.run_details import KitDetail
from drd.model.units import to_rfc3339
from tests.catalogue_support import at, plan


def run(
    catalogue: SqlCatalogue,
    subject: str,
    minute: int,
    *,
    sha256: str = "",
    error: str | None = None,
    **detail: Any,
) -> None:
    owned = catalogue.runs.begin(
        plan(), RunKind.KIT, trigger="manual", at=at(minute), subject=subject
    )
    state = RunState.FAILED if error else RunState.SUCCEEDED
    row = KitDetail.from_json({"sha256": sha256, **detail})
    catalogue.runs.finish(owned, state, at=at(minute + 1), error=error, detail=row)
    owned.release()


def test_only_tests_of_the_last_kit_count(catalogue: SqlCatalogue) -> None:
    catalogue.plans.load(plan(), file_digest="", at=at(0))
    name = plan().name
    assert catalogue.kits.newest(name) is None
    run(catalogue, EXPORT, 0, sha256="a")
    assert catalogue.kits.newest(name) == KitRecord(at(0), plan().digest, "a")
    run(catalogue, VERIFY, 2, sha256="a", error="no repository")
    assert catalogue.kits.newest(name) == KitRecord(
        at(0), plan().digest, "a", at(3), "no repository"
    )
    run(catalogue, VERIFY, 4, sha256="a")
    assert catalogue.kits.newest(name) == KitRecord(at(0), plan().digest, "a", at(5))
    # A newer kit that nobody tried, and an attempt that came to nothing.
    run(catalogue, EXPORT, 6, sha256="b")
    run(catalogue, EXPORT, 8, sha256="c", error="disk full")
    assert catalogue.kits.newest(name) == KitRecord(at(6), plan().digest, "b")
    assert catalogue.kits.newest("another") is None


def test_a_kit_of_another_host_counts_after_it_was_opened(catalogue: SqlCatalogue) -> None:
    """On a host that was made from it, or by the copy that is tried."""
    catalogue.plans.load(plan(), file_digest="", at=at(0))
    name = plan().name
    run(catalogue, VERIFY, 0, error="cannot read /k", file="/k")
    assert catalogue.kits.newest(name) is None
    opened = {"made_at": to_rfc3339(at(-60)), "plan_digest": "d9"}
    run(catalogue, VERIFY, 2, sha256="a", file="/k", **opened)
    tried = KitTry("/k", at(3), sha256="a")
    assert catalogue.kits.newest(name) == KitRecord(at(-60), "d9", "a", at(3), None, tried)
    # Outdated is told by the plan's hash, and a copy that went away does not undo what was seen.
    run(catalogue, VERIFY, 4, sha256="a", error="changed", outdated=True, file="/k", **opened)
    run(catalogue, VERIFY, 6, error="cannot read /k", file="/k")
    gone = KitTry("/k", at(7), "cannot read /k", there=False)
    assert catalogue.kits.newest(name) == KitRecord(at(-60), "d9", "a", at(5), None, gone)
    run(catalogue, EXPORT, 8, sha256="b")
    assert catalogue.kits.newest(name) == KitRecord(at(8), plan().digest, "b", tried=gone)

"""The facts for `status`: what the summary rows say, by each reader, on each database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from drd.catalogue import summary_rows
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.catalogue.summary import read_facts, read_through_sqlalchemy
from drd.errors import CatalogueError, TargetError
from drd.flows.restore import kept_copies
from drd.flows.state.restored_points import restored_points
from drd.model.consistency import Spread
from drd.model.drill_facts import DrillFacts, FailedCheck, PackageFacts, ScenarioFacts
from drd.model.facts import (
    AUTO,
    AlertFacts,
    ComponentFacts,
    FailedStep,
    FailureFacts,
    FindingFacts,
    IncompleteFacts,
    PlanFacts,
    PointFacts,
    RepositoryFacts,
    RunningFacts,
    UndoneFacts,
    UnreadyFacts,
)
from drd.model.finding import Finding
from drd.model.log import LogState, copy_noted_as, noted_as
from drd.model.plan import DrillPolicy, RepositorySpec, SecretRef
from drd.model.policies import BackupPolicy
from drd.model.readiness_finding import ReadinessFinding
from drd.model.run import (
    SET_ASIDE,
    CheckResult,
    CheckVerdict,
    Decision,
    DrillResult,
    RunKind,
    RunState,
    StepState,
)
from drd.model.run_details import DrillDetail, ReadinessDetail, RecoveryDetail
from drd.model.snapshot import MadeDuring
from drd.model.step_record import StepRecord
from drd.model.step_results import AsideStepResult
from drd.model.verdicts import Readiness
from drd.ports import Aside
from drd.ports.runs import RunLease
from tests.catalogue_support import (
    at,
    captured,
    evidence,
    failed,
    opened,
    plan,
    point,
)

Facts = Callable[..., PlanFacts]


def run(
    catalogue: SqlCatalogue,
    state: RunState,
    minutes: float,
    *,
    took: float = 1,
    error: str | None = None,
) -> str:
    owned = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(minutes))
    catalogue.runs.finish(owned, state, at=at(minutes + took), error=error)
    return owned.run.id


def drilled(catalogue: SqlCatalogue, name: str, minutes: float, result: DrillResult) -> DrillFacts:
    owned = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(minutes))
    found = evidence(name, finished_at=at(minutes), result=result, run=owned.run.id, reason="why")
    catalogue.evidence.record(owned, found)
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(minutes))
    return DrillFacts(
        name, owned.run.id, "p1", at(minutes), str(result), "d1", 9.6, 63.0, True, 612, "why",
        scenario="database-loss", data_time=None,
    )  # type: ignore[arg-type]  # fmt: skip


def test_a_failed_drill_names_its_checks_with_what_was_found_and_expected(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    bad = [CheckResult(f"check {n}", None, CheckVerdict.FAILED, f"{n}", "> 9") for n in (3, 1, 2)]
    good = CheckResult("good", None, CheckVerdict.PASSED, "10", "> 9")
    for minute, checks in ((1, (bad[1],)), (2, (bad[0], good, *bad[1:]))):
        owned = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(minute))
        found = evidence(
            f"e{minute}",
            finished_at=at(minute),
            result=DrillResult.FAILED,
            run=owned.run.id,
            checks=checks,
        )
        catalogue.evidence.record(owned, found)
        catalogue.runs.finish(owned, RunState.FAILED, at=at(minute))
    seen = facts()
    expected = (
        FailedCheck("check 3", "3", "> 9"),
        FailedCheck("check 1", "1", "> 9"),
        FailedCheck("check 2", "2", "> 9"),
    )
    assert seen.last_drill is not None
    assert (seen.last_drill.evidence, seen.last_drill.failed) == ("e2", expected)
    assert [s.last.failed for s in seen.scenarios if s.last is not None] == [expected]
    drilled(catalogue, "e3", 3, DrillResult.PASSED)
    assert facts().last_drill.failed == ()  # type: ignore[union-attr]


def test_a_drill_with_another_version_of_a_package_is_named(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    def load(minutes: float, digest: str, **extensions: str) -> None:
        resolved = {"extensions": extensions} if extensions else {}
        this = replace(plan(), digest=digest, resolved=resolved)
        catalogue.plans.load(this, file_digest="f", at=at(minutes))

    def packages() -> tuple[PackageFacts, ...]:
        return facts().scenarios[0].packages

    load(0, "d1", notes="1", other="4")
    owned = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(1))
    catalogue.evidence.record(owned, evidence("e1", finished_at=at(2), run=owned.run.id))
    tools = {"restic": "0.18.0", "extension notes": "1.2.0", "extension other": "4.0"}
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(2), detail=DrillDetail(tools=tools))
    assert packages() == ()
    load(3, "d2", notes="2", other="4", added="1")
    assert packages() == (PackageFacts("notes", "1.2.0", "2"),)
    load(4, "d3", other="4")
    assert packages() == ()
    load(5, "d4")
    assert packages() == ()


# --- plans ----------------------------------------------------------------------------------


def test_a_loaded_plan_has_its_objectives_and_nothing_else(
    catalogue: SqlCatalogue, facts: Facts, tmp_path: Path
) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text("plan: orders-api\n")
    digest = sha256(file.read_bytes()).hexdigest()

    catalogue.plans.load(plan(file=str(file)), file_digest=digest, at=at(0))

    there = file.stat()
    assert facts() == PlanFacts(
        plan="orders-api",
        owner="payments team",
        rpo_s=900,
        rto_s=1800,
        window_s=90 * 86400,
        digest="d1",
        first_loaded_at=at(0),
        loaded_at=at(0),
        interval_s=300,
        drill_every_s=7 * 86400,
        file=str(file),
        file_mtime_ns=there.st_mtime_ns,
        file_size=there.st_size,
        file_digest=digest,
        components=(ComponentFacts("orders-db", "files"), ComponentFacts("gateway", "files")),
        repositories=(RepositoryFacts("primary", met=False),),
        scenarios=(ScenarioFacts("database-loss"),),
        proofs=("proof of d1",),
    )


def test_evidence_of_an_older_drd_counts_while_nothing_changes_that_a_drill_proves(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    def load(minutes: float, digest: str, proof: str) -> tuple[str, ...]:
        this = plan(digest=digest, proof=proof)
        catalogue.plans.load(this, file_digest="f", at=at(minutes))
        proofs = facts().proofs
        assert catalogue.plans.proofs(this) == {digest, *proofs}
        return proofs

    assert load(0, "d1", "p1") == ("p1",)
    with catalogue.database.write() as connection:  # as the upgrade leaves the row
        connection.execute(text("UPDATE plans SET proof = NULL"))
    assert facts().proofs == ()
    assert load(1, "d1", "p1") == ("p1", "d1")
    assert load(2, "with another schedule", "p1") == ("p1", "d1")
    assert load(3, "and another owner", "p1") == ("p1", "d1")
    other = plan(digest="d9", proof="p9")
    assert catalogue.plans.proofs(other) == {"d9", "p9"}  # a text that is not in force
    assert load(4, "with another check", "p2") == ("p2",)
    assert load(5, "d2", "p1") == ("p1",)
    with catalogue.database.write() as connection:
        connection.execute(text("UPDATE plans SET proof = NULL"))
    assert load(6, "changed during the upgrade", "p1") == ("p1",)


def test_a_plan_by_the_rpo_and_cron_says_how_long_its_intervals_are(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    by_rpo = replace(
        plan(),
        backup=BackupPolicy(auto=True, longest_gap_s=675.0),
        drill=DrillPolicy(cron="0 4 * * 0", longest_gap_s=7 * 86400.0),
    )
    catalogue.plans.load(by_rpo, file_digest="d", at=at(0))
    found = facts()
    assert (found.cron, found.interval_s) == (AUTO, 675.0)
    assert found.drill_every_s == 7 * 86400.0


def test_a_file_changed_during_its_load_has_no_stamp(
    catalogue: SqlCatalogue, facts: Facts, tmp_path: Path
) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text("changed since\n")

    catalogue.plans.load(plan(file=str(file)), file_digest="of what was loaded", at=at(0))

    assert (facts().file_mtime_ns, facts().file_size) == (0, 0)


def test_loading_again_keeps_the_first_time_and_clears_the_error(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    catalogue.plans.mark_broken("orders-api", "orders.yaml:3: no such key", at(5))
    catalogue.plans.mark_broken("never-loaded", "x", at(5))
    broken = facts()
    assert (broken.load_error, broken.rpo_s) == ("orders.yaml:3: no such key", 900)

    catalogue.plans.load(plan(rpo_s=60, components=("gateway",)), file_digest="g", at=at(10))

    again = facts()
    assert (again.first_loaded_at, again.loaded_at) == (at(0), at(10))
    assert (again.load_error, again.rpo_s, again.file_digest) == (None, 60, "g")
    assert [c.component for c in again.components] == ["gateway"]
    assert catalogue.plans.names() == ["orders-api"]


def test_plans_are_in_the_order_of_their_names(catalogue: SqlCatalogue, catalogue_url: str) -> None:
    for name in ("b-2", "a", "b1", "b-10"):
        catalogue.plans.load(plan(name), file_digest="f", at=at(0))

    assert [f.plan for f in read_facts(catalogue_url)] == ["a", "b-10", "b-2", "b1"]
    assert read_facts(catalogue_url, "unknown") == []


# --- points ---------------------------------------------------------------------------------


def test_newest_is_the_complete_point_with_the_latest_data(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    for name, minutes in (("p1", 10), ("p3", 30), ("p2", 20)):
        catalogue.points.record(point(name, at(minutes)))

    assert facts().newest == PointFacts("p3", at(30), at(31), 1000)
    assert facts().complete_points == 3
    assert facts().incomplete is None


def test_an_incomplete_point_is_named_with_what_failed_until_a_complete_one(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    catalogue.points.record(point("p1", at(10)))
    partial = [captured(data_time=at(20), size=7), failed("gateway", "no such directory")]
    catalogue.points.record(point("p2", at(20), components=partial, complete=False))

    one = facts()
    assert one.newest is not None
    assert (one.newest.id, one.complete_points) == ("p1", 1)
    assert one.incomplete == IncompleteFacts("p2", at(20), (("gateway", "no such directory"),))
    assert one.components == (
        ComponentFacts("orders-db", "files", at(20), 7, None),
        ComponentFacts("gateway", "files", None, None, "no such directory"),
    )

    catalogue.points.record(
        point("p3", at(30), components=[captured(data_time=at(30)), captured("gateway")])
    )

    assert facts().incomplete is None
    assert [c.error for c in facts().components] == [None, None]


def test_forgotten_points_count_no_more(catalogue: SqlCatalogue, facts: Facts) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    catalogue.points.record(point("p1", at(10)))
    catalogue.points.record(point("p2", at(20)))

    catalogue.points.forget(["p2"], at(60))

    one = facts()
    assert one.newest is not None
    assert (one.newest.id, one.complete_points) == ("p1", 1)
    assert one.components[0].data_time == at(10)


def recovered(catalogue: SqlCatalogue, minutes: float, detail: RecoveryDetail) -> str:
    """A recovery of orders-db, which took two minutes and set aside what was there."""
    owned = catalogue.runs.begin(
        plan(), RunKind.RECOVERY, trigger="manual", at=at(minutes), detail=detail
    )
    begun = catalogue.steps.begin(owned, "restore", "restore", at(minutes), subject="orders-db")
    catalogue.steps.finish(owned, begun.name, StepState.SUCCEEDED, at=at(minutes + 1))
    kept(catalogue, owned.run.id, minutes + 1, former=True)
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(minutes + 2))
    return owned.run.id


def kept(catalogue: SqlCatalogue, name: str, minutes: float, *, former: bool) -> None:
    copies = AsideStepResult(aside=(Aside("orders-db", "/db", "/db_other", former=former),))
    catalogue.steps.note(name, SET_ASIDE, "aside", at=at(minutes), result=copies)


def turned(catalogue: SqlCatalogue, name: str, action: str, minutes: float) -> None:
    catalogue.decisions.add(name, Decision("", action, "anna", "", 0, at(minutes)))
    kept(catalogue, name, minutes, former=action == "redo")


def test_what_is_noted_of_a_log_and_of_its_copy_is_read_by_the_keys_of_the_notes(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    """The statements put these keys together again, so that `status` need not load what notes the
    logs."""
    offsite = RepositorySpec("offsite", "/srv/o", SecretRef("env", "P"), copy_of="primary")
    primary = plan().repositories["primary"]
    copied_plan = replace(plan(), repositories={"primary": primary, "offsite": offsite})
    catalogue.plans.load(copied_plan, file_digest="f", at=at(0))
    catalogue.points.record(point("p1", at(10)))
    for key, minutes in (
        (noted_as("orders-api", "orders-db"), 30),
        (copy_noted_as("orders-api", "offsite", "orders-db"), 20),
        (copy_noted_as("orders-api", "gone", "orders-db"), 25),
    ):
        state = LogState("receives", at(minutes), 30.0, reaches=at(minutes))
        catalogue.queue.note(key, dict(state.to_json()), at(minutes), plan="orders-api")
    components = {one.component: one.log_at for one in facts().components}
    assert components["orders-db"] == at(30)
    [copy] = facts().copies
    assert (copy.repository, copy.logs) == ("offsite", (("orders-db", at(20)),))


@pytest.mark.parametrize(
    "detail", [RecoveryDetail(target="in-place"), RecoveryDetail(in_place=True)]
)
def test_points_with_the_data_of_an_undone_recovery_are_known_with_the_one_before(
    catalogue: SqlCatalogue, facts: Facts, detail: RecoveryDetail
) -> None:
    offsite = RepositorySpec("offsite", "/srv/o", SecretRef("env", "P"), copy_of="primary")
    primary = plan().repositories["primary"]
    copied_plan = replace(plan(), repositories={"primary": primary, "offsite": offsite})
    catalogue.plans.load(copied_plan, file_digest="f", at=at(0))
    for name, minutes in (("p1", 10), ("p2", 30), ("p3", 40)):
        catalogue.points.record(point(name, at(minutes)))
    copying = catalogue.runs.begin(
        plan(), RunKind.COPY, trigger="manual", at=at(41), subject="offsite"
    )
    catalogue.copies.record(copying, "offsite", {p: p for p in ("p1", "p2", "p3")}, at(42))
    catalogue.runs.finish(copying, RunState.SUCCEEDED, at=at(42))
    run = recovered(catalogue, 20, detail)
    assert facts().undone is None

    def scheduled() -> tuple[datetime, datetime] | None:
        [row] = catalogue.queue.plan_rows(["orders-api"])
        assert catalogue.queue.plan_rows() == [row]
        return row.undone

    def copied() -> list[datetime | None]:
        return [copy.data_time for copy in catalogue.figures().copies]

    assert (scheduled(), copied()) == (None, [at(40)])
    seen = max(row.changed for row in catalogue.queue.jobs())
    turned(catalogue, run, "undo", 50)
    assert catalogue.queue.jobs(seen), "the schedule is computed anew"
    assert (scheduled(), copied()) == ((at(50), at(10)), [at(10)])
    p1 = PointFacts("p1", at(10), at(11), 1000)
    assert facts().undone == UndoneFacts(run, at(50), ("orders-db",), p1)
    points = catalogue.points.of_plan("orders-api")
    marked = restored_points(catalogue, "orders-api", points)
    assert {name for name, one in marked.items() if one.undone} == {"p2", "p3"}

    turned(catalogue, run, "redo", 52)
    assert facts().undone is None
    turned(catalogue, run, "undo", 54)
    assert facts().undone == UndoneFacts(run, at(54), ("orders-db",), p1)

    catalogue.points.record(point("p4", at(60)))
    assert (facts().undone, scheduled()) == (None, None)
    assert facts().outages == ((at(50), at(52)), (at(54), at(61)))


@pytest.mark.parametrize(
    ("no_undo", "note", "held"),
    [
        (False, None, False),
        (
            False,
            AsideStepResult(aside=(Aside("orders-db", "/db", "/db_other", former=True),)),
            True,
        ),
        (False, AsideStepResult(unseen=("orders-db",)), True),
        (True, None, True),
    ],
)
@pytest.mark.parametrize("state", [StepState.CANCELLED, StepState.FAILED])
def test_a_point_is_marked_unless_the_recovery_certainly_replaced_nothing_before_it(
    catalogue: SqlCatalogue,
    *,
    state: StepState,
    no_undo: bool,
    note: AsideStepResult | None,
    held: bool,
) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    detail = RecoveryDetail(target="in-place", no_undo=no_undo)
    owned = catalogue.runs.begin(
        plan(), RunKind.RECOVERY, trigger="manual", at=at(10), detail=detail
    )
    begun = catalogue.steps.begin(owned, "restore", "restore", at(10), subject="orders-db")
    catalogue.steps.finish(owned, begun.name, state, at=at(11))
    if note is not None:
        catalogue.steps.note(owned.run.id, SET_ASIDE, "aside", at=at(11), result=note)
    catalogue.runs.finish(owned, RunState.CANCELLED, at=at(12))
    catalogue.points.record(point("p1", at(20)))
    marked = restored_points(catalogue, "orders-api", catalogue.points.of_plan("orders-api"))
    assert list(marked) == ["p1"] * held


def recovery_over_production(catalogue: SqlCatalogue) -> tuple[RunLease, StepRecord]:
    """Begin a recovery in place of the plan, and the step that restores its database."""
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    detail = RecoveryDetail(target="in-place", point="p1", overwrite=True, begun=("orders-db",))
    owned = catalogue.runs.begin(
        plan(), RunKind.RECOVERY, trigger="manual", at=at(10), detail=detail
    )
    begun = catalogue.steps.begin(owned, "restore", "restore", at(10), subject="orders-db")
    return owned, begun


def test_a_component_whose_place_could_not_be_looked_at_was_perhaps_replaced(
    catalogue: SqlCatalogue, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        def held(self) -> list[Aside]:
            raise TargetError("the server does not answer")

        def close(self) -> None: ...

    monkeypatch.setattr(kept_copies, "copies_by_component", lambda *_: [("orders-db", Gone())])
    owned, begun = recovery_over_production(catalogue)
    catalogue.steps.finish(owned, begun.name, StepState.FAILED, at=at(11))
    services: Any = SimpleNamespace(catalogue=catalogue, clock=SimpleNamespace(now=lambda: at(12)))
    kept_copies.note(services, plan(), owned)
    catalogue.runs.finish(owned, RunState.FAILED, at=at(12))
    left = facts().unfinished
    assert left is not None
    assert (left.kept, left.unseen) == ((), ("orders-db",))


def test_a_recovery_whose_failed_checks_hold_back_its_last_steps_is_unfinished(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    """Its checks judged it, but nobody has started again what it stopped."""
    owned, begun = recovery_over_production(catalogue)
    catalogue.steps.finish(owned, begun.name, StepState.SUCCEEDED, at=at(11))
    checks = catalogue.steps.begin(owned, "checks", "check", at(11))
    catalogue.steps.finish(owned, checks.name, StepState.FAILED, at=at(12), error="too old")
    found = evidence("e1", finished_at=at(12), result=DrillResult.FAILED, run=owned.run.id)
    catalogue.evidence.record(owned, replace(found, rta_s=None))
    catalogue.runs.finish(owned, RunState.FAILED, at=at(12), error="why")
    left = facts().unfinished
    assert left is not None
    assert (left.state, left.died) == ("failed", False)
    assert left.failed == FailedStep("checks", "check", "too old")
    catalogue.runs.reopen(catalogue.runs.get(owned.run.id), at(13))  # as drd skip does
    left = facts().unfinished
    assert left is not None
    assert (left.state, left.died, left.at) == ("reopened", False, at(13))
    owned = catalogue.runs.adopt(catalogue.runs.get(owned.run.id), at(14))
    assert owned is not None
    assert not catalogue.runs.get(owned.run.id).reopened


@pytest.mark.parametrize("judged", [False, True])
def test_a_failed_recovery_is_unfinished_unless_its_checks_judged_it(
    catalogue: SqlCatalogue, facts: Facts, *, judged: bool
) -> None:
    """An internal error in the step with the checks ends a recovery in the middle."""
    owned, begun = recovery_over_production(catalogue)
    catalogue.steps.finish(owned, begun.name, StepState.SUCCEEDED, at=at(11))
    checks = catalogue.steps.begin(owned, "checks", "check", at(11))
    catalogue.steps.finish(owned, checks.name, StepState.FAILED, at=at(12), error="PermissionError")
    if judged:
        found = evidence("e1", finished_at=at(12), result=DrillResult.FAILED, run=owned.run.id)
        catalogue.evidence.record(owned, found)
    catalogue.runs.finish(owned, RunState.FAILED, at=at(12), error="why")
    left = facts().unfinished
    assert (left is None) is judged
    assert left is None or (left.run, left.replaced) == (owned.run.id, ("orders-db",))
    again = catalogue.runs.reopen(catalogue.runs.get(owned.run.id), at(13))
    owned = catalogue.runs.adopt(again, at(14))
    assert owned is not None
    catalogue.runs.finish(owned, RunState.FAILED, at=at(15), error="PermissionError")
    assert facts().unfinished is not None, "resumed, and ended in the middle"


def test_a_point_made_when_a_recovery_had_restored_a_part_counts_for_nothing(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    mixed = MadeDuring("5f0c", ("orders-db",), False)
    catalogue.points.record(point("p1", at(10)))
    catalogue.points.record(replace(point("p2", at(20)), made_during=mixed))
    catalogue.points.record(replace(point("p3", at(30)), made_during=mixed))
    p1 = PointFacts("p1", at(10), at(11), 1000)
    assert facts().undone == UndoneFacts("5f0c", at(31), ("orders-db",), p1, unfinished=True)
    [row] = catalogue.queue.plan_rows(["orders-api"])
    assert row.undone is None, "the next backup would be no better"
    whole = replace(mixed, whole=True)
    catalogue.points.record(replace(point("p4", at(40)), made_during=whole))
    assert facts().undone is None, "the state that the service was left in"


def test_spreads_of_the_newest_complete_and_of_the_incomplete_point(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    near, far = (Spread(("orders-db", "conf"), 5.0, seconds) for seconds in (0.25, 7.5))
    catalogue.points.record(replace(point("p1", at(10)), consistency=(near,)))
    assert facts().newest == PointFacts("p1", at(10), at(11), 1000, (near,))
    assert facts().incomplete is None
    wide = replace(point("p2", at(20)), complete=False, consistency=(far, near))
    catalogue.points.record(wide)
    assert catalogue.points.get("orders-api", "p2").consistency == (far, near)
    assert facts().newest == PointFacts("p1", at(10), at(11), 1000, (near,))
    said = ("orders-db, conf", "data times 7.500s apart, at most 5s allowed")
    assert facts().incomplete == IncompleteFacts("p2", at(20), (said,))


def test_a_recovery_elsewhere_or_half_undone_marks_no_point(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    for name, minutes in (("p1", 10), ("p2", 30)):
        catalogue.points.record(point(name, at(minutes)))
    elsewhere = recovered(catalogue, 20, RecoveryDetail(target="standby"))
    turned(catalogue, elsewhere, "undo", 50)
    half = recovered(catalogue, 20, RecoveryDetail(target="in-place"))
    turned(catalogue, half, "undo", 50)
    kept(catalogue, half, 51, former=True)
    assert facts().undone is None


def test_points_that_were_rebuilt_before_the_plan_was_loaded_are_known_then(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.points.record(point("p1", at(-10)))

    catalogue.plans.load(plan(), file_digest="f", at=at(60))

    one = facts()
    assert one.newest == PointFacts("p1", at(-10), at(-9), 1000)
    assert one.components[0].data_time == at(-10)
    assert one.missed == (), "the window begins when the plan was first loaded"


# --- runs -----------------------------------------------------------------------------------


def test_failures_are_counted_until_a_success(catalogue: SqlCatalogue, facts: Facts) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    assert facts().failures is None
    run(catalogue, RunState.FAILED, 10, error="pg_dump cannot connect")
    run(catalogue, RunState.CANCELLED, 15, error="cancelled")
    run(catalogue, RunState.INCOMPLETE, 20, error="gateway: gone")
    last = run(catalogue, RunState.INTERRUPTED, 30)
    assert facts().failures == FailureFacts(3, last, at(31), "interrupted")

    run(catalogue, RunState.SUCCEEDED, 40)
    assert facts().failures is None
    last = run(catalogue, RunState.FAILED, 50, error="again")
    assert facts().failures == FailureFacts(1, last, at(51), "again")


def test_a_failure_before_the_newest_point_is_over(catalogue: SqlCatalogue, facts: Facts) -> None:
    """A host that was made from a repository knows failures of the lost host, and not each later
    run of it."""
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    failed = run(catalogue, RunState.FAILED, 10, error="pg_dump cannot connect")
    catalogue.points.record(point("p1", at(5)))
    assert facts().failures == FailureFacts(1, failed, at(11), "pg_dump cannot connect")
    catalogue.points.record(point("p2", at(12)))
    assert facts().failures is None


def test_a_death_found_after_a_later_success_is_not_a_failure_since(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    dead = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(10))
    dead.release()
    run(catalogue, RunState.SUCCEEDED, 20)
    adopted = catalogue.runs.adopt(dead.run, at(30))
    assert adopted is not None

    catalogue.runs.finish(adopted, RunState.INTERRUPTED, at=at(30))

    assert facts().failures is None


def test_usual_duration_is_the_95th_percentile_of_the_newest_fifty(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    assert facts().backup_p95_s is None
    run(catalogue, RunState.SUCCEEDED, 0, took=1000)
    for number in range(50):
        run(catalogue, RunState.SUCCEEDED, 10 + number, took=number + 1)
    run(catalogue, RunState.FAILED, 100, took=1000)

    assert facts().backup_p95_s == 48 * 60


def test_the_newest_open_run_is_returned(catalogue: SqlCatalogue, facts: Facts) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    drill = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(10))
    backup = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(20))
    assert facts().running == RunningFacts(backup.run.id, "backup", at(20))

    catalogue.runs.finish(backup, RunState.SUCCEEDED, at=at(21))
    assert facts().running == RunningFacts(drill.run.id, "drill", at(10))
    catalogue.runs.finish(drill, RunState.SUCCEEDED, at=at(22))
    assert facts().running is None


def test_a_backup_whose_process_died_is_not_running(
    catalogue: SqlCatalogue, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has recorded the death yet; `drd runs` says `interrupted`, too."""
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    run(catalogue, RunState.SUCCEEDED, 1)
    run(catalogue, RunState.FAILED, 5, error="pg_dump cannot connect")
    dead = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(10))
    assert facts().running == RunningFacts(dead.run.id, "backup", at(10))

    monkeypatch.setattr(summary_rows, "has_ended", lambda *_: True)

    assert facts().running is None
    words = "the backup was interrupted: its process died"
    assert facts().failures == FailureFacts(2, dead.run.id, at(10), words)


# --- drills and alerts ----------------------------------------------------------------------


def test_last_and_last_passed_drill_are_distinguished(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    assert (facts().last_drill, facts().last_passed_drill) == (None, None)
    passed = drilled(catalogue, "e1", 10, DrillResult.PASSED)
    failed_one = drilled(catalogue, "e2", 20, DrillResult.FAILED)
    recovery = catalogue.runs.begin(plan(), RunKind.RECOVERY, trigger="manual", at=at(30))
    catalogue.evidence.record(recovery, evidence("e3", finished_at=at(30), target="standby"))

    assert facts().last_drill == failed_one
    assert facts().last_passed_drill == passed


def test_alerts_are_returned_until_they_are_resolved(catalogue: SqlCatalogue, facts: Facts) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    moment = at(5).isoformat(timespec="microseconds")
    insert = (
        "INSERT INTO alerts (id, plan, kind, subject, state, since, message, resolved_at)"
        " VALUES (:id, 'orders-api', 'rpo', '', :state, :since, 'late', :resolved)"
    )
    with catalogue.database.write() as connection:
        for id_, state, resolved in (("a1", "resolved", moment), ("a2", "firing", None)):
            values = {"id": id_, "state": state, "since": moment, "resolved": resolved}
            connection.execute(text(insert), values)

    assert facts().alerts == (AlertFacts("a2", "rpo", "firing", at(5), "late"),)


# --- readers --------------------------------------------------------------------------------


def test_a_catalogue_of_another_version_is_refused(
    catalogue: SqlCatalogue, catalogue_url: str
) -> None:
    for version, hint in (
        ("9999", "install the newer version of drd again"),
        ("0000", "the next `drd backup`"),
    ):
        with catalogue.database.write() as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{version}'"))

        for read in (read_facts, read_through_sqlalchemy):
            with pytest.raises(
                CatalogueError, match=f"has version {version}, but this drd"
            ) as raised:
                read(catalogue_url, None)
            assert hint in raised.value.hint


def test_status_reads_with_the_standard_library_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state/drd.db"
    made = opened(url, tmp_path)
    made.plans.load(plan(), file_digest="f", at=at(0))
    made.close()
    code = (
        "import sys\n"
        "from drd.catalogue.summary import read_facts\n"
        f"assert len(read_facts({url!r})) == 1\n"
        "heavy = {'sqlalchemy', 'pydantic', 'structlog', 'alembic', 'dataclasses', 'json'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-S", "-c", f"sys = __import__('sys'); sys.path[:0] = ['.']\n{code}"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )

    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_last_readiness_run_is_returned_if_it_found_problems(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(), file_digest="", at=at(0))

    missing = ReadinessFinding(
        Finding("kit-missing", "error", "", "none\nat all"), Readiness.NOT_READY
    )
    known = ReadinessFinding(Finding("fence", "warning", "", "a part is missing"))

    def looked(minute: float, state: RunState, error: str | None, *found: ReadinessFinding) -> None:
        owned = catalogue.runs.begin(plan(), RunKind.READINESS, trigger="manual", at=at(minute))
        detail = ReadinessDetail(readiness="not ready", findings=found) if found else None
        catalogue.runs.finish(owned, state, at=at(minute + 1), error=error, detail=detail)

    assert facts().unready is None
    looked(1, RunState.FAILED, "kit missing", missing, known)
    withheld = FindingFacts("kit-missing", "", "none", name="kit missing")
    assert facts().unready == UnreadyFacts(
        at(2), "kit missing", "not ready", (withheld,), plan().digest
    )
    looked(3, RunState.FAILED, "took longer than 5m")
    failed = UnreadyFacts(at(4), "took longer than 5m", digest=plan().digest)
    assert facts().unready == failed, "the look itself failed"
    looked(5, RunState.SUCCEEDED, None)
    assert facts().unready is None


def test_a_recovery_disproves_what_readiness_found_at_its_target(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    catalogue.plans.load(plan(), file_digest="", at=at(0))

    def found(where: str, component: str) -> ReadinessFinding:
        finding = Finding("extensions", "error", component, "hstore is missing", where=where)
        return ReadinessFinding(finding, Readiness.NOT_READY)

    owned = catalogue.runs.begin(plan(), RunKind.READINESS, trigger="manual", at=at(1))
    places = ("target standby", "target standby2")
    of_target = [found(where, name) for where in places for name in ("orders-db", "other")]
    detail = ReadinessDetail(readiness="not ready", findings=tuple(of_target))
    catalogue.runs.finish(owned, RunState.FAILED, at=at(2), error="no", detail=detail)
    recovered(catalogue, 10, RecoveryDetail(target="standby", begun=("orders-db",)))
    left = facts().unready
    assert left is not None
    assert [finding.name for finding in left.findings] == [
        "target standby: other: extensions",
        "target standby2: orders-db: extensions",
        "target standby2: other: extensions",
    ]


def test_points_from_a_clock_years_ahead_are_not_the_newest(
    catalogue: SqlCatalogue, facts: Facts
) -> None:
    """But where there is nothing else."""
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    years = 10 * 365 * 24 * 60.0

    def backed_up(name: str, minutes: float) -> None:
        owned = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(minutes))
        catalogue.points.record(point(name, at(minutes)), owned=owned)
        catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(minutes + 1))

    def newest() -> str:
        found = facts().newest
        assert found is not None
        return found.id

    backed_up("ahead", years)
    drilled(catalogue, "d-ahead", years, DrillResult.FAILED)
    assert newest() == "ahead"
    run(catalogue, RunState.FAILED, 5)
    backed_up("p1", 10)
    drilled(catalogue, "d-now", 11, DrillResult.PASSED)
    assert newest() == "p1"
    assert [c.data_time for c in facts().components if c.data_time] == [at(10)]
    assert facts().last_drill.evidence == "d-now"  # type: ignore[union-attr]
    run(catalogue, RunState.FAILED, 20)
    failures = facts().failures
    assert failures is not None
    assert failures.tries == 1
    backed_up("p2", 30)
    assert newest() == "p2"
    assert facts().failures is None
    catalogue.points.forget(["p2"], at(40))
    assert newest() == "p1"

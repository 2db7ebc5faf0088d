"""What a recovery or a drill has lost, against the RPO of the component that is worst."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from drd.api.postmortem_page import as_markdown
from drd.cli.aftermath import measured
from drd.cli.checks_table import conclusion
from drd.cli.recovery_plan import _lost
from drd.flows.restore.expectations import losses_of
from drd.flows.restore.losses import loss_of, losses_of_run
from drd.model.incidents.lessons import went_badly, went_well
from drd.model.incidents.review import Goals, Recovery
from drd.model.losses import ComponentLoss, Loss, rows_of_losses, worst_loss
from drd.model.plan import Objectives, Plan
from drd.model.row_loss import RowLoss
from drd.model.run import RECOVERY, StepState
from drd.model.step_results import RestoreStepResult
from tests.config_support import GOOD, load
from tests.unit.test_aftermath import AT, TIMES
from tests.unit.test_own_objectives import own_rpo
from tests.unit.test_postmortem import NOON, evidence, review, step

MINUTE = timedelta(minutes=1)
WORST = Loss("store", 120.0, 60.0)


def _plan(tmp_path: Path, rpo: str = "20m") -> Plan:
    """A plan with an RPO of 1 h, and another one for its component `store`."""
    return load(tmp_path, own_rpo(rpo)).plan


def test_a_plan_without_own_objectives_is_judged_as_a_whole(tmp_path: Path) -> None:
    plan = load(tmp_path, GOOD).plan
    assert worst_loss(plan, 90.0, NOON, {"db": NOON}) == Loss("", 90.0, 3600.0)


def test_the_component_that_is_worst_against_its_own_rpo_counts(tmp_path: Path) -> None:
    plan, newer = _plan(tmp_path), NOON + 50 * MINUTE
    # Nothing is known of the components: each one may have the oldest data.
    assert worst_loss(plan, 3540.0, NOON, {}) == Loss("store", 3540.0, 1200.0)
    # Its log was replayed: then the other one, although its RPO is longer.
    found = worst_loss(plan, 3540.0, NOON, {"db": None, "store": newer})
    assert found == Loss("db", 3540.0, 3600.0)
    assert not found.missed
    # A longer RPO of its own: what is oldest is not what is worst.
    longer = _plan(tmp_path, "10h")
    both = {"db": NOON + 100 * MINUTE, "store": NOON}
    found = worst_loss(longer, 7 * 3600.0 + 6000, NOON - MINUTE, both)
    assert found == Loss("db", 7 * 3600.0, 3600.0)
    assert found.missed


def test_of_two_that_are_as_bad_the_first_counts_and_the_whole_rpo_may_be_lost(
    tmp_path: Path,
) -> None:
    plan = _plan(tmp_path)
    found = worst_loss(plan, 3600.0, NOON, {"db": NOON, "store": NOON + 40 * MINUTE})
    assert found == Loss("db", 3600.0, 3600.0)
    assert not found.missed
    assert Loss("db", 3600.5, 3600.0).missed


def test_no_component_has_lost_more_than_the_one_with_the_oldest_data(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    for oldest in (NOON, None):
        found = worst_loss(plan, 1000.0, oldest, {"db": None, "store": NOON - MINUTE})
        assert found == Loss("store", 1000.0, 1200.0)


def test_the_rows_of_losses_begin_with_what_is_lost(tmp_path: Path) -> None:
    times = {"db": NOON, "store": NOON + timedelta(seconds=1)}
    rows = rows_of_losses(_plan(tmp_path), NOON + timedelta(seconds=1), times)
    assert [row.observed.partition(":")[0] for row in rows] == ["1s lost", "nothing lost"]


def test_only_what_was_restored_counts(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    assert worst_loss(plan, 60.0, None, {"db": None}) == Loss("db", 60.0, 3600.0)


def test_the_steps_of_a_run_say_of_when_the_data_of_each_component_is(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    replayed = RestoreStepResult(data_time=NOON + 50 * MINUTE)
    steps = [
        step("restore", kind="restore", result=RestoreStepResult(restored=("db", "store"))),
        step("restore db", kind="restore", subject="db", result=RestoreStepResult()),
        step("restore store", kind="restore", subject="store", result=replayed),
    ]
    failed = step("restore etc", kind="restore", subject="etc", state=StepState.FAILED)
    catalogue = cast(Any, SimpleNamespace(steps=SimpleNamespace(of_run=lambda _: [*steps, failed])))
    assert loss_of(catalogue, plan, "r", 3540.0, NOON) == Loss("db", 3540.0, 3600.0)
    assert loss_of(catalogue, plan, "r", None, NOON) is None


def test_the_result_of_a_recovery_names_the_component() -> None:
    times = {**TIMES, "within_rto": True, "loss": WORST._asdict()}
    said = "recovered in 41s (RTO 1h), lost 2m of data of store (RPO 1m: missed)"
    assert measured(times, AT) == said


def test_the_result_of_a_drill_names_the_component() -> None:
    goals, done = Objectives(3600.0, 3600.0), evidence(rpa_s=400.0)
    assert ", the data of store was 2m old (RPO 1m: missed)" in conclusion(done, goals, WORST)
    assert ", the data was 6m 40s old (RPO 1h)" in conclusion(done, goals)
    real = evidence(rpa_s=400.0, scenario=RECOVERY)
    assert ", lost 2m of data of store (RPO 1m: missed)" in conclusion(real, goals, WORST)
    older = conclusion(evidence(rpa_s=400.0, judged=False), goals, WORST)
    assert "the data was 6m 40s old (an older point, chosen on purpose)" in older


def test_the_post_mortem_judges_the_component() -> None:
    lost = Recovery("r1", "shop", "succeeded", result="passed", loss_s=400.0, took_s=60.0)
    told: dict[str, Any] = {"recoveries": (lost,), "goals": {"shop": Goals(3600, 3600)}}
    missed = review(**told, losses={"r1": WORST})
    assert "the recovery of shop lost 2m of data of store, more than its RPO of 1m" in list(
        went_badly(missed)
    )
    assert "| 2m of store | 1m |" in as_markdown(missed)
    kept = review(**told, losses={"r1": Loss("store", 30.0, 60.0)})
    assert "the recovery of shop lost 30s of data of store, within its RPO of 1m" in list(
        went_well(kept)
    )
    assert not [line for line in went_badly(kept) if "RPO" in line]


def test_the_evidence_of_a_recovery_has_the_loss_of_each_component(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    times = {"db": NOON, "store": NOON + 50 * MINUTE}
    rows = rows_of_losses(plan, NOON + 51 * MINUTE, times)
    assert [(r.name, r.component, r.expected) for r in rows] == [
        ("loss of db", "db", "RPO 1h"),
        ("loss of store", "store", "RPO 20m"),
    ]
    assert rows[0].observed.startswith("51m lost: the data is of 20")
    assert rows[1].observed.startswith("1m lost: ")
    assert all(r.part and not r.looked_at_data for r in rows)
    assert rows_of_losses(plan, NOON, {"db": NOON, "store": NOON}) == ()
    ahead = rows_of_losses(plan, NOON, times)
    assert ahead[1].observed.startswith("nothing lost: ")


def test_what_the_log_brings_back_is_not_lost() -> None:
    """The dry run of a recovery to the moment of the loss."""
    point = SimpleNamespace(data_time=NOON)
    until = NOON + 141 * timedelta(seconds=1)
    logs = {
        "rooms": SimpleNamespace(data_time=until),
        "billing": SimpleNamespace(data_time=until),
        "late": SimpleNamespace(data_time=until - timedelta(seconds=10)),
        "somewhere": SimpleNamespace(data_time=None),
    }
    names = ("rooms", "audit", "billing", "uploads", "late", "somewhere")
    losses = losses_of(cast("Any", point), names, cast("Any", logs), until)
    rows = (RowLoss("audit", 136, counted=False),)
    planned: Any = SimpleNamespace(losses=losses, loss_rows=rows)
    assert list(_lost(planned)) == [
        (
            "would lose 2m 21s of audit, uploads (about 136 rows of audit if they grew as between "
            "the last two points)"
        ),
        "would lose up to 2m 21s of somewhere",
        "would lose 10s of late",
        "would lose nothing of rooms, billing",
    ]


def test_one_loss_for_all_components_is_one_line() -> None:
    same = (ComponentLoss("db", 120.0), ComponentLoss("conf", 120.0))
    assert list(_lost(cast("Any", SimpleNamespace(losses=same, loss_rows=())))) == [
        "would lose 2m of data"
    ]
    none = (ComponentLoss("db", 0.0),)
    assert list(_lost(cast("Any", SimpleNamespace(losses=none, loss_rows=())))) == [
        "would lose nothing"
    ]


def test_the_end_of_a_recovery_names_what_the_log_brought_back() -> None:
    lost_at = NOON + 2 * MINUTE
    steps = [
        SimpleNamespace(kind="restore", subject=name, state=StepState.SUCCEEDED, result=result)
        for name, result in (
            ("audit", RestoreStepResult()),
            ("rooms", RestoreStepResult(data_time=lost_at)),
        )
    ]
    catalogue: Any = SimpleNamespace(steps=SimpleNamespace(of_run=lambda _: steps))
    found: Any = SimpleNamespace(run="a1", rpa_s=120.0, lost_at=lost_at, data_time=NOON)
    losses = losses_of_run(catalogue, found)
    assert losses == (ComponentLoss("audit", 120.0), ComponentLoss("rooms", 0.0))
    said = measured({**TIMES, "within_rto": True, "losses": [x._asdict() for x in losses]}, AT)
    assert said == "recovered in 41s (RTO 1h), lost 2m of audit (RPO 5m), nothing of rooms"
    unmeasured: Any = SimpleNamespace(run="a1", rpa_s=None, lost_at=lost_at, data_time=NOON)
    assert losses_of_run(catalogue, unmeasured) == ()

"""The figures for Prometheus: each where it belongs, and none that nobody knows."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from drd.daemon.figures import with_reports
from drd.metrics import DaemonFigures
from drd.model.compliance import assess
from drd.model.facts import ComponentFacts, NotLoaded, PlanFacts
from drd.model.figures import CatalogueFigures, IncidentFigures
from drd.web import OpenIncidents
from tests.metrics_support import Read, daemon, kept, plans, rendered
from tests.status_support import DAY, MINUTE, NOW, ago, drill, healthy, point

PAGE = Path(__file__).parents[2] / "docs/monitoring.md"
NOTHING = CatalogueFigures()


def read(
    *facts: PlanFacts | NotLoaded,
    of: DaemonFigures | None = None,
    beside: CatalogueFigures = NOTHING,
) -> Read:
    return Read(rendered([assess(f, NOW) for f in facts], of or daemon(), beside))


# --- plans ------------------------------------------------------------------------------------


def test_figures_of_a_healthy_plan() -> None:
    found = read(healthy())
    expected = {
        "drd_rpo_objective_seconds": 900.0,
        "drd_point_rpo_objective_seconds": 900.0,
        "drd_rpo_exposure_seconds": 252.0,
        "drd_rpo_achievable_seconds": 320.0,
        "drd_rpo_attainment_ratio": 1.0,
        "drd_restore_point_timestamp_seconds": ago(252).timestamp(),
        "drd_rto_objective_seconds": 1800.0,
        "drd_rto_actual_seconds": 94.0,
        "drd_rto_projected_seconds": 94.0,
        "drd_drill_timestamp_seconds": ago(2 * DAY).timestamp(),
        "drd_drill_due_timestamp_seconds": ago(-5 * DAY).timestamp(),
        "drd_plan_load_error": 0.0,
    }
    assert {name: found.one(name) for name in expected} == expected
    assert found.of("drd_rpo_exposure_seconds").keys() == {("orders-api",)}
    assert found.of("drd_plan_info") == {("payments team", "orders-api"): 1.0}
    assert found.holds("drd_plan_readiness") == {("orders-api", "ready")}
    assert found.holds("drd_plan_state") == {("orders-api", "ok")}
    assert found.holds("drd_drill_result") == {("orders-api", "passed")}
    component = ("orders-db", "postgres", "orders-api")
    assert found.of("drd_component_exposure_seconds") == {component: 252.0}
    assert found.of("drd_component_size_bytes") == {component: 1000.0}
    assert found.of("drd_component_timestamp_seconds") == {component: ago(252).timestamp()}


def test_every_verdict_is_a_state_of_which_one_holds() -> None:
    late = healthy(newest=point(20 * MINUTE), last_drill=None, last_passed_drill=None)
    found = read(late)
    assert found.holds("drd_plan_verdict") == {
        ("plan", "orders-api", "breached"),
        ("rpo", "orders-api", "breached"),
        ("rto", "orders-api", "unknown"),
        ("drill", "orders-api", "unknown"),
    }
    assert len(found.of("drd_plan_verdict")) == 16
    assert found.holds("drd_plan_readiness") == {("orders-api", "needs_drill")}
    assert found.holds("drd_plan_state") == {("orders-api", "breached")}
    assert len(found.of("drd_plan_state")) == 6


def test_an_unknown_figure_is_absent_and_not_zero() -> None:
    bare = healthy(
        newest=None,
        complete_points=0,
        interval_s=None,
        backup_p95_s=None,
        drill_every_s=None,
        last_drill=None,
        last_passed_drill=None,
        first_loaded_at=NOW,
        components=(ComponentFacts("orders-db", "postgres"),),
    )
    found = read(bare)
    present = {name for name in found.names if found.of(name) and not name.startswith("drd_run")}
    assert {n for n in present if n.startswith(("drd_r", "drd_drill", "drd_comp"))} == {
        "drd_rpo_objective_seconds",
        "drd_rto_objective_seconds",
        "drd_repository_state",
        "drd_component_rpo_objective_seconds",
        "drd_component_verdict",
    }


def test_plan_that_was_never_loaded_shows_as_one_that_is_not_in_force() -> None:
    found = read(NotLoaded("billing", "/etc/drd/plans/billing.yaml"))
    assert found.of("drd_plan_load_error") == {("billing",): 1.0}
    assert found.of("drd_plan_info") == {}
    assert found.of("drd_rpo_objective_seconds") == {}
    assert ("plan", "billing", "unknown") in found.holds("drd_plan_verdict")


def test_plan_whose_file_broke_keeps_its_figures_and_says_so() -> None:
    found = read(
        healthy(load_error="/etc/drd/plans/orders-api.yaml has changed since drd loaded it")
    )
    assert found.one("drd_plan_load_error") == 1.0
    assert found.one("drd_rpo_exposure_seconds") == 252.0


@pytest.mark.parametrize("result", ["failed", "inconclusive"])
def test_drill_that_did_not_pass_is_reported_with_the_last_measured_time(result: str) -> None:
    facts = healthy(last_drill=drill(result, since_s=DAY), last_passed_drill=drill())
    found = read(facts)
    assert found.holds("drd_drill_result") == {("orders-api", result)}
    assert found.one("drd_drill_timestamp_seconds") == ago(DAY).timestamp()
    assert found.one("drd_rto_actual_seconds") == 94.0


def test_times_are_the_same_at_every_tick() -> None:
    facts = healthy(newest=point(252.123456))
    later = ago(-7.654321)
    first = Read(rendered([assess(facts, NOW)], daemon(), NOTHING))
    second = Read(rendered([assess(facts, later)], replace(daemon(), at=later), NOTHING))
    name = "drd_restore_point_timestamp_seconds"
    assert first.one(name) == second.one(name)
    assert second.one("drd_rpo_exposure_seconds") == pytest.approx(259.777777)


def test_names_from_outside_are_kept_apart_from_the_format() -> None:
    odd = 'team "a"\\b\nc'
    found = read(healthy(owner=odd), NotLoaded("b\udce4d", "/plans/b\udce4d.yaml"))
    assert found.of("drd_plan_info") == {(odd, "orders-api"): 1.0}
    assert found.of("drd_plan_load_error") == {("orders-api",): 0.0, ("b\\xe4d",): 1.0}


# --- runs, copies, alerts -----------------------------------------------------------------------


def test_figures_of_runs_are_by_plan_kind_and_repository() -> None:
    found = read(healthy(), beside=kept())
    backup, copy = ("backup", "orders-api", ""), ("copy", "orders-api", "second")
    prune = ("prune", "orders-api", "primary")
    minutes = {n: ago(n * MINUTE).timestamp() for n in (1, 4, 60)}
    assert found.of("drd_run_timestamp_seconds") == {backup: minutes[4], copy: minutes[1]}
    assert found.of("drd_run_success_timestamp_seconds") == {backup: minutes[4], copy: minutes[60]}
    assert found.of("drd_run_succeeded") == {backup: 1.0, copy: 0.0}
    assert found.of("drd_run_failures") == {backup: 0.0, copy: 2.0, prune: 0.0}
    assert found.of("drd_run_duration_seconds") == {backup: 12.5, copy: 3.0}
    assert found.of("drd_run_size_bytes") == {backup: 1000.0, copy: 900.0}


def test_copy_that_never_arrived_has_no_exposure() -> None:
    found = read(healthy(), beside=kept())
    second = ("orders-api", "second")
    assert found.of("drd_copy_exposure_seconds") == {second: 64 * MINUTE}
    assert found.of("drd_copy_timestamp_seconds") == {second: ago(64 * MINUTE).timestamp()}


def test_repositories_say_when_all_was_read_and_whether_it_is_sound() -> None:
    found = read(healthy(), beside=kept())
    read_at = found.of("drd_verification_timestamp_seconds")
    assert read_at == {("orders-api", "primary"): ago(DAY).timestamp()}
    assert found.holds("drd_repository_damaged") == {("orders-api", "second")}


def test_alerts_are_counted_by_kind_severity_and_state() -> None:
    assert read(healthy(), beside=kept()).of("drd_alerts") == {
        ("copy-behind", "orders-api", "warning", "firing"): 1.0,
        ("clock-jumped", "", "warning", "acknowledged"): 1.0,
    }


def test_plans_that_are_gone_leave_only_their_alerts() -> None:
    found = read(healthy(plan="billing"), beside=kept())
    of_runs = [n for n in found.names if n.startswith(("drd_run_", "drd_copy", "drd_ver"))]
    assert [n for n in of_runs if found.of(n)] == []
    assert len(found.of("drd_alerts")) == 2


# --- daemon -------------------------------------------------------------------------------------


def test_figures_of_the_daemon_are_there_without_any_plan() -> None:
    found = read()
    assert found.one("drd_heartbeat_timestamp_seconds") == NOW.timestamp()
    assert found.one("drd_start_timestamp_seconds") == ago(3 * DAY).timestamp()
    assert found.one("drd_tick_duration_seconds") == 0.012
    assert found.one("drd_plans") == 0.0
    assert found.one("drd_runs_queued") == 1.0
    assert [labels[1] for labels in found.of("drd_build_info")] == ["0.1.0"]
    assert found.of("drd_notification_channel_up") == {("webhook",): 1.0, ("smtp",): 0.0}


def test_kinds_of_which_none_runs_are_reported_as_zero() -> None:
    running = read().of("drd_runs_running")
    assert running[("backup",)] == 2.0
    assert running[("drill",)] == 0.0
    assert sum(running.values()) == 2.0


def test_figures_of_incidents_have_no_title_and_no_unknown_time() -> None:
    found = read(beside=kept())
    assert set(found.of("drd_incident_open").values()) == {1.0}
    assert {tuple(sorted(labels)) for labels in found.of("drd_incident_open")} == {
        ("3", "contained", "high"),
        ("", "4", "reported"),
    }
    due = found.of("drd_incident_next_due_timestamp_seconds")
    assert due == {("3",): ago(-60 * MINUTE).timestamp()}


def test_the_report_that_is_due_first_counts_unless_the_incident_is_restricted() -> None:
    open_, restricted = (
        IncidentFigures(n, "detected", "", secret, ago(-MINUTE))
        for n, secret in ((1, False), (2, True))
    )
    idle = IncidentFigures(3, "detected", "", False, None)
    reports = {1: ago(0), 2: ago(0)}
    found = tuple(with_reports((open_, restricted, idle), reports))
    assert [i.next_at for i in found] == [ago(0), ago(-MINUTE), None]
    assert OpenIncidents.of(found) == OpenIncidents(3, ago(0))
    assert OpenIncidents.of(()) == OpenIncidents(0, None)


# --- the text -----------------------------------------------------------------------------------


def test_promtool_accepts_the_metrics() -> None:
    for text in (rendered(plans(), daemon(), kept()), rendered([], daemon(), NOTHING)):
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_promtool_refuses_a_broken_metric() -> None:
    text = rendered(plans(), daemon(), kept()).replace(b"drd_plans", b"drd_plans_total")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert done.returncode != 0


def test_the_page_lists_every_metric_with_its_labels() -> None:
    rows = re.findall(r"^\| `(drd_\w+)` \|([^|]*)\|", PAGE.read_text(), re.MULTILINE)
    listed = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    everything = Read(rendered(plans(), daemon(), kept()))
    made = {
        family.name: {label for sample in family.samples for label in sample.labels}
        for family in everything.families
    }
    assert listed == made

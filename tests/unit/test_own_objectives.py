"""The RPO of a component: what a plan says, how it is judged, and where people see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drd.cli.plan import _ok_line
from drd.cli.render import NO_LIMIT
from drd.cli.status_plan import render_plan
from drd.flows.status.document import status_json
from drd.flows.status.overview import collect
from drd.model.alert_facts import PlanMore
from drd.model.compliance import assess
from drd.model.conditions import conditions
from drd.model.copy_exposure import judge_copy
from drd.model.exposure import judge_rpo
from drd.model.facts import ComponentFacts, CopyFacts, PlanFacts, StatusFacts
from drd.model.figures import CatalogueFigures
from drd.model.own_objectives import points_may_be_s, strictest_s
from drd.model.rows import row_of
from drd.model.schedule import schedule_of
from drd.model.status_line import Brief, in_advance, microseconds
from drd.model.verdicts import Verdict
from tests.config_support import GOOD, load, problems
from tests.metrics_support import Read, daemon, rendered
from tests.status_support import DAY, HOUR, MINUTE, NOW, failures, healthy, point
from tests.status_support import ago as before
from tests.unit.test_log_plans import MORE, logged_plan


def own_rpo(rpo: str, text: str = GOOD) -> str:
    """Return a plan whose component `store` has an RPO of its own."""
    return text.replace(
        "    path: /srv/shop/shop.db\n", f"    path: /srv/shop/shop.db\n    rpo: {rpo}\n"
    )


LOGGED = ComponentFacts("a", "postgres-cluster", log_every_s=30.0)
BARE = ComponentFacts("b", "files")


@pytest.mark.parametrize(
    ("components", "may_be_s"),
    [((LOGGED,), 4 * HOUR), ((LOGGED, BARE), 900.0), ((BARE,), 900.0), ((), 900.0)],
)
def test_only_a_plan_of_logs_alone_has_points_as_old_as_the_interval_of_its_backups(
    components: tuple[ComponentFacts, ...], may_be_s: float
) -> None:
    plan = healthy(rpo_s=900.0, interval_s=4.0 * HOUR, components=components)
    assert points_may_be_s(plan) == may_be_s


# --- what a plan says -----------------------------------------------------------------------


def test_an_rpo_of_a_component_changes_no_hash_of_what_a_drill_proves(tmp_path: Path) -> None:
    bare, said = load(tmp_path, GOOD).plan, load(tmp_path, own_rpo("20m")).plan
    assert said.proof == bare.proof
    assert said.digest != bare.digest
    assert "rpo_s" not in json.dumps(bare.resolved["components"])
    assert said.own_objectives == {"store": 1200.0}
    assert [said.rpo_of(name) for name in ("store", "db", None)] == [1200.0, 3600.0, 3600.0]


def test_a_check_that_expects_within_rpo_is_proven_for_the_rpo_of_its_component(
    tmp_path: Path,
) -> None:
    check = (
        "  - {name: fresh, kind: sql, component: COMPONENT, query: select 1, expect: within rpo}\n"
    )
    proofs = {}
    for component in ("store", "db"):
        text = GOOD.replace("drill: {", check.replace("COMPONENT", component) + "drill: {")
        proofs[component] = [load(tmp_path, own_rpo(s, text)).plan.proof for s in ("20m", "25m")]
    assert proofs["store"][0] != proofs["store"][1]
    assert proofs["db"][0] == proofs["db"][1]


def test_plan_check_warns_of_an_rpo_that_the_backups_cannot_keep(tmp_path: Path) -> None:
    assert not load(tmp_path, own_rpo("20m")).warnings
    assert not load(tmp_path, own_rpo("2h")).warnings
    [warning] = load(tmp_path, own_rpo("5m")).warnings
    assert warning.message == "a backup every 10m cannot keep the RPO of component store of 5m"
    assert (warning.path, warning.line) == ("components.store.rpo", 10)
    paused = GOOD.replace("{every: 10m}", '{every: 10m, blackout: [{from: "01:00", to: "01:30"}]}')
    [warning] = load(tmp_path, own_rpo("20m", paused)).warnings
    assert warning.message == "a blackout of 30m cannot keep the RPO of component store of 20m"


def test_plan_check_warns_of_an_rpo_that_the_log_cannot_keep(tmp_path: Path) -> None:
    wal, checks = "    wal: {every: 30s}\n", "drill: {"
    etc = "  - {name: etc, kind: files, component: etc}\n"
    text = logged_plan(more=MORE).replace("rpo: 60s", "rpo: 2d").replace(checks, etc + checks)
    assert not load(tmp_path, text.replace(wal, f"{wal}    rpo: 40s\n")).warnings
    [warning] = load(tmp_path, text.replace(wal, f"{wal}    rpo: 20s\n")).warnings
    assert warning.message == "storing the log of server every 30s cannot keep its RPO of 20s"


def test_an_rpo_beyond_the_window_is_refused(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, own_rpo("100d"))
    assert (problem.path, problem.line) == ("components.store.rpo", 10)
    assert "is longer than `window` under `objectives` (90d)" in problem.message


def test_backups_follow_the_shortest_rpo_that_only_they_can_keep(tmp_path: Path) -> None:
    auto = GOOD.replace("backup: {every: 10m}", "backup: {every: auto}")
    plan = load(tmp_path, own_rpo("20m", auto)).plan
    assert (plan.points_within_s, plan.backup.interval_s) == (1200.0, 900.0)
    assert {job.rpo_s for job in schedule_of(plan).jobs} == {1200.0}
    with_log = logged_plan(more=MORE).replace("    wal:", "    rpo: 40s\n    wal:")
    assert load(tmp_path, with_log).plan.points_within_s == 60.0


def test_plan_check_shows_each_rpo(tmp_path: Path) -> None:
    said = _ok_line(load(tmp_path, own_rpo("20m")))
    assert said == "shop: ok (3 components, RPO 1h, RPO of store 20m, RTO 1h)"


# --- how it is judged -----------------------------------------------------------------------


def _shop(
    exposure_s: float = 252,
    own_s: float | None = 5 * MINUTE,
    log_s: float | None = None,
    **more: Any,
) -> PlanFacts:
    """A plan of 15m with a component of 5m, or of what is given, which may have a log."""
    orders = ComponentFacts(
        "orders-db", "postgres-cluster", before(exposure_s), 1000, rpo_s=own_s,
        log_at=before(log_s) if log_s is not None else None,
        log_every_s=30.0 if log_s is not None else None,
    )  # fmt: skip
    files = ComponentFacts("uploads", "files", before(exposure_s), 10)
    by_points = own_s if log_s is None else None
    return healthy(
        components=(orders, files), newest=point(exposure_s), point_rpo_s=by_points, **more
    )


def test_a_plan_is_breached_if_a_component_is_beyond_its_own_rpo() -> None:
    facts = _shop(10 * MINUTE)
    rpo, [why, *_] = judge_rpo(facts, NOW)
    assert (rpo.component, rpo.objective_s, rpo.exposure_s) == ("orders-db", 300.0, 600.0)
    assert rpo.verdict is Verdict.BREACHED
    assert why.text.startswith(
        "RPO of orders-db exceeded: the newest complete backup has data of 2026-11-25 00:21:00 UTC "
        "(RPO 5m)"
    )
    found = assess(facts, NOW)
    assert [(c.rpo_s, c.verdict) for c in found.components] == [
        (300.0, Verdict.BREACHED), (900.0, Verdict.MET)
    ]  # fmt: skip
    assert found.verdict is Verdict.BREACHED


def test_a_longer_rpo_of_a_component_lets_it_be_older_than_the_plan_allows() -> None:
    server = _shop(2 * HOUR, own_s=3 * HOUR, log_s=None).components[0]
    alone = healthy(components=(server,), newest=point(2 * HOUR), point_rpo_s=3 * HOUR)
    rpo, said = judge_rpo(alone, NOW)
    assert (rpo.objective_s, rpo.verdict, said) == (3 * HOUR, Verdict.MET, [])


def test_the_worst_is_the_one_furthest_beyond_its_own_rpo_and_the_others_are_named() -> None:
    facts = _shop(20 * MINUTE)
    rpo, [why, *_] = judge_rpo(facts, NOW)
    assert (rpo.component, rpo.exposure_s) == ("orders-db", 20 * MINUTE)
    assert "The same is true of uploads (RPO 15m)" in why.text
    # A log that is 40 s old is worse against 30 s than a backup of 17 minutes against 15.
    rpo, [why, *_] = judge_rpo(_shop(17 * MINUTE, own_s=30.0, log_s=40), NOW)
    assert (rpo.component, rpo.exposure_s, rpo.objective_s) == ("orders-db", 40.0, 30.0)
    assert why.text.startswith("RPO of orders-db exceeded: the log that drd has stored has data of")
    rpo, _ = judge_rpo(_shop(17 * MINUTE, own_s=60.0, log_s=40), NOW)
    assert (rpo.component, rpo.exposure_s, rpo.objective_s) == ("uploads", 17 * MINUTE, 900.0)


def test_a_schedule_is_too_slow_for_the_component_that_it_serves_worst() -> None:
    facts = _shop(20, own_s=5 * MINUTE)
    rpo, said = judge_rpo(facts, NOW)
    assert [r.text for r in said if r.kind == "schedule-too-slow"] == [
        (
            "most backups take up to 20s, and a backup starts every 5m: up to 5m 20s of data can "
            "be lost, but the RPO of orders-db is 5m"
        )
    ]
    assert rpo.slowest is not None
    assert rpo.slowest.component == "orders-db"
    [alert] = _alerts(facts)
    assert (alert.kind, alert.severity) == ("schedule-too-slow", "warning")
    rpo, said = judge_rpo(_shop(20, own_s=30.0, log_s=10), NOW)
    assert [r.text for r in said if r.kind == "schedule-too-slow"] == [
        (
            "the log is stored every 30s: up to 35s of data can be lost, but the RPO of orders-db "
            "is 30s"
        )
    ]


def test_attainment_counts_the_rpo_that_points_have_to_keep() -> None:
    # Nine minutes ago the objective of five minutes was missed for four.
    facts = _shop(9 * MINUTE, first_loaded_at=before(10 * HOUR))
    rpo, _ = judge_rpo(facts, NOW)
    assert rpo.attainment is not None
    assert round(rpo.attainment, 6) == round(1 - 4 / 600, 6)


def test_points_say_nothing_of_a_log_that_keeps_a_shorter_rpo() -> None:
    strict, _ = judge_rpo(_shop(252, own_s=60.0, log_s=20), NOW)
    assert (strict.verdict, strict.attainment) == (Verdict.MET, None)
    lax, _ = judge_rpo(_shop(252, own_s=HOUR, log_s=20), NOW)
    assert lax.attainment == 1.0


def test_without_a_point_the_shortest_rpo_counts() -> None:
    never = ComponentFacts("orders-db", "postgres", rpo_s=60.0)
    facts = healthy(components=(never,), newest=None, first_loaded_at=before(2 * MINUTE))
    rpo, _ = judge_rpo(facts, NOW)
    assert (rpo.objective_s, rpo.verdict, strictest_s(facts)) == (60.0, Verdict.BREACHED, 60.0)


def test_a_copy_may_be_twice_the_rpo_of_points_behind() -> None:
    facts = _shop()
    found = [
        judge_copy(facts, CopyFacts("second", "primary", before(m * MINUTE)), NOW).verdict
        for m in (7, 11)
    ]
    assert found == [Verdict.MET, Verdict.BREACHED]


# --- where people see it --------------------------------------------------------------------


def _alerts(facts: PlanFacts) -> list[Any]:
    return conditions(assess(facts, NOW), facts, PlanMore(), NOW)


def test_the_alert_names_the_component_and_its_objective() -> None:
    [alert] = [a for a in _alerts(_shop(10 * MINUTE, failures=failures())) if a.kind == "rpo"]
    assert alert.severity == "critical"
    assert "RPO of orders-db exceeded" in alert.text
    assert "(RPO 5m). Cause: pg_dump cannot connect" in alert.text


def _screen(facts: PlanFacts) -> str:
    document = collect(lambda: StatusFacts([facts]), [], NOW)
    return "\n".join(render_plan(document, None, NO_LIMIT, colour=False))


def test_the_screen_of_a_plan_shows_each_component_with_its_objective_and_verdict() -> None:
    screen = _screen(_shop(10 * MINUTE))
    assert "Would lose    10m of orders-db (RPO 5m)" in screen
    rows = [line.split() for line in screen.splitlines() if line.startswith(("orders", "uploads"))]
    assert [row[-2:] for row in rows[-2:]] == [["5m", "breached"], ["15m", "met"]]
    assert "VERDICT" not in _screen(healthy())


def test_json_has_each_component_with_its_objective() -> None:
    facts = _shop(10 * MINUTE)
    [plan] = status_json(collect(lambda: StatusFacts([facts]), [], NOW))["plans"]
    assert plan["rpo"]["component"] == "orders-db"
    figures = [(c["component"], c["exposure_s"], c["objective_s"]) for c in plan["components"]]
    assert figures == [("orders-db", 600.0, 300.0), ("uploads", 600.0, 900.0)]
    assert [c["achievable_s"] for c in plan["components"]] == [320.0, 320.0]
    assert [c["verdict"] for c in plan["components"]] == ["breached", "met"]


def test_metrics_have_the_objective_and_the_verdict_of_each_component() -> None:
    found = Read(rendered([assess(_shop(10 * MINUTE), NOW)], daemon(), CatalogueFigures()))
    orders = ("orders-db", "postgres-cluster", "orders-api")
    uploads = ("uploads", "files", "orders-api")
    name = "drd_component_rpo_objective_seconds"
    assert found.of(name) == {orders: 300.0, uploads: 900.0}
    assert found.holds("drd_component_verdict") == {(*orders, "breached"), (*uploads, "met")}
    assert found.one("drd_rpo_objective_seconds") == 300.0
    assert found.one("drd_rpo_exposure_seconds") == 600.0


def test_the_short_form_of_a_plan_that_is_ok_shows_the_worst_component() -> None:
    facts = _shop(200, own_s=600.0, log_s=20, interval_s=60.0)
    brief = in_advance(facts, NOW)
    assert isinstance(brief, Brief)
    assert (brief.rpo_s, brief.data) == (900.0, microseconds(before(200)))
    alone = facts._replace(components=facts.components[:1], interval_s=DAY)
    brief = in_advance(alone, NOW)
    assert isinstance(brief, Brief)
    assert (brief.rpo_s, brief.data) == (600.0, microseconds(before(20)))
    assert [c.text for c in row_of(assess(alone, NOW), NOW)][2:4] == ["20s", "10m"]

"""What an instant drill proves, which drill restores everything, and what a recovery would take."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from drd.errors import ConfigError, NotSupported, RepositoryDamaged
from drd.kinds.postgres.physical.chain import Part
from drd.kinds.postgres.physical.instant import _readable
from drd.kinds.postgres.physical.kind import ClusterKind
from drd.kinds.postgres.physical.settings import ClusterSettings
from drd.model.compliance import assess
from drd.model.drill_facts import ScenarioFacts
from drd.model.instant import InstantDrill, Reading
from drd.model.plan import Component
from drd.model.run import CheckVerdict, DrillResult, Evidence, drill_result
from drd.model.scenarios import ScenarioDrill, standing
from drd.model.snapshot import ComponentSnapshot
from drd.model.verdicts import Readiness, Verdict
from drd.model.whole_drills import last_whole, not_verified, projected_s, why_whole
from drd.ports import Workplace
from tests.config_support import changed, load
from tests.status_support import NOW, drill, healthy

DAY = 86400.0
READ = Reading("server", 41 << 20, 590 << 20, 204, 1268)


def evidence(days_ago: float, **changes: object) -> Evidence:
    at = NOW - timedelta(days=days_ago)
    made = Evidence(
        id=f"e{days_ago:g}",
        run="r",
        plan="shop",
        point="p",
        scenario="database-loss",
        result=DrillResult.PASSED,
        plan_digest="d",
        started_at=at,
        finished_at=at,
        rpa_s=60.0,
        rta_s=100.0,
        judged=True,
        phases={"fetch_s": 60.0, "restore_s": 20.0, "validate_s": 20.0},
        checks=(),
        restored_bytes=1 << 30,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


INSTANT = InstantDrill((READ,), 0.8, 2.0, 90.0, "e1")


# --- what cannot be read ------------------------------------------------------------------------


def test_a_file_that_the_server_cannot_read_is_damage_and_nothing_else_is() -> None:
    damaged = pytest.raises(RepositoryDamaged, match="cannot read the files of the backup: no file")
    with damaged, _readable():
        raise psycopg.errors.IoError("no file")
    with pytest.raises(psycopg.errors.UndefinedTable), _readable():
        raise psycopg.errors.UndefinedTable("no table")


# --- how much was read --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "share"),
    [(0, "less than 0.1 %"), (1, "0.1 %"), (42, "4.2 %"), (999, "99 %"), (1000, "100 %")],
)
def test_the_share_is_never_more_than_was_read(read: int, share: str) -> None:
    assert replace(READ, read_bytes=read, whole_bytes=1000).share == share


def test_what_was_not_read_is_not_verified_and_does_not_change_the_result() -> None:
    row = not_verified(READ)
    assert row.verdict is CheckVerdict.NOT_RUN
    assert (row.part, row.looked_at_data) == (True, False)
    assert "read 6.9 % of the bytes (41.0 MiB of 590 MiB, in 204 of 1,268 files)" in row.observed
    looked = replace(row, part=False, verdict=CheckVerdict.PASSED, looked_at_data=True)
    assert drill_result([looked, row]) is DrillResult.PASSED
    assert drill_result([row]) is DrillResult.INCONCLUSIVE


def test_it_is_stored_and_read_again() -> None:
    assert InstantDrill.from_json({**INSTANT.to_json(), "of a later drd": 1}) == INSTANT


# --- which drill restores everything ------------------------------------------------------------


def test_the_last_whole_drill_is_of_this_plan_and_scenario_and_passed() -> None:
    whole = evidence(9)
    others = [
        evidence(1, instant=INSTANT, rta_s=None),
        evidence(1, instant=INSTANT),
        evidence(2, plan_digest="another"),
        evidence(3, scenario="region-loss"),
        evidence(4, result=DrillResult.FAILED),
        evidence(5, target="sandbox"),
        evidence(6, rta_s=None),  # of which a kit told
        evidence(12),
    ]
    assert last_whole([*others, whole], "database-loss", "d", "") is whole
    assert last_whole(others[:-1], "database-loss", "d", "") is None


def test_a_whole_drill_of_one_repository_says_nothing_about_another() -> None:
    here, there = evidence(1), evidence(2, repository="far")
    assert last_whole([here, there], "database-loss", "d", "far") is there
    assert last_whole([here], "database-loss", "d", "far") is None
    assert last_whole([there], "database-loss", "d", "") is there


@pytest.mark.parametrize(
    ("days_ago", "interval_s", "whole"),
    [
        (0, None, False),
        (1, 7 * DAY, False),
        (22, 7 * DAY, False),
        (23, 7 * DAY, False),  # the next one is just in time
        (24, 7 * DAY, True),
        (30, None, False),
        (30 + 0.5 / DAY, None, True),
        (31, None, True),
        (-0.5 / DAY, None, True),  # a clock was set back
    ],
)
def test_a_drill_restores_everything_before_the_next_one_would_be_late(
    days_ago: float, interval_s: float | None, whole: bool
) -> None:
    why = why_whole(evidence(days_ago), NOW, 30 * DAY, interval_s)
    assert (why is not None) is whole


def test_a_drill_that_is_whole_because_of_the_next_one_says_so() -> None:
    why = str(why_whole(evidence(1 / 1440), NOW, 30 * DAY, 30 * DAY))
    assert "the plan wants one every 30d (`full_every`)" in why
    assert why.endswith(": the next drill, after 30d, would be too late for it")
    assert str(why_whole(evidence(31), NOW, 30 * DAY, 30 * DAY)).endswith("wants one every 30d")


def test_without_a_whole_drill_the_next_one_is_whole() -> None:
    assert "no whole restore of this plan has passed yet" in str(why_whole(None, NOW, DAY, None))
    from_the_future = evidence(-3)
    assert why_whole(from_the_future, NOW, 30 * DAY, None) is not None


def test_the_projection_grows_with_the_data_and_adds_the_checks_of_this_drill() -> None:
    assert projected_s(evidence(1), 2 << 30, 5.0) == 165.0
    assert projected_s(evidence(1), 1 << 20, 5.0) == 85.0  # never less than was measured
    assert projected_s(evidence(1, rta_s=None), 1 << 30, 5.0) is None
    assert projected_s(evidence(1, restored_bytes=0), 1 << 30, 5.0) == 85.0  # unknown growth
    assert projected_s(evidence(1), 1 << 30, 0.12345) == 80.123
    assert projected_s(evidence(1, rta_s=0.5, phases={}), 0, 5.0) == 5.5
    assert projected_s(evidence(1, rta_s=0.5, phases={"validate_s": 3.0}), 0, 5.0) == 5.0


# --- what it counts for -------------------------------------------------------------------------


def test_an_instant_pass_decides_but_proves_no_time() -> None:
    def one(name: str, hours: int, *, instant: bool = False) -> ScenarioDrill:
        at = NOW + timedelta(hours=hours)
        return ScenarioDrill(name, "database-loss", at, "passed", instant=instant)

    found = standing([one("whole", 1), one("instant", 2, instant=True)])
    assert found["database-loss", ""][:3] == ("instant", "passed", "whole")
    alone = standing([one("instant", 2, instant=True)])
    assert alone["database-loss", ""][:3] == ("instant", "passed", None)


def scenario(whole_s: float | None) -> ScenarioFacts:
    quick = drill(since_s=DAY)._replace(evidence="i", rta_s=None)
    whole = drill(since_s=whole_s) if whole_s is not None else None
    return ScenarioFacts("database-loss", last=quick, passed=whole)


def test_the_rto_is_judged_by_the_whole_drill() -> None:
    facts = healthy(scenarios=(scenario(20 * DAY),), drill_full_every_s=30 * DAY)
    judged = assess(facts, NOW)
    assert judged.rto.actual_s == drill(since_s=0).rta_s
    assert judged.rto.drill == "the last whole drill"
    [late] = [r for r in assess(facts._replace(rto_s=1.0), NOW).reasons if "the RTO is" in r.text]
    assert late.text.startswith("the recovery in the last whole drill took ")
    assert judged.readiness is Readiness.READY


@pytest.mark.parametrize(
    ("whole_s", "words"),
    [(34 * DAY, "that restored everything passed at"), (None, "no drill has restored everything")],
)
def test_a_plan_without_a_recent_whole_drill_needs_a_drill(
    whole_s: float | None, words: str
) -> None:
    facts = healthy(scenarios=(scenario(whole_s),), drill_full_every_s=30 * DAY)
    judged = assess(facts, NOW)
    assert judged.readiness is Readiness.NEEDS_DRILL
    assert judged.drill.verdict is not Verdict.MET
    [reason] = [r for r in judged.reasons if words in r.text]
    assert reason.remedy == "drd drill orders-api"


# --- the plan -----------------------------------------------------------------------------------

CLUSTER = (
    'kind: postgres-cluster\n    dsn: "postgresql://drd@/orders"',
    "kind: postgres\n    dsn: {credential: shop-dsn}",
)


@pytest.mark.parametrize(
    ("drill", "says"),
    [
        ("restore: instant", "no component of this plan is of a kind that allows instant drills"),
        ("full_every: 30d", "is only for instant drills"),
    ],
)
def test_instant_drills_that_cannot_be_are_refused(tmp_path: Path, drill: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, changed("every: 7d", f"every: 7d, {drill}"))


def of_a_server(drill: str) -> str:
    new, old = CLUSTER
    text = changed(old, new)
    return text.replace("drill: {every: 7d}", f"drill: {{{drill}}}")


def test_a_plan_of_a_whole_server_may_have_instant_drills(tmp_path: Path) -> None:
    text = of_a_server("every: 7d, restore: instant")
    plan = load(tmp_path, text).plan
    assert plan.drill.full_every_s == 30 * DAY
    plain = load(tmp_path, of_a_server("every: 7d")).plan
    assert plain.drill.full_every_s is None
    assert plan.proof == plain.proof  # a recovery restores the same
    with pytest.raises(ConfigError, match="no drill would be instant"):
        load(tmp_path, of_a_server("every: 7d, restore: instant, full_every: 3d"))


@pytest.mark.parametrize(
    ("drill", "said"),
    [
        ("every: 7d", None),
        ("every: 15d", None),
        ("every: 16d", "is 30d, less than twice the 16d between two drills, so each drill by"),
        ("every: 30d, full_every: 30d", "is 30d, less than twice the 30d between two drills,"),
        ("every: 30d, full_every: 60d", None),
        ('cron: "0 3 1 * *", full_every: 40d', "less than twice the 31d between two drills, "),
        ("every: 7d, scenarios: [database-loss, host-loss]", None),
        ("every: 8d, scenarios: [database-loss, host-loss]", "the 16d between two drills of one"),
    ],
)
def test_a_plan_whose_schedule_allows_no_instant_drill_is_told_so(
    tmp_path: Path, drill: str, said: str | None
) -> None:
    text = of_a_server(f"{drill}, restore: instant")
    found = [w for w in load(tmp_path, text).warnings if "less than twice" in w.message]
    assert [w.path for w in found] == (["drill.full_every"] if said else [])
    assert all(str(said) in w.message for w in found)


@pytest.mark.parametrize(
    ("drill", "incremental", "warned"),
    [
        ("every: 7d, restore: instant", "auto", True),
        ("every: 7d, restore: instant", "off", False),
        ("every: 7d", "auto", False),
    ],
)
def test_a_plan_whose_drills_would_be_whole_is_told_so(
    tmp_path: Path, drill: str, incremental: str, warned: bool
) -> None:
    text = of_a_server(drill).replace(CLUSTER[0], f"{CLUSTER[0]}\n    incremental: {incremental}")
    found = [w for w in load(tmp_path, text).warnings if "would not be instant" in w.message]
    assert [w.path for w in found] == ["components.db.incremental"] * warned


def test_an_incremental_copy_is_restored_as_a_whole() -> None:
    kind = ClusterKind()
    place = Workplace(Path("/nowhere"), "r")
    part = Part("p", "s", "r", "t", "l", "1", 1, "0/1", "0/2", "d")
    facts = {"chain": [part.to_json()]}
    copied = ComponentSnapshot("server", "postgres-cluster", "captured", facts=facts)
    settings = ClusterSettings(kind="postgres-cluster", dsn="postgresql://drd@/orders")
    component = Component("server", "postgres-cluster", settings)
    with pytest.raises(NotSupported, match="an incremental copy, which has to be combined first"):
        kind.instant_sandbox(component, copied, place)


@pytest.mark.parametrize(("read", "whole"), [(0, 0), (5, 5), (6, 5)])
def test_a_component_that_is_empty_or_shrank_meanwhile_was_read_whole(
    read: int, whole: int
) -> None:
    assert Reading("db", read, whole, 0, 0).share == "100 %"


@pytest.mark.parametrize("projected_s", [None, 0.0, 61.5])
def test_an_instant_drill_is_read_as_it_was_written(projected_s: float | None) -> None:
    made = InstantDrill((Reading("db", 1, 2, 3, 4),), 1.5, 2.5, projected_s)
    assert InstantDrill.from_json(made.to_json()) == made

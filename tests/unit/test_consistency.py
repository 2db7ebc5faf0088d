"""Groups of components that belong together: how far apart their data times are, and what that
means for a restore point."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drd.api.documents import points
from drd.errors import DeadlineExceeded
from drd.flows.backup.run import BackupOutcome, BackupRequest, backup
from drd.flows.backup.together import Together
from drd.flows.drill.request import DrillRequest
from drd.flows.drill.run import drill
from drd.flows.restore.preflight import preflight_only
from drd.flows.restore.recovery import recover
from drd.kinds.files.source import FilesCapture
from drd.model.cause import with_remedy
from drd.model.consistency import Group, Spread, measured, together
from drd.model.run import CheckResult, CheckVerdict, RunState
from drd.model.snapshot import MANIFEST_FILE
from tests.config_support import GOOD, changed, load, problems
from tests.flow_support import World

AT = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
PAIR = Group(("orders-db", "sessions"), 5.0)
LONG_S = 60.0


def spread_of(*seconds: float | None) -> Spread:
    """The spread of a group whose components have data of these seconds after `AT`."""
    names = tuple(f"c{n}" for n in range(len(seconds)))
    times = {n: None if s is None else AT + timedelta(seconds=s) for n, s in zip(names, seconds)}  # noqa: B905
    [found] = measured([Group(names, 5.0)], times)
    return found


def test_the_spread_is_between_the_earliest_and_the_latest_data_time() -> None:
    assert spread_of(2, 0, 1.2504).spread_s == 2.0
    assert spread_of(0, 0).words == "data times 0.000s apart, at most 5s allowed"
    assert not spread_of(0, 5).too_wide
    wide = spread_of(0, 5.001)
    assert wide.too_wide
    assert wide.words == "data times 5.001s apart, at most 5s allowed"
    assert wide._replace(within_s=0.25).limit == "at most 0.25s"
    assert spread_of(0, 125).words == "data times 2m 05s apart, at most 5s allowed"


def test_a_group_of_which_a_component_is_missing_is_not_measured() -> None:
    for spread in (spread_of(0, None), *measured([PAIR], {"orders-db": AT})):
        assert (spread.spread_s, spread.too_wide) == (None, False)
        assert spread.words == spread.observed
        assert spread.observed.startswith("not measured, because")
        assert Spread.from_json(json.loads(json.dumps(spread.to_json()))) == spread


def test_groups_that_share_a_component_begin_together() -> None:
    groups = [
        Group(("a", "b"), 1),
        Group(("c", "d"), 1),
        Group(("b", "c"), 9),
        Group(("x", "y"), 1),
    ]
    assert set(together(groups, "abcdxyz")) == {frozenset("abcd"), frozenset("xy")}
    assert together(groups, "axz") == [], "nobody waits for what this backup leaves out"


# --- the common start --------------------------------------------------------------------------


def started(gate: Together, *names: str) -> tuple[ThreadPoolExecutor, list[str]]:
    """Components that come to the start, each in a thread; and those that have begun."""
    begun: list[str] = []
    pool = ThreadPoolExecutor(len(names))

    def run(name: str) -> None:
        with gate.capturing(name):
            gate.begin(name)
            begun.append(name)

    for name in names:
        pool.submit(run, name)
    return pool, begun


def test_no_component_of_a_group_begins_before_all_are_ready() -> None:
    gate = Together([frozenset({"a", "b", "c"})], (), 1, lambda: LONG_S)
    assert gate.threads == 4, "one turn, and a thread for each that waits"
    pool, begun = started(gate, "a", "b")
    with pool:
        assert begun == []
        with gate.capturing("c"):
            gate.begin("c")
            begun.append("c")
    assert sorted(begun) == ["a", "b", "c"]


def test_a_component_that_failed_is_not_waited_for() -> None:
    gate = Together([frozenset({"a", "b"})], (), 1, lambda: LONG_S)
    pool, begun = started(gate, "a")
    with pool, pytest.raises(ValueError, match="no login"), gate.capturing("b"):
        raise ValueError("no login")
    assert begun == ["a"]


def test_components_begin_when_the_copy_of_a_whole_server_is_there() -> None:
    gate = Together([frozenset({"cluster", "a", "b"})], {"cluster"}, 2, lambda: LONG_S)
    pool, begun = started(gate, "a", "b")
    with pool, gate.capturing("cluster"):
        gate.begin("cluster")
        assert begun == [], "the server is being copied"
        gate.begun("cluster")
    assert sorted(begun) == ["a", "b"]


def test_a_wait_ends_with_the_time_of_the_backup() -> None:
    gate = Together([frozenset({"a", "b"})], (), 1, lambda: 0.0)
    with pytest.raises(DeadlineExceeded, match="component a waited for other components") as caught:
        gate.begin("a")
    assert "backup.timeout" in caught.value.hint


def test_frozen_data_takes_turns_and_other_data_never_waits() -> None:
    gate = Together([frozenset({"a", "b", "c"})], (), 1, lambda: LONG_S)
    stored = threading.Event()

    def store() -> None:
        with gate.storing("b", frozen=True):
            stored.set()

    with ThreadPoolExecutor(1) as pool:
        with gate.storing("a", frozen=True), gate.storing("c", frozen=False):
            pool.submit(store)
            assert not stored.wait(0.05)
        assert stored.wait(LONG_S)


# --- a restore point ---------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[World]:
    """Two directories that belong together."""
    made = World(
        tmp_path,
        more="consistency: [{components: [conf, data], within: 5s}]\n"
        "checks:\n  - {name: conf, kind: files, component: conf}\n"
        "  - {name: data, kind: files, component: data}\n",
    )
    yield made
    made.close()


def apart(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The data of the second directory is that much later."""
    made, captures = FilesCapture.__init__, []

    def make(self: FilesCapture, *given: object) -> None:
        made(self, *given)  # type: ignore[arg-type]
        captures.append(self)
        self.data_time = AT + timedelta(seconds=seconds * (len(captures) - 1))

    monkeypatch.setattr(FilesCapture, "__init__", make)


def made(world: World, *components: str) -> BackupOutcome:
    world.clock.at = datetime.now(UTC)
    return backup(world.services, world.plan, BackupRequest(components))


def test_a_point_keeps_its_spread_and_a_drill_shows_it(shop: World) -> None:
    done = made(shop)
    [spread] = done.consistency
    assert (done.state, spread.components) == (RunState.SUCCEEDED, ("conf", "data"))
    assert spread.spread_s is not None
    assert spread.spread_s < 5
    assert shop.point(done.run).consistency == (spread,)
    [row] = points(shop.app, "shop")["points"]
    assert row["consistency"] == [{**spread.to_json(), "error": None, "fact": None, "remedy": None}]
    [stored] = shop.primary.snapshots(tags=["manifest"])
    manifest = json.loads(shop.primary.read_file(stored.id, MANIFEST_FILE))
    assert manifest["consistency"] == [spread.to_json()]
    assert rows_of(shop) == [(CheckVerdict.PASSED, spread.observed, "at most 5s")]


def rows_of(world: World) -> list[tuple[CheckVerdict, str, str]]:
    """What a drill of the only point says of its groups."""
    [point] = world.catalogue.points.of_plan("shop")
    done = drill(world.services, world.plan, DrillRequest(point=point.id)).evidence
    return [
        (c.verdict, c.observed, c.expected)
        for c in done.checks
        if c.name == "consistency of conf, data"
    ]


def test_a_point_with_a_wider_spread_is_incomplete(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart(monkeypatch, 7.25)
    done = made(shop)
    assert (done.state, done.exit_code) == (RunState.INCOMPLETE, 1)
    assert all(row.state == "captured" for row in done.components)
    point = shop.point(done.run)
    assert not point.complete
    run = shop.catalogue.runs.get(done.run)
    assert run.error == "conf, data: data times 7.250s apart, at most 5s allowed"
    assert "drd backup shop" in run.detail.remedy
    assert not run.detail.permanent, "the next backup may be narrower"
    [facts] = shop.app.read_facts("shop")
    assert facts.incomplete is not None
    assert facts.incomplete.failed == (
        ("conf, data", "data times 7.250s apart, at most 5s allowed"),
    )
    assert facts.newest is None
    assert rows_of(shop)[0][0] is CheckVerdict.FAILED
    [warning] = [w for w in shop.warnings if "may not fit together" in w]
    assert point.id in warning
    planned = shop.recovery(point=point.id)
    shop.warnings.clear()
    [finding] = [
        f for f in preflight_only(shop.services, planned).findings if f.code == "consistency"
    ]
    assert (finding.severity, finding.subject) == ("warning", "conf, data")
    assert "data times 7.250s apart, at most 5s allowed" in finding.text
    assert "then ends as failed" in finding.text
    assert "the restored data stays" in finding.remedy
    assert [w for w in shop.warnings if "may not fit together" in w] == [
        with_remedy(f"{finding.name}: {finding.text}", finding.remedy)
    ]
    part = shop.recovery(point=point.id, components=("conf",))
    assert not [f for f in preflight_only(shop.services, part).findings if f.code == "consistency"]
    recovered = recover(shop.services, planned).evidence
    assert recovered.result == "failed"
    assert [c for c in recovered.checks if c.verdict is CheckVerdict.FAILED] == [
        CheckResult(
            "consistency of conf, data", None, CheckVerdict.FAILED,
            "data times 7.250s apart", "at most 5s", looked_at_data=False,
        )
    ]  # fmt: skip


def test_a_recovery_says_that_its_components_fit_together_where_it_restored_all(
    shop: World,
) -> None:
    made(shop)
    evidence = recover(shop.services, shop.recovery()).evidence
    rows = [c for c in evidence.checks if c.name.startswith("consistency")]
    assert [(c.verdict, c.expected) for c in rows] == [(CheckVerdict.PASSED, "at most 5s")]
    part = shop.recovery(components=("conf",), overwrite=True)
    evidence = recover(shop.services, part).evidence
    assert not [c for c in evidence.checks if c.name.startswith("consistency")]


def test_a_backup_of_a_part_measures_nothing(shop: World) -> None:
    done = made(shop, "conf")
    assert [s.spread_s for s in done.consistency] == [None]
    assert done.state is RunState.SUCCEEDED
    assert not shop.point(done.run).complete


def test_a_component_that_fails_leaves_its_group_unmeasured(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.base / "data/file").unlink()
    (shop.base / "data").rmdir()
    done = made(shop)
    assert done.state is RunState.INCOMPLETE
    assert [(r.component, r.state) for r in done.components] == [
        ("conf", "captured"),
        ("data", "failed"),
    ]
    assert [s.spread_s for s in done.consistency] == [None]
    monkeypatch.undo()


def test_a_drill_of_a_point_from_before_the_group_measures_it(world: World) -> None:
    point = world.backup()
    assert point.consistency == ()
    world.plan = replace(world.plan, consistency=(Group(("conf", "data"), 5.0),))
    assert [verdict for verdict, *_ in rows_of(world)] == [CheckVerdict.PASSED]
    world.plan = replace(world.plan, consistency=(Group(("conf", "later"), 5.0),))
    [point] = world.catalogue.points.of_plan("shop")
    done = drill(world.services, world.plan, DrillRequest(point=point.id)).evidence
    row = CheckResult(
        "consistency of conf, later",
        None,
        CheckVerdict.NOT_RUN,
        "not measured, because the restore point does not have all these components",
        "at most 5s",
        looked_at_data=False,
    )
    assert row in done.checks


# --- the plan ----------------------------------------------------------------------------------


def grouped(components: str, more: str = "") -> str:
    line = f"  - {{components: [{components}], within: 5s}}\n"
    return changed("backup: {every: 10m}\n", f"backup: {{every: 10m}}\nconsistency:\n{line}{more}")


def test_a_plan_has_groups_and_a_drill_proves_them(tmp_path: Path) -> None:
    plain = load(tmp_path, GOOD).plan
    loaded = load(tmp_path, grouped("db, store", "  - {components: [store, etc], within: 1m}\n"))
    assert loaded.plan.consistency == (Group(("db", "store"), 5.0), Group(("store", "etc"), 60.0))
    assert loaded.plan.proof != plain.proof
    assert "consistency" not in plain.resolved
    assert load(tmp_path, changed("backup:", "consistency: []\nbackup:")).plan.proof == plain.proof


@pytest.mark.parametrize(
    ("components", "more", "error", "hint"),
    [
        ("db, stroe", "", 'there is no component "stroe"', "store"),
        ("db", "", "names fewer than two components", "name at least two"),
        ("db, db", "", "names db twice", "each name once"),
        (
            "db, store",
            "  - {components: [store, db], within: 9s}\n",
            "line 19 already has a group of the same components",
            "remove one",
        ),
        ("db, store", "  - {components: [etc, db], within: 5}\n", "is not a duration", "15m"),
        ("db, store", "  - {components: [etc, db]}\n", "within", ""),
    ],
)
def test_a_group_that_can_never_be_measured_is_an_error(
    tmp_path: Path, components: str, more: str, error: str, hint: str
) -> None:
    found = problems(tmp_path, grouped(components, more))
    assert any(error in p.message and hint in p.hint for p in found), found
    assert {p.line for p in found} <= {19, 20}


def test_one_broken_group_hides_no_other_problem(tmp_path: Path) -> None:
    more = "  - {components: [etc, stroe], within: 5s}\n  - {components: [db], within: 9s}\n"
    text = grouped("db, store", more).replace("within: 5s", "within: soon", 1)
    found = {(p.path, p.message) for p in problems(tmp_path, text)}
    assert {path for path, _ in found} == {
        "consistency[0].within", "consistency[1].components[1]", "consistency[2].components"
    }  # fmt: skip


def test_the_ends_of_two_copies_of_whole_servers_cannot_be_aligned(tmp_path: Path) -> None:
    cluster = "kind: postgres-cluster\n    dsn: {credential: shop-dsn}\n"
    text = grouped("db, other").replace(
        "kind: postgres\n    dsn: {credential: shop-dsn}\n", cluster
    )
    two = text.replace("  store:\n", f"  other:\n    {cluster}  store:\n")
    [warning] = [w for w in load(tmp_path, two).warnings if "consistency" in w.path]
    assert "the whole servers of db and other" in warning.message
    one = load(tmp_path, text.replace("[db, other]", "[db, store]"))
    assert not [w for w in one.warnings if "consistency" in w.path]


def test_a_plan_of_another_tools_copies_has_no_groups(tmp_path: Path) -> None:
    made_by = "    password: {credential: shop-restic}\n    made_by: restic\n"
    text = grouped("db, store").replace("    password: {credential: shop-restic}\n", made_by)
    found = problems(tmp_path, text)
    [problem] = [p for p in found if p.path == "consistency"]
    assert "drd only reads them" in problem.message
    assert problem.hint == "remove `consistency`."

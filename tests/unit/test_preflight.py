"""What a recovery checks before it touches anything, and all that it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from drd.actions.command import CommandSettings
from drd.errors import (
    NoRestorePoint,
    RepositoryMissing,
    RepositoryUnreachable,
    TargetError,
    TargetIsProduction,
    TargetNotEmpty,
)
from drd.flows.components.prefetch import Prefetch
from drd.flows.components.repository_choice import Holders
from drd.flows.repository.identity import confirm
from drd.flows.restore.preflight import (
    PreflightResult,
    _elsewhere,
    destinations_of,
    preflight,
    preflight_only,
)
from drd.flows.restore.production_guard import production, require_elsewhere
from drd.flows.restore.recovery_plan import RecoveryPlan
from drd.flows.restore.single_items import Single
from drd.flows.restore.usage import findings
from drd.model.plan import IN_PLACE, Target
from drd.model.runbook import Service, Step, When
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.ports import Finding, NamedDestination, RestoreOptions, Usage
from tests.flow_support import World


@dataclass
class Place:
    """A target that answers as it is told."""

    findings: list[Finding] = field(default_factory=list)
    refuses: Exception | None = None
    apart: bool = False
    overwrite: list[bool] = field(default_factory=list)
    used: list[Usage] = field(default_factory=list)

    def preflight(self, _: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        self.overwrite.append(overwrite)
        if self.refuses is not None:
            raise self.refuses
        return self.findings

    def lands_apart(self, _: ComponentSnapshot) -> bool:
        return self.apart

    def in_use(self, _: ComponentSnapshot) -> list[Usage]:
        return self.used


@dataclass
class PrivatePlace(Place):
    """One that the private part of the manifest concerns."""

    private: list[Mapping[str, Any]] = field(default_factory=list)
    minds: list[Finding] = field(default_factory=list)

    def check_private(self, private: Mapping[str, Any]) -> list[Finding]:
        self.private.append(private)
        return self.minds


@dataclass
class PrefetchStandIn:
    """Stands in for the prefetch: notes what is begun, answers as it is told."""

    holders: Holders
    answers: bool = True
    begun: list[str] = field(default_factory=list)

    def begin(self, snapshot: ComponentSnapshot, _: object) -> None:
        self.begun.append(snapshot.component)

    def answered(self) -> bool:
        return self.answers


@pytest.fixture
def point(world: World) -> RestorePoint:
    made = world.backup()
    world.copy()
    return world.point(made.id)


@pytest.fixture
def plan(world: World, point: RestorePoint) -> RecoveryPlan:
    assert point.complete
    return world.recovery()


def prefetch(world: World, plan: RecoveryPlan, *, answers: bool = True) -> PrefetchStandIn:
    only = plan.request.only(plan.plan)
    return PrefetchStandIn(Holders(world.services, plan.plan, plan.point, only=only), answers)


def run(plan: RecoveryPlan, waiting: PrefetchStandIn, **places: Place) -> Mapping[str, Any]:
    given = {"conf": Place(), "data": Place()} | places
    chosen = {name: cast(NamedDestination, given[name]) for name in plan.components}
    return preflight(plan, chosen, cast(Prefetch, waiting), "look-1")


def warning(text: str, code: str = "room") -> Finding:
    return Finding(code, "warning", "conf", text)


# --- the target is not production ---


def target(world: World, path: Path, name: str = "standby", component: str = "conf") -> Target:
    settings = world.plan.targets["standby"].components[component]
    moved = settings.model_copy(update={"path": str(path)})  # type: ignore[attr-defined]
    return Target(name, {component: moved})


def test_a_target_that_is_the_source_is_refused(world: World) -> None:
    where = target(world, world.base / "etc")
    with pytest.raises(TargetIsProduction) as caught:
        require_elsewhere(world.services, world.plan, where, ["conf"], "look-1")
    assert caught.value.message == (
        f"target standby is production itself: conf would be restored over {world.base}/etc"
    )
    assert caught.value.hint.endswith("drd recover shop --target standby --in-place")


def test_a_target_that_is_the_source_of_another_component_is_refused(world: World) -> None:
    where = target(world, world.base / "data/below")
    with pytest.raises(TargetIsProduction) as caught:
        require_elsewhere(world.services, world.plan, where, ["data", "conf"], "look-1")
    assert caught.value.message.endswith(f"over {world.base}/data, the source of data")


def test_the_component_s_own_source_is_named_first(world: World) -> None:
    where = target(world, world.base, component="data")
    [found] = production(world.services, world.plan, where, ["data"], "look-1")
    assert found[:2] == ("data", "data")


def test_each_component_over_production_is_named_once(world: World) -> None:
    both = Target(
        "standby",
        {
            **target(world, world.base).components,
            **target(world, world.base, component="data").components,
        },
    )
    found = list(production(world.services, world.plan, both, ["conf", "data"], "look-1"))
    assert [one.component for one in found] == ["conf", "data"]
    found = list(production(world.services, world.plan, both, ["data"], "look-1"))
    assert [one.component for one in found] == ["data"]


def test_another_place_and_another_kind_are_not_production(world: World) -> None:
    require_elsewhere(
        world.services, world.plan, world.plan.targets["standby"], ["conf", "data"], "look-1"
    )
    over = target(world, world.base / "etc")
    others = {
        **world.plan.components,
        "conf": replace(world.plan.components["conf"], kind="sqlite"),
        "log": world.plan.components["data"],
    }
    plan = replace(world.plan, components={"log": others["log"]})
    require_elsewhere(world.services, plan, over, ["conf"], "look-1")


def test_the_recovery_in_place_is_meant_for_production(world: World) -> None:
    where = target(world, world.base / "etc", IN_PLACE)
    assert not list(production(world.services, world.plan, where, ["conf"], "look-1"))


# --- the whole preflight ---


def test_a_sound_preflight_names_its_findings(world: World, plan: RecoveryPlan) -> None:
    waiting = prefetch(world, plan)
    result = run(plan, waiting, conf=Place([warning("little room")]))
    assert result.findings == (warning("").name,)
    assert world.warnings == [f"{warning('').name}: little room"]
    assert waiting.begun == ["conf", "data"]
    assert waiting.holders.used == {}


def test_a_component_that_was_not_captured_is_not_fetched(world: World, plan: RecoveryPlan) -> None:
    lost = [
        replace(s, snapshot=None) if s.component == "conf" else s for s in plan.point.components
    ]
    plan = replace(plan, point=replace(plan.point, components=tuple(lost)))
    waiting = prefetch(world, plan)
    with pytest.raises(NoRestorePoint):
        run(plan, waiting, conf=Place(apart=True), data=Place(apart=True))
    assert waiting.begun == ["data"]


def test_findings_that_are_fine_are_not_warnings(world: World, plan: RecoveryPlan) -> None:
    run(plan, prefetch(world, plan), conf=Place([Finding("room", "ok", "conf", "plenty")]))
    assert world.warnings == []


def test_a_live_application_is_named_with_what_to_do(world: World, plan: RecoveryPlan) -> None:
    used = Usage(what="/srv/x", by=("web (process 7)",), units=("web.service",), effect="it ends")
    result = run(plan, prefetch(world, plan), conf=Place(used=[used]))
    assert result.findings[0] == "conf: in use"
    remedy = (
        "`systemctl stop web.service` before the recovery, and `systemctl start "
        "web.service` afterwards. Or add steps `stop` and `start` to the runbook of the "
        "plan, which do this"
    )
    said = "conf: in use: /srv/x is in use by web (process 7): it ends"
    assert world.warnings == [f"{said}\nremedy: {remedy}"]
    stop = Step("stop-web", "stop", service=Service("stop", unit="web.service"))
    book = (stop, Step("back", "restore", ("conf", "data")))
    stopped = replace(plan, plan=replace(plan.plan, runbook=book))
    (warned,) = findings(
        world.services,
        stopped,
        "conf",
        cast(NamedDestination, Place(used=[used])),
        plan.point.components[0],
    )
    assert warned.remedy == (
        "check that step stop-web of the runbook, which comes before the restore, stops the "
        "programs that use the data"
    )


def test_a_program_that_must_end_first_blocks_unless_a_step_could_end_it(
    world: World, plan: RecoveryPlan
) -> None:
    used = Usage(what="/srv/x", by=("web (process 7)",), effect="it must end", blocks=True)
    place = cast(NamedDestination, Place(used=[used]))

    def found(*steps: Step, only: tuple[str, ...] = ()) -> Finding:
        book = (*steps, Step("back", "restore", ("conf", "data")))
        request = replace(plan.request, components=only)
        with_steps = replace(plan, plan=replace(plan.plan, runbook=book), request=request)
        (finding,) = findings(world.services, with_steps, "conf", place, plan.point.components[0])
        return finding

    assert found().severity == "error"
    assert found(Step("call", "manual")).severity == "warning"
    stop = Step("stop-web", "stop", service=Service("stop", unit="web.service"))
    assert found(stop).severity == "warning"
    alone = found(stop, only=("conf",))
    assert alone.severity == "error"
    assert alone.remedy == (
        "stop the programs that use the data before the recovery, and start them again afterwards. "
        "This recovery leaves out step stop-web of the runbook: only conf was requested"
    )


def test_a_program_whose_unit_no_step_stops_blocks(
    world: World, plan: RecoveryPlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Systemd says what else a stop ends: worker.service is a part of web.service."""
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        '#!/bin/sh\nfor unit; do :; done\n[ "$unit" != worker.service ] || echo web.service\n'
        "echo sysinit.target system.slice\n"
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    stop = Step("stop-web", "stop", service=Service("stop", unit="web"))

    def found(unit: str, *steps: Step) -> Finding:
        used = Usage(what="/srv/x", by=("it",), units=(unit,), effect="it must end", blocks=True)
        book = (stop, *steps, Step("back", "restore", ("conf", "data")))
        with_steps = replace(plan, plan=replace(plan.plan, runbook=book))
        place = cast(NamedDestination, Place(used=[used]))
        (finding,) = findings(world.services, with_steps, "conf", place, plan.point.components[0])
        return finding

    assert found("web.service").severity == "warning"
    assert found("worker.service").severity == "warning"
    missed = found("redis-server.service")
    assert missed.severity == "error"
    assert missed.remedy == (
        "`systemctl stop redis-server.service` before the recovery, and `systemctl start "
        "redis-server.service` afterwards: step stop-web of the runbook stops only web.service. "
        "Or add steps `stop` and `start` for redis-server.service to the runbook, which do this"
    )
    assert found("redis-server.service", Step("call", "manual")).severity == "warning"


def test_all_blockers_are_raised_together(world: World, plan: RecoveryPlan) -> None:
    waiting = prefetch(world, plan)
    with pytest.raises(TargetError) as caught:
        run(
            plan,
            waiting,
            conf=Place([Finding("room", "error", "conf", "no room", "make room")]),
            data=Place(refuses=TargetNotEmpty("there is something", hint="--overwrite")),
        )
    assert caught.value.message.splitlines() == [
        "2 problems block this recovery:",
        "  conf: no room",
        "  data: there is something",
    ]
    assert waiting.begun == []


def test_a_component_restored_to_a_separate_place_is_fetched_before_the_targets_are_checked(
    world: World, plan: RecoveryPlan
) -> None:
    waiting = prefetch(world, plan)
    with pytest.raises(TargetNotEmpty):
        run(
            plan,
            waiting,
            conf=Place(refuses=TargetNotEmpty("there is something"), apart=True),
        )
    assert waiting.begun == ["conf"]


def test_overwrite_reaches_the_places(world: World, point: RestorePoint) -> None:
    for overwrite in (False, True):
        plan = world.recovery(overwrite=overwrite)
        place = Place()
        run(plan, prefetch(world, plan), conf=place)
        assert place.overwrite == [overwrite]


def test_a_place_over_production_is_named_as_such(world: World, point: RestorePoint) -> None:
    occupied = Place(refuses=TargetNotEmpty("etc is not empty", hint="--overwrite"))
    ordinary = world.recovery()
    with pytest.raises(TargetNotEmpty) as caught:
        run(ordinary, prefetch(world, ordinary), conf=occupied)
    assert (caught.value.message, caught.value.hint) == ("etc is not empty", "--overwrite")
    over = world.recovery(in_place=True)
    with pytest.raises(TargetNotEmpty) as caught:
        run(over, prefetch(world, over), conf=occupied)
    assert caught.value.message == (
        "this recovery would overwrite the production data of conf: etc is not empty"
    )
    assert caught.value.hint.startswith("if this data may be replaced, add --overwrite; ")
    assert caught.value.hint.endswith(" To restore only data: add --component data.")


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("files", "restore to another name or path: --component shop --into NEW."),
        ("http", "recover to a target: --target NAME."),
    ],
)
def test_a_place_that_keeps_its_data_has_a_way_that_its_kind_can_go(
    plan: RecoveryPlan, kind: str, way: str
) -> None:
    snapshot = ComponentSnapshot("shop", kind, "captured")
    assert _elsewhere(plan, "shop", snapshot) == way
    part = Single(Part(database="orders"), plan.plan, plan.point)
    one = replace(plan, single=part)
    assert _elsewhere(one, "shop", snapshot) == "restore to another name: --into NEW."


def test_a_target_over_production_needs_a_word(world: World, plan: RecoveryPlan) -> None:
    over = target(world, world.base / "etc")
    mixed = replace(plan.plan, targets={"standby": over})
    plan = replace(plan, plan=mixed, components=("conf",))
    with pytest.raises(TargetIsProduction):
        run(plan, prefetch(world, plan))
    given = replace(plan, request=replace(plan.request, in_place=True))
    run(given, prefetch(world, given))
    beside = replace(plan, request=replace(plan.request, part=Part(("a",), into="/elsewhere")))
    run(beside, prefetch(world, beside))


def test_paths_outside_of_the_plan_need_a_word(world: World, plan: RecoveryPlan) -> None:
    plan = replace(plan, outside={"conf": ("/etc/shadow",)})
    with pytest.raises(
        TargetError, match=r"paths that plan shop does not name \(conf: /etc/shadow\)$"
    ):
        run(plan, prefetch(world, plan))
    accepted = replace(plan, request=replace(plan.request, accept_paths=True))
    run(accepted, prefetch(world, accepted))


def test_a_point_without_a_component_is_refused(world: World, plan: RecoveryPlan) -> None:
    rows = tuple(
        replace(r, snapshot=None, state="failed") if r.component == "data" else r
        for r in plan.point.components
    )
    for left in (rows, rows[:1]):
        lacking = replace(plan, point=replace(plan.point, components=left))
        waiting = prefetch(world, lacking)
        with pytest.raises(NoRestorePoint) as caught:
            run(lacking, waiting)
        assert (
            caught.value.message == f"restore point {plan.point.id} does not contain component data"
        )
        assert waiting.begun == []


def test_a_component_under_its_former_name_is_named(world: World, plan: RecoveryPlan) -> None:
    rows = tuple(
        replace(r, component="old-data") if r.component == "data" else r
        for r in plan.point.components
    )
    renamed = replace(plan, point=replace(plan.point, components=rows))
    with pytest.raises(NoRestorePoint) as caught:
        run(renamed, prefetch(world, renamed))
    assert "The point contains old-data, which the plan does not have" in (caught.value.hint or "")


def test_damage_that_is_known_is_refused_before_anything(world: World, plan: RecoveryPlan) -> None:
    for name in ("primary", "offsite"):
        world.catalogue.health.record_damage(
            "shop", name, "a pack is gone", None, world.clock.now()
        )
    with pytest.raises(TargetError) as caught:
        run(plan, prefetch(world, plan), conf=Place(refuses=TargetNotEmpty("not empty")))
    assert "a pack is gone" in caught.value.message


# --- the repositories ---


def test_a_repository_that_lacks_the_snapshot_is_not_used(world: World, plan: RecoveryPlan) -> None:
    world.primary.forget([str(plan.point.components[0].snapshot)])
    waiting = prefetch(world, plan)
    run(plan, waiting)
    waiting.holders.manifest()
    assert list(waiting.holders.used) == ["offsite"]


def test_a_repository_that_has_answered_and_has_all_is_not_listed(
    world: World, plan: RecoveryPlan
) -> None:
    world.primary.id = None
    run(plan, prefetch(world, plan))
    only = world.recovery(repository="primary")
    with pytest.raises(RepositoryMissing):
        run(only, prefetch(world, only, answers=False))


def test_without_an_answer_the_first_that_has_the_point_is_used(
    world: World, plan: RecoveryPlan
) -> None:
    world.primary.forget([plan.point.repositories["primary"]])
    waiting = prefetch(world, plan, answers=False)
    run(plan, waiting)
    waiting.holders.manifest()
    assert list(waiting.holders.used) == ["offsite"]


def test_a_point_that_no_repository_lists_is_refused(world: World, point: RestorePoint) -> None:
    world.primary.forget([point.repositories["primary"]])
    plan = world.recovery(repository="primary")
    with pytest.raises(NoRestorePoint) as caught:
        run(plan, prefetch(world, plan, answers=False))
    assert caught.value.message == (
        f"repository primary does not contain restore point {point.id} completely: "
        "its manifest is missing"
    )
    assert caught.value.hint == "choose another restore point: drd points shop."


def test_the_missing_snapshots_are_named(world: World, point: RestorePoint) -> None:
    world.primary.forget([str(row.snapshot) for row in point.components])
    plan = world.recovery(repository="primary")
    with pytest.raises(NoRestorePoint, match="the snapshot of conf, data is missing"):
        run(plan, prefetch(world, plan, answers=False))
    one = world.recovery(repository="primary", components=("data",))
    with pytest.raises(NoRestorePoint, match="the snapshot of data is missing"):
        run(one, prefetch(world, one, answers=False))


def test_only_the_wanted_components_must_be_there(world: World, point: RestorePoint) -> None:
    row = point.component("conf")
    assert row is not None
    world.primary.forget([str(row.snapshot)])
    plan = world.recovery(repository="primary", components=("data",))
    for answers in (True, False):
        run(plan, prefetch(world, plan, answers=answers))


def test_a_manifest_that_cannot_be_read_is_refused(world: World, point: RestorePoint) -> None:
    world.primary.unreadable[point.repositories["primary"]] = "broken"
    plan = world.recovery(repository="primary")
    with pytest.raises(TargetError) as caught:
        run(plan, prefetch(world, plan, answers=False), conf=Place(refuses=TargetNotEmpty("no")))
    assert f"cannot read the manifest of restore point {point.id} in primary" in str(
        caught.value.message
    )


def test_a_repository_that_answers_again_is_used_again(world: World, plan: RecoveryPlan) -> None:
    waiting = prefetch(world, plan, answers=False)
    waiting.holders.rule_out("primary", RepositoryUnreachable("no answer"))
    run(plan, waiting)
    waiting.holders.manifest()
    assert list(waiting.holders.used) == ["primary"]


def test_an_older_point_elsewhere_is_offered(world: World) -> None:
    world.backup()
    world.copy()
    newest = world.backup()
    world.primary.forget([newest.repositories["primary"]])
    plan, named = world.recovery(), world.recovery(repository="primary")
    with pytest.raises(NoRestorePoint) as caught:
        run(plan, prefetch(world, plan, answers=False))
    assert caught.value.hint.endswith(
        " Or restore an older point: --repository offsite uses the newest point there."
    )
    plan = named
    with pytest.raises(NoRestorePoint) as caught:
        run(plan, prefetch(world, plan, answers=False))
    assert "--repository" not in caught.value.hint


def test_a_copy_without_any_point_is_not_offered(world: World) -> None:
    point = world.backup()
    world.primary.forget([point.repositories["primary"]])
    plan = world.recovery()
    with pytest.raises(NoRestorePoint) as caught:
        run(plan, prefetch(world, plan, answers=False))
    assert "--repository" not in caught.value.hint


@pytest.mark.parametrize(("target", "found"), [("other", 0), ("standby", 1)])
def test_only_steps_that_will_run_are_checked(
    world: World, plan: RecoveryPlan, target: str, found: int
) -> None:
    settings = CommandSettings(run=["no-such-tool"])
    step = Step("warm", "command", settings=settings, when=When(targets=(target,)))
    planned = replace(plan, plan=replace(plan.plan, runbook=(step,)))
    assert planned.request.target == "standby"
    run(planned, prefetch(world, planned))
    assert len([w for w in world.warnings if "no-such-tool" in w]) == found


# --- what the manifest itself says ---


def test_the_private_part_is_checked_where_it_matters(world: World, plan: RecoveryPlan) -> None:
    place = PrivatePlace(minds=[warning("more than data")])
    result = run(plan, prefetch(world, plan), conf=place)
    assert len(place.private) == 1
    assert len(result.findings) == 1
    assert len(world.warnings) == 1


def test_the_private_part_is_not_read_when_something_blocks(
    world: World, plan: RecoveryPlan
) -> None:
    place = PrivatePlace()
    with pytest.raises(TargetNotEmpty):
        run(plan, prefetch(world, plan), conf=place, data=Place(refuses=TargetNotEmpty("no")))
    assert place.private == []


# --- a dry run ---


def test_a_dry_run_shows_what_would_be_written(world: World, plan: RecoveryPlan) -> None:
    shown: list[PreflightResult] = []
    looked = preflight_only(world.services, plan, shown.append)
    assert shown == [looked]
    assert looked.writes == {
        "conf": (f"{world.base}/back/conf{world.base}/etc",),
        "data": (f"{world.base}/back/data{world.base}/data",),
    }
    assert looked.things == 5  # two of each place, and the repository
    assert not list((world.base / "work").glob("**/look-*"))


def test_a_dry_run_counts_what_is_well_and_shows_the_rest(world: World, plan: RecoveryPlan) -> None:
    looked = preflight_only(world.services, plan)
    assert len(looked.findings) < looked.things - 1
    assert "ok" not in {finding.severity for finding in looked.findings}


def test_a_dry_run_shows_it_before_it_refuses(world: World, plan: RecoveryPlan) -> None:
    (world.base / "back/conf").mkdir()
    (world.base / "back/conf/file").write_text("somebody's")
    shown: list[PreflightResult] = []
    with pytest.raises(TargetNotEmpty):
        preflight_only(world.services, plan, shown.append)
    assert len(shown) == 1


def test_a_dry_run_asks_the_repository(world: World, point: RestorePoint) -> None:
    world.primary.forget([point.repositories["primary"]])
    plan = world.recovery(repository="primary")
    with pytest.raises(NoRestorePoint, match="its manifest is missing"):
        preflight_only(world.services, plan)


def test_a_resumed_recovery_is_not_checked_again(world: World, plan: RecoveryPlan) -> None:
    world.drilled(target="standby")
    [past] = world.catalogue.runs.newest("shop", limit=1)
    resumed = replace(plan, continues=past.id)
    (world.base / "back/conf").mkdir()
    (world.base / "back/conf/file").write_text("ours")
    assert preflight_only(world.services, resumed) == PreflightResult(0)
    waiting = prefetch(world, resumed)
    run(resumed, waiting)
    assert waiting.begun == []


# --- how the places are opened ---


def test_places_are_opened_as_the_request_says(world: World, plan: RecoveryPlan) -> None:
    given: list[tuple[str, RestoreOptions]] = []
    kinds = world.services.kinds

    class Watched:
        def __init__(self, kind: Any) -> None:
            self.spec, self._kind = kind.spec, kind

        def target(self, component: Any, settings: Any, place: Any, options: Any) -> Any:
            given.append((component.name, options))
            return self._kind.target(component, settings, place, options)

    services = replace(world.services, kinds=lambda name: cast(Any, Watched(kinds(name))))
    for request in (
        plan.request,
        replace(plan.request, no_owner=True, as_owner=True, no_undo=True),
    ):
        with ExitStack() as stack:
            made = destinations_of(services, replace(plan, request=request), "look-1", stack)
        assert list(made) == ["conf", "data"]
    assert [name for name, _ in given] == ["conf", "data"] * 2
    assert given[0][1] == RestoreOptions(keep=True)
    assert given[2][1] == RestoreOptions(no_owner=True, as_owner=True, keep=False)


def test_a_missing_repository_of_another_tool_is_not_said_to_come_with_a_backup(
    world: World,
) -> None:
    repository = world.primary
    with pytest.raises(RepositoryMissing, match=r" yet$") as own:
        confirm(world.services, repository, writing=False)
    repository.made_by = "restic"
    with pytest.raises(RepositoryMissing) as other:
        confirm(world.services, repository, writing=False)
    assert other.value.message == f"there is no repository at {repository.url}"
    assert "`drd backup`" in (own.value.hint or "")
    assert (other.value.hint or "").startswith("restic makes this repository, not drd: check `url`")

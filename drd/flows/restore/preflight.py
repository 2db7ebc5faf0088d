"""Check everything before anything is touched: in the run itself, and before, for a dry run or a
confirmation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from drd import process
from drd.errors import NoRestorePoint, TargetNotEmpty
from drd.flows.components.fence import server_fences
from drd.flows.components.prefetch import Prefetch, at_once
from drd.flows.components.repository_choice import Holders
from drd.flows.components.restoration import close
from drd.flows.repository.signatures import finding as finding_about_signature
from drd.flows.restore import usage
from drd.flows.restore.blockers import Blockers
from drd.flows.restore.changed_paths import paths_may_change
from drd.flows.restore.confirmed_holder import confirm_one, lacks
from drd.flows.restore.kit_origin import require_accepted
from drd.flows.restore.known_problems import require_whole
from drd.flows.restore.log_room import log_room
from drd.flows.restore.production_guard import require_elsewhere
from drd.flows.restore.recovery_plan import RecoveryPlan, require_within
from drd.flows.restore.recovery_request import target_of
from drd.flows.runbook.permissions import require_approvable, require_still_approvable
from drd.flows.runbook.step_runner import preflight_step
from drd.flows.services import Services
from drd.flows.state.run_dirs import target_place
from drd.flows.state.run_removal import swept_afterwards
from drd.model.cause import with_remedy
from drd.model.consistency import too_wide
from drd.model.runbook import Step
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot
from drd.model.step_results import PreflightStepResult
from drd.model.text import some
from drd.ports import (
    Ability,
    ChecksPrivate,
    Finding,
    NamedDestination,
    RestoreOptions,
)
from drd.registry import KINDS


def part_of(plan: RecoveryPlan) -> Part | None:
    return plan.single.part if plan.single is not None else None


def destinations_of(
    services: Services, plan: RecoveryPlan, run: str, stack: ExitStack
) -> dict[str, NamedDestination]:
    target = target_of(plan.plan, plan.request.target)
    made: dict[str, NamedDestination] = {}
    for name in plan.components:
        component = plan.plan.components[name]
        place = target_place(services, run, component)
        spec = KINDS[component.kind]
        if (component.adopted and spec.adopts_server) or spec.recovers_in_server:
            place = replace(place, sandbox=stack.enter_context(server_fences(services, plan.plan)))
        kind = services.kinds(component.kind)
        options = RestoreOptions(
            no_owner=plan.request.no_owner,
            as_owner=plan.request.as_owner,
            part=part_of(plan),
            until=plan.until,
            log_bytes=plan.logs[name].bytes if name in plan.logs else 0,
            keep=not plan.request.no_undo and Ability.KEEP in kind.spec.of(component.settings).can,
        )
        made[name] = kind.target(component, target.components[name], place, options)
        stack.callback(close, made[name])
    return made


@dataclass(frozen=True, slots=True)
class PreflightResult:
    """`things` is the number of things that were checked; `writes` has by component everything that
    would be written, `does` what would be done there; `findings` are the findings that need
    attention."""

    things: int
    writes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    does: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def preflight(
    plan: RecoveryPlan,
    destinations: Mapping[str, NamedDestination],
    prefetch: Prefetch,
    run: str,
) -> PreflightStepResult:
    """Check every place before any place is changed. Raises all blockers. The data that is restored
    first is prefetched meanwhile, unless it would be stored in one of the places."""
    holders, services = prefetch.holders, prefetch.holders.services
    wanted = _wanted_first(plan)
    for name, snapshot in wanted.items():
        if destinations[name].lands_apart(snapshot):
            prefetch.begin(snapshot, destinations[name])
    blockers = Blockers(plan=plan.plan)
    findings = _preflight_all(services, plan, destinations, run, blockers)
    if blockers.none:
        for name, snapshot in wanted.items():
            prefetch.begin(snapshot, destinations[name])
    if not prefetch.answered() or lacks(holders, plan):
        blockers.kept(lambda: confirm_one(services, plan, holders))
    accepted = plan.request.after_kit
    blockers.kept(lambda: require_accepted(services, plan.plan, plan.point, accepted=accepted))
    blockers.kept(lambda: _require_vouched(services, plan, holders))
    findings += _check_private(destinations, holders, blockers)
    warn(services, findings)
    blockers.refuse()
    return PreflightStepResult(findings=tuple(f.name for f in findings))


def preflight_only(
    services: Services,
    plan: RecoveryPlan,
    show: Callable[[PreflightResult], object] = lambda _: None,
) -> PreflightResult:
    """Return the preflight of the recovery, without a run: logs warnings. `show` gets what would be
    written before anything is refused. Raises all blockers.

    For a resumed recovery nothing is checked: its own working directories are in the target."""
    if plan.continues is not None:
        require_answerable(services, plan)
        return PreflightResult(0)
    probe = f"look-{uuid4().hex[:8]}"
    blockers = Blockers(plan=plan.plan)
    with ExitStack() as stack:
        stack.enter_context(swept_afterwards(services, probe))
        stack.enter_context(paths_may_change(services))
        destinations = destinations_of(services, plan, probe, stack)
        holders = Holders(services, plan.plan, plan.point, only=plan.request.only(plan.plan))
        findings = _preflight_all(services, plan, destinations, probe, blockers)
        writes = _asked(plan, destinations, blockers, lambda d, s: d.writes(s))
        does = _asked(plan, destinations, blockers, lambda d, s: d.would_do(s))
        blockers.kept(lambda: confirm_one(services, plan, holders))
        blockers.kept(lambda: _require_vouched(services, plan, holders))
        findings += _check_private(destinations, holders, blockers)
    things = len(findings) + len(holders.repositories[:1])
    result = PreflightResult(things, writes, tuple(f for f in findings if f.severity != "ok"), does)
    show(result)
    warn(services, findings)
    blockers.refuse()
    return result


def _asked(
    plan: RecoveryPlan,
    destinations: Mapping[str, NamedDestination],
    found: Blockers,
    question: Callable[[NamedDestination, ComponentSnapshot], tuple[str, ...]],
) -> dict[str, tuple[str, ...]]:
    """Return what the places answer, by component."""
    answers: dict[str, tuple[str, ...]] = {}
    for name, destination in destinations.items():
        snapshot = plan.point.component(name)
        if snapshot is None or snapshot.snapshot is None:
            continue

        def ask(n: str = name, d: NamedDestination = destination, s: Any = snapshot) -> None:
            answers[n] = question(d, s)

        found.kept(ask)
    return answers


def _require_vouched(services: Services, plan: RecoveryPlan, holders: Holders) -> None:
    """On a host that was made from a kit, compare the manifest with the kit's list before anything
    is touched. Does nothing on other hosts."""
    if services.catalogue.origins.kit_base(plan.plan.name) is None:
        return
    holders.manifest()


def _check_private(
    destinations: Mapping[str, NamedDestination], holders: Holders, found: Blockers
) -> list[Finding]:
    """Check the places against the manifest's private part, if there are no blockers yet."""
    findings: list[Finding] = []
    for name, place in destinations.items():
        if found.none and isinstance(place, ChecksPrivate):

            def check(n: str = name, p: ChecksPrivate = place) -> list[Finding]:
                return p.check_private(holders.manifest().private.get(n, {}))

            findings += found.collect(check, name)
    return findings


def _preflight_all(
    services: Services,
    plan: RecoveryPlan,
    destinations: Mapping[str, NamedDestination],
    run: str,
    found: Blockers,
) -> list[Finding]:
    """Check the targets and the steps, and that no target is production by mistake."""
    if not plan.request.over_production and not plan.beside:
        target = target_of(plan.plan, plan.request.target)
        part = part_of(plan)
        inside = part is not None and part.database is not None
        found.kept(
            lambda: require_elsewhere(services, plan.plan, target, destinations, run, inside=inside)
        )
    found.kept(lambda: require_within(plan))
    found.kept(lambda: require_whole(services, plan))
    if plan.continues is None:
        found.kept(lambda: require_approvable(_remaining_steps(plan), process.actor_here()))
    findings = found.collect(lambda: _preflight_steps(services, plan))
    if plan.continues is None:  # else some of it may be there already
        findings += found.collect(lambda: log_room(services, plan))
    findings += _groups(plan)
    signed = finding_about_signature(services, plan.plan, plan.point)
    findings += [signed] if signed is not None else []
    return findings + preflight_targets(services, plan, destinations, found)


def _groups(plan: RecoveryPlan) -> list[Finding]:
    """Return a finding for each group of components whose data times are too far apart."""
    return [
        Finding(
            "consistency",
            "warning",
            spread.names,
            f"{spread.words}, so this data may not fit together. The recovery restores all data, "
            "and then ends as failed",
            f"choose another restore point: `drd points {plan.plan.name}`, then add `--point ID`. "
            "If you need this point, continue: the restored data stays. After the recovery, "
            f"check yourself whether {some(spread.components)} fit together",
        )
        for spread in too_wide(plan.spreads(plan.components))
    ]


def require_answerable(services: Services, plan: RecoveryPlan) -> None:
    """Raise UsageError for a resumed recovery with a step that nobody could approve. Must be called
    before the resume is recorded."""
    if plan.continues is not None:
        run = services.catalogue.runs.get(plan.continues)
        actor = process.actor_here()
        require_still_approvable(services.catalogue, _remaining_steps(plan), run, actor)


def _remaining_steps(plan: RecoveryPlan) -> list[Step]:
    return [step for step in plan.plan.runbook if plan.left_out(step) is None]


def _wanted_first(plan: RecoveryPlan) -> dict[str, ComponentSnapshot]:
    """Return what is fetched during the preflight: nothing if a resumed run may already have it."""
    if plan.continues is not None:
        return {}
    first = at_once(plan.plan.runbook, plan.circumstances, plan.components)
    wanted = {name: plan.point.component(name) for name in first}
    return {name: s for name, s in wanted.items() if s is not None and s.snapshot is not None}


def preflight_targets(
    services: Services,
    plan: RecoveryPlan,
    destinations: Mapping[str, NamedDestination],
    found: Blockers,
) -> list[Finding]:
    """Check the places."""
    findings: list[Finding] = []
    refused: dict[str, TargetNotEmpty] = {}

    def checked(name: str, destination: NamedDestination) -> list[Finding]:
        try:
            return _preflight_target(services, plan, name, destination)
        except TargetNotEmpty as error:
            refused[name] = error
            raise

    for name, destination in destinations.items():
        findings += found.collect(lambda n=name, d=destination: checked(n, d), name)  # type: ignore[misc]
    missing = [name for name in destinations if name not in refused]
    if missing and plan.request.over_production and not plan.beside:
        alone = " ".join(f"--component {name}" for name in missing)
        for error in refused.values():
            error.hint += f" To restore only {some(missing, len(missing))}: add {alone}."
    return findings


def _preflight_target(
    services: Services, plan: RecoveryPlan, name: str, destination: NamedDestination
) -> list[Finding]:
    snapshot = plan.point.component(name)
    if snapshot is None or snapshot.snapshot is None:
        raise NoRestorePoint(
            f"restore point {plan.point.id} does not contain component {name}",
            hint=f"choose another restore point (drd points {plan.plan.name}), or restore only "
            f"the other components: --component NAME.{plan.former_names(name)}",
        )
    try:
        findings = destination.preflight(snapshot, overwrite=plan.request.overwrite)
        return [*findings, *usage.findings(services, plan, name, destination, snapshot)]
    except TargetNotEmpty as error:
        if not plan.request.over_production or plan.beside:
            raise
        raise TargetNotEmpty(
            f"this recovery would overwrite the production data of {name}: {error.message}",
            hint="if this data may be replaced, add --overwrite; to keep it, "
            f"{_elsewhere(plan, name, snapshot)}",
        ) from error


def _elsewhere(plan: RecoveryPlan, name: str, snapshot: ComponentSnapshot) -> str:
    part = part_of(plan)
    if part is not None and part.database is not None:
        return "restore to another name: --into NEW."
    if Ability.BESIDE in KINDS[snapshot.kind].can:
        return f"restore to another name or path: --component {name} --into NEW."
    return "recover to a target: --target NAME."


def _preflight_steps(services: Services, plan: RecoveryPlan) -> list[Finding]:
    """Check what the steps of the runbook lack on this host."""
    findings: list[Finding] = []
    earlier: list[Step] = []
    for step in plan.plan.runbook:
        if plan.left_out(step) is None:
            findings += preflight_step(services, step, earlier)
        earlier.append(step)
    return findings


def warn(services: Services, findings: Iterable[Finding]) -> None:
    """Say each warning once, though the recovery repeats the preflight that was confirmed."""
    for finding in findings:
        text = with_remedy(f"{finding.name}: {finding.text}", finding.remedy)
        if finding.severity == "warning" and text not in services.said:
            services.said.add(text)
            services.warn(text)

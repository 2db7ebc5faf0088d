"""The plan of a recovery: a value that is shown and confirmed before anything is touched."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from drd.errors import TargetError, UsageError
from drd.flows.component_names import require_components
from drd.flows.components.repository_choice import holders
from drd.flows.log.asked import orders, points_before
from drd.flows.log.orders import LogOrder
from drd.flows.repository.manifests import require_sound
from drd.flows.restore.expectations import (
    UNKNOWN,
    MeasuredBy,
    data_time_of,
    expected_time,
    losses_of,
    lost_rows,
)
from drd.flows.restore.failed_drills import failed_drill
from drd.flows.restore.point_choice import choose
from drd.flows.restore.recovery_request import RecoveryRequest, target_of
from drd.flows.restore.resecuring import with_approval
from drd.flows.restore.single_items import Single, component_of, single
from drd.flows.services import Services
from drd.flows.state.restored_points import restored_points
from drd.model.adopted import rolled_forward
from drd.model.consistency import Spread, measured
from drd.model.losses import ComponentLoss
from drd.model.plan import IN_PLACE, Plan
from drd.model.row_loss import RowLoss
from drd.model.run import Run, RunKind, about_all, taken_back
from drd.model.runbook import Circumstances, Step, unmet
from drd.model.snapshot import RestorePoint
from drd.model.text import escaped, some
from drd.model.units import format_time
from drd.model.verdicts import lost_words
from drd.ports import Ability


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """What a recovery would do: shown, confirmed, then executed.

    `loss_s` is the expected data loss in seconds, `losses` that of each component, `loss_rows` the
    loss in rows of those whose log is not replayed, as far as the points show it. `repositories`
    are tried in this order; lost repositories are left out if another one is left. `expected_s` is
    the duration that the newest drill measured, otherwise the newest recovery; None without both.
    `expected_steps` has the duration of each executed step. `asked_at` is when a person asked for
    the recovery. `continues` is the id of a dead run that would be resumed. `notes` are sentences
    about what speaks against the point, and what is left out. `outside` has, by component, the
    paths that the point would restore although the plan does not name them. If only a `single` part
    is restored, plan and point are limited to this part. `clean` says why the point is the clean
    point of an incident. `logs` has by component what is replayed of its log."""

    plan: Plan
    request: RecoveryRequest
    point: RestorePoint
    asked_at: datetime
    components: tuple[str, ...]
    lost_at: datetime
    loss_s: float
    losses: tuple[ComponentLoss, ...]
    loss_rows: tuple[RowLoss, ...]
    repositories: tuple[str, ...]
    expected_s: float | None
    measured_by: MeasuredBy
    expected_steps: Mapping[str, float]
    continues: str | None
    notes: tuple[str, ...]
    single: Single | None = None
    outside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clean: str = ""
    logs: Mapping[str, LogOrder] = field(default_factory=dict)

    @property
    def partial(self) -> bool:
        """Whether only some components or parts were requested: then the duration proves nothing
        about the service."""
        return self.single is not None or bool(self.request.some(self.plan))

    @property
    def not_restored(self) -> tuple[str, ...]:
        """The plan's components that stay unchanged; empty for a single thing."""
        if self.single is not None:
            return ()
        return tuple(n for n in self.plan.components if n not in self.components)

    @property
    def circumstances(self) -> Circumstances:
        """The circumstances that conditions of steps refer to."""
        return _circumstances(self.plan, self.request)

    def left_out(self, step: Step) -> str | None:
        """Return why a step will be left out, if drd knows it beforehand; else None."""
        if step.when is not None and step.when.step is not None:
            return None
        return unmet(step, {}, self.circumstances)

    @property
    def until(self) -> datetime | None:
        """The time at which a restore stops that replays a log. The data time of such a point is
        not exact."""
        return _before(self.request)

    def spreads(self, restored: Collection[str]) -> list[Spread]:
        """Return how far apart the data times are in each group of components. A group counts only
        if all its components are restored from the point: if drd replays the log of a component,
        its data time is another."""
        times = {
            one.component: one.data_time
            for one in self.point.components
            if one.component in restored and one.component not in self.logs
        }
        spreads = measured(self.plan.consistency, times)
        return [spread for spread in spreads if spread.spread_s is not None]

    def former_names(self, name: str) -> str:
        """Return a sentence about components of the same kind that the point contains but the plan
        does not: this component may have had one of their names. Empty if there are none."""
        kind = self.plan.components[name].kind
        former = [
            escaped(row.component)
            for row in self.point.components
            if row.snapshot is not None
            and row.kind == kind
            and row.component not in self.plan.components
        ]
        if not former:
            return ""
        return (
            f" The point contains {some(former)}, which the plan does not have. If {name} "
            "had another name then, write the former name into the plan for this recovery."
        )

    @property
    def loss_at_most(self) -> bool:
        """Whether drd knows the expected data loss only after the replay, which ends at a position
        or a transaction: it is not more than `loss_s`."""
        return any(order.data_time is None for order in self.logs.values())

    @property
    def beside(self) -> bool:
        """Whether the restored data gets a new name, and existing data stays unchanged."""
        return self.request.beside


def plan_recovery(
    services: Services, plan: Plan, request: RecoveryRequest, *, continues: Run | None = None
) -> RecoveryPlan:
    """Choose the point and compute the plan, without access to target or repository. `continues` is
    the run to resume; without it, a dead run with the same request is resumed.

    Raises UsageError for missing names, NoRestorePoint, or TargetError for a point that is
    incomplete or from after the stated loss."""
    names = _components(plan, request)
    if request.part is None:
        _require_able(services, plan, request, names)
    only = request.only(plan)
    continued = continues or _abandoned(services, plan, request)
    now = services.clock.now()
    begun = continued.started_at if continued is not None else None
    lost_at = request.lost_at or begun or now
    if continued is not None:
        point = _chosen_before(services, plan, request, continued)
    else:
        point = _choose(services, plan, request, names)
    held, away = _reachable_repositories(
        services, plan, [spec.name for spec in holders(plan, point, only)]
    )
    chosen = replayed = None
    if request.part is not None:
        names = (component_of(services, plan, point, names, request.part),)
        _require_able(services, plan, request, names)
        replayed = _logs(services, plan, request, point, names)
        replays = bool(replayed[0])
        chosen = single(services, plan, point, names[0], request.part, replays=replays)
        plan, point = chosen.plan, chosen.point
    forgotten = _forgotten(plan, request, names)
    names = tuple(n for n in names if n not in forgotten)
    run, around = continued.id if continued is not None else None, _circumstances(plan, request)
    plan = with_approval(services, plan, request, names, point=point, around=around, run=run)
    whole = chosen is None or chosen.part.is_whole
    takes = expected_time(services, plan) if whole else UNKNOWN
    logs, without = replayed or _logs(services, plan, request, point, names)
    data_of_recoveries = restored_points(services.catalogue, plan.name, [point]).values()
    return RecoveryPlan(
        plan=plan,
        request=request,
        point=point,
        components=names,
        asked_at=now,
        lost_at=lost_at,
        loss_s=max(0.0, (lost_at - data_time_of(point, names, logs)).total_seconds()),
        losses=losses_of(point, names, logs, lost_at) if chosen is None else (),
        loss_rows=lost_rows(services, point, [n for n in names if n not in logs], lost_at)
        if chosen is None
        else (),
        repositories=held,
        expected_s=takes.whole_s,
        measured_by=takes.measured_by,
        expected_steps=takes.steps,
        continues=run,
        notes=(
            *away,
            *without,
            *failed_drill(services, plan, point),
            *(restored.sentence() for restored in data_of_recoveries),
            *(_notes(plan, request, names, forgotten) if chosen is None else chosen.notes),
        ),
        single=chosen,
        outside=_outside(services, plan, point, names),
        logs=logs,
    )


def _logs(
    services: Services,
    plan: Plan,
    request: RecoveryRequest,
    point: RestorePoint,
    names: Sequence[str],
) -> tuple[dict[str, LogOrder], list[str]]:
    """Return the parts of logs that the recovery replays, with notes. For a single database, table
    or file, drd replays a log only if the person names a place in the log: people usually want an
    older state than the newest."""
    asked = request.log is not None or _before(request) is not None
    if (request.part is not None and not asked) or request.clean_for is not None:
        return {}, []
    named = request.point is not None
    before = request.before if named else _before(request)
    only = request.only(plan)
    return orders(
        services, plan, point, names, said=request.log, before=before, named=named, only=only
    )


def _outside(
    services: Services, plan: Plan, point: RestorePoint, names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    rows = {n: row for n in names if (row := point.component(n)) is not None and row.snapshot}
    outside = {
        n: services.kinds(plan.components[n].kind).outside(plan.components[n], row)
        for n, row in rows.items()
    }
    return {n: paths for n, paths in outside.items() if paths}


def require_within(plan: RecoveryPlan) -> None:
    """Raise TargetError if the point would restore to paths that the plan does not name, unless
    accepted: the plan is the operator's, but the point may have been written by others."""
    if not plan.outside or plan.request.accept_paths:
        return
    named = "; ".join(f"{n}: {', '.join(paths[:20])}" for n, paths in plan.outside.items())
    raise TargetError(
        f"restore point {plan.point.id} contains paths that plan {plan.plan.name} does not name "
        f"({named})",
        hint="if an earlier version of the plan had these paths, add --accept-paths; if not, find "
        "out who made this restore point before you restore it.",
    )


def _before(request: RecoveryRequest) -> datetime | None:
    return request.before or (request.lost_at if request.point is None else None)


def _stopping_at(point: RestorePoint, before: datetime | None) -> RestorePoint:
    """Return the point as it was before a time, if its log leads beyond that."""
    if before is None or point.data_time < before or not rolled_forward(point):
        return point
    return replace(point, data_time=before)


def _chosen_before(
    services: Services, plan: Plan, request: RecoveryRequest, run: Run
) -> RestorePoint:
    """Return the point that a run to resume has chosen."""
    point = services.catalogue.points.get(plan.name, str(run.detail.point))
    point = _stopping_at(point, _before(request))
    require_sound(services.kinds, point, plan)
    return point


def _choose(
    services: Services, plan: Plan, request: RecoveryRequest, names: Sequence[str]
) -> RestorePoint:
    before = _before(request)
    only = request.only(plan)
    among = None
    if request.point is None:
        among = points_before(services, plan, names, only, said=request.log, before=before)
    chosen = choose(
        services,
        plan,
        point=request.point,
        before=before,
        held_by=only,
        among=among,
        exactly=True,
    )
    point = _stopping_at(chosen.point, before)
    if request.lost_at is not None and point.data_time > request.lost_at:
        raise TargetError(
            f"the data of restore point {point.id} is of "
            f"{format_time(point.data_time, seconds=True)}, later than the loss that --lost-at "
            f"states: {format_time(request.lost_at, seconds=True)}",
            hint="leave out --point: drd then uses the newest point before the loss. Or "
            f"choose another point: drd points {plan.name}",
        )
    return point


def _components(plan: Plan, request: RecoveryRequest) -> tuple[str, ...]:
    target = target_of(plan, request.target)
    require_components(plan.name, plan.components, request.components)
    for name in request.components:
        if name not in target.components:
            raise UsageError(
                f"target {target.name} has no place for component {name}",
                hint=f"add a place under `targets` in {plan.file}, or choose another component: "
                f"target {target.name} has places for {', '.join(target.components)}.",
            )
    chosen = request.components or tuple(target.components)
    return tuple(n for n in plan.components if n in chosen)


def _require_able(
    services: Services, plan: Plan, request: RecoveryRequest, names: Sequence[str]
) -> None:
    """Raise NotSupported for what the kind of a component is not able to do."""
    for name in names:
        component = plan.components[name]
        spec = services.kinds(component.kind).spec.of(component.settings)
        if request.target == IN_PLACE and not spec.inside(request.part):
            where = f"restore to a target: --target {next(iter(plan.targets), 'NAME')}"
            spec.require(Ability.IN_PLACE, where, component=name)
        if request.as_owner and not spec.inside(request.part):
            spec.require(Ability.AS_OWNER, "leave out --as-owner.", component=name)
        if request.overwrite and not request.no_undo:
            at_once = "add --no-undo: drd then removes the present data at once, for good."
            spec.require(Ability.KEEP, at_once, component=name)


def _circumstances(plan: Plan, request: RecoveryRequest) -> Circumstances:
    return Circumstances(request.scenario, request.target, request.some(plan))


def _forgotten(plan: Plan, request: RecoveryRequest, names: Sequence[str]) -> tuple[str, ...]:
    """Components that no step of the runbook restores in these circumstances. Raises UsageError if
    that is all of them."""
    circumstances = _circumstances(plan, request)
    restoring = [
        s
        for s in plan.runbook
        if s.kind == "restore"
        and (
            (s.when is not None and s.when.step is not None) or unmet(s, {}, circumstances) is None
        )
    ]
    restored = {n for s in restoring for n in s.subjects}
    forgotten = tuple(n for n in names if n not in restored) if plan.runbook else ()
    if forgotten and len(forgotten) == len(names):
        raise UsageError(
            f"no step of the runbook restores {', '.join(forgotten)} in this recovery",
            hint=f"add a restore step to the runbook in {plan.file}. If the runbook has such a "
            "step with a condition (`when`), use the --scenario or --target of this condition.",
        )
    return forgotten


def _reachable_repositories(
    services: Services, plan: Plan, holding: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Repositories that are not known to be lost, or all if all are; and notes about the others.
    Each is checked all the same: it may be back."""
    lost = {k.repository: k.lost for k in services.catalogue.health.of_plan(plan.name) if k.lost}
    reachable = tuple(name for name in holding if name not in lost)
    notes = tuple(
        f"repository {name} {lost_words(lost[name])}, as far as drd knows; drd reads from "
        "this repository only if that is possible again"
        for name in holding
        if name in lost
    )
    return reachable or tuple(holding), notes


def _notes(
    plan: Plan, request: RecoveryRequest, names: Sequence[str], forgotten: Sequence[str]
) -> tuple[str, ...]:
    left_out = [n for n in plan.components if n not in (*names, *forgotten)]
    why = (
        "--component does not name them"
        if request.components
        else f"target {request.target} has no place for {', '.join(left_out)}"
    )
    notes = [f"not restored: {', '.join(left_out)} ({why})"] if left_out else []
    if forgotten:
        them = ", ".join(forgotten)
        notes.append(f"not restored: {them} (no step of the runbook restores {them})")
    return tuple(notes)


def _abandoned(services: Services, plan: Plan, request: RecoveryRequest) -> Run | None:
    """Return the interrupted recovery with the same request, which this command resumes; its point
    is chosen already. Warns of each open recovery that the command does not resume."""
    for run in services.catalogue.runs.abandoned(plan.name):
        if run.kind is not RunKind.RECOVERY or not run.detail.point:
            continue
        with suppress(UsageError):
            if RecoveryRequest.of_run(run).detail() != request.detail():
                continue
            if (
                back := taken_back(about_all(services.catalogue.decisions.of_run(run.id)))
            ) is not None:
                doubt: str | None = f"it was {back}"
            else:
                doubt = services.row_trust.doubts(run)
            if doubt is None:
                return run
            services.warn(
                f"this command starts a new recovery. It does not continue run {run.id}. Reason: "
                f"{doubt}"
            )
    return None

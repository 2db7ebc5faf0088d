"""Read the place at which a recovery should stop: a time, a position in the log, a transaction, or
the end of the log, as a person writes it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from drd.errors import DrdError, NoRestorePoint, NotSupported, UsageError
from drd.flows.log.bases import bases, data_time_in
from drd.flows.log.orders import LogOrder, able, order_for
from drd.flows.log.repository import with_logs
from drd.flows.services import Services
from drd.model.log import LogTarget
from drd.model.plan import Plan
from drd.model.snapshot import RestorePoint
from drd.model.text import some
from drd.model.units import exact_time, format_time
from drd.ports import Ability, KindFactory

LAST = "last"


def is_place(kinds: KindFactory, plan: Plan, text: str) -> bool:
    """Return whether the text is a position or a transaction in the log of a component; False for
    a time.
    """
    able_kinds = (kinds(c.kind) for c in plan.components.values())
    return any(k.log_target(text) is not None for k in able_kinds if Ability.LOG in k.spec.can)


def target_of(
    services: Services, plan: Plan, component: str, said: str | None, before: datetime | None
) -> LogTarget:
    """Return the target that `said` names: a position, a transaction, or the end of the log
    (`last`). Without `said`, return the time `before` as the target.
    """
    if said is None or said == LAST:
        return LogTarget(before=before if said is None else None)
    kind = plan.components[component].kind
    target = services.kinds(kind).log_target(said)
    if target is None:
        raise UsageError(
            f"{said} is neither a position nor a transaction in the log of {component}, which is "
            f"of kind {kind}",
            hint=f"give a time; or name the component whose log contains {said}: --component NAME",
        )
    return target


def points_before(
    services: Services,
    plan: Plan,
    names: Sequence[str],
    held_by: Collection[str] | None,
    *,
    said: str | None,
    before: datetime | None,
) -> list[str] | None:
    """Return the ids of the points with which a replay to the place in `said`, or to the time
    `before`, can begin, and that one of the repositories `held_by` has; None if that excludes no
    point. `names` are the components to restore. Raises NoRestorePoint if all points end later."""
    if said is not None and said != LAST:
        return _before_place(services, plan, said, held_by)
    if before is None:
        return None
    every = [_before_time(services, plan, n, before, held_by) for n in able(services, plan, names)]
    known = [ids for ids in every if ids]
    return [one for one in known[0] if all(one in ids for ids in known)] if known else None


def _before_time(
    services: Services, plan: Plan, name: str, before: datetime, held_by: Collection[str] | None
) -> list[str]:
    """Return the points whose copy of the component is from before a time; empty if there are no
    points. Raises NoRestorePoint."""
    points = [point for point, _ in bases(services, plan, name, held_by)]
    ids = [p.id for p in points if data_time_in(p, name) < before]
    if points and not ids:
        oldest = data_time_in(points[-1], name)
        raise NoRestorePoint(
            f"plan {plan.name} has no complete restore point with data of {name} from before "
            f"{exact_time(before)}; the oldest is of {exact_time(oldest)}",
            hint=f"choose another restore point: drd points {plan.name}",
        )
    return ids


def _before_place(
    services: Services, plan: Plan, said: str, held_by: Collection[str] | None
) -> list[str] | None:
    """Return the points that end before a position or transaction. If drd would have to read the
    log to know it of each point, return those."""
    for name in able(services, plan, tuple(plan.components)):
        kind = services.kinds(plan.components[name].kind)
        target = kind.log_target(said)
        points = bases(services, plan, name, held_by)
        if target is None or not points:
            continue
        leading: dict[bool | None, list[str]] = {True: [], None: [], False: []}
        for point, _ in points:
            row = point.component(name)
            leading[kind.log_leads(row, target) if row is not None else None].append(point.id)
        if found := leading[True] or leading[None]:
            return found
        ends = f" The oldest restore point ends at {kind.log_place(points[-1][1].position)}"
        raise NoRestorePoint(
            f"plan {plan.name} has no restore point of {name} that ends before {said}.{ends}",
            hint=f"choose a restore point: drd points {plan.name}",
        )
    return None


def orders(
    services: Services,
    plan: Plan,
    point: RestorePoint,
    names: Sequence[str],
    *,
    said: str | None,
    before: datetime | None,
    named: bool,
    only: Sequence[str] | None,
) -> tuple[dict[str, LogOrder], list[str]]:
    """Return, by component, the logs that the recovery replays, and notes for the person. If the
    person `named` the point, but no time or position, no log is replayed. Raises NotSupported or
    NoRestorePoint if the time or position that the person named cannot be reached; raises the
    errors of the repository."""
    have = able(services, plan, names)
    if said is not None and not have:
        for name in names:
            component = plan.components[name]
            spec = services.kinds(component.kind).spec.of(component.settings)
            spec.require(Ability.LOG, f"choose a restore point: drd points {plan.name}",
                         component=name)  # fmt: skip
    if not have or (named and said is None and before is None):
        return {}, []
    wanted = said is not None or before is not None
    log_orders, notes = {}, list[str]()
    if only is not None and not with_logs(plan, only):
        return _no_place(only, wanted=said is not None)
    for name in have:
        try:
            target = target_of(services, plan, name, said, before)
            log_orders[name] = order = order_for(services, plan, point, name, target, only=only)
            notes += _about(order)
        except NoRestorePoint as error:
            if wanted:
                raise
            notes.append(f"drd restores {name} without its log: {error.message}")
        except DrdError as error:
            error.hint = (
                f"{error.hint or ''} To recover without the log, add: --point {point.id}".strip()
            )
            raise
    return log_orders, notes


def _about(order: LogOrder) -> list[str]:
    """Return what a person has to know of an order before drd carries it out."""
    notes = [order.doubt] if order.doubt else []
    if order.passed_over:
        notes.append(
            f"drd reads the log of {order.component} from repository {order.repository}, where it "
            f"ends at {format_time(order.end.at, seconds=True)}. {order.passed_over}"
        )
    return notes


def _no_place(only: Collection[str], *, wanted: bool) -> tuple[dict[str, LogOrder], list[str]]:
    """Return no logs, and a note that the repositories of a recovery have no place for a log beside
    them. Raises NotSupported if the person asked for the log."""
    text = (
        "this recovery does not replay the log: drd does not store the log beside "
        f"{some(list(only))}, because this is a whole bucket or server"
    )
    if wanted:
        raise NotSupported(
            text,
            hint="leave out --to-last or the position; or leave out --repository to use all "
            "repositories.",
        )
    return {}, [text]


def rehearsing(
    services: Services,
    plan: Plan,
    point: RestorePoint,
    names: Sequence[str],
    only: Collection[str] | None,
) -> dict[str, LogOrder]:
    """Return, by component, the log that a drill replays. If drd cannot replay the log of a
    component, it warns, and names the reason.
    """
    log_orders = dict[str, LogOrder]()
    if not with_logs(plan, only):
        return log_orders
    for name in able(services, plan, names):
        try:
            order = order_for(services, plan, point, name, LogTarget(), only=only)
        except NoRestorePoint as error:
            services.warn(
                f"this drill does not replay the log of {name}, and proves only the restore "
                f"point: {error.message}"
            )
            continue
        log_orders[name] = replace(order, target=LogTarget(rehearses=True))
    return log_orders

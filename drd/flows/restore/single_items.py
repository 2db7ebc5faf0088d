"""Restore a single item: one component under another name, a database of a server, tables, files.

This uses the same code as every recovery. Before the recovery begins, this module limits the point
to the item, and the runbook to the steps that restore and compare the item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from drd.errors import DrdError, NoRestorePoint, NotInPoint, UsageError
from drd.flows.services import Services
from drd.model.difference import Difference, difference
from drd.model.plan import Component, Plan
from drd.model.run import CheckResult, CheckVerdict
from drd.model.runbook import Step, wants_two_persons
from drd.model.single_item import Part
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    Fingerprint,
    RestorePoint,
    TreeFingerprint,
)
from drd.model.text import escaped, left_out
from drd.model.units import format_time
from drd.ports import Ability

LIVE_S = 20.0
"""Time limit for reading the live data before a recovery begins."""

_COMPARE = "compare-it"
_TITLE = 50
_LOOKED_AT = 50
"""The number of points that are searched: each is read with its fingerprints."""


_SOME_NAME = "drd_copy"
_IF_GONE = (
    "If it was removed before this point was made, add --component NAME: then drd names the last "
    "point that has it."
)


@dataclass(frozen=True, slots=True)
class Single:
    """The `part` with its names in the point; the point and the plan, limited to this part.
    `left_out` are the plan's checks that need more than the part. `notes` name the plan's steps
    that would change the restored data, and that drd leaves out."""

    part: Part
    plan: Plan
    point: RestorePoint
    left_out: tuple[CheckResult, ...] = ()
    notes: tuple[str, ...] = ()


def component_of(
    services: Services, plan: Plan, point: RestorePoint, names: Sequence[str], part: Part
) -> str:
    """Return the component from which the part is restored. If several are possible, return the
    component that contains the part at the point. Raises UsageError if this is not clear, and
    NotInPoint if no component contains it."""
    able = [n for n in names if services.kinds(plan.components[n].kind).spec.has(part)]
    if len(able) > 1 and not part.is_whole:
        lacking = {n: _lacks(services, plan, point, n, part) for n in able}
        if all(isinstance(why, NotInPoint) for why in lacking.values()):
            raise _nowhere(part, {n: why.hint for n, why in lacking.items() if why is not None})
        able = [n for n in able if lacking[n] is None] or able
    if len(able) == 1 or len(names) == 1:
        return (able or list(names))[0]
    what = "--table" if part.tables else "--path" if part.paths else "--into"
    what = what if part.database is None else "--database"
    raise UsageError(
        f"{what} restores from a single component, but --component is missing",
        hint=f"add --component NAME; possible names: {', '.join(able or names)}.",
    )


def _lacks(
    services: Services, plan: Plan, point: RestorePoint, name: str, part: Part
) -> UsageError | None:
    """Return why the part cannot be restored from this component; None if it can."""
    snapshot = point.component(name)
    if snapshot is None or snapshot.snapshot is None:
        return NotInPoint(f"this restore point does not contain component {name}")
    # Where the name of the copy is missing, the component that has the table says so.
    named = replace(part, into=part.into or _SOME_NAME) if part.tables else part
    try:
        services.kinds(plan.components[name].kind).narrow(snapshot, named)
    except UsageError as error:
        return error
    return None


def _nowhere(part: Part, hints: Mapping[str, str | None]) -> NotInPoint:
    asked = part.tables or part.paths or (part.database or "",)
    what = "--table" if part.tables else "--path" if part.paths else "--database"
    return NotInPoint(
        f"no component of this restore point contains {what} {', '.join(map(escaped, asked))}",
        hint="\n".join([*(f"{name}: {hint}" for name, hint in hints.items() if hint), _IF_GONE]),
    )


def single(
    services: Services,
    plan: Plan,
    point: RestorePoint,
    name: str,
    part: Part,
    *,
    replays: bool = False,
) -> Single:
    """Limit the plan and the point to the item. If the recovery `replays` a log, the item may be
    newer than the point: then drd checks after the replay whether it exists. Raises UsageError if
    the point does not contain the item or the kind cannot restore it alone, NoRestorePoint if the
    point does not contain the component."""
    snapshot = point.component(name)
    if snapshot is None or snapshot.snapshot is None:
        raise NoRestorePoint(
            f"restore point {point.id} does not contain component {name}",
            hint=f"choose another restore point: drd points {plan.name}",
        )
    component = plan.components[name]
    kind = services.kinds(component.kind)
    kind.spec.of(component.settings).require_part(part, name)
    try:
        part, snapshot = kind.narrow(snapshot, part)
    except NotInPoint as error:
        if replays:
            snapshot = replace(snapshot, fingerprint=None)
            return _limited(services, plan, point, part, snapshot)
        older = _older_with_it(services, plan, point, name, part)
        if older is not None:
            at = format_time(older.data_time, seconds=True)
            error.hint = (
                f"use the newest restore point that contains what you want, of {at}: --point "
                f"{older.id}"
            )
        raise
    if part.is_whole:
        return Single(part, _with_comparison(services, plan, component), point)
    return _limited(services, plan, point, part, snapshot)


def _limited(
    services: Services, plan: Plan, point: RestorePoint, part: Part, snapshot: ComponentSnapshot
) -> Single:
    name = snapshot.component
    others = tuple(snapshot if c.component == name else c for c in point.components)
    return Single(
        part,
        _only(services, plan, plan.components[name], part),
        replace(point, components=others),
        tuple(_left_out(plan, name, part)),
        tuple(_steps_left_out(plan, name, part)),
    )


def _older_with_it(
    services: Services, plan: Plan, point: RestorePoint, name: str, part: Part
) -> RestorePoint | None:
    """Return the newest complete point before this one that contains it: it may have been deleted
    before this one was made."""
    kept = (p for p in services.catalogue.points.of_plan(plan.name) if p.complete)
    earlier = sorted((p for p in kept if p.data_time < point.data_time), key=lambda p: p.data_time)
    for known in reversed(earlier[-_LOOKED_AT:]):
        whole = services.catalogue.points.get(plan.name, known.id)
        if _lacks(services, plan, whole, name, part) is None:
            return whole
    return None


def _only(services: Services, plan: Plan, component: Component, part: Part) -> Plan:
    """Return the plan, limited to restoring it and comparing it with the point, after the approval
    of two persons if the plan requires that."""
    compares = services.compares(component, f"{_titled(part)} as at backup")
    checks = () if compares is None else (compares,)
    steps = [_without_references(s) for s in plan.runbook if wants_two_persons(s)]
    steps.append(Step("bring-back", "restore", (component.name,)))
    if checks:
        steps.append(Step(_COMPARE, "check", tuple(c.name for c in checks)))
    steps += [_inside(s) for s in plan.runbook if _is_about(s, component.name, part)]
    return replace(plan, runbook=tuple(steps), checks=checks)


def _is_about(step: Step, name: str, part: Part) -> bool:
    """Return whether the step names the restored database, as the step that repeats the erasures
    does."""
    if part.has_items or part.database is None or step.component != name:
        return False
    return getattr(step.settings, "database", None) == part.database


def _inside(step: Step) -> Step:
    """Return the step for a component that is now only the database that the step names."""
    settings: Any = step.settings
    alone = settings.model_copy(update={"database": None})
    return replace(_without_references(step), settings=alone)


def _steps_left_out(plan: Plan, name: str, part: Part) -> Iterator[str]:
    """Yield a note for each step that changes a database of the component without naming it: drd
    does not know whether it is the restored one."""
    if part.has_items:
        return
    for step in plan.runbook:
        known = getattr(step.settings, "database", None)
        if step.component == name and known is None:
            yield (
                f"drd leaves out step {step.name}, because it does not name the database of {name} "
                "that it changes. If the restored database needs this step, carry it out yourself"
            )


def _without_references(step: Step) -> Step:
    """Return the step without its references to other steps."""
    when = replace(step.when, step=None, ended=()) if step.when is not None else None
    return replace(step, needs=None, group=None, when=when)


def _with_comparison(services: Services, plan: Plan, component: Component) -> Plan:
    """Add a comparison, if no check covers the item and no step changes it on purpose."""
    name = component.name
    changed = any(s.component == name for s in plan.runbook)
    compares = services.compares(component, f"{name} as at backup")
    if compares is None or changed or any(c.component == name for c in plan.checks):
        return plan
    steps = (*plan.runbook, Step(_COMPARE, "check", (compares.name,)))
    return replace(plan, checks=(*plan.checks, compares), runbook=steps)


def _titled(part: Part) -> str:
    first, *more = map(escaped, part.names)
    first = first if len(first) <= _TITLE else f"{first[:_TITLE]}…"
    return first + left_out(len(more))


def _left_out(plan: Plan, name: str, part: Part) -> list[CheckResult]:
    what = "single tables were" if part.tables else "single files were"
    what = what if part.has_items else f"database {part.database} was"
    return [
        CheckResult(
            check.name,
            name,
            CheckVerdict.NOT_RUN,
            f"the check needs all data of {name}, but only {what} restored",
            "",
            part=True,
            looked_at_data=False,
        )
        for check in plan.checks
        if check.component == name
    ]


# --- what is there now ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """The rows of a table, None if nobody counted them; or the entries of a path, with their size
    in bytes."""

    count: int | None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One thing at the point (`was`) and live (`now`); None if it does not exist there."""

    name: str
    was: Held | None
    now: Held | None


@dataclass(frozen=True, slots=True)
class Changes:
    """How the point and the live data differ in the requested things; `unknown` says why that is
    not known. `found` has all differences, `things` each thing that was requested by name."""

    things: tuple[ItemChange, ...] = ()
    found: Difference | None = None
    unknown: str | None = None


def changes(
    services: Services, component: Component, snapshot: ComponentSnapshot | None, part: Part
) -> Changes:
    """Read the source, with a short timeout; an error there is returned, never raised."""
    like = snapshot.fingerprint if snapshot is not None else None
    if like is None or (isinstance(like, DatabaseFingerprint) and like.mode == "off"):
        return Changes(unknown="the restore point does not contain a fingerprint")
    kind = services.kinds(component.kind)
    try:
        spec = kind.spec.of(component.settings)
        spec.require(Ability.LIVE, component=component.name)
        now = kind.live(component, part, like, LIVE_S)
    except DrdError as error:
        return Changes(unknown=f"drd cannot read the live data: {error.message}")
    differences = difference(like, now, owners=services.is_root)
    return Changes(tuple(_things(like, now, part)), differences)


def _things(was: Fingerprint, now: Fingerprint, part: Part) -> list[ItemChange]:
    if not part.has_items:
        return []
    keys = (*part.tables, *part.paths)
    named = zip(part.names, keys, strict=True)
    return [ItemChange(name, _held(was, key), _held(now, key)) for name, key in named]


def _held(fingerprint: Fingerprint, name: str) -> Held | None:
    """Return a fingerprint's record of a table or path."""
    if isinstance(fingerprint, TreeFingerprint):
        return _held_files(fingerprint, name)
    names = fingerprint.partitioned.get(name, (name,))
    known = [fingerprint.tables[n].rows for n in names if n in fingerprint.tables]
    if any(n in fingerprint.not_reached for n in names):
        return Held(None)
    return Held(sum(known)) if known or name in fingerprint.partitioned else None


def _held_files(tree: TreeFingerprint, path: str) -> Held | None:
    below = [e for p, e in tree.entries.items() if p == path or p.startswith(f"{path}/")]
    if not below:
        return None
    return Held(len(below), sum(e.size for e in below if e.kind == "file"))

"""List what a restore point contains, and mount it: how a person finds what to recover."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from posixpath import dirname

from drd.errors import DrdError, NoRestorePoint, NotInPoint, UsageError
from drd.flows.component_names import require_components
from drd.flows.components.repository_choice import Holders
from drd.flows.repository.adopted import refuse_counts
from drd.flows.repository.identity import confirm
from drd.flows.services import Services
from drd.model.contents import Contents, Item
from drd.model.plan import Plan
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.model.text import in_commands
from drd.ports import Ability, Holds


@dataclass(frozen=True, slots=True)
class Listed:
    """One component of a point: its contents, or why drd cannot list them. `holds` says what it
    consists of, `untimed` why the times of its files are unknown. If it is `alone`, drd can restore
    single items of it. If it is `beside`, drd can restore a copy of the whole component under
    another name."""

    component: str
    kind: str
    holds: Holds
    contents: Contents | None = None
    error: DrdError | None = None
    untimed: DrdError | None = None
    alone: bool = True
    beside: bool = False


def listed(
    services: Services,
    plan: Plan,
    point: RestorePoint,
    components: Sequence[str],
    within: str | None,
) -> list[Listed]:
    """List the given components, or all components of the point; with `within`, those that contain
    it. Names and sizes come from the catalogue, the times of files from a repository. Raises the
    error of a single component, and NotInPoint when no component contains `within`."""
    captured = _captured(plan, point, components)
    if not any(s.fingerprint for s in captured.values()):
        refuse_counts(plan, point)
    every = [_listed(services, captured[name], within) for name in captured]
    for error in (each.error for each in every if each.error is not None):
        error.hint = in_commands(error.hint, plan=f"{plan.name} {point.id}")
    if within is not None:
        every = [each for each in every if each.contents is not None] or every
    if all(each.error is not None for each in every):
        raise _refusal(every, f"{within}", f"drd ls {plan.name} {point.id}")
    holders = Holders(services, plan, point)
    return [_timed(holders, each, captured[each.component]) for each in every]


def _refusal(every: Sequence[Listed], within: str, whole: str) -> DrdError:
    errors = [each.error for each in every if each.error is not None]
    missing = [each for each in every if isinstance(each.error, NotInPoint)]
    meant = Holds.PATHS if "/" in within else Holds.TABLES
    likely = [each for each in missing if each.holds is meant] or missing
    if len(likely) < 2:
        return next((each.error for each in likely if each.error is not None), errors[0])
    names = ", ".join(each.component for each in likely)
    return NotInPoint(
        f"{within} is not in this restore point (drd searched in {names})",
        hint=f"to see what the components contain: {whole}",
    )


def _captured(
    plan: Plan, point: RestorePoint, components: Sequence[str]
) -> dict[str, ComponentSnapshot]:
    require_components(plan.name, plan.components, components)
    there = {c.component: c for c in point.components if c.snapshot is not None}
    for name in components:
        if name not in there:
            raise NoRestorePoint(
                f"restore point {point.id} does not contain component {name}",
                hint=f"choose another restore point: drd points {plan.name}",
            )
    chosen = {n: s for n, s in there.items() if n in plan.components}
    return {n: s for n, s in chosen.items() if not components or n in components}


def _listed(services: Services, snapshot: ComponentSnapshot, within: str | None) -> Listed:
    kind = services.kinds(snapshot.kind)
    spec = kind.spec
    empty = Listed(
        snapshot.component,
        spec.name,
        spec.holds,
        alone=Ability.PARTS in spec.can,
        beside=Ability.BESIDE in spec.can,
    )
    try:
        return replace(empty, contents=kind.contents(snapshot, within))
    except UsageError as error:
        return replace(empty, error=error)


def _timed(holders: Holders, found: Listed, snapshot: ComponentSnapshot) -> Listed:
    """Add the times of files, which only the repository knows."""
    if found.contents is None or found.holds is not Holds.PATHS or not found.contents.items:
        return found
    assert snapshot.snapshot is not None
    times: dict[str, datetime] = {}
    try:
        for directory in sorted({dirname(item.name) for item in found.contents.items}):
            times.update(holders.changed(found.component, snapshot.snapshot, directory))
    except DrdError as error:
        return replace(found, untimed=error)

    def timed(item: Item) -> Item:
        return replace(item, changed=times.get(item.name))

    items = tuple(timed(item) for item in found.contents.items)
    return replace(found, contents=replace(found.contents, items=items))


def mount(
    services: Services,
    plan: Plan,
    point: RestorePoint,
    components: Sequence[str],
    *,
    into: Path,
    on_ready: Callable[[str, Mapping[str, str]], None],
    only: Collection[str] | None = None,
) -> None:
    """Mount the point, limited to `components`, until a cancel, from the repository that a recovery
    would choose, of those in `only`. `on_ready` gets the repository, and by component the id of its
    snapshot there."""
    captured = _captured(plan, point, components)
    snapshots = {n: s.snapshot for n, s in captured.items() if s.snapshot is not None}
    holders = Holders(services, plan, point, only=only)
    holders.choose(lambda repository: confirm(services, repository, writing=False))
    holders.mount(into, snapshots, on_ready)

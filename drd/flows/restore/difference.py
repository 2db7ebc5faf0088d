"""Compare a restore point with another one, or with the live service."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import uuid4

from drd.errors import NotSupported, SourceError, SourceUnreachable, UsageError
from drd.flows.component_names import require_components
from drd.flows.repository.adopted import refuse_counts
from drd.flows.restore.restored_fingerprint import (
    BUDGET_S,
    EVERY_ROW,
    require_tables,
    restored_fingerprint,
)
from drd.flows.services import Services
from drd.flows.state.run_dirs import component_place
from drd.flows.state.run_removal import remove_run
from drd.model.difference import Difference, Side, difference
from drd.model.plan import Component, Plan
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint, RestorePoint
from drd.model.text import escaped
from drd.ports import Ability, Holds, ReadsNow, RestoresInside, Source
from drd.ports.kinds import Compared
from drd.process.accounts import as_here
from drd.registry import KINDS

LIVE = "live"
_RESTORED = (
    " To compare this restore point now, add --restored: drd then restores it into a sandbox."
)


@dataclass(frozen=True, slots=True)
class LiveDifference:
    """The differences that `b` has against `a`."""

    plan: str
    component: Component
    a: Side
    b: Side
    found: Difference
    covers: Compared


def compare(
    services: Services,
    plan: Plan,
    component: str,
    point: str,
    other: str,
    *,
    database: str | None = None,
    restored: bool = False,
) -> LiveDifference:
    """Compare the point with `other`: the id of a point, or `live`. If `database` is given, compare
    only this database of a server. With `live`, drd reads the source as in a backup, and stores
    nothing. drd needs the repository only if `restored`: it then restores the points into a sandbox
    and reads them there. Raises UsageError for a missing component or fingerprint, NoRestorePoint,
    SourceError."""
    require_components(plan.name, plan.components, (component,))
    chosen = plan.components[component]
    spec = services.kinds(chosen.kind).spec
    if spec.comparison is None:
        raise NotSupported(
            f"kind {spec.name} cannot compare: its restore points have no fingerprint",
            hint="restore the point to a target (drd recover), and compare the data there.",
        )
    if restored:
        require_tables(services, chosen)
        (a, before), (b, now) = _as_restored(services, plan, chosen, point, other)
    else:
        chosen_point = services.catalogue.points.get(plan.name, point)
        a, before = _of_point(plan, component, chosen_point, here=other == LIVE)
        if other == LIVE:
            b, now = _live(services, chosen)
        else:
            wanted = services.catalogue.points.get(plan.name, other)
            b, now = _of_point(plan, component, wanted)
    if type(before) is not type(now):
        raise UsageError(
            f"drd cannot compare component {component}: it had another kind when restore point "
            f"{a.name} was made",
            hint=f"choose two points that are newer than this change: drd points {plan.name}",
        )
    if database is not None:
        before, now = _of_database(services, chosen, database, (before, now))
    owners = other != LIVE or services.is_root
    differences = difference(before, now, owners=owners)
    return LiveDifference(plan.name, chosen, a, b, differences, spec.compared)


def _as_restored(
    services: Services, plan: Plan, component: Component, point: str, other: str
) -> tuple[tuple[Side, Fingerprint], tuple[Side, Fingerprint]]:
    """Describe all rows of both sides: points are read in a sandbox, `live` on its server."""
    a = _restored_side(services, plan, component, point)
    if other != LIVE:
        return _with_known(a, _restored_side(services, plan, component, other))
    kind = services.kinds(component.kind)
    kind.spec.of(component.settings).require(Ability.LIVE, component=component.name)
    now = kind.live(component, Part(), EVERY_ROW, BUDGET_S)
    assert isinstance(now, DatabaseFingerprint)
    return _with_known(a, (Side(LIVE, services.clock.now()), now))


def _restored_side(
    services: Services, plan: Plan, component: Component, point: str
) -> tuple[Side, DatabaseFingerprint]:
    chosen = services.catalogue.points.get(plan.name, point)
    snapshot = _snapshot_in(plan, component.name, chosen)
    assert snapshot.data_time is not None
    side = Side(chosen.id, snapshot.data_time)
    return side, restored_fingerprint(services, plan, chosen, snapshot)


def _with_known(
    a: tuple[Side, DatabaseFingerprint], b: tuple[Side, DatabaseFingerprint]
) -> tuple[tuple[Side, Fingerprint], tuple[Side, Fingerprint]]:
    """Remove the properties of both sides if one side has none, such as a restore point without a
    fingerprint."""
    if a[1].properties and b[1].properties:
        return a, b
    return (a[0], replace(a[1], properties={})), (b[0], replace(b[1], properties={}))


def _of_database(
    services: Services,
    component: Component,
    database: str,
    both: tuple[Fingerprint, Fingerprint],
) -> tuple[Fingerprint, Fingerprint]:
    """Limit both fingerprints to one database. Raises UsageError if both lack this database."""
    kind = services.kinds(component.kind)
    if not isinstance(kind, RestoresInside):
        kind.spec.require_part(Part(database=database), component.name)
        raise kind.spec.lacks(Ability.PARTS, what="compare single databases")
    one, other = (kind.of_database(known, database) for known in both)
    if one is None and other is None:
        raise UsageError(
            f"both sides of the comparison lack database {escaped(database)}",
            hint=f"leave out --database to compare all databases of {component.name}.",
        )
    empty = DatabaseFingerprint("counts")
    return one or empty, other or empty


def _of_point(
    plan: Plan, component: str, point: RestorePoint, *, here: bool = False
) -> tuple[Side, Fingerprint]:
    """`here`: with the numbers that the owners of files have on this host."""
    snapshot = _snapshot_in(plan, component, point)
    assert snapshot.data_time is not None
    if not _tells(snapshot.fingerprint):
        refuse_counts(plan, point)
        raise UsageError(
            f"drd cannot compare component {component}: restore point {point.id} does not "
            "contain a fingerprint of this component",
            hint="set `fingerprint: counts` or `fingerprint: digest` for this component in the "
            "plan; drd can then compare restore points that are made later."
            + (_RESTORED if KINDS[snapshot.kind].holds is Holds.TABLES else ""),
        )
    assert snapshot.fingerprint is not None
    shown = (as_here(snapshot) if here else None) or snapshot.fingerprint
    return Side(point.id, snapshot.data_time), shown


def _snapshot_in(plan: Plan, component: str, point: RestorePoint) -> ComponentSnapshot:
    snapshot = point.component(component)
    if snapshot is None or snapshot.snapshot is None or snapshot.data_time is None:
        raise UsageError(
            f"restore point {point.id} does not contain component {component}",
            hint=f"choose another restore point: drd points {plan.name}",
        )
    return snapshot


def _live(services: Services, component: Component) -> tuple[Side, Fingerprint]:
    probe = f"diff-{uuid4().hex[:8]}"
    try:
        place = component_place(services, probe, component)
        source = services.kinds(component.kind).source(component, place)
        _warn_of_source(services, component, source)
        if isinstance(source, ReadsNow):
            data_time, fingerprint = source.now()
        else:
            with source.open() as taken:
                fingerprint = taken.fingerprint()
                data_time = taken.data_time
    finally:
        remove_run(services, probe)
    if not _tells(fingerprint):
        raise UsageError(
            f"drd cannot compare component {component.name}: the plan has `fingerprint: off` "
            "for this component",
            hint="set `fingerprint: counts` or `fingerprint: digest` for this component.",
        )
    assert fingerprint is not None
    return Side(LIVE, data_time), fingerprint


def _warn_of_source(services: Services, component: Component, source: Source) -> None:
    """Report what is wrong with the source. It ends the comparison only where that has to do what a
    backup does: a source that is asked through its server needs none of its files."""
    try:
        for warning in source.probe().warnings():
            services.warn(f"{component.name}: {warning}")
    except SourceError as error:
        if isinstance(error, SourceUnreachable) or not isinstance(source, ReadsNow):
            raise
        hint = f" (HINT: {error.hint})" if error.hint else ""
        services.warn(f"{component.name}: a backup would fail: {error.message}{hint}")


def _tells(fingerprint: Fingerprint | None) -> bool:
    if isinstance(fingerprint, DatabaseFingerprint):
        return fingerprint.mode != "off"
    return fingerprint is not None

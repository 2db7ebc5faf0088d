"""What one repository has to forget in a retention run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from drd.errors import UsageError
from drd.flows.repository import listings
from drd.flows.repository.points import Inventory
from drd.flows.services import Services
from drd.model.plan import RepositorySpec
from drd.model.run import RunState
from drd.model.snapshot import RestorePoint
from drd.ports import Repository, SnapshotInfo

FOREIGN_LEFTOVER = timedelta(days=1)
"""Snapshots without a manifest of a run that this catalogue does not know are left alone for this
time: another host's backup may be running there.
"""
_WITHOUT_A_POINT = (RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED)
KEEP_OWN = 48
"""How many copies of drd's own catalogue are kept."""


@dataclass(frozen=True, slots=True)
class RepositoryShare:
    """What would be forgotten in one repository. `leftovers` are snapshots of runs that never got a
    manifest, `own` superseded copies of drd's catalogue. Ids are in the order of forgetting:
    manifests first, since a point exists if and only if its manifest does. `vanished` are points
    that are in this repository by the catalogue, but not in reality; `points` maps snapshots to
    points.
    """

    repository: Repository
    manifests: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    points: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.repository.name

    @property
    def snapshots(self) -> tuple[str, ...]:
        return self.manifests + self.others + self.leftovers + self.own


@dataclass(frozen=True, slots=True)
class Chosen:
    """The decision about the points that the catalogue knows, for every repository."""

    points: Sequence[RestorePoint]
    kept: frozenset[str]
    forget: Sequence[str]
    vanished: Sequence[str]
    held: frozenset[str] = frozenset()


def share_of(
    services: Services, spec: RepositorySpec, inventory: Inventory, chosen: Chosen, plan: str
) -> RepositoryShare:
    """Return what one repository has to forget. A copy also forgets what was forgotten while it
    could not be reached. With a point, all snapshots that are marked with its id are removed, even
    snapshots that are not genuine.
    """
    marked = listings.by_run(inventory.listing)
    gone = [*chosen.forget]
    strangers = [run for run in marked if run not in chosen.kept and run not in gone]
    late = services.catalogue.points.forgotten(plan, strangers)
    if spec.copy_of is not None:
        gone += [run for run in strangers if run in late and run not in chosen.held]
    manifests: list[str] = []
    others: list[str] = []
    for run in gone:
        for snapshot in marked.get(run, ()):
            (manifests if "manifest" in snapshot.tags else others).append(snapshot.id)
    unknown = {run: marked[run] for run in strangers if run not in gone and run not in chosen.held}
    known = [p.id for p in chosen.points if spec.name in p.repositories]
    return RepositoryShare(
        inventory.repository,
        tuple(manifests),
        tuple(others),
        tuple(_leftovers(services, unknown, {*late, *chosen.vanished})),
        tuple(s.id for s in listings.own(inventory.listing)[:-KEEP_OWN]),
        tuple(point for point in known if not inventory.holds(point)),
        {s.id: run for run, snapshots in marked.items() for s in snapshots},
    )


def _leftovers(
    services: Services, by_run: Mapping[str, Sequence[SnapshotInfo]], gone: Collection[str]
) -> list[str]:
    """Return snapshots of runs without a manifest that cannot get one any more, or whose point is
    gone. A run that made a point since the listing has one by now: it may well have ended
    meanwhile.
    """
    left = []
    for run, snapshots in by_run.items():
        if listings.manifest(snapshots) is not None:
            continue
        try:
            over = run in gone or services.catalogue.runs.get(run).state in _WITHOUT_A_POINT
        except UsageError:
            now = services.clock.now()
            over = all(now - s.time > FOREIGN_LEFTOVER for s in snapshots)
        if over:
            left += [s.id for s in snapshots]
    return left

"""Read a plan's restore points from one listing of a repository.

A copied snapshot has a new id; `original` has the id of the first snapshot, even for a copy of a
copy. So everything is searched by the first id, which the manifest contains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from drd.errors import SnapshotsUnreadable
from drd.masking import beginning
from drd.model.plan import NAME, OWN_COMPONENT
from drd.model.snapshot import RestorePoint
from drd.model.text import counted
from drd.ports import Listing, Repository, SnapshotInfo

_OURS = "drd"
_NAMED = 5
"""The number of snapshots that a message names."""
_OWN = f"component:{OWN_COMPONENT}"


def listed(repository: Repository, plan: str) -> Listing:
    """Everything that drd stored there for the plan, oldest first, from the repository itself."""
    return repository.snapshots(host=plan, tags=[_OURS], fresh=True)


def require_readable(repository: Repository, listing: Listing) -> Listing:
    """Return the listing, for code that deletes. Raises SnapshotsUnreadable when a snapshot cannot
    be read, since that may be the manifest of a point that would be deleted."""
    if listing.unreadable:
        message, hint = _unreadable(repository, listing)
        raise SnapshotsUnreadable(message, hint=f"{hint}.")
    return listing


def readable(repository: Repository, listing: Listing, warn: Callable[[str], object]) -> Listing:
    """Return the listing for code that reads: it uses what can be read, and `warn` gets the errors
    of the others."""
    if listing.unreadable:
        message, hint = _unreadable(repository, listing)
        warn(f"{message}. {hint[0].upper()}{hint[1:]}")
    return listing


def removal_hint(repository: Repository, listing: Listing) -> str:
    """Return the hint for unreadable snapshots in the listing."""
    return f"{_unreadable(repository, listing).hint}."


class _Unreadable(NamedTuple):
    message: str
    hint: str


def _unreadable(repository: Repository, listing: Listing) -> _Unreadable:
    ids = sorted(listing.unreadable)
    some = ", ".join(i[:8] for i in ids[:_NAMED]) + (" …" if len(ids) > _NAMED else "")
    what = counted(len(ids), "snapshot")
    return _Unreadable(
        f"{what} in {repository.name} cannot be read: {some} "
        f"({beginning(listing.unreadable[ids[0]], 200)})",
        "another repository of the plan may still have this data. Until the unreadable data "
        f"is removed, drd does not forget or prune in {repository.name}. To remove the data: "
        f"{'; '.join(repository.removal(i) for i in ids[:_NAMED])}",
    )


def of_plan(listing: Iterable[SnapshotInfo], plan: str) -> list[SnapshotInfo]:
    """Return the plan's part of a listing of everything, which includes what others store there."""
    return [s for s in listing if s.host == plan and _OURS in s.tags]


def by_run(listing: Iterable[SnapshotInfo]) -> dict[str, list[SnapshotInfo]]:
    """Snapshots of restore points by the run that made them, without drd's own copies."""
    runs: dict[str, list[SnapshotInfo]] = {}
    for snapshot in listing:
        run = run_of(snapshot)
        if run is not None and _OWN not in snapshot.tags:
            runs.setdefault(run, []).append(snapshot)
    return runs


def own(listing: Iterable[SnapshotInfo]) -> list[SnapshotInfo]:
    """Return the copies of drd's own catalogue, oldest first."""
    return sorted((s for s in listing if _OWN in s.tags), key=lambda s: s.time)


def run_of(snapshot: SnapshotInfo) -> str | None:
    """Return the run of a snapshot; None if no run of drd's marks it so: a writer can choose any
    tag."""
    run_ids = (t[4:] for t in snapshot.tags if t.startswith("run:"))
    return next((run for run in run_ids if NAME.fullmatch(run)), None)


def manifest(snapshots: Iterable[SnapshotInfo]) -> SnapshotInfo | None:
    return next((s for s in snapshots if "manifest" in s.tags), None)


def first_id(snapshot: SnapshotInfo) -> str:
    return snapshot.original or snapshot.id


def ids_here(snapshots: Iterable[SnapshotInfo]) -> dict[str, str]:
    """Return, by the first id, the id of a snapshot in this repository."""
    return {first_id(s): s.id for s in snapshots}


def is_whole(point: RestorePoint, snapshots: Sequence[SnapshotInfo]) -> bool:
    """Return whether the manifest and everything that it names exist."""
    here = ids_here(snapshots)
    return manifest(snapshots) is not None and all(i in here for i in component_ids(point))


def component_ids(point: RestorePoint) -> list[str]:
    return [c.snapshot for c in point.components if c.snapshot is not None]


def whole_points(
    points: Iterable[RestorePoint], held: Mapping[str, Sequence[SnapshotInfo]]
) -> dict[str, str]:
    """Return, by id, the manifests of those points that are complete there."""
    whole = {}
    for point in points:
        snapshots = held.get(point.id, ())
        sealed = manifest(snapshots)
        if sealed is not None and is_whole(point, snapshots):
            whole[point.id] = sealed.id
    return whole

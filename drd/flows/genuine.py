"""Snapshots that are marked as those of a restore point and hold something else than was stored.

Whoever has a repository's password can write there what a snapshot was copied from. What one holds has the
same id everywhere, so of points whose trees were noted (`drd.model.seals`) a listing tells it. Such a
snapshot counts for nothing: what it stands for is missing there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drd.flows import holdings
from drd.flows.services import Services
from drd.model.seals import Seal
from drd.ports import Repository, SnapshotInfo

_NAMED = 5
"""Snapshots that a message names."""


def genuine(
    services: Services, plan: str, repository: Repository, listing: Sequence[SnapshotInfo]
) -> list[SnapshotInfo]:
    """The listing without them; they are named once."""
    runs = {run: found for run, found in holdings.by_run(listing).items() if _may_lie(found)}
    seals = _seals(services, plan, runs)
    forged = {
        snapshot.id: (run, snapshot)
        for run, found in runs.items()
        for snapshot in found
        if run in seals and not _is_true(seals[run], snapshot)
    }
    if not forged:
        return list(listing)
    left = [s for s in listing if s.id not in forged]
    news = [found for i, found in forged.items() if f"{repository.url} {i}" not in services.said]
    services.said.update(f"{repository.url} {i}" for i in forged)
    if news:
        services.warn(_words(plan, repository, news, left))
    return left


def genuine_by_run(
    services: Services, plan: str, repository: Repository, listing: Sequence[SnapshotInfo]
) -> dict[str, list[SnapshotInfo]]:
    """The genuine snapshots of the listing, by the run that stored them."""
    return holdings.by_run(genuine(services, plan, repository, listing))


def _may_lie(snapshots: Sequence[SnapshotInfo]) -> bool:
    """What was stored here is called after its contents; a copy says itself what it is one of."""
    return (
        any(s.original is not None for s in snapshots)
        or sum("manifest" in s.tags for s in snapshots) > 1
    )


def _seals(services: Services, plan: str, runs: Mapping[str, object]) -> Mapping[str, Seal]:
    origins = services.catalogue.origins
    if len(runs) != 1:
        return origins.seals(plan) if runs else {}
    (run,) = runs
    seal = origins.seal(plan, run)
    return {} if seal is None else {run: seal}


def _is_true(seal: Seal, snapshot: SnapshotInfo) -> bool:
    is_manifest = "manifest" in snapshot.tags
    return seal.is_true(holdings.first_id(snapshot), snapshot.tree, is_manifest=is_manifest)


def _words(
    plan: str,
    repository: Repository,
    forged: Sequence[tuple[str, SnapshotInfo]],
    left: Sequence[SnapshotInfo],
) -> str:
    some = ", ".join(_called(run, snapshot) for run, snapshot in forged[:_NAMED])
    more = f" and {len(forged) - _NAMED} more" if len(forged) > _NAMED else ""
    hold, them, they_are = (
        ("holds", "it", "it is") if len(forged) == 1 else ("hold", "them", "they are")
    )
    here = holdings.ids_here(left)
    lost = [s for _, s in forged if holdings.first_id(s) not in here]
    again = ""
    if lost:
        again = (
            f"what {they_are} marked as is missing there until drd copy {plan} brings it again; "
        )
    remove = "; ".join(repository.removal(s.id) for _, s in forged[:_NAMED])
    return (
        f"{some}{more} in {repository.name} {hold} something else than drd stored: who wrote {them} has the "
        f"password of {repository.name}; {they_are} neither used nor counted; {again}to remove {them}: {remove}"
    )


def _called(run: str, snapshot: SnapshotInfo) -> str:
    what = "its manifest" if "manifest" in snapshot.tags else holdings.first_id(snapshot)[:8]
    return f"snapshot {snapshot.id[:8]} (marked as {what} of restore point {run})"

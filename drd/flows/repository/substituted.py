"""Finding snapshots that are marked as snapshots of a restore point, but contain something else
than drd stored.

Anyone who has a repository's password can mark any snapshot as a copy of another one. The same
content has the same tree id in every repository, so a listing shows the difference for each point
whose trees were noted (`drd.model.seals`). Such a snapshot does not count: the snapshot that it
stands for is missing there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drd.flows.repository import listings
from drd.flows.services import Services
from drd.model.seals import Seal
from drd.model.text import noun, some
from drd.ports import Repository, SnapshotInfo

_NAMED = 5
"""The number of snapshots that a message names."""


def genuine(
    services: Services, plan: str, repository: Repository, listing: Sequence[SnapshotInfo]
) -> list[SnapshotInfo]:
    """Return the listing without snapshots that are not genuine. Each of these is reported once in
    a command."""
    runs = {
        run: snapshots for run, snapshots in listings.by_run(listing).items() if _may_lie(snapshots)
    }
    seals = _seals(services, plan, runs)
    forged = {
        snapshot.id: (run, snapshot)
        for run, snapshots in runs.items()
        for snapshot in snapshots
        if run in seals and not _is_true(seals[run], snapshot)
    }
    if not forged:
        return list(listing)
    left = [s for s in listing if s.id not in forged]
    news = [
        snapshots for i, snapshots in forged.items() if f"{repository.url} {i}" not in services.said
    ]
    services.said.update(f"{repository.url} {i}" for i in forged)
    if news:
        services.warn(_warning_text(plan, repository, news, left))
    return left


def genuine_by_run(
    services: Services, plan: str, repository: Repository, listing: Sequence[SnapshotInfo]
) -> dict[str, list[SnapshotInfo]]:
    """Return the genuine snapshots of the listing, by the run that stored them."""
    return listings.by_run(genuine(services, plan, repository, listing))


def _may_lie(snapshots: Sequence[SnapshotInfo]) -> bool:
    """Return whether one of a run's snapshots may be false. The id of a snapshot that was stored
    here depends on its content; a copy only says of itself which snapshot it is a copy of."""
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
    return seal.is_true(listings.first_id(snapshot), snapshot.tree, is_manifest=is_manifest)


def _warning_text(
    plan: str,
    repository: Repository,
    forged: Sequence[tuple[str, SnapshotInfo]],
    left: Sequence[SnapshotInfo],
) -> str:
    these = some([_called(run, snapshot) for run, snapshot in forged], _NAMED)
    them, holds = noun(len(forged), "it", "them"), noun(len(forged), "holds", "hold")
    here = listings.ids_here(left)
    lost = [s for _, s in forged if listings.first_id(s) not in here]
    again = ""
    if lost:
        real = noun(len(lost), "snapshot is", "snapshots are")
        again = (
            f"The real {real} missing in this repository: `drd copy {plan}` copies what "
            "is missing. "
        )
    remove = "; ".join(repository.removal(s.id) for _, s in forged[:_NAMED])
    return (
        f"{these} in {repository.name} {holds} content that drd did not store. Somebody who knows "
        f"the password of {repository.name} wrote {them}: find out who. drd does not use or count "
        f"{them}. {again}To remove {them}: {remove}"
    )


def _called(run: str, snapshot: SnapshotInfo) -> str:
    what = "the manifest" if "manifest" in snapshot.tags else listings.first_id(snapshot)[:8]
    return f"snapshot {snapshot.id[:8]} (marked as {what} of restore point {run})"

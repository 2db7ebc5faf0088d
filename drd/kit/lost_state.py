"""Read drd's own state of a lost host from its repositories: its catalogue, its plans, drd.yaml."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from drd.errors import DrdError, NoRestorePoint
from drd.kit.state_snapshots import StateSnapshot, fetch, newest_own
from drd.model.plan import NAME, OWN_COMPONENT
from drd.model.text import escaped
from drd.model.units import format_time
from drd.ports import Repository


def replica(
    repositories: Sequence[Repository], room: Path, now: datetime
) -> tuple[StateSnapshot | None, list[str]]:
    """Return the newest replica; without it the records are lost, but the restore points are
    not."""
    try:
        newest = newest_own(repositories)
        if newest is None:
            return None, [_lost("no repository contains a copy of drd's catalogue")]
        own = fetch(*newest, room / "own", now)
    except DrdError as error:
        return None, [f"the history of runs is lost: {error.message}"]
    return own, lost_history(own)


def newer_plans(
    own: StateSnapshot | None, made_at: datetime, installed: Mapping[str, str]
) -> list[str]:
    """Name each plan whose text is newer in a repository than in the kit."""
    if own is None or own.taken_at <= made_at:
        return []
    return [
        f"plan {name} was changed after the kit was made: the repository has the plan as "
        f"it was at {format_time(own.taken_at)}, but drd installs the older plan of the kit"
        for name, text in installed.items()
        if own.plans.get(name, text) != text
    ]


def elsewhere(own: StateSnapshot, config: str) -> list[str]:
    """Return sentences that name the former place of drd.yaml. drd does not use this place by
    itself: anyone with the repository's password may have written it."""
    if own.config_place in (None, config):
        return []
    former = escaped(str(own.config_place))
    said = f"on the lost host drd.yaml was {former}, as the copy in the repository says"
    how = "without a kit, only --config and $DRD_CONFIG can name another place"
    return [f"{said}. drd uses {config}: {how}"]


def _lost(why: str) -> str:
    return f"the history of runs is lost, because {why}. The restore points are not lost"


def lost_history(own: StateSnapshot) -> list[str]:
    if own.why:
        return [_lost(f"drd cannot read the stored copy of its catalogue ({own.why})")]
    rows = f"{own.left_out:,} rows of the stored copy of drd's catalogue"
    return [f"{rows} are not valid, so drd left them out"] if own.left_out else []


def everything(repository: Repository, room: Path, now: datetime) -> StateSnapshot:
    """Return the newest of drd's own snapshots, and plans of other snapshots that it lacks: several
    hosts may share a repository."""
    newest = newest_own([repository])
    if newest is None:
        raise NoRestorePoint(
            f"{repository.url} does not contain plans of drd",
            hint="bootstrap from a kit (drd bootstrap --kit FILE); or write the plan again, then: "
            "drd catalogue rebuild",
        )
    own = fetch(*newest, room / "own", now)
    manifests = repository.snapshots(tags=["drd", "manifest"])
    # Only valid plan names: it becomes the name of a directory.
    hosts = {s.host for s in manifests if NAME.fullmatch(s.host)}
    for host in sorted(hosts - own.plans.keys()):
        theirs = repository.snapshots(host=host, tags=["drd", f"component:{OWN_COMPONENT}"])
        if theirs:
            place = room / f"own-{host}"
            other = fetch(repository, theirs[-1], place, now)
            shutil.rmtree(place)  # there may be many, and each may be large
            if host in other.plans:
                own = replace(own, plans={**own.plans, host: other.plans[host]})
    return own

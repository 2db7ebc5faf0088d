"""Find out whether another drd works with a copy of this state: then its runs are not settled, and
nothing is forgotten or pruned here.

A copied directory or a cloned machine has another machine id, host or file in most cases. A clone
with the same ones looks like a host that was rebooted. So the repository is checked for a copy of
drd's own state that no run of this catalogue made, and for a lock with this host's name that was
refreshed after the boot although no process here did so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from drd import log, process
from drd.errors import DrdError
from drd.flows.repository import listings
from drd.flows.services import Services
from drd.model.clock import OWNER_SKEW
from drd.model.finding_codes import COPIED_STATE
from drd.model.pauses import Pause
from drd.model.plan import OWN_COMPONENT, Plan
from drd.model.run import Run
from drd.model.state_place import WHILE_CONTESTED
from drd.model.units import format_time
from drd.ports import LockInfo, Repository, SnapshotInfo

HINT = (
    "if this machine takes over (it was renamed, restored or moved): `drd adopt --reason TEXT`. If "
    "this machine is a copy, stop drd on it: `systemctl stop drd`"
)


def contested(services: Services) -> str | None:
    """Return why this state may be a copy of a state that another drd uses; None if nothing
    suggests that, or if a person decided that this state counts (`drd adopt`).
    """
    custody = services.catalogue.custody.check(services.clock.now())
    return custody.contested if custody is not None else None


def pause(services: Services) -> list[Pause]:
    """Return the pause of retention and prune for a contested state."""
    why = contested(services)
    return [Pause(COPIED_STATE, "warning", "", why, HINT)] if why is not None else []


def judge_listing(services: Services, plan: Plan, listing: Iterable[SnapshotInfo]) -> None:
    """Mark this state as contested if the repository holds copies of drd's own state that are ahead
    of it."""
    custody = services.catalogue.custody.check(services.clock.now())
    if custody is None or custody.contested is not None:
        return
    ahead = [
        s
        for s in listings.own(listings.of_plan(listing, plan.name))
        if s.original is None
        and s.time > custody.since + OWNER_SKEW
        and (run := listings.run_of(s)) is not None
        and not services.catalogue.custody.knows_run(run)
    ]
    if ahead:
        newest = ahead[-1]
        _contest(
            services,
            "the repository contains a copy of drd's state that is newer than the state "
            f"here: snapshot {newest.id[:8]} of {format_time(newest.time, seconds=True)}, "
            "made by a run that is not in this catalogue",
        )


def may_settle(services: Services, plan: Plan, run: Run) -> bool:
    """Return whether drd may clean up after a dead run. If the run is from before the last boot,
    only if the repository shows no sign that its process runs elsewhere."""
    boot = process.booted()
    if boot is None or not run.owner_boot or run.owner_boot == boot.id:
        return True
    if contested(services) is not None:
        return False
    if run.plan != plan.name:
        return True
    began = services.clock.now() - timedelta(seconds=boot.up_s)
    try:
        for repository in _used(services, plan):
            if _is_held_elsewhere(services, repository, run, began):
                return False
            judge_listing(
                services,
                plan,
                repository.snapshots(
                    host=plan.name, tags=["drd", f"component:{OWN_COMPONENT}"], fresh=True
                ),
            )
    except DrdError as error:
        # Nothing of it can be cleaned up now either.
        log.get(run=run.id).warning("custody.unknown", error=error.message)
    return contested(services) is None


def _used(services: Services, plan: Plan) -> Iterable[Repository]:
    for spec in plan.repositories.values():
        if services.catalogue.repositories.id_of(spec.url) is not None:
            repository = services.open_repository(spec)
            repository.preflight(writing=False)
            yield repository


def _is_held_elsewhere(
    services: Services, repository: Repository, run: Run, booted: datetime
) -> bool:
    """Return whether there is a lock with this host's name that was made or refreshed since the
    boot, by no process here, and at no time at which one of our runs could have made it.
    """
    holders = [
        lock
        for lock in repository.lock_holders()
        if lock.host == run.owner_host
        and lock.at > booted + OWNER_SKEW
        and not _is_restic_here(lock.pid)
    ]
    if not holders:
        return False
    ours = _times_of_this_boot(services, run)
    foreign = [lock for lock in holders if not _is_within(lock, ours)]
    if not foreign:
        return False
    _contest(
        services,
        f"another machine with this host name seems to execute run {run.id}: its process "
        f"{foreign[0].pid} refreshed a lock in repository {repository.name} at "
        f"{format_time(foreign[0].at, seconds=True)}",
    )
    return True


def _is_restic_here(pid: int) -> bool:
    """Return whether the pid belongs to restic here: another machine's process may have the pid of
    a process here.
    """
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").startswith("restic")
    except (OSError, ValueError):
        return False


def _times_of_this_boot(services: Services, run: Run) -> Sequence[tuple[datetime, datetime | None]]:
    """Return when runs of other processes of this boot were active."""
    return [
        (r.started_at, r.finished_at)
        for r in services.catalogue.runs.newest(limit=200)
        if r.started_at is not None and r.id != run.id and r.owner_boot != run.owner_boot
    ]


def _is_within(lock: LockInfo, times: Iterable[tuple[datetime, datetime | None]]) -> bool:
    return any(
        start - OWNER_SKEW <= lock.at and (end is None or lock.at <= end + OWNER_SKEW)
        for start, end in times
    )


def _contest(services: Services, why: str) -> None:
    services.catalogue.custody.contest(why, services.clock.now())
    log.get().error("state.contested", why=why)
    services.warn(f"{why}: {WHILE_CONTESTED}. {HINT[0].upper()}{HINT[1:]}")

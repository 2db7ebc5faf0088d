"""What a retention run would do: the model chooses whole points, here they become snapshots to
forget in each repository.

restic's own keep rules would split a point.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from drd.errors import DrdError, RepositoryError, RepositoryMissing, UsageError
from drd.flows import holdings
from drd.flows.identity import confirm
from drd.flows.services import Services
from drd.model.plan import Plan, RepositorySpec
from drd.model.retention import Kept, RetentionPlan, plan_retention
from drd.model.run import RunKind, RunState
from drd.model.snapshot import RestorePoint, newest_complete
from drd.model.units import to_rfc3339
from drd.ports import Repository, SnapshotInfo

CLOCK_SKEW = timedelta(minutes=2)
"""How far ahead a snapshot's time may be before the clock, or the snapshot, is not believed."""
MOST_NAMED = 200
"""Snapshots that a hint names: more is no command that anybody copies."""
FOREIGN_LEFTOVER = timedelta(days=1)
"""Snapshots without manifest of a run that this catalogue does not know: another host's, maybe
of a backup that is running there."""
_WITHOUT_A_POINT = (RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED)
KEEP_OWN = 48
"""How many copies of drd's own catalogue stay."""


@dataclass(frozen=True, slots=True)
class Share:
    """What would be forgotten in one repository. `leftovers` are snapshots of runs that never got a
    manifest, `own` superseded copies of drd's catalogue. Ids in the order of forgetting: manifests
    first, since a point exists if and only if its manifest does. `vanished` are points that the
    catalogue knows there and that are not there any more."""

    repository: Repository
    manifests: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.repository.name

    @property
    def snapshots(self) -> tuple[str, ...]:
        return self.manifests + self.others + self.leftovers + self.own


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What a retention run would do, in the repository with the backups and then in the copies;
    `unreached` has those that could not be looked at. `vanished` points are in no repository;
    `hollow` ones were complete, with the components whose snapshots somebody else forgot."""

    chosen: RetentionPlan
    shares: tuple[Share, ...]
    vanished: tuple[str, ...]
    hollow: Mapping[str, Collection[str]] = field(default_factory=dict)
    unreached: Mapping[str, DrdError] = field(default_factory=dict)

    @property
    def snapshots(self) -> int:
        return sum(len(share.snapshots) for share in self.shares)

    @property
    def leftovers(self) -> int:
        return sum(len(share.leftovers) for share in self.shares)


@dataclass(frozen=True, slots=True)
class _Look:
    """One repository as a fresh listing shows it."""

    repository: Repository
    listing: Sequence[SnapshotInfo]
    by_run: Mapping[str, Sequence[SnapshotInfo]]

    def holds(self, point: str) -> bool:
        return holdings.manifest(self.by_run.get(point, ())) is not None


def plan_forgetting(services: Services, plan: Plan, *, writing: bool = True) -> Forgetting:
    """What would be forgotten. Raises RepositoryError when a snapshot lies in the future: then
    neither the clock nor the listing can be trusted; and what keeps the repository with the
    backups from being looked at."""
    now = services.clock.now()
    # What is recorded from here on need not be in the listings, and is not judged by them.
    recorded = {p.id for p in services.catalogue.points(plan.name)}
    looks = [_look(services, plan, plan.primary, now, writing=writing)]
    unreached: dict[str, DrdError] = {}
    for spec in plan.copies:
        try:
            looks.append(_look(services, plan, spec, now, writing=writing))
        except RepositoryMissing as error:
            if services.catalogue.repository_id(spec.url) is not None:
                unreached[spec.name] = error  # else nothing was ever copied there
        except DrdError as error:
            unreached[spec.name] = error
    used = _in_use(services, plan)
    # After who uses them, so that a drill that has ended meanwhile has proven its point.
    points = [p for p in services.catalogue.points(plan.name) if p.id in recorded]
    known = [p for p in points if _is_somewhere(p, looks, unreached)]
    lost = {p.id: _lost(p, looks, unreached) for p in known if p.complete}
    hollow = {point: components for point, components in lost.items() if components}
    # None of these may stand for those that can still come back.
    known = [replace(p, complete=False, proven_by=None) if p.id in hollow else p for p in known]
    proven = [p.id for p in known if p.proven_by is not None]
    zone = plan.backup.timezone
    chosen = plan_retention(known, plan.retention, now, proven, timezone=zone)
    if chosen.refused is not None:
        raise RepositoryError(
            f"nothing was forgotten: {chosen.refused}", hint=_hint(known, looks, now)
        )
    chosen = _spare(chosen, {**_last_of_copies(known, looks[1:]), **used})
    there = {p.id for p in known}
    vanished = tuple(p.id for p in points if p.id not in there)
    verdict = _Verdict(points, frozenset(k.id for k in chosen.keep), chosen.forget, vanished)
    shares = [
        _share(services, plan.repositories[look.repository.name], look, verdict, plan.name)
        for look in looks
    ]
    return Forgetting(chosen, tuple(shares), vanished, hollow, unreached)


def _look(
    services: Services, plan: Plan, spec: RepositorySpec, now: datetime, *, writing: bool
) -> _Look:
    repository = services.open_repository(spec)
    confirm(services, repository, writing=writing)
    everything = holdings.whole(repository, repository.snapshots(fresh=True))
    _refuse_future(spec.name, everything, now)
    listing = holdings.of_plan(everything, plan.name)
    return _Look(repository, listing, holdings.by_run(listing))


def _refuse_future(repository: str, listed: Sequence[SnapshotInfo], now: datetime) -> None:
    """Whoever made it: either that clock was wrong or ours is, and we cannot tell which."""
    ahead = sorted((s for s in listed if s.time > now + CLOCK_SKEW), key=lambda s: s.time)
    if not ahead:
        return
    first = ahead[0]
    more = f" and {len(ahead) - 1} more" if len(ahead) > 1 else ""
    marks = {tag for s in ahead for tag in s.tags if tag.startswith("run:")}
    raise RepositoryError(
        f"nothing was forgotten: snapshot {first.id[:8]}{more} in {repository} is dated "
        f"{to_rfc3339(first.time)}, in the future",
        hint=_out_of_the_future([s for s in listed if s in ahead or marks & set(s.tags)]),
    )


def _out_of_the_future(snapshots: Sequence[SnapshotInfo]) -> str:
    """The whole of each point: what is left of one would hold retention up as well."""
    ids = [s.id[:8] for s in snapshots]
    rest = ", and again for the rest" if len(ids) > MOST_NAMED else ""
    return (
        "check this host's clock. If it is right, a wrong clock dated what was backed up then, or "
        "somebody forged it. Then, with that repository's password and keys (docs/copies.md, Mending): "
        f"`drd backup`, `restic forget {' '.join(ids[:MOST_NAMED])}`{rest}; the next `drd retention` goes on, "
        "and takes note of the points that are gone."
    )


def _hint(known: Iterable[RestorePoint], looks: Iterable[_Look], now: datetime) -> str:
    """For points whose snapshots have sound dates, as where restic saw another clock than drd."""
    ahead = [p.id for p in known if max(p.data_time, p.available_at) > now + CLOCK_SKEW]
    for look in looks:
        snapshots = [s for point in ahead for s in look.by_run.get(point, ())]
        if snapshots:
            return f"in {look.repository.name}: {_out_of_the_future(snapshots)}"
    return "check the clock."


def _is_somewhere(point: RestorePoint, looks: Iterable[_Look], unreached: Collection[str]) -> bool:
    """Of what cannot be looked at now, the catalogue's word is taken."""
    return any(look.holds(point.id) for look in looks) or any(
        name in unreached for name in point.repositories
    )


def _lost(
    point: RestorePoint, looks: Iterable[_Look], unreached: Collection[str]
) -> tuple[str, ...]:
    """The components that can be had nowhere any more."""
    if any(name in unreached for name in point.repositories):
        return ()
    here = {i for look in looks for i in holdings.ids_here(look.by_run.get(point.id, ()))}
    return tuple(c.component for c in point.components if c.snapshot and c.snapshot not in here)


# --- what stays all the same ----------------------------------------------------------------


def _in_use(services: Services, plan: Plan) -> dict[str, str]:
    """Points that a drill or recovery is restoring just now, with what does."""
    used = {}
    for run in services.catalogue.queue.open_runs():
        if run.plan == plan.name and run.kind in (RunKind.DRILL, RunKind.RECOVERY):
            steps = (s.result.get("point") for s in services.catalogue.steps(run.id))
            for point in (run.detail.get("point"), *steps):
                if point is not None:
                    used[str(point)] = f"{run.kind} {run.id} is restoring it"
    return used


def _last_of_copies(known: Sequence[RestorePoint], copies: Iterable[_Look]) -> dict[str, str]:
    """The newest point of each copy: one that is far behind shall not lose all that it has."""
    found = {}
    for look in copies:
        newest = newest_complete([p for p in known if look.holds(p.id)])
        if newest is not None:
            found[newest.id] = f"newest in {look.repository.name}"
    return found


def _spare(chosen: RetentionPlan, why: Mapping[str, str]) -> RetentionPlan:
    spared = tuple(Kept(i, (why[i],)) for i in chosen.forget if i in why)
    forget = tuple(i for i in chosen.forget if i not in why)
    return chosen._replace(keep=chosen.keep + spared, forget=forget)


# --- what goes ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What was decided of the points that the catalogue knows, for every repository."""

    points: Sequence[RestorePoint]
    kept: frozenset[str]
    forget: Sequence[str]
    vanished: Sequence[str]


def _share(
    services: Services, spec: RepositorySpec, look: _Look, verdict: _Verdict, plan: str
) -> Share:
    """In a copy also what was forgotten when it could not be reached."""
    gone = [*verdict.forget]
    strangers = [run for run in look.by_run if run not in verdict.kept and run not in gone]
    late = services.catalogue.forgotten_points(plan, strangers)
    if spec.copy_of is not None:
        gone += [run for run in strangers if run in late]
    manifests: list[str] = []
    others: list[str] = []
    for run in gone:
        for snapshot in look.by_run.get(run, ()):
            (manifests if "manifest" in snapshot.tags else others).append(snapshot.id)
    unknown = {run: look.by_run[run] for run in strangers if run not in gone}
    known = [p.id for p in verdict.points if spec.name in p.repositories]
    return Share(
        look.repository,
        tuple(manifests),
        tuple(others),
        tuple(_leftovers(services, unknown, {*late, *verdict.vanished})),
        tuple(s.id for s in holdings.own(look.listing)[:-KEEP_OWN]),
        tuple(point for point in known if not look.holds(point)),
    )


def _leftovers(
    services: Services, by_run: Mapping[str, Sequence[SnapshotInfo]], gone: Collection[str]
) -> list[str]:
    """Snapshots of runs without a manifest that cannot get one any more, or whose point is gone.

    A run that made a point since the listing has one by now: it may well have ended meanwhile.
    """
    left = []
    for run, snapshots in by_run.items():
        if holdings.manifest(snapshots) is not None:
            continue
        try:
            over = run in gone or services.catalogue.run(run).state in _WITHOUT_A_POINT
        except UsageError:
            now = services.clock.now()
            over = all(now - s.time > FOREIGN_LEFTOVER for s in snapshots)
        if over:
            left += [s.id for s in snapshots]
    return left

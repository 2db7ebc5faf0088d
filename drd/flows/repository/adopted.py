"""Copies that another tool makes, as restore points of drd.

drd lists them, and neither makes nor forgets any. What the tool lets expire is no loss. What is
gone although the plan's `retention` says that the tool keeps it is missing, as everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from drd.errors import DrdError, NotSupported, PointGone, RepositoryError
from drd.flows.repository import listings, read_dumps, signatures
from drd.flows.repository.identity import confirm
from drd.flows.repository.manifests import is_ahead, read_manifest
from drd.flows.repository.missing import note_listing
from drd.flows.repository.read_dumps import (
    BEFORE_A_CHOICE,
    WHILE_CHECKING,
    DumpReader,
    ReadingTime,
    usable,
    waits,
)
from drd.flows.services import Services
from drd.masking import masked
from drd.model.adopted import copy_name, rolled_forward, with_copy
from drd.model.clock import FAR_AHEAD
from drd.model.copy_names import COPY
from drd.model.plan import Plan
from drd.model.retention import NEWEST, NO_RULE, PASSED, plan_retention
from drd.model.run import RunKind, RunState
from drd.model.seals import seal_of
from drd.model.snapshot import ComponentSnapshot, Manifest, RestorePoint, newest_complete
from drd.model.text import called, counted, escaped, itself, some
from drd.model.units import format_sizes, format_time
from drd.ports import Repository, SnapshotInfo

_DONE = RunState.SUCCEEDED


_WRITING = timedelta(hours=1)
"""A copy that grows within this time was still being written."""


@dataclass(frozen=True, slots=True)
class ListingOutcome:
    """What a listing showed, by the ids of restore points: points that drd did not know before,
    points that the tool let expire, and points that are gone before their time. `unreadable` has
    the reason why a point does not count."""

    listed: int
    added: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)


def refuse(plan: Plan, what: str) -> None:
    """Raise NotSupported for work that drd leaves to the tool that makes the plan's copies."""
    if not plan.made_by:
        return
    raise NotSupported(
        f"{called(plan.made_by)} makes the copies of plan {plan.name}, so drd does not {what}",
        hint=f"use {itself(plan.made_by)} for this. drd only lists, drills and recovers "
        "these copies.",
    )


def refuse_counts(plan: Plan, point: RestorePoint) -> None:
    """Raise NotSupported for what needs a fingerprint of the source, if another tool has made the
    copy."""
    if not plan.made_by:
        return
    raise NotSupported(
        f"{called(plan.made_by)} made the copy of restore point {point.id}, and did not "
        "record counts of the source: drd does not know what the copy contains",
        hint=f"to check the content of the copy, drill it: drd drill {plan.name} --point "
        f"{point.id}",
    )


def list_copies(
    services: Services, plan: Plan, time: ReadingTime = WHILE_CHECKING
) -> ListingOutcome:
    """List the copies, and update the catalogue; read dumps to their end for so much `time`. Raises
    the error that prevents the listing. Nothing changes in the place of the copies."""
    repository = services.open_repository(plan.primary)
    confirm(services, repository, writing=False)
    listed_at = services.clock.now()
    known = {p.id: p for p in services.catalogue.points.of_plan(plan.name)}
    listing = listings.listed(repository, plan.name)
    manifests = {listings.run_of(s) or s.id: s for s in listing if "manifest" in s.tags}
    unreadable = dict(listing.unreadable)
    news = [
        s for i, s in manifests.items() if i not in known or _is_another(known[i], repository, s)
    ]
    read_dumps.settle_drilled(services, plan)
    new = {listings.run_of(s) for s in news}
    points = services.catalogue.points.of_plan(plan.name)
    waiting = [p for p in points if p.id in manifests and p.id not in new]
    reader = DumpReader(services, plan, repository, time)
    added = _record(reader, news, unreadable, waiting)
    gone = [i for i in known if i not in manifests]
    moved_on = _moved_on(services, plan, [known[i] for i in gone], manifests.values())
    fixed = [i for i in gone if not rolled_forward(known[i])]
    replaced = _grown(services, plan, [known[i] for i in fixed], added)
    replaced += _renamed(services, plan, [known[i] for i in fixed if i not in replaced], added)
    left = [i for i in fixed if i not in replaced]
    expired = [*replaced, *_expired(services, plan, left, unreadable)]
    forgotten = [*expired, *(i for i, in_use in moved_on.items() if not in_use)]
    services.catalogue.points.forget(forgotten, services.clock.now())
    kept = [p for p in known.values() if p.id not in {*expired, *moved_on} and p.id not in added]
    missing = note_listing(
        services, plan.name, repository, listing, known=kept, listed_at=listed_at
    )
    return ListingOutcome(len(manifests), tuple(added), tuple(expired), tuple(missing), unreadable)


def reaching(services: Services, plan: Plan, before: datetime) -> RestorePoint | None:
    """Return a point from which the log of a server leads exactly to the time `before`, and record
    it; None if the plan's copies have no log, or the log does not contain this time."""
    if not plan.made_by:
        return None
    repository = services.open_repository(plan.primary)
    manifest = repository.reaching(before)
    if manifest is None:
        return None
    unreadable: dict[str, str] = {}
    reader = DumpReader(services, plan, repository, WHILE_CHECKING)
    recorded = _record(reader, [manifest], unreadable)
    for why in unreadable.values():
        raise RepositoryError(
            f"drd cannot use the state of {format_time(before, seconds=True)}: {why}",
            hint=f"choose a restore point: drd points {plan.name}",
        )
    return services.catalogue.points.get(plan.name, recorded[0])


def newest(services: Services, plan: Plan) -> RestorePoint | None:
    """Return the newest complete restore point; if the catalogue has none yet, from the repository.
    None if drd itself makes the copies of the plan, or if the repository cannot be read. Changes
    nothing."""
    if not plan.made_by:
        return None
    now = services.clock.now()
    points = services.catalogue.points.of_plan(plan.name)
    known = newest_complete(points, now) or newest_complete(usable(points), now)
    if known is not None:
        return known
    repository = services.open_repository(plan.primary)
    try:
        listing = listings.listed(repository, plan.name)
        manifests = [s for s in listing if "manifest" in s.tags and s.time <= now + FAR_AHEAD]
        if not manifests:
            return None
        return read_manifest(services, repository, manifests[-1], plan.name, sealed=False).point
    except DrdError:
        return None


def refresh(services: Services, plan: Plan) -> None:
    """List the copies before one is chosen, if another tool makes them. If they cannot be listed
    now, the points that drd knows count; if it knows none, the error is raised."""
    if not plan.made_by:
        return
    try:
        seen = list_copies(services, plan, BEFORE_A_CHOICE)
    except DrdError as error:
        if newest_complete(usable(services.catalogue.points.of_plan(plan.name))) is None:
            raise
        services.warn(f"drd could not list the copies of {called(plan.made_by)}: {error.message}")
        return
    if newest_complete(usable(services.catalogue.points.of_plan(plan.name))) is None:
        refused = [f"{escaped(label)}: {escaped(why)}" for label, why in seen.unreadable.items()]
        if refused:
            services.warn(f"drd does not use {some(refused, between='; ')}")


def gone_meanwhile(services: Services, plan: Plan, point: str) -> RepositoryError | None:
    """Return why a copy that is being restored is gone: the tool let it expire, or it vanished.
    None if it is still listed, or if drd cannot find out."""
    try:
        seen = list_copies(services, plan)
    except DrdError:
        return None
    maker, next_one = (
        called(plan.made_by),
        f"the next drill uses another restore point: drd drill {plan.name}",
    )
    if point in seen.expired:
        return RepositoryError(
            f"{maker} has removed the copy of restore point {point} meanwhile",
            hint=next_one,
            permanent=False,
        )
    if point in seen.missing:
        return PointGone(
            f"the copy of restore point {point} is gone, although `retention` in the plan says "
            f"that {maker} keeps it",
            hint=f"find out who removed the copy; {next_one}",
        )
    return None


def _is_another(point: RestorePoint, repository: Repository, manifest: SnapshotInfo) -> bool:
    """Return whether the plan now looks for other components in the copy than when the point was
    recorded."""
    return point.repositories.get(repository.name) != manifest.id


def _record(
    reader: DumpReader,
    news: Sequence[SnapshotInfo],
    unreadable: dict[str, str],
    known: Sequence[RestorePoint] = (),
) -> list[str]:
    """Record these copies, the oldest first, and after them, the newest first, those whose dumps
    have to be read to their end; also of `known` points. Return the points of these copies."""
    services, plan, repository = reader.services, reader.plan, reader.repository
    now = services.clock.now()

    def read(snapshot: SnapshotInfo) -> Manifest | None:
        point = listings.run_of(snapshot) or snapshot.id
        try:
            manifest = read_manifest(services, repository, snapshot, plan.name, sealed=False)
        except DrdError as error:
            unreadable[point] = error.message
            return None
        if is_ahead(manifest.point, now):
            unreadable[point] = "it is dated in the future"
            return None
        return manifest

    with ThreadPoolExecutor(services.parallel, thread_name_prefix="drd-adopt") as pool:
        manifests = [manifest for manifest in pool.map(read, news) if manifest is not None]
    in_order = sorted(manifests, key=lambda m: m.point.available_at)
    recorded = [_keep(services, plan, m, m.point) for m in in_order if not waits(m.point)]
    of = {m.point.id: m for m in manifests if waits(m.point)}
    unread = [*(m.point for m in of.values()), *(p for p in known if waits(p))]
    reader.announce(unread)
    for point in sorted(unread, key=lambda p: p.data_time, reverse=True):
        after = reader.read(point)
        if after is None:
            unreadable[point.id] = f"{escaped(copy_name(point))} is still being written"
        elif point.id in of:
            recorded.append(_keep(services, plan, of[point.id], after))
        elif after != point:
            services.catalogue.points.record(after, at=now)
    return recorded


def _keep(services: Services, plan: Plan, manifest: Manifest, point: RestorePoint) -> str:
    """Record the point of a copy, as far as its dumps were read; return its id."""
    catalogue = services.catalogue
    rows = tuple(_shown(row) for row in point.components)
    point = replace(point, plan_digest=plan.digest, components=rows)
    with catalogue.together():
        catalogue.points.record(point, at=services.clock.now())
        if _may_seal(services, point):
            catalogue.origins.record_seals(plan.name, [seal_of(manifest.point, manifest.digest)])
        else:
            signatures.note(services, manifest)
    return point.id


def _may_seal(services: Services, point: RestorePoint) -> bool:
    """Return whether to note how a copy was first seen. On a host that was made from a kit that
    would confirm copies which the kit does not list, and which only the repository knows."""
    origins = services.catalogue.origins
    is_listed = origins.seal(point.plan, point.id) is not None
    return is_listed or origins.kit_base(point.plan) is None


def _shown(row: ComponentSnapshot) -> ComponentSnapshot:
    """Return the row without secrets: the other tool's names, and errors that quote them, may
    contain one."""
    facts = {k: masked(str(v)) if k == COPY else v for k, v in row.facts.items()}
    return replace(row, facts=facts, error=masked(row.error) if row.error else row.error)


def _moved_on(
    services: Services,
    plan: Plan,
    gone: Sequence[RestorePoint],
    listed: Iterable[SnapshotInfo],
) -> Mapping[str, bool]:
    """Return the points that were the newest state of a copy, and that a later state has replaced;
    true for those which a recovery that did not succeed may still need."""
    newest = max((s.time for s in listed), default=None)
    moved = [p.id for p in gone if rolled_forward(p) and newest and p.data_time <= newest]
    if not moved:
        return {}
    recoveries = services.catalogue.runs.newest(plan.name, limit=5, kind=RunKind.RECOVERY)
    wanted = {getattr(r.detail, "point", None) for r in recoveries if r.state is not _DONE}
    return {point: point in wanted for point in moved}


def _grown(
    services: Services, plan: Plan, gone: Sequence[RestorePoint], added: Sequence[str]
) -> list[str]:
    """Return points of copies that the tool went on writing after they were listed, and say so:
    their first state was no copy, so nothing is lost with it."""
    news = {copy_name(p): p for p in services.catalogue.points.of_plan(plan.name) if p.id in added}
    grown = []
    for point in gone:
        now = news.get(copy_name(point))
        if now is None or now.available_at - point.available_at > _WRITING:
            continue
        before, after = (sum(c.bytes or 0 for c in p.components) for p in (point, now))
        if after > before:
            old, new = format_sizes(before, after)
            services.warn(
                f"copy {copy_name(point)} grew from {old} to {new} after drd had listed it, "
                f"so restore point {point.id} was never finished. Change the command `list` "
                "so that it leaves out unfinished copies (docs/adopted.md)"
            )
            grown.append(point.id)
    return grown


def _renamed(
    services: Services, plan: Plan, gone: Sequence[RestorePoint], added: Sequence[str]
) -> list[str]:
    """Return points whose copies are there under another name: one that is new has exactly their
    size and time. Nobody compared the contents, so no drill of the former name counts for it."""
    points = services.catalogue.points.of_plan(plan.name)
    news = _by_data(p for p in points if p.id in added)
    renamed = {}
    for data, (point, *others) in _by_data(gone).items():
        now = news.get(data, [])
        if not others and len(now) == 1 and copy_name(now[0]) != copy_name(point):
            renamed[point.id] = f"{escaped(copy_name(point))} is now {escaped(copy_name(now[0]))}"
    if renamed:
        services.warn(
            f"{counted(len(renamed), 'copy has', 'copies have')} another name, with the same "
            f"size and time: {some(list(renamed.values()))}. drd treats such a copy as a new "
            "restore point: results of drills under the former name do not count for the "
            "new name (docs/adopted.md)"
        )
    return list(renamed)


def _by_data(points: Iterable[RestorePoint]) -> dict[tuple[datetime, int], list[RestorePoint]]:
    """Return points by the time and size of their copies."""
    by_data: dict[tuple[datetime, int], list[RestorePoint]] = {}
    for point in points:
        size = sum(c.bytes or 0 for c in point.components)
        by_data.setdefault((point.available_at, size), []).append(point)
    return by_data


def _expired(
    services: Services, plan: Plan, gone: Sequence[str], unreadable: Mapping[str, str]
) -> list[str]:
    """Return those of the points that are no longer listed which the tool had no reason to keep. It
    counts its copies without looking into them, so incomplete ones fill places of the rules, too.
    One that no drill could restore takes no place from another of its period, and the newest of the
    others never expires. If the newest that passed a drill expires, say so."""
    if not gone:
        return []
    known = usable(services.catalogue.points.of_plan(plan.name))
    points = [p for p in known if not rolled_forward(p)]
    spoilt = services.catalogue.evidence.unrestorable(plan.name)
    now = services.clock.now()
    as_counted = [replace(p, complete=True, proven_by=None) for p in points]
    by_rules = plan_retention(as_counted, plan.retention, now, spoilt=spoilt).keep
    complete = {p.id for p in points if p.complete}
    promised = {k.id for k in by_rules if k.id in complete and set(k.reasons) - {NO_RULE, NEWEST}}
    always = (newest_complete(points), newest_complete([p for p in points if p.id not in spoilt]))
    promised |= {p.id for p in always if p is not None}
    expired = [i for i in gone if i not in promised and i not in unreadable]
    good = [p for p in points if p.complete and p.id not in spoilt]
    _say_what_would_stay(services, plan, good, expired)
    proven = max((p for p in points if p.proven_by), key=lambda p: p.data_time, default=None)
    if proven is not None and proven.id in expired:
        services.warn(
            f"{called(plan.made_by)} let restore point {with_copy(proven)} expire. It was "
            "the newest that passed a drill, so the plan does not have a proven restore "
            f"point any more. Start a drill: drd drill {plan.name}"
        )
    return expired


def _say_what_would_stay(
    services: Services, plan: Plan, usable: Sequence[RestorePoint], expired: Sequence[str]
) -> None:
    """Warn that restore points expired which the rules keep among those that can be restored: the
    tool counts copies that cannot, too, so that it keeps fewer good ones than the rules say."""
    kept = plan_retention(usable, plan.retention, services.clock.now()).keep
    wanted = {k.id for k in kept if set(k.reasons) - {NO_RULE, NEWEST, PASSED}}
    lost = [with_copy(p) for p in usable if p.id in wanted and p.id in expired]
    if lost:
        services.warn(
            f"{called(plan.made_by)} let {counted(len(lost), 'good restore point')} of plan "
            f"{plan.name} expire ({some(lost)}) because the tool also counts copies that "
            "cannot be restored: fewer good copies are left than `retention` says. Set the "
            "tool to keep more copies, and find out why some cannot be restored: drd points "
            f"{plan.name}"
        )

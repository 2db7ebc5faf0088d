"""Choose the restore point."""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from drd.errors import ManifestRefused, NoRestorePoint, UsageError
from drd.flows.components.repository_choice import former_places, holders
from drd.flows.repository import adopted
from drd.flows.repository.identity import recognise
from drd.flows.repository.manifests import require_sound
from drd.flows.repository.read_dumps import usable
from drd.flows.repository.renamed import left_behind
from drd.flows.restore.trusted_points import trusted_points
from drd.flows.services import Services
from drd.flows.state.restored_points import restored_points
from drd.model.adopted import with_copy
from drd.model.consistency import too_wide
from drd.model.former_name import left_words
from drd.model.malformed import Malformed
from drd.model.plan import Plan
from drd.model.run import Evidence
from drd.model.scenarios import is_random_turn, next_scenario
from drd.model.snapshot import RestorePoint, newest_complete
from drd.model.text import called, counted, either, some
from drd.model.units import format_time, from_rfc3339, parse_duration
from drd.model.unrestorable import left_out_words

DEFAULT_RANDOM_WITHIN_S = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A point with its fingerprints; `newest` means that there is no newer complete point."""

    point: RestorePoint
    newest: bool


def choose(
    services: Services,
    plan: Plan,
    *,
    point: str | None = None,
    before: datetime | None = None,
    held_by: Collection[str] | None = None,
    among: Collection[str] | None = None,
    exactly: bool = False,
    drilling: bool = False,
) -> Choice:
    """Choose a point by id (or its beginning), `latest`, `random`, or the newest with data from
    before a time; only points that a repository in `held_by` holds, and whose id is in `among`.
    With `exactly`, the point may have newer data as well, if its log lets a restore stop at that
    time. Points that a drill could not restore are left out, unless `drilling`: a new drill shows
    whether they can be restored now.

    Raises NoRestorePoint, UsageError for an ambiguous id, or ManifestRefused for a point whose row
    in the catalogue contains something that drd does not write: if it was named, or is the only
    one. A drill gets such a point without an error, and fails on it.
    """
    points, now = _among(_points(services, plan), held_by, among), services.clock.now()
    named = point not in (None, "latest", "random")
    if not named:
        points = trusted_points(services, plan, points, before)
        points = _standing_points(services, plan, _restorable_points(services, plan, points))
        if not drilling:
            points = _proven_points(services, plan, points, before)
    newest = newest_complete(points, now)
    if newest is not None and newest is not newest_complete(points):
        services.note(
            f"drd ignores restore points of plan {plan.name} that are dated in the future, because "
            f"a clock was wrong. The newest other restore point is of {_time(newest.data_time)}"
        )
    if named:
        chosen = services.catalogue.points.get(plan.name, str(point))
        if not drilling:
            require_sound(services.kinds, chosen, plan)
        holders(plan, chosen, held_by)
        # The preflight of a recovery (`exactly`) itself reports this for the restored components.
        for spread in too_wide(chosen.consistency) if not exactly else ():
            services.warn(
                f"the data of {spread.names} in restore point {chosen.id} may not fit together: "
                f"{spread.words}"
            )
        return Choice(chosen, newest is not None and chosen.id == newest.id)
    if newest is None:
        where = f" in {either(held_by)}" if held_by is not None else ""
        raise NoRestorePoint(
            f"plan {plan.name} has no complete restore point{where}" + _but_incomplete(points),
            hint=_what_is_there(points) + _how_to_get_one(services, plan, held_by),
        )
    asked = _Asked(str(point or "latest"), before, exactly)
    if drilling:
        chosen = asked.of(services, plan, points, newest)
        whole = services.catalogue.points.get(plan.name, chosen.id)
        return Choice(whole, whole.id == newest.id)
    return _sound(services, plan, points, asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """How a point is chosen that is not named."""

    word: str
    before: datetime | None
    exactly: bool

    def of(
        self, services: Services, plan: Plan, points: list[RestorePoint], newest: RestorePoint
    ) -> RestorePoint:
        if self.before is not None:
            exact = adopted.reaching(services, plan, self.before) if self.exactly else None
            return exact or _before(plan, points, self.before)
        return (_random(services, plan, points) or newest) if self.word == "random" else newest


def _sound(services: Services, plan: Plan, points: list[RestorePoint], asked: _Asked) -> Choice:
    """Return the point that is asked for, without those that drd refuses. Raises ManifestRefused
    for the first of these if no other point is left."""
    refused: list[ManifestRefused] = []
    newest = newest_complete(points, services.clock.now())
    while newest is not None:
        try:
            chosen = asked.of(services, plan, points, newest)
        except NoRestorePoint:
            if not refused:
                raise
            break
        whole = services.catalogue.points.get(plan.name, chosen.id)
        try:
            require_sound(services.kinds, whole, plan)
        except ManifestRefused as error:
            refused.append(error)
        else:
            for passed_over in refused:
                services.warn(f"{passed_over.message}; so drd leaves this restore point out")
            return Choice(whole, whole.id == newest.id)
        left = [p for p in points if p.id != chosen.id]
        if len(left) == len(points):
            break
        points = left
        newest = newest_complete(points, services.clock.now())
    raise refused[0]


def _among(
    points: list[RestorePoint], held_by: Collection[str] | None, ids: Collection[str] | None
) -> list[RestorePoint]:
    """Return the points in one of these repositories, with one of these ids; None means any."""
    if held_by is not None:
        points = [p for p in points if any(name in p.repositories for name in held_by)]
    return [p for p in points if ids is None or p.id in ids]


def require_held(
    services: Services, plan: Plan, point: str, *, held_by: Collection[str] | None = None
) -> None:
    """Raise NoRestorePoint for a point, by the beginning of its id, that there is not, or that is
    only where the plan has no repository any more. Another tool's list may have a newer one.
    """
    if plan.made_by or point in ("latest", "random"):
        return
    chosen = services.catalogue.points.get(plan.name, point)
    if chosen.elsewhere and not chosen.repositories:
        recognise(services, plan)
        chosen = services.catalogue.points.get(plan.name, point)
    holders(plan, chosen, held_by)


def drill_choice(
    services: Services, plan: Plan, *, held_by: Collection[str] | None = None
) -> Choice:
    """Return the plan's choice for a drill: the newest point, every n-th time a random older one,
    but not after a failed drill, which an older point cannot clear."""
    if plan.drill.random_within_s is None:
        return choose(services, plan, held_by=held_by, drilling=True)
    drills, scenarios = _drills(services, plan), len(plan.drill.scenarios)
    turn = is_random_turn(len(drills), plan.drill.random_each, scenarios)
    turn = turn and bool(drills) and drills[0].result == "passed"
    which = "random" if turn else "latest"
    return choose(services, plan, point=which, held_by=held_by, drilling=True)


def drill_scenario(services: Services, plan: Plan) -> str:
    """Return what the plan's next drill simulates: a scenario that was never drilled, else the
    scenario whose last drill was the longest time ago."""
    last: dict[str, datetime] = {}
    for drill in _drills(services, plan):
        last.setdefault(drill.scenario, drill.finished_at)
    return next_scenario(plan.drill.scenarios, last)


def _drills(services: Services, plan: Plan) -> list[Evidence]:
    """Newest first."""
    evidence = services.catalogue.evidence.newest(plan.name, limit=1000)
    return [e for e in evidence if e.target is None]


def _points(services: Services, plan: Plan) -> list[RestorePoint]:
    """Points in the plan's current repositories. If some lie elsewhere, asks first what its URLs
    mean: one may be another address of the same repository."""
    adopted.refresh(services, plan)
    everything = services.catalogue.points.of_plan(plan.name, elsewhere=True)
    if any(p.elsewhere for p in everything):
        recognise(services, plan)
        everything = services.catalogue.points.of_plan(plan.name, elsewhere=True)
    away = [p for p in everything if p.elsewhere and not p.repositories]
    if away:
        count = counted(len(away), "restore point")
        services.note(
            f"drd leaves out {count} of {plan.name}: the data is only in "
            f"{former_places(away[0])}, which is no longer in the plan"
        )
    return usable([p for p in everything if p not in away])


def _restorable_points(
    services: Services, plan: Plan, points: list[RestorePoint]
) -> list[RestorePoint]:
    """Return the points, without those that no repository can provide whole: drd knows that each of
    them lacks snapshots of the point. All points, if no other complete point is left."""
    lacking = {k.repository: k.missing for k in services.catalogue.health.of_plan(plan.name)}
    torn = [p for p in points if all(p.id in lacking.get(name, ()) for name in p.repositories)]
    whole = [p for p in points if p not in torn]
    newest, left = newest_complete(torn), newest_complete(whole)
    if newest is None or left is None:
        return points
    if newest.data_time > left.data_time:
        services.note(
            f"drd leaves out restore point {newest.id}: its snapshots are no longer complete in "
            "any repository"
        )
    return whole


def _standing_points(
    services: Services, plan: Plan, points: list[RestorePoint]
) -> list[RestorePoint]:
    """Return the points, without those that hold what a recovery had restored and an undo took
    back: they are newer than the data that the undo put back. Without those either that were made
    while a recovery was restoring. All points, if no other complete point is left."""
    restored = restored_points(services.catalogue, plan.name, points)
    out = [p for p in points if p.id in restored and not restored[p.id].is_state]
    standing = [p for p in points if p not in out]
    newest, left = newest_complete(out), newest_complete(standing)
    if newest is None or left is None:
        return points
    if newest.data_time > left.data_time:
        services.warn(
            f"drd leaves out restore point {newest.id}: {restored[newest.id].sentence()}. To "
            f"use this point nevertheless: --point {newest.id}"
        )
    return standing


def _proven_points(
    services: Services, plan: Plan, points: list[RestorePoint], before: datetime | None
) -> list[RestorePoint]:
    """Return the points, without those that a drill could not restore. All points, if no other
    complete point is left, of those with data from `before`."""
    tried = services.catalogue.evidence.unrestorable(plan.name)
    asked = [p for p in points if before is None or p.data_time < before]
    out = newest_complete([p for p in asked if p.id in tried])
    left = newest_complete([p for p in asked if p.id not in tried])
    if out is None or left is None:
        return points
    if out.data_time > left.data_time:
        run, at = tried[out.id]
        services.warn(
            f"{left_out_words(with_copy(out), run, at)}. To use this point nevertheless: "
            f"--point {out.id}"
        )
    return [p for p in points if p.id not in tried]


def _how_to_get_one(services: Services, plan: Plan, held_by: Collection[str] | None) -> str:
    if plan.made_by:
        return (
            f"{called(plan.made_by)} makes the copies: check there whether a finished copy "
            "contains all components. To let drd list the copies again: drd catalogue "
            f"rebuild {plan.name}"
        )
    if held_by is not None and any(plan.repositories[n].copy_of for n in held_by):
        return f"drd copy {plan.name}"
    left = left_behind(services.catalogue, plan.name)
    if left:
        text, remedy = left_words(plan.name, left)
        return f"{text}; {remedy}."
    return (
        f"to make a restore point: `drd backup {plan.name}`. If the repository has points "
        f"that this host does not know: `drd catalogue rebuild {plan.name}`"
    )


def _what_is_there(points: list[RestorePoint]) -> str:
    """Name the newest incomplete point, and what can be restored from it."""
    newest = max(points, key=lambda p: (p.data_time, p.available_at), default=None)
    names = [c.component for c in newest.components if c.snapshot is not None] if newest else []
    if newest is None or not names:
        return ""
    return (
        f"restore point {newest.id} is incomplete, but contains {some(names)}. To use this point: "
        f"--point {newest.id}\n"
    )


def _but_incomplete(points: list[RestorePoint]) -> str:
    incomplete = sum(not p.complete for p in points)
    return f" ({incomplete} incomplete)" if incomplete else ""


def _time(at: datetime) -> str:
    return format_time(at, seconds=True)


def _before(plan: Plan, points: list[RestorePoint], before: datetime) -> RestorePoint:
    earlier = newest_complete([p for p in points if p.data_time < before])
    if earlier is None:
        oldest = min((p.data_time for p in points if p.complete), default=None)
        oldest_words = f"; the oldest restore point is of {_time(oldest)}" if oldest else ""
        raise NoRestorePoint(
            f"plan {plan.name} has no complete restore point from before "
            f"{_time(before)}{oldest_words}",
            hint=f"choose another restore point: drd points {plan.name}",
        )
    return earlier


def _random(services: Services, plan: Plan, points: list[RestorePoint]) -> RestorePoint | None:
    within = timedelta(seconds=plan.drill.random_within_s or DEFAULT_RANDOM_WITHIN_S)
    oldest = services.clock.now() - within
    tried = services.catalogue.evidence.unrestorable(plan.name)
    # One from before a component was added proves less than the plan needs.
    candidates = [
        p
        for p in points
        if p.complete
        and p.data_time >= oldest
        and p.id not in tried
        and set(plan.components) <= _components(p)
    ]
    # Any random choice is fine; it protects no secret.
    return random.choice(candidates) if candidates else None  # noqa: S311


def _components(point: RestorePoint) -> set[str]:
    return {one.component for one in point.components if one.snapshot is not None}


def _wrong_time(text: str, error: ValueError) -> str:
    """drd's own errors say what is missing; Python's only that it cannot parse the text."""
    return error.fact if isinstance(error, Malformed) else f"{text!r} is not a time"


def parse_time(text: str, now: datetime) -> datetime:
    """Return a time as an operator types it: RFC 3339, or `2h ago`'s `2h`."""
    try:
        return now - timedelta(seconds=parse_duration(text.removesuffix("ago").strip()))
    except OverflowError as error:
        raise UsageError(f"{text!r} is too long ago", hint="write 2h for two hours ago.") from error
    except ValueError:
        pass
    try:
        return from_rfc3339(re.sub(r" UTC$", "Z", text.strip()))  # as drd prints times
    except ValueError as error:
        raise UsageError(
            _wrong_time(text, error),
            hint="write 2026-11-25T00:31:00Z (Z means UTC), or 2h for two hours ago.",
        ) from error

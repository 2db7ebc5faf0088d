"""The restore points of a plan before and after the first sign of an incident, and the point that a
recovery should use. Reads only the catalogue, no repository."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from drd.errors import NoRestorePoint
from drd.flows.repository.signatures import signatures_of
from drd.flows.state.restored_points import restored_points
from drd.model.clean_points import (
    Candidate,
    Described,
    Drilled,
    clean_choice,
    data_until,
    why_chosen,
    why_none,
)
from drd.model.clock import FAR_AHEAD
from drd.model.consistency import too_wide
from drd.model.row_loss import RowLoss, rows_lost
from drd.model.run import PARTIAL_DRILL, DrillResult
from drd.model.snapshot import DatabaseFingerprint, RestorePoint
from drd.model.text import some
from drd.model.unusual import NO_CHANGES, changes
from drd.model.verdicts import lost_words
from drd.ports import Catalogue
from drd.ports.health import KnownRepository
from drd.registry import KINDS

SHOWN = 20
"""How many points are described unless all are requested: half of them are from before the sign."""
_DRILLS = 1000


@dataclass(frozen=True, slots=True)
class CleanPoints:
    """The points of a plan, newest data first. `described` has some of them, with what they lose
    and what changed. `choice` is the point to recover, and `why` the reason. Without a choice,
    `why` says why there is none, and `remedy` what to do."""

    plan: str
    sign: datetime
    candidates: tuple[Candidate, ...]
    choice: Candidate | None
    why: str
    remedy: str = ""
    described: tuple[Described, ...] = ()


def clean_points(
    catalogue: Catalogue,
    plan: str,
    sign: datetime,
    now: datetime,
    *,
    held_by: Collection[str] | None = None,
) -> CleanPoints:
    """Choose the point of a plan that has no data from after the sign and can be relied on, among
    the points that a repository in `held_by` holds. Does not fill `described`."""
    points = [
        p
        for p in catalogue.points.of_plan(plan)
        if held_by is None or any(name in p.repositories for name in held_by)
    ]
    candidates = tuple(_candidates(catalogue, plan, points, now))
    choice = clean_choice(candidates, sign)
    if choice is None:
        return CleanPoints(plan, sign, candidates, None, *why_none(plan, candidates, sign))
    return CleanPoints(plan, sign, candidates, choice, why_chosen(choice, candidates, sign))


def require_clean(found: CleanPoints, number: int) -> Candidate:
    """Return the choice. Raises NoRestorePoint if there is none."""
    if found.choice is None:
        raise NoRestorePoint(
            f"incident {number} has no clean restore point: {found.why}", hint=f"{found.remedy}."
        )
    return found.choice


def described(
    catalogue: Catalogue, found: CleanPoints, now: datetime, *, everything: bool = False
) -> tuple[Described, ...]:
    """Return what the points lose up to now, and what changed in each: for all points, or for the
    nearest points before and after the sign. Reads one point after another, because fingerprints
    can be large."""
    shown = _nearest(found) if not everything else found.candidates
    newest = _with_fingerprints(catalogue, _newest(found.candidates, now))
    points = [one.point for one in found.candidates]
    before = {newer.id: older for newer, older in itertools.pairwise(points)}
    told: list[Described] = []
    here: RestorePoint | None = None
    richest = newest
    for one in shown:
        older = before.get(one.point.id)
        known = here if here is not None and here.id == one.point.id else None
        point = known or _with_fingerprints(catalogue, one.point)
        here = _with_fingerprints(catalogue, older)
        if point is None:
            continue
        told.append(_described(one, point, [newest, richest], here, now))
        if richest is None or _rows(point) > _rows(richest):
            richest = point
    return tuple(told)


def _rows(point: RestorePoint) -> int:
    seen = (c.fingerprint for c in point.components)
    return sum(
        t.rows for f in seen if isinstance(f, DatabaseFingerprint) for t in f.tables.values()
    )


def _described(
    one: Candidate,
    point: RestorePoint,
    newer: Sequence[RestorePoint | None],
    older: RestorePoint | None,
    now: datetime,
) -> Described:
    """`newer` are points whose rows count as lost: the newest one can lack what was destroyed."""
    later = [p for p in newer if p is not None and p.data_time > point.data_time]
    rows: dict[str, RowLoss] = {}
    for newest in later or (None,):
        for loss in rows_lost(point, newest, older, now):
            known = rows.get(loss.component)
            if known is None or (loss.counted, loss.rows) > (known.counted, known.rows):
                rows[loss.component] = loss
    return Described(
        one,
        (now - point.data_time) / timedelta(seconds=1),
        tuple(rows.values()),
        tuple(
            c.component
            for c in point.components
            if c.component not in rows and isinstance(c.fingerprint, DatabaseFingerprint | None)
        ),
        older.id if older is not None else None,
        changes(older, point) if older is not None else NO_CHANGES,
    )


def _nearest(found: CleanPoints) -> list[Candidate]:
    """Return some points on both sides of the sign, the choice among them, newest first."""
    after = [one for one in found.candidates if not one.is_before(found.sign)]
    before = [one for one in found.candidates if one.is_before(found.sign)]
    half = SHOWN // 2
    near = [*after[-half:], *before[:half]]
    if found.choice is not None and found.choice not in near:
        near.append(found.choice)
    return near


def _newest(candidates: Sequence[Candidate], now: datetime) -> RestorePoint | None:
    points = (one.point for one in candidates if one.point.complete)
    return next((p for p in points if p.data_time <= now + FAR_AHEAD), None)


def _with_fingerprints(catalogue: Catalogue, point: RestorePoint | None) -> RestorePoint | None:
    """Return the point with its fingerprints; None if a retention has just forgotten it."""
    if point is None:
        return None
    try:
        return catalogue.points.get(point.plan, point.id)
    except NoRestorePoint:
        return None


# --- what speaks against a point --------------------------------------------------------------


def _candidates(
    catalogue: Catalogue, plan: str, points: list[RestorePoint], now: datetime
) -> Iterator[Candidate]:
    places = catalogue.health.of_plan(plan)
    signed = signatures_of(catalogue, plan)
    restored = restored_points(catalogue, plan, points)
    drills = _drills(catalogue, plan)
    for point in points:
        doubts = list(_doubts(point, places, now))
        if signed.judges and (why := signed.why_not(point, points)) is not None:
            doubts.append(why)
        if point.id in restored and not restored[point.id].is_state:
            doubts.append(restored[point.id].words())
        drill = drills.get(point.id)
        if drill is not None and drill.result == "failed":
            what = "failed" if drill.restored else "could not restore this point"
            doubts.append(f"a drill {what}; to see why: drd run show {drill.run}")
        yield Candidate(point, data_until(point, _freezes), tuple(doubts), drill)


def _freezes(kind: str) -> bool:
    return kind in KINDS and KINDS[kind].freezes


def _doubts(point: RestorePoint, places: Sequence[KnownRepository], now: datetime) -> Iterator[str]:
    if not point.complete:
        lacking = [c.component for c in point.components if c.state != "captured"]
        wide = [f"{spread.names}: {spread.words}" for spread in too_wide(point.consistency)]
        yield f"incomplete: lacks {some(lacking)}" if lacking else ": ".join(["incomplete", *wide])
    if point.data_time > now + FAR_AHEAD:
        yield "dated in the future"
    known = {k.repository: k for k in places}
    states = [_state(point, known.get(name)) for name in point.repositories]
    if all(states):
        yield some(list(dict.fromkeys(filter(None, states))), between=" and ")


def _state(point: RestorePoint, known: KnownRepository | None) -> str:
    """Return why a repository cannot give the point; empty if nothing speaks against it."""
    if known is None:
        return ""
    if known.lost is not None:
        return f"repository {known.repository} {lost_words(known.lost)}"
    if point.id in known.missing:
        return f"snapshots are missing in {known.repository}"
    is_affected = known.affected is None or point.id in known.affected
    return f"damaged in {known.repository}" if known.damage is not None and is_affected else ""


def _drills(catalogue: Catalogue, plan: str) -> dict[str, Drilled]:
    """Return, by the id of each point, its last drill that passed or failed."""
    broken = catalogue.evidence.unrestorable(plan)
    drills: dict[str, Drilled] = {}
    for one in catalogue.evidence.newest(plan, limit=_DRILLS):  # newest first
        is_drill = one.target is None and one.scenario != PARTIAL_DRILL
        if not is_drill or one.point is None or one.point in drills:
            continue
        if one.result is DrillResult.PASSED:
            drills[one.point] = Drilled(one.run, one.finished_at, "passed", restored=True)
        elif one.result is DrillResult.FAILED:
            drills[one.point] = Drilled(one.run, one.finished_at, "failed", restored=True)
    for point, (run, at) in broken.items():
        drills[point] = Drilled(run, at, "failed", restored=False)
    return drills

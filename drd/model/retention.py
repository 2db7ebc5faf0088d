"""Which restore points to keep: a point is chosen as a whole, by its data time, never by single
snapshots.

restic's own rules judge every snapshot alone: across midnight they could keep the database of a run
and drop its files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from drd.model.clock import AGE_TOLERANCE_S
from drd.model.policies import RetentionPolicy
from drd.model.snapshot import RestorePoint
from drd.model.units import format_duration, format_time
from drd.named import NamedTuple

_Period = Callable[[datetime], object]
_PERIODS: tuple[tuple[str, _Period], ...] = (
    ("hourly", lambda t: (t.date(), t.hour, t.utcoffset())),  # an hour may come twice in a day
    ("daily", lambda t: t.date()),
    ("weekly", lambda t: t.isocalendar()[:2]),
    ("monthly", lambda t: (t.year, t.month)),
    ("yearly", lambda t: t.year),
)


class KeptPoint(NamedTuple):
    """A point that stays, and everything that keeps it (`daily`, `newest`, `passed a drill`)."""

    id: str
    reasons: tuple[str, ...]


class RetentionPlan(NamedTuple):
    """What a retention run would do, newest data time first. With `refused` nothing is forgotten
    and everything stays. `over` are points that no rule keeps and that stay because they exceed
    what one run may forget.
    """

    keep: tuple[KeptPoint, ...]
    forget: tuple[str, ...]
    refused: str | None = None
    over: tuple[str, ...] = ()


NO_RULE = "no retention policy"
PASSED = "passed a drill"
NEWEST = "newest"
OVER = "over the limit of this run: forgotten only with --force"
"""Reasons why a point stays that no rule keeps."""


def allowance(completed: int, there: int) -> int:
    """Return how many points one run may forget: as many as were completed since the last
    successful retention, plus a quarter of the existing ones, at least one.
    """
    return completed + max(1, there // 4)


def plan_retention(
    points: Sequence[RestorePoint],
    policy: RetentionPolicy,
    now: datetime,
    proven: Collection[str] = (),
    *,
    snapshot_times: Iterable[tuple[str, datetime]] = (),
    timezone: str = "UTC",
    held: Collection[str] = (),
    spoilt: Collection[str] = (),
) -> RetentionPlan:
    """Choose among the kept points of one plan.

    - `last`, `hourly` … `yearly` keep the newest complete point of each of the newest N periods
      that have one, in the days of `timezone`: nightly backups that a change of the clocks brings
      into one day of UTC are of two days where they were asked for. `keep_within` keeps the
      complete points with a data time within it of the newest complete point: after an outage, or
      by a clock that is ahead, rules that count from now would forget all the others.
    - An incomplete point fills no slot; it goes once a complete one with a later data time exists.
    - The newest complete point is never forgotten, nor the newest that passed a drill: one with
      `proven_by`, or that the caller names in `proven`; nor a point in `held`.
    - Of a period, one of `spoilt` is chosen only if it has no other: drills could not restore them.
    - A policy that says nothing keeps everything.

    Refuses while any point, or any of the repository's `snapshot_times` (id, time), lies after
    `now`: with a clock that is wrong, rules by age would forget what is needed.
    """
    ordered = sorted(
        (p for p in points if p.forgotten_at is None),
        key=lambda p: (p.data_time, not p.complete, p.available_at, p.id),
        reverse=True,
    )
    refused = refusal(ordered, snapshot_times, now)
    if refused is not None:
        return RetentionPlan(tuple(KeptPoint(p.id, ("refused",)) for p in ordered), (), refused)
    reasons: dict[str, list[str]] = {p.id: [] for p in ordered}
    complete = [p for p in ordered if p.complete]
    if policy.keeps_everything:
        for point in ordered:
            reasons[point.id].append(NO_RULE)
    _keep_by_rules(complete, policy, ZoneInfo(timezone), reasons, spoilt)
    _keep_always(ordered, complete, proven, reasons)
    for point in ordered:
        if point.id in held:
            reasons[point.id].append("held")
    return RetentionPlan(
        keep=tuple(KeptPoint(p.id, tuple(reasons[p.id])) for p in ordered if reasons[p.id]),
        forget=tuple(p.id for p in ordered if not reasons[p.id]),
    )


def limited(plan: RetentionPlan, limit: int, waiting: Collection[str] = ()) -> RetentionPlan:
    """Return the same plan with at most `limit` points to forget, the oldest first; the others
    stay.

    Points above the limit of an earlier run (`waiting`) stay as well, and wait for a person:
    otherwise, with a wrong policy, they would be lost only a few runs later.
    """
    free = [point for point in plan.forget if point not in waiting]
    may_go = set(free[max(0, len(free) - limit) :])
    over = tuple(point for point in plan.forget if point not in may_go)
    return plan._replace(
        keep=plan.keep + tuple(KeptPoint(point, (OVER,)) for point in over),
        forget=tuple(point for point in plan.forget if point in may_go),
        over=over,
    )


def refusal(
    points: Sequence[RestorePoint], snapshot_times: Iterable[tuple[str, datetime]], now: datetime
) -> str | None:
    """Return why rules by age cannot be trusted: something is dated in the future. None if nothing
    is."""
    dated = [(f"restore point {p.id}", max(p.data_time, p.available_at)) for p in points]
    dated += [(f"snapshot {snapshot[:8]}", at) for snapshot, at in snapshot_times]
    name, at = max(dated, key=lambda d: d[1], default=("", now))
    if at <= now + timedelta(seconds=AGE_TOLERANCE_S):
        return None
    ahead = format_duration((at - now).total_seconds())
    dated_at = format_time(at, seconds=True)
    return f"{name} is dated {dated_at}, {ahead} in the future: a clock is or was wrong"


def _keep_by_rules(
    complete: Sequence[RestorePoint],
    policy: RetentionPolicy,
    zone: ZoneInfo,
    reasons: dict[str, list[str]],
    spoilt: Collection[str],
) -> None:
    """Apply the rules. `complete` has the newest first, so the first of a period is its newest."""
    if policy.keep_within_s is not None and complete:
        oldest = complete[0].data_time - timedelta(seconds=policy.keep_within_s)
        for point in complete:
            if point.data_time >= oldest:
                reasons[point.id].append(f"within {format_duration(policy.keep_within_s)}")
    for point in complete[: policy.last]:
        reasons[point.id].append("last")
    for rule, period_of in _PERIODS:
        newest: dict[object, str] = {}
        for point in complete:
            period = period_of(point.data_time.astimezone(zone))
            if newest.setdefault(period, point.id) in spoilt and point.id not in spoilt:
                newest[period] = point.id
        for kept in list(newest.values())[: getattr(policy, rule)]:
            reasons[kept].append(rule)


def _keep_always(
    ordered: Sequence[RestorePoint],
    complete: Sequence[RestorePoint],
    proven: Collection[str],
    reasons: dict[str, list[str]],
) -> None:
    if complete:
        reasons[complete[0].id].append(NEWEST)
    for point in ordered:
        if point.complete:
            break
        reasons[point.id].append("incomplete, but no newer point is complete")
    passed = (p for p in ordered if p.proven_by is not None or p.id in proven)
    newest_passed = next(passed, None)
    if newest_passed is not None:
        reasons[newest_passed.id].append(PASSED)

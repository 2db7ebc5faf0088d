"""Hold restore points, and release them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from drd.errors import NoRestorePoint, UsageError
from drd.model.actor import Actor
from drd.model.holds import LONGEST_REASON, Hold
from drd.model.units import parse_duration
from drd.ports import Catalogue


def hold(
    catalogue: Catalogue,
    prefix: str,
    reason: str,
    *,
    now: datetime,
    until: str | None = None,
    by: Actor | None = None,
) -> Hold:
    """Record a hold on the point whose id begins with this. Raises NoRestorePoint for a forgotten
    one, UsageError for an invalid or past time, AlreadyRunning for one that a retention is just
    forgetting.
    """
    plan, point = catalogue.keeping.plan_of(prefix)
    catalogue.points.get(plan, point)  # one that is forgotten cannot be kept any more
    end = _until(until, now) if until else None
    return catalogue.keeping.hold(Hold(point, plan, _text(reason), now, by, end))


def release(
    catalogue: Catalogue, prefix: str, reason: str, *, now: datetime, by: Actor | None = None
) -> list[Hold]:
    """End all active holds on the point and return them. Raises NoRestorePoint if there are
    none.
    """
    wanted = {h.point for h in catalogue.keeping.holds() if h.point.startswith(prefix)}
    exact = wanted & {prefix} or wanted
    if not prefix or not exact:
        raise NoRestorePoint(
            f"no held restore point has an id that begins with {prefix!r}",
            hint="drd points PLAN shows which restore points of a plan are held.",
        )
    if len(exact) > 1:
        raise UsageError(
            f"the ids of several held restore points begin with {prefix!r}",
            hint="give more characters of the id.",
        )
    return catalogue.keeping.release(
        exact.pop(), at=now, by=by, reason=_text(reason) if reason.strip() else ""
    )


def _text(reason: str) -> str:
    text = reason.strip()
    if not text or len(text) > LONGEST_REASON:
        raise UsageError(
            f"the reason must have 1 to {LONGEST_REASON} characters", hint="add --reason TEXT"
        )
    return text


def _until(text: str, now: datetime) -> datetime:
    try:
        end = _end(text, now)
    except OverflowError as error:
        raise UsageError(
            f"the time {text} is too far in the future", hint="give an earlier time"
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a time", hint="write a date like 2027-03-31, or a duration like 90d"
        ) from error
    if end <= now:
        raise UsageError(f"{text} is in the past", hint="give a later time")
    return end


def _end(text: str, now: datetime) -> datetime:
    """Parse the end. Raises ValueError, and OverflowError for an impossible year."""
    try:
        end = datetime.fromisoformat(text)
    except ValueError:
        return now + timedelta(seconds=parse_duration(text))
    end = end if end.tzinfo is not None else end.replace(tzinfo=UTC)
    if len(text) <= len("2026-12-31"):
        end += timedelta(days=1)  # that whole day
    return end.astimezone(UTC)

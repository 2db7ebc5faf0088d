"""Hold restore points, and release them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from drd.errors import NoRestorePoint, NotSupported, UsageError
from drd.model.actor import Actor
from drd.model.adopted import KEEPING
from drd.model.holds import LONGEST_REASON, Hold
from drd.model.snapshot import made_by
from drd.model.text import called, some
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
    """Record a hold on the point whose id begins with `prefix`. Raises NoRestorePoint if the point
    was forgotten, UsageError for an invalid or past time, AlreadyRunning if a retention is just
    forgetting the point.
    """
    plan, point = catalogue.keeping.plan_of(prefix)
    if tool := made_by(point):
        raise NotSupported(
            f"{called(tool)} made restore point {point} and decides how long it stays: drd cannot "
            "hold it",
            hint=KEEPING.get(
                tool,
                f"copy the restore point to a place from which {called(tool)} does not remove it.",
            ),
        )
    catalogue.points.get(plan, point)  # one that is forgotten cannot be kept any more
    end = _until(until, now) if until else None
    return catalogue.keeping.hold(Hold(point, plan, _text(reason), now, by, end))


def release(
    catalogue: Catalogue, prefix: str, reason: str, *, now: datetime, by: Actor | None = None
) -> list[Hold]:
    """End all active holds on the point and return them. Raises NoRestorePoint if there are
    none.
    """
    held = {h.point for h in catalogue.keeping.holds()}
    wanted = {point for point in held if point.startswith(prefix)}
    exact = wanted & {prefix} or wanted
    if not prefix or not exact:
        known = f"choose one of the held restore points: {some(sorted(held), 10)}."
        raise NoRestorePoint(
            f"no held restore point has an id that begins with {prefix!r}",
            hint=known
            if held
            else "there are no held restore points. To hold a restore point: drd hold",
        )
    if len(exact) > 1:
        raise UsageError(
            f"the ids of several held restore points begin with {prefix!r}",
            hint=f"give more characters of the id: {some(sorted(exact), 10)}",
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
            f"the end of the hold, {text}, is too far in the future",
            hint="give an earlier time, for example 90d",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a time", hint="write a date like 2027-03-31, or a duration like 90d"
        ) from error
    if end <= now:
        raise UsageError(
            f"the end of the hold, {text}, is in the past",
            hint="give a later time, for example 90d",
        )
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

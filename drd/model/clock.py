"""Ages, and the tolerances for clocks: how far times may differ before drd distrusts a clock, each
under its own name.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from drd.model.text import counted
from drd.model.units import format_duration, format_time

SYNCHRONISE = (
    "turn on NTP on the host whose clock is wrong: timedatectl set-ntp true (on Debian, first: "
    "apt-get install systemd-timesyncd)"
)
"""The remedy for a wrong clock."""

AGE_TOLERANCE_S = 5.0
"""A time further in the future than this has no age: verdicts and retention distrust it. The clocks
of two healthy hosts differ by less.
"""

SCHEDULE_TOLERANCE_S = 60.0
"""A run dated further in the future than this is ignored, so the next run is due. A smaller
difference is a clock that was corrected meanwhile.
"""

SERVER_SKEW_S = 60.0
"""This host's clock may differ from that of a bucket's server by this much without a warning. S3
refuses requests at 15 minutes.
"""

DATA_SKEW_S = 60.0
"""The newest row of a database may be younger than the restore point by this much: another clock
dated it.
"""

JUMP_S = 120.0
"""Retention waits when the clock moved by more than this, or differs by more from another clock."""

SNAPSHOT_SKEW = timedelta(minutes=2)
"""A snapshot that is dated further in the future than this keeps retention from forgetting."""

FAR_AHEAD = timedelta(hours=1)
"""A point that is dated further in the future than this was made while a clock was wrong. It counts
only if there is no other point.
"""

LONGEST_WAIT = timedelta(hours=2)
"""No message waits longer than this for its next try: a later time was written before the clock was
set back.
"""

OWNER_SKEW = timedelta(seconds=5)
"""A lock or a snapshot that is younger than the start of this host by no more than this may be this
host's own.
"""

EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""This drd did not exist before: an earlier clock is wrong."""

LONGEST_GAP = timedelta(days=366)
"""A clock that is further ahead of the newest thing that drd knows is suspicious."""


def doubt(now: datetime, newest: datetime | None, what: str) -> str | None:
    """Return why the clock of this host is probably wrong, compared with the time of `what`, the
    newest thing that drd has recorded; None if it is plausible."""
    says = f"the clock of this host says {format_time(now)}"
    if now < EARLIEST:
        return f"{says}, which is before this version of drd was made: the clock is wrong"
    if newest is None:
        return None
    ahead_s = (now - newest).total_seconds()
    if ahead_s < -JUMP_S:
        return (
            f"{says}, and {what} is dated {format_time(newest)}, {format_duration(-ahead_s)} "
            "later: the clock is wrong, or was wrong then"
        )
    if ahead_s > LONGEST_GAP.total_seconds():
        return (
            f"{says}, {format_duration(ahead_s)} after {what}: the clock may be wrong, or was "
            "wrong then"
        )
    return None


def age(at: datetime | None, now: datetime) -> float | None:
    """Return the seconds since `at`, never negative; None if there is no time, or it is in the
    future.
    """
    if at is None:
        return None
    seconds = (now - at).total_seconds()
    return None if seconds < -AGE_TOLERANCE_S else max(0.0, seconds)


def at_time(at: datetime | None, now: datetime) -> str:
    """Return the time of something as words: `at 2026-11-25 13:02:14 UTC`. The text may be read
    later, as in an alert, so it contains no ages.
    """
    if at is None:
        return "at an unknown time"
    ahead = " (in the future)" if age(at, now) is None else ""
    return f"at {format_time(at, seconds=True)}{ahead}"


def tried(tries: int, at: datetime | None, now: datetime) -> str:
    """Say how often something failed, and when last: `3 tries, last at 2026-11-25 13:02:14 UTC`."""
    if tries <= 1:
        return f"tried {at_time(at, now)}"
    return f"{counted(tries, 'try', 'tries')}, last {at_time(at, now)}"

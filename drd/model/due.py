"""Compute when a job is due, from its timing, its history and the time alone.

Missed times are not counted: a job is due once, however long ago that was, so neither a suspended
host nor a clock that jumps by years causes a flood. A time in the future is ignored: the clock was
set back, and the job is due now instead of in years.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Literal

from drd.model.clock import SCHEDULE_TOLERANCE_S
from drd.model.cron import next_after
from drd.model.job_history import NO_RUNS, JobHistory
from drd.model.run import RunKind, RunState
from drd.model.schedule import Job, auto_interval_s, margin_s
from drd.model.text import without_output
from drd.model.units import format_duration
from drd.model.windows import blackout_at, released, window_text

CATCH_UP_AFTER_S = 60.0
"""A start that is later than this (two ticks) was missed: drd was not running, or there was no
slot.
"""

RETRY_FIRST_S = (60.0, 1800.0)
RETRY_SHARE = 0.005
RETRY_LONGEST_S = 6 * 3600.0
RETRY_JITTER = 0.25
"""The first retry comes after this share of the job's period, within these bounds. Each further
retry waits twice as long, up to a quarter of the period and to the longest; jitter adds a share.
"""

COPY_PAUSE_S = 60.0
"""Seconds between two copy runs, so that copy runs that find nothing new do not follow each other
without end.
"""

Trigger = Literal["schedule", "catch-up", "retry"]

_WITHOUT_POINT = (RunKind.BACKUP, RunKind.READINESS, RunKind.LISTING, RunKind.CONTROL)
"""Kinds of jobs that do not need a restore point."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What the next start of a job depends on: its `runs`, and the plan's data.

    `runs` are those that began last, whatever the clock said. `data_time` is the data time of the
    plan's newest complete point; for jobs on a copy, of the newest point in the copy. `copied_time`
    (only for copying) is the data time of the newest point that the copy holds. `news` (for
    readiness) is the run that last changed the answer of readiness, and when it ended. For a drill,
    `undrilled` are the scenarios that the plan wants and that were never drilled, `drilled_at` is
    when the last drill of any scenario ended. A prune begins `apart_s` after `forgot_at`, when the
    plan's last retention ended, at the earliest. `undone` (for backups) is when an undo removed
    data that the newest points contain, and the data time of the newest point without this data.
    """

    first_loaded_at: datetime
    runs: JobHistory = NO_RUNS
    data_time: datetime | None = None
    copied_time: datetime | None = None
    news: tuple[datetime, str] | None = None
    undrilled: tuple[str, ...] = ()
    drilled_at: datetime | None = None
    forgot_at: datetime | None = None
    apart_s: float = 0.0
    undone: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """The next start of a job. It is due at `at`, which may be in the past. `deadline` is when the
    job has to have begun: a backup to keep the RPO, other jobs before their next regular time.
    `why` says how `at` was computed.
    """

    job: Job
    at: datetime
    deadline: datetime
    expected_s: float | None
    why: str
    trigger: Trigger


def next_due(job: Job, situation: Situation, now: datetime) -> Due | None:
    """Return the next start; None while there is nothing to work on: no point, nothing to copy.

    A result stays right until the history changes or a clock jumps. Only whether it is late, and
    whether a blackout has begun meanwhile, depends on `now`.
    """
    if situation.data_time is None and job.kind not in _WITHOUT_POINT:
        return None
    situation = _after_undo(situation)
    start = _regular(job, situation, now)
    if start is None:
        return None
    at, why, period_s = start
    if situation.undone is not None:
        undone = _clock(situation.undone[0], now, job)
        why += f"; the undo at {undone} removed the data that newer points have"
    trigger: Trigger = "schedule"
    retry = _retry(job, situation, period_s, now)
    if retry is not None and retry[0] < at:
        (at, why), trigger = retry, "retry"
    forgot_at = _believed(situation.forgot_at, now)
    if forgot_at is not None and at < forgot_at + timedelta(seconds=situation.apart_s):
        at = forgot_at + timedelta(seconds=situation.apart_s)
        why = f"{why}; delayed, because it must run some time after retention"
    at, why = _outside_blackout(job, at, why, now)
    if trigger == "schedule" and (now - at).total_seconds() > CATCH_UP_AFTER_S:
        trigger = "catch-up"
    deadline = _deadline(job, situation, at, period_s, now)
    return Due(job, at, deadline, situation.runs.p95_s, why, trigger)


def _after_undo(situation: Situation) -> Situation:
    """Return the situation as if neither the points that have what an undo took back, nor the runs
    before it, had been made."""
    if situation.undone is None:
        return situation
    undone_at, data_time = situation.undone
    runs, last = situation.runs, situation.runs.last_started_at
    if last is not None and last <= undone_at:
        runs = replace(runs, last_started_at=min(last, data_time))
    return replace(situation, runs=runs, data_time=data_time)


def share(*words: str) -> float:
    """Return a number from 0 up to 1 that is always the same for the same words."""
    digest = blake2b("\0".join(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


# --- regular times --------------------------------------------------------------------------

DueStart = tuple[datetime, str, float]
"""A start: when, why, and the seconds from one regular time to the next."""


def _regular(job: Job, situation: Situation, now: datetime) -> DueStart | None:
    timing = job.timing
    if timing.follows:
        return _following(job, situation, now)
    if timing.auto:
        return _auto(job, situation, now)
    if timing.cron is not None:
        return _cron(job, timing.cron, situation, now)
    assert timing.every_s is not None
    words = f"every {format_duration(timing.every_s)}"
    last = situation.runs.last_started_at
    if last is not None and not _is_past(last, now):
        return now, f"{words}, {_set_back(last, now)}", timing.every_s
    if (never := _never_drilled(job, situation, now)) is not None:
        return *never, timing.every_s
    if last is None:
        return _first(job, situation, now), f"{words}: the first run", timing.every_s
    if situation.news is not None and last < situation.news[0] and _is_past(situation.news[0], now):
        ended, what = situation.news
        return (
            ended,
            f"{what} at {_clock(ended, now, job)}, which may change the result",
            timing.every_s,
        )
    at = last + timedelta(seconds=timing.every_s)
    return at, f"{words}, last start {_clock(last, now, job)}", timing.every_s


def _never_drilled(job: Job, situation: Situation, now: datetime) -> tuple[datetime, str] | None:
    """Return the start for a scenario that was never drilled: at once, or after the drill before it
    has left evidence. A drill that left no evidence is retried as others are.
    """
    last, drilled = situation.runs.last_started_at, situation.drilled_at
    if job.kind != RunKind.DRILL or not situation.undrilled:
        return None
    words = f"{situation.undrilled[0]} was never drilled"
    if last is None:
        return _believed(situation.first_loaded_at, now) or now, words
    if drilled is None or drilled < last or not _is_past(drilled, now):
        return None
    return drilled, words


def _first(job: Job, situation: Situation, now: datetime) -> datetime:
    """Return the first start, soon after the plan was first loaded, spread so that not all plans
    begin at once. Readiness waits for the first point as long as that may take.
    """
    if not _is_past(situation.first_loaded_at, now):
        return now
    waits = job.kind == RunKind.READINESS and situation.data_time is None
    spread_s = job.timing.jitter_s * (1.0 if waits else share(*job.key))
    return situation.first_loaded_at + timedelta(seconds=spread_s)


def _cron(job: Job, cron: str, situation: Situation, now: datetime) -> DueStart:
    zone = job.timing.timezone
    jitter = timedelta(seconds=job.timing.jitter_s * share(*job.key))
    last = situation.runs.last_started_at or situation.first_loaded_at
    words = f"cron {cron} {zone}"
    if not _is_past(last, now):
        at, words = now, f"{words}, {_set_back(last, now)}"
    else:
        at = next_after(cron, zone, last - jitter) + jitter
        never = _never_drilled(job, situation, now)
        if never is not None and never[0] < at:
            return *never, (at - never[0]).total_seconds()
    gap = next_after(cron, zone, at - jitter) + jitter - at
    return at, words, gap.total_seconds()


def _auto(job: Job, situation: Situation, now: datetime) -> DueStart:
    """Return a start as late as the RPO allows. After a backup that made no newer point, the next
    start is an interval later.
    """
    expected_s = situation.runs.p95_s or 0.0
    interval_s = auto_interval_s(job.rpo_s, expected_s)
    interval = timedelta(seconds=interval_s)
    rpo = format_duration(job.rpo_s)
    data = _believed(situation.data_time, now)
    last = _believed(situation.runs.last_started_at, now)
    if data is None and last is None:
        if (dated := situation.data_time) is not None:
            what = "the newest restore point"
            return now, f"rpo {rpo}, {_set_back(dated, now, what)}", interval_s
        if (started := situation.runs.last_started_at) is not None:
            return now, f"rpo {rpo}, {_set_back(started, now)}", interval_s
        return _first(job, situation, now), f"rpo {rpo}: the first run", interval_s
    if last is not None and (data is None or last >= data + interval):
        after = f"{format_duration(interval_s)} after the last start at {_clock(last, now, job)}"
        return last + interval, f"rpo {rpo}: {after}", interval_s
    assert data is not None
    at = data + interval
    words = f"rpo {rpo}: data of {_clock(data, now, job)} + {rpo}"
    words += f" - {format_duration(expected_s)} for the backup" if expected_s else ""
    words += f" - {format_duration(margin_s(job.rpo_s))} in reserve"
    earlier = _before_blackout(
        job, at, data + timedelta(seconds=job.rpo_s - expected_s), expected_s
    )
    if earlier is not None and earlier > (last or data):
        return earlier, f"rpo {rpo}: early, to be done before the blackout begins", interval_s
    return at, words, interval_s


def _before_blackout(
    job: Job, at: datetime, deadline: datetime, expected_s: float
) -> datetime | None:
    """Return a start early enough to be done when a blackout begins, if the usual start would fall
    into the blackout or too close to it, and would end too late for the RPO.
    """
    timing = job.timing
    if not timing.blackout:
        return None
    takes = timedelta(seconds=expected_s + CATCH_UP_AFTER_S)
    for moment in (at, at + takes):
        span = blackout_at(timing.blackout, timing.timezone, moment)
        if span and released(timing.blackout, timing.timezone, moment)[0] > deadline:
            return span[0] - takes
    return None


def _following(job: Job, situation: Situation, now: datetime) -> DueStart | None:
    """Return a start at once if there is a point that the copy does not hold; after a failed
    attempt an RPO later, unless a retry comes first.
    """
    data, copied = situation.data_time, situation.copied_time
    if data is None or (copied is not None and copied >= data):
        return None
    data = min(data, now)
    words = f"copy {job.subject} does not have the restore point of {_clock(data, now, job)} yet"
    last = _believed(situation.runs.last_started_at, now)
    failed = situation.runs.tries > 0 or situation.runs.last_state == RunState.CANCELLED
    if failed and last is not None and last >= data:
        return last + timedelta(seconds=job.rpo_s), words, job.rpo_s
    finished = _believed(situation.runs.last_finished_at, now)
    pause = timedelta(seconds=COPY_PAUSE_S)
    return max(data, finished + pause) if finished else data, words, job.rpo_s


# --- what moves them ------------------------------------------------------------------------


def _retry(
    job: Job, situation: Situation, period_s: float, now: datetime
) -> tuple[datetime, str] | None:
    """Return when a failed run is tried again; None if that cannot help, somebody cancelled the
    run, or it was retried often enough since its last regular time.
    """
    retries = job.timing.retries
    if (
        not situation.runs.tries
        or situation.runs.permanent
        or situation.runs.last_state == RunState.CANCELLED
    ):
        return None
    number = (situation.runs.tries - 1) % (retries + 1) + 1
    ends = (situation.runs.last_started_at, situation.runs.last_finished_at)
    known = [end for end in ends if _believed(end, now) is not None]
    if number > retries or not known:
        return None
    first_s = min(max(RETRY_SHARE * period_s, RETRY_FIRST_S[0]), RETRY_FIRST_S[1])
    wait_s = min(first_s * 2.0 ** (number - 1), max(first_s, period_s / 4), RETRY_LONGEST_S)
    wait_s *= 1 + RETRY_JITTER * share(*job.key, str(situation.runs.tries))
    error = without_output(situation.runs.last_error or situation.runs.last_state or "failed")
    at = max(end for end in known if end) + timedelta(seconds=wait_s)
    return at, f"retry {number} of {retries}, because the last run failed: {error}"


def _outside_blackout(job: Job, at: datetime, why: str, now: datetime) -> tuple[datetime, str]:
    """Return the same start, or the end of the window that contains `at`, or `now` if it is
    late.
    """
    timing = job.timing
    if not timing.blackout:
        return at, why
    free, window = released(timing.blackout, timing.timezone, at)
    if free < now:
        until, holding = released(timing.blackout, timing.timezone, now)
        if holding is not None:
            free, window = until, holding
    if window is None:
        return at, why
    zone = "" if timing.timezone == "UTC" else f" {timing.timezone}"
    when = f"at {_clock(free, now, job)}, when the blackout {window_text(window)}{zone} ends"
    return free, f"{why}; {when}"


def _deadline(
    job: Job, situation: Situation, at: datetime, period_s: float, now: datetime
) -> datetime:
    if job.kind != RunKind.BACKUP and not job.timing.follows:
        return at + timedelta(seconds=period_s)
    base = situation.data_time if job.kind == RunKind.BACKUP else situation.copied_time
    base = _believed(base, now) or _believed(situation.first_loaded_at, now) or now
    return base + timedelta(seconds=job.rpo_s - (situation.runs.p95_s or 0.0))


# --- times ----------------------------------------------------------------------------------


def _is_past(at: datetime, now: datetime) -> bool:
    return (at - now).total_seconds() <= SCHEDULE_TOLERANCE_S


def _believed(at: datetime | None, now: datetime) -> datetime | None:
    return at if at is not None and _is_past(at, now) else None


def _set_back(at: datetime, now: datetime, what: str = "the last start") -> str:
    ahead = format_duration((at - now).total_seconds())
    return f"{what} is dated {ahead} in the future: a clock was set back"


def _clock(at: datetime, now: datetime, job: Job) -> str:
    """Format a time as `00:25` UTC, with the date if it is another day. `UTC` stands beside it if
    cron and blackouts of the job are in another zone.
    """
    at = at.astimezone(UTC)
    same_day = at.date() == now.astimezone(UTC).date()
    time = f"{at:%H:%M}" if same_day else f"{at:%Y-%m-%d %H:%M}"
    return time if job.timing.timezone == "UTC" else f"{time} UTC"

"""What alerts look at beside a plan's verdicts. Times are aware UTC, sizes bytes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from drd.model.facts import CopyFacts
from drd.model.finding import Finding
from drd.model.job_history import JobHistory


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One kind of run of a plan, and what the schedule wants of it.

    `done_at` is when it last did what it is for: the last success; of a readiness run, which fails
    when it finds something, and of one that was paused its end. `due_at` is when the schedule
    wanted the next one after `since`: `done_at`, or from when on the plan asks for it; None by hand
    only.
    """

    history: JobHistory
    done_at: datetime | None = None
    since: datetime | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VerificationFacts:
    """How far the reading has come, which takes `parts` runs. `error` is what the last one found;
    `all_read_by` is when everything will have been read once more, None where nobody plans to."""

    repository: str
    error: str | None
    last_complete_at: datetime | None
    cycle_started_at: datetime
    parts: int = 1
    all_read_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlanMore:
    """`readiness` is what the last such run did not find in order; None as long as none has
    ended."""

    jobs: tuple[JobFacts, ...] = ()
    copies: tuple[CopyFacts, ...] = ()
    verifications: tuple[VerificationFacts, ...] = ()
    readiness: tuple[Finding, ...] | None = None


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """A file system and what drd keeps there (`work_dir`, `state`, `cache_dir`).

    `free_bytes` is None where it could not be asked, `error` says why. `needed_bytes` is what a
    drill of the largest plan takes there.
    """

    path: str
    uses: tuple[str, ...]
    free_bytes: int | None
    total_bytes: int | None = None
    needed_bytes: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel of drd.yaml; `plan` for a plan's own heartbeat. `dead` when nothing gets through
    any more."""

    name: str
    dead: bool
    plan: str = ""
    failing_since: datetime | None = None
    tries: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The daemon and its host.

    `clock_jump_s` is how far the wall clock jumped last, forwards positive, at `clock_jumped_at`
    of the clock after it. `down_from` and `down_to` are the last time without a daemon
    that was awake.
    `catalogue_error` is why the catalogue cannot be read or written, None when it can.
    `contested` says why this state may be a copy with whose original somebody else goes on.
    `state_wrong` is what others have put into the state, or can open of it.
    `configuration_error` is what is wrong with a drd.yaml that a reload refused.
    """

    clock_jump_s: float | None = None
    clock_jumped_at: datetime | None = None
    down_from: datetime | None = None
    down_to: datetime | None = None
    catalogue_error: str | None = None
    configuration_error: str | None = None
    disks: tuple[DiskFacts, ...] = ()
    channels: tuple[ChannelState, ...] = ()
    contested: str | None = None
    state_wrong: str | None = None

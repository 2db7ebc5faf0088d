"""The facts that alerts use beside a plan's verdicts. Times are aware UTC, sizes bytes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from drd.model.alerts import Condition
from drd.model.facts import CopyFacts
from drd.model.finding import Finding
from drd.model.job_history import JobHistory
from drd.model.message import Urgency


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One kind of run of a plan, and its schedule. `done_at` is when it last did its work: at its
    last success; for a readiness run, which fails when it finds something, and for a paused run, at
    its end. `due_at` is when the next run after `since` was due; None if runs start only by hand.
    `since` is `done_at`, or when the plan began to request such runs.
    """

    history: JobHistory
    done_at: datetime | None = None
    since: datetime | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VerificationFacts:
    """How much of a repository was read, which takes `parts` runs. `error` is the problem that the
    last run found; `all_read_by` is when everything will have been read once more, None without a
    schedule.
    """

    repository: str
    error: str | None
    last_complete_at: datetime | None
    cycle_started_at: datetime
    parts: int = 1
    all_read_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlanMore:
    """More facts about a plan. `readiness` are the findings of the last readiness run; None if no
    run has ended yet. `gone_secrets` are only the secrets of this plan.
    """

    jobs: tuple[JobFacts, ...] = ()
    copies: tuple[CopyFacts, ...] = ()
    verifications: tuple[VerificationFacts, ...] = ()
    readiness: tuple[Finding, ...] | None = None
    gone_secrets: tuple[GoneSecret, ...] = ()


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """A file system and what drd keeps there (`work_dir`, `state`, `cache_dir`). `free_bytes` is
    None if it is unknown, `error` says why. `needed_bytes` is what a drill of the largest plan
    takes there.
    """

    path: str
    uses: tuple[str, ...]
    free_bytes: int | None
    total_bytes: int | None = None
    needed_bytes: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel of drd.yaml; `plan` for a plan's own heartbeat. `dead`: no message gets through any
    more.
    """

    name: str
    dead: bool
    plan: str = ""
    failing_since: datetime | None = None
    tries: int = 0
    error: str | None = None


class PackageTrouble(NamedTuple):
    """What is wrong with a package that drd.yaml names, and the command that helps."""

    name: str
    text: str
    severity: Urgency = "warning"
    remedy: str = "drd doctor"


class LaterCredential(NamedTuple):
    """A credential that was changed or `added` at `at`, after the service got its copies. `name` is
    empty if drd can only see that some file of the directory was exchanged or added.
    """

    name: str
    at: datetime
    added: bool = False


class GoneSecret(NamedTuple):
    """A secret file that a plan in force or drd.yaml names, and that is gone since `at`; None if
    drd cannot find out when. `copy` is the path of the service's own copy, if there is one; it
    vanishes when the service stops. `plan` is empty if several plans name the file, or drd.yaml.
    """

    file: str
    at: datetime | None
    copy: str = ""
    plan: str = ""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The daemon and its host. `clock_jump_s` is how far the wall clock jumped last, positive for
    forwards, and `clock_jumped_at` the time after the jump. `down_from` and `down_to` are the last
    time in which the host was awake without a daemon. `catalogue_error` is why the catalogue cannot
    be read or written, None if it can, `catalogue_trouble` what kind of error it is. `contested`
    says why this state may be a copy of a state that another drd uses. `state_wrong` are files in
    the state that others have put there or can open. `configuration_error` is the error of a
    drd.yaml that a reload refused, `needs_restart` that the service gets what drd.yaml names only
    at a restart. `extensions` has what is wrong with packages that drd.yaml names. `credentials`
    are the credentials that the service would get only at a restart, `gone_secrets` the secrets
    whose files are gone. `records_forked` says which repository knows other records of this
    installation, `records_damage` what the last check of the records found. `reports` are the
    conditions about reports of open incidents.
    """

    clock_jump_s: float | None = None
    clock_jumped_at: datetime | None = None
    down_from: datetime | None = None
    down_to: datetime | None = None
    catalogue_error: str | None = None
    catalogue_trouble: str = ""
    configuration_error: str | None = None
    needs_restart: bool = False
    disks: tuple[DiskFacts, ...] = ()
    channels: tuple[ChannelState, ...] = ()
    contested: str | None = None
    state_wrong: str | None = None
    extensions: tuple[PackageTrouble, ...] = ()
    credentials: tuple[LaterCredential, ...] = ()
    gone_secrets: tuple[GoneSecret, ...] = ()
    records_forked: str | None = None
    records_damage: str = ""
    reports: tuple[Condition, ...] = ()

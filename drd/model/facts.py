"""What `assess()` is told about a plan: the few rows that the catalogue keeps for `status`.

Named tuples and not dataclasses: `drd status` starts cold every minute in somebody's monitoring,
and importing `dataclasses` alone costs as much as half of a bare Python. Times are aware UTC,
durations seconds, sizes bytes. Words (`passed`, `firing`, kinds) are those of the run model, as
plain strings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from drd.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

AUTO = "auto"
"""In the place of a cron line: backups start as the RPO asks for."""


class ComponentFacts(NamedTuple):
    """One component of the plan as loaded, and what is known of its newest capture.

    `data_time` and `size_bytes` are those of its newest captured snapshot in any point, also an
    incomplete one; None when it was never captured. `error` is why its newest capture failed,
    None when that succeeded.
    """

    component: str
    kind: str
    data_time: datetime | None = None
    size_bytes: int | None = None
    error: str | None = None


class PointFacts(NamedTuple):
    """A complete restore point that is kept."""

    id: str
    data_time: datetime
    available_at: datetime
    bytes: int


class CopyFacts(NamedTuple):
    """A second repository of the plan as loaded, and the complete point with the latest data time
    that it holds; None for none. `available_at` is since when it is there. `pause_s` is the longest
    time that the plan lets pass between two copies; 0 where each follows a backup."""

    repository: str
    copy_of: str
    data_time: datetime | None = None
    available_at: datetime | None = None
    pause_s: float = 0.0


class RepositoryFacts(NamedTuple):
    """A repository of the plan as loaded, and what drd knows to be wrong with it.

    `copy_of` is None for the one that backups go to. `newest` is the complete point with the latest
    data time that it holds, `sound` the same of those that need nothing of what is damaged or
    missing there. `lost` says that whoever keeps it answers that it is not there: `gone` (bucket or
    directory), `emptied` (a place without a repository), `replaced` (by another one) or `shut` (no
    key of the plan opens it). `unreachable` is why nobody answers, which is not the same. `damage`
    is what a reading found. Each `…_since` is when drd learnt it, `lost_says` in what words.
    `missing` counts the points of which others removed snapshots there. `met` says that drd has
    ever found a repository at its URL.
    """

    repository: str
    copy_of: str | None = None
    newest: PointFacts | None = None
    sound: PointFacts | None = None
    lost: str | None = None
    lost_since: datetime | None = None
    lost_says: str = ""
    unreachable: str | None = None
    unreachable_since: datetime | None = None
    damage: str | None = None
    damaged_since: datetime | None = None
    missing: int = 0
    missing_since: datetime | None = None
    met: bool = True


class VanishedFacts(NamedTuple):
    """Points that no repository has any more, although drd did not forget them: how many, of the
    one with the latest data time that and since when it was there, and when drd last missed one."""

    points: int
    data_time: datetime
    available_at: datetime
    at: datetime


class IncompleteFacts(NamedTuple):
    """An incomplete point; `failed` are its failed components with their errors."""

    id: str
    data_time: datetime
    failed: tuple[tuple[str, str], ...]


class FailureFacts(NamedTuple):
    """Backup runs that failed, were interrupted or stayed incomplete since the last success.

    `run`, `at`, `error` and its `code` are those of the newest of these `tries` runs.
    """

    tries: int
    run: str
    at: datetime
    error: str
    code: str = ""


class WithheldFacts(NamedTuple):
    """A finding that withheld `ready` in the last look ahead; `text` is its first line."""

    code: str
    subject: str
    name: str
    text: str


class UnreadyFacts(NamedTuple):
    """The last look ahead, which found that the plan is not ready: `readiness` says how far, by
    these findings. Where the look itself failed, `readiness` is empty and `error` says why."""

    at: datetime
    error: str
    readiness: str = ""
    findings: tuple[WithheldFacts, ...] = ()


class Unproven(NamedTuple):
    """A component of the plan that a drill did not restore or did not compare, and why: `code` is
    `not-restored`, `in-no-step`, `empty`, `no-check` or `not-compared`; empty of an older drd."""

    component: str
    why: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.component} {self.why}"


class DrillFacts(NamedTuple):
    """The evidence of one drill. `at` is when it finished; `judged` is false for the RPA of a
    point that was chosen on purpose; `restored_bytes` is the size of what came back; `rehearsed` is
    how many of how many steps of the runbook it carried out, None where nobody counted.
    `data_time` is the point's. `repository` is the one that the drill was held to, empty where it
    might take from any."""

    evidence: str
    run: str
    point: str | None
    at: datetime
    result: Literal["passed", "failed", "inconclusive"]
    plan_digest: str
    rta_s: float | None
    rpa_s: float | None
    judged: bool
    restored_bytes: int
    reason: str | None = None
    rehearsed: tuple[int, int] | None = None
    scenario: str = ""
    data_time: datetime | None = None
    repository: str = ""
    unproven: tuple[Unproven, ...] = ()


class ScenarioFacts(NamedTuple):
    """What drills of one scenario found, by `model.scenarios.standing`.

    `last` is the result that stands: an older point has not cleared what a newer one failed. None
    when it was never drilled. `passed` is the newest that passed. `repository`, where it is not
    empty: of drills that were held to it. `wanted` says that the plan asks for the scenario.
    """

    scenario: str
    wanted: bool = True
    repository: str = ""
    last: DrillFacts | None = None
    passed: DrillFacts | None = None


class AlertFacts(NamedTuple):
    """An alert that is not resolved; who acknowledged it last, and until when (None: until it is
    resolved). `subject` is what of the plan it is about, where there may be several. `code` is that
    of the finding that made it, empty where no look ahead did."""

    id: str
    kind: str
    state: str
    since: datetime
    message: str
    severity: str = "warning"
    command: str = ""
    acknowledged_by: str | None = None
    acknowledged_until: datetime | None = None
    subject: str = ""
    code: str = ""


class RunningFacts(NamedTuple):
    """A run that is not over; it says nothing about whether its process still lives."""

    run: str
    kind: str
    started_at: datetime


class PausedFacts(NamedTuple):
    """Retention forgets nothing for now: since when, and why, each as (code, fact, remedy)."""

    since: datetime
    pauses: tuple[tuple[str, str, str], ...]


class HoldFacts(NamedTuple):
    """A point that somebody keeps whatever the rules say, until `until` (None: until it is
    released); `by` is who, in words."""

    point: str
    reason: str
    until: datetime | None
    by: str


class PlanFacts(NamedTuple):
    """One loaded plan.

    `interval_s` is the backup's `every`, `cron` its cron line; neither: backups by hand only.
    `interval_s` of a cron line is its longest gap, where the loader worked that out; where `cron`
    is AUTO, the exposure that drd keeps to. `drill_every_s` of a cron line is its longest gap, too.
    `file` (absolute), `file_mtime_ns` and `file_size` are the plan file as it was loaded, so that
    a changed one is noticed by a stat; `file_digest` (sha256 of its bytes) tells one that was
    only touched. `load_error` says that the file changed or broke since and could not
    be loaded; figures are then those of the plan as loaded. `file_gone`: there is none any more.
    `newest` is the complete point with the latest data time; `incomplete` the newest incomplete
    point with a later one. `complete_points` counts those that are kept. `backup_p95_s` is the
    95th percentile of the durations of successful backups. `missed` are the intervals without
    compliance up to `newest.available_at`, by `attainment.missed_intervals`; `outages` those in
    which drd knew that what there was could not be read.
    `repositories` has the one with the backups first, `scenarios` those that the plan wants in its
    order, and others whose last drill failed.
    `paused` is why
    retention waits, `waiting` how many points are over what one run of it may forget; `holds` are
    those that nobody released, also where their time is over.
    """

    plan: str
    owner: str
    rpo_s: float
    rto_s: float
    window_s: float
    digest: str
    first_loaded_at: datetime
    loaded_at: datetime
    interval_s: float | None = None
    cron: str | None = None
    backup_timeout_s: float = 3600.0
    drill_every_s: float | None = None
    file: str = ""
    file_mtime_ns: int = 0
    file_size: int = 0
    file_digest: str = ""
    load_error: str | None = None
    file_gone: bool = False
    components: tuple[ComponentFacts, ...] = ()
    newest: PointFacts | None = None
    incomplete: IncompleteFacts | None = None
    complete_points: int = 0
    backup_p95_s: float | None = None
    failures: FailureFacts | None = None
    last_drill: DrillFacts | None = None
    last_passed_drill: DrillFacts | None = None
    missed: tuple[tuple[datetime, datetime], ...] = ()
    alerts: tuple[AlertFacts, ...] = ()
    running: RunningFacts | None = None
    copies: tuple[CopyFacts, ...] = ()
    unready: UnreadyFacts | None = None
    repositories: tuple[RepositoryFacts, ...] = ()
    vanished: VanishedFacts | None = None
    outages: tuple[tuple[datetime, datetime], ...] = ()
    scenarios: tuple[ScenarioFacts, ...] = ()
    paused: PausedFacts | None = None
    waiting: int = 0
    holds: tuple[HoldFacts, ...] = ()


class RefusedFacts(NamedTuple):
    """A plan file that was looked at and never accepted: what it was then, and the error."""

    file_mtime_ns: int
    file_size: int
    error: str


class DaemonFacts(NamedTuple):
    """When a daemon of this state last said that it lives, and whether it stopped in order."""

    at: datetime
    stopped: bool
    version: str


HEARTBEAT = "heartbeat"
"""Where a daemon notes that it lives."""


def daemon_facts(at: datetime, said: Mapping[str, Any]) -> DaemonFacts:
    """From what a daemon noted under HEARTBEAT."""
    return DaemonFacts(at, said.get("state") == "stopped", said.get("version", ""))


class StatusFacts(NamedTuple):
    """All that `status` reads. `alerts` are those about drd itself; a plan has its own. Both the
    gravest first. `others` are alerts of plans that are not loaded, `refused` what is known of
    such, both by plan; `daemon` is None where none ever ran."""

    plans: Sequence[PlanFacts]
    alerts: tuple[AlertFacts, ...] = ()
    others: Mapping[str, tuple[AlertFacts, ...]] = {}
    refused: Mapping[str, RefusedFacts] = {}
    daemon: DaemonFacts | None = None


class NotLoaded(NamedTuple):
    """A plan file on disk that drd never loaded; `why` is a fact in lower case, `command` what to
    run next."""

    plan: str
    file: str
    why: str = "not loaded"
    command: str = ""
    alerts: tuple[AlertFacts, ...] = ()

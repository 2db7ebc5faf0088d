"""The facts about a plan that `assess()` judges: the few rows that the catalogue keeps for
`status`.

They are named tuples and not dataclasses: `drd status` starts cold every minute in somebody's
monitoring, and importing `dataclasses` alone costs as much as half of a bare Python. Times are
aware UTC, durations seconds, sizes bytes. Words (`passed`, `firing`, kinds) are those of the run
model, as plain strings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from drd.model.consistency import Spread
from drd.model.drd_facts import DaemonFacts, IncidentFacts, OwnerFacts
from drd.model.drill_facts import DrillFacts, ScenarioFacts
from drd.model.unrestorable import UnrestorableFacts
from drd.named import NamedTuple

AUTO = "auto"
"""Stands in the place of a cron line: the RPO decides when backups start."""
MADE_BY = "made by "
"""In `PlanFacts.cron` before the name of the tool that makes the copies, if drd does not."""


class LogFacts(NamedTuple):
    """To which times a component can be recovered exactly, oldest first, and what is wrong with its
    log, with the remedy; empty if nothing is."""

    spans: tuple[tuple[datetime, datetime], ...]
    trouble: str = ""
    remedy: str = ""


class ComponentFacts(NamedTuple):
    """One component of the plan as loaded, and its newest capture. `data_time` and `size_bytes`
    belong to its newest captured snapshot in any point, even an incomplete one; None if it was
    never captured. `error` is why its newest capture failed, None if it succeeded. `log_at` is the
    newest time to which drd can recover it with its log, `log_every_s` how often the log is
    stored; None without a log. `rpo_s` is its own RPO; None if the RPO of the plan counts."""

    component: str
    kind: str
    data_time: datetime | None = None
    size_bytes: int | None = None
    error: str | None = None
    log_at: datetime | None = None
    log_every_s: float | None = None
    log: LogFacts | None = None
    rpo_s: float | None = None


class PointFacts(NamedTuple):
    """A complete restore point that is kept."""

    id: str
    data_time: datetime
    available_at: datetime
    bytes: int
    consistency: tuple[Spread, ...] = ()


class CopyFacts(NamedTuple):
    """A second repository of the plan as loaded, and the complete point with the latest data time
    in it; None if it holds none. `available_at` is when this point became available there.
    `pause_s` is the longest time that the plan allows between two copies; 0 if each copy follows a
    backup. The plan has this copy since `added_at`; None if it is from before drd recorded this
    time. `logs` has the components whose log drd copies there, each with the newest time to which
    this log leads on from a restore point in the copy."""

    repository: str
    copy_of: str
    data_time: datetime | None = None
    available_at: datetime | None = None
    pause_s: float = 0.0
    added_at: datetime | None = None
    logs: tuple[tuple[str, datetime | None], ...] = ()


class RepositoryFacts(NamedTuple):
    """A repository of the plan as loaded, and its known problems.

    `copy_of` is None for the repository that backups go to. `newest` is the complete point with the
    latest data time that it holds; `sound` is the same among the points that need nothing which is
    damaged or missing there. `lost` says that the storage answers that the repository is not there:
    `gone` (bucket or directory), `emptied` (a place without a repository), `replaced` (another
    repository) or `shut` (no key of the plan opens it). `unreachable` is why it does not answer,
    which is not the same. `damage` is what a verification found. Each `…_since` is when drd noticed
    it, `lost_says` the words for it. `missing` counts the points of which others removed snapshots
    there. `met` says that drd has ever found a repository at its URL; `same`, that this copy is the
    same repository as the original."""

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
    same: bool = False


class VanishedFacts(NamedTuple):
    """Points that no repository has any more, although drd did not forget them: their number, data
    time, begin and id of the `newest`, and when drd last noticed one missing."""

    points: int
    data_time: datetime
    available_at: datetime
    at: datetime
    newest: str = ""


class BackupFacts(NamedTuple):
    """The run that stored the newest complete point; `added_bytes` is by how much the repository
    grew."""

    run: str
    started_at: datetime
    finished_at: datetime
    added_bytes: int


class IncompleteFacts(NamedTuple):
    """An incomplete point; `failed` are its failed components with their errors, and the groups of
    components whose data times are too far apart."""

    id: str
    data_time: datetime
    failed: tuple[tuple[str, str], ...]


class FailureFacts(NamedTuple):
    """Backup runs that failed, were interrupted or stayed incomplete since the last success. `run`,
    `at`, `error` and its `code` belong to the newest of these `tries` runs."""

    tries: int
    run: str
    at: datetime
    error: str
    code: str = ""


class FindingFacts(NamedTuple):
    """A recorded finding (`model.finding.Finding`), with the fields that the status needs. `name`
    is its name for people."""

    code: str
    subject: str
    text: str
    remedy: str = ""
    name: str = ""


class UnreadyFacts(NamedTuple):
    """The last readiness run that found the plan not ready: its verdict, and the first line of each
    finding that withheld `ready`. If the run failed, `readiness` is empty, and `error` says why.
    `digest` is the digest of the examined plan; empty if it is no longer known."""

    at: datetime
    error: str
    readiness: str = ""
    findings: tuple[FindingFacts, ...] = ()
    digest: str = ""


class AlertFacts(NamedTuple):
    """An alert that is not resolved; who acknowledged it last, and until when (None: until its
    end). `subject` is a part of the plan. `code` is the code of the readiness finding that raised
    it; empty if the code is the same as the `kind`."""

    id: str
    kind: str
    state: str
    since: datetime
    text: str
    severity: str = "warning"
    remedy: str = ""
    acknowledged_by: str | None = None
    acknowledged_until: datetime | None = None
    subject: str = ""
    code: str = ""


class RunningFacts(NamedTuple):
    """A run that has not ended. `died`: its process is dead, and nobody has recorded that yet. The
    process of a run of another host may be dead without this."""

    run: str
    kind: str
    started_at: datetime
    died: bool = False


REOPENED = "reopened"
"""The state of an unfinished recovery about whose step a person has decided after it ended, and
that nobody has resumed since."""


class FailedStep(NamedTuple):
    """The step of the runbook at which a recovery stopped, and why it failed."""

    name: str
    kind: str
    error: str

    @property
    def skippable(self) -> bool:
        """Whether a recovery can be finished without the step, by a command with its name."""
        is_name = self.name.isascii() and self.name.replace("-", "").isalnum()
        return is_name and self.kind not in ("restore", "approve", "preflight", "aside")


class UnfinishedFacts(NamedTuple):
    """A recovery over production that stopped before its end, and that was not resumed, undone or
    accepted. If `state` is `waiting`, its process died, perhaps in the middle of `partly`. If it is
    `running`, the process died, nobody has noted that yet, and `at` is when the recovery began. If
    it is `reopened`, no process died, and `at` is when a person decided about the step `failed`.
    `down` is what the recovery stopped. `keeps`: it had to keep copies of the replaced data. `kept`
    are the components with such a copy, by its notes; `unseen` are the components for which it
    could not find out whether there is one."""

    run: str
    at: datetime
    state: str
    replaced: tuple[str, ...]
    left: tuple[str, ...]
    partly: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    keeps: bool = True
    unseen: tuple[str, ...] = ()
    failed: FailedStep | None = None

    @property
    def died(self) -> bool:
        return self.state in ("waiting", "running")


class UndoneFacts(NamedTuple):
    """A recovery over production that was undone at `at`, although the newest complete point still
    contains its data of `components`: this point lacks the data that the undo put back. `point` is
    the newest complete point without such data, which a recovery chooses. `unfinished`: the
    recovery was not undone, but had restored only a part of the service when the newest complete
    point was made (`at`); this point contains data of two times.
    """

    run: str
    at: datetime
    components: tuple[str, ...]
    point: PointFacts
    unfinished: bool = False


class PausedFacts(NamedTuple):
    """Retention waits: since when, and why."""

    since: datetime
    pauses: tuple[FindingFacts, ...]


class HoldFacts(NamedTuple):
    """A hold on a point, active until `until` (None: until it is released); `by` is the person."""

    point: str
    reason: str
    until: datetime | None
    by: str


class PlanFacts(NamedTuple):
    """One loaded plan. `interval_s` is the backup's `every`, `cron` its cron line; neither: backups
    by hand only. `interval_s` of a cron line is its longest gap, where the loader worked that out;
    if `cron` is AUTO, it is the exposure that drd does not exceed. After MADE_BY in `cron` is the
    tool that makes the copies. `drill_every_s` of a cron line is its longest gap, too.
    `drill_full_every_s` is how often a plan with instant drills restores everything. `file`
    (absolute), `file_mtime_ns` and `file_size` are the plan file as it was loaded, so that a stat
    shows a change; `file_digest` (sha256 of its bytes) shows whether the content changed.
    `packages` are the extensions that the plan uses, with the first numbers of their versions, as
    it was loaded. Evidence counts if it carries one of the `proofs`, or, like evidence of an older
    drd, the `digest` of the whole plan. `load_error` says that the file or a package changed or
    broke since and could not be loaded (at `load_error_at`); figures are then those of the plan as
    loaded. `edited`: the file changed, and nobody has tried to load it since. `file_gone`: there is
    no file any more, or it is `renamed`: it contains another plan now. `twin` is another file with
    the plan's name. `package_changed`: the error is about one of `packages`; `package_missing`: it
    is not installed. `served`: a reload loads it, or a restart does (`needs_restart`). `newest` is
    the complete point with the latest data time, `backup` its run (None if that is no longer known,
    or if the point was made on another host); `incomplete` the newest incomplete point with a later
    data time. `complete_points` counts the kept ones, except points that a drill could not restore.
    `backup_p95_s` is the 95th percentile of the durations of successful backups. `missed` are the
    intervals without compliance up to `newest.available_at`, by `attainment.missed_intervals`;
    `outages` those in which drd knew that nothing could be read. `repositories` has the repository
    of the backups first; `scenarios` has the scenarios that the plan wants, in its order, and other
    scenarios whose last drill failed. `paused` is why retention waits, `waiting` how many points
    are over what one run of it may forget; `holds` are the holds that nobody released, also those
    whose time is over. `proven_elsewhere` is, if no drill ran here, the evidence of a drill on a
    lost host that had proven a kept point. `description` is the plan's, in one line and bounded.
    `point_rpo_s` is the shortest RPO of a component that has no log; None if it is the plan's.
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
    drill_full_every_s: float | None = None
    file: str = ""
    file_mtime_ns: int = 0
    file_size: int = 0
    file_digest: str = ""
    load_error: str | None = None
    load_error_at: datetime | None = None
    edited: bool = False
    file_gone: bool = False
    renamed: bool = False
    twin: str = ""
    served: bool = False
    needs_restart: bool = False
    components: tuple[ComponentFacts, ...] = ()
    newest: PointFacts | None = None
    backup: BackupFacts | None = None
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
    packages: dict[str, str] = {}  # noqa: RUF012 (facts never change)
    package_changed: bool = False
    package_missing: bool = False
    proofs: tuple[str, ...] = ()
    unfinished: UnfinishedFacts | None = None
    undone: UndoneFacts | None = None
    unrestorable: UnrestorableFacts | None = None
    proven_elsewhere: str = ""
    description: str = ""
    point_rpo_s: float | None = None

    @property
    def points_within_s(self) -> float:
        """The RPO that restore points have to keep."""
        return self.rpo_s if self.point_rpo_s is None else self.point_rpo_s

    @property
    def made_by(self) -> str:
        """The tool that makes the copies; empty: drd makes them."""
        cron = self.cron or ""
        return cron.removeprefix(MADE_BY) if cron.startswith(MADE_BY) else ""

    @property
    def anew(self) -> str:
        """The command after which drd knows a newer restore point."""
        return f"drd catalogue rebuild {self.plan}" if self.made_by else f"drd backup {self.plan}"


class RefusedFacts(NamedTuple):
    """A plan file that was read and not accepted: its stat then, and what `PlanFacts` has."""

    file_mtime_ns: int
    file_size: int
    error: str
    needs_restart: bool = False


class StatusFacts(NamedTuple):
    """Everything that `status` reads. `alerts` are the alerts about drd itself; each plan has its
    own. The most severe come first. `others` are alerts of plans that are not loaded, `refused`
    what is known of such plans, both by plan. `daemon` is None if none ever ran. `incidents` are
    the incidents that are not closed, suspicions last, a hundred at most. `records_damage` is what
    the last check of the records found, in words; empty for nothing. `owner` says whose state it
    is.
    """

    plans: Sequence[PlanFacts]
    alerts: tuple[AlertFacts, ...] = ()
    others: Mapping[str, tuple[AlertFacts, ...]] = {}
    refused: Mapping[str, RefusedFacts] = {}
    daemon: DaemonFacts | None = None
    incidents: tuple[IncidentFacts, ...] = ()
    records_damage: str = ""
    owner: OwnerFacts | None = None


class NotLoaded(NamedTuple):
    """A plan file that drd never loaded; `why` is a fact in lower case, `command` what to
    run next.
    """

    plan: str
    file: str
    why: str = "not loaded"
    command: str = ""
    alerts: tuple[AlertFacts, ...] = ()

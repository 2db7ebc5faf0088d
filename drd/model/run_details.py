"""What a run was asked for, and its result: a class for each kind of run.

The row of a run contains it as one JSON object: the beginning of the run writes the request, its
end adds the result. So the fields of both are optional here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

from drd.model import stored
from drd.model.actor import Actor
from drd.model.consistency import Spread
from drd.model.fencing import FenceReport
from drd.model.pauses import Pause
from drd.model.readiness_finding import ReadinessFinding
from drd.model.restored import RestoredPlace, Task, Usage
from drd.model.single_item import Part
from drd.model.stored import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedOptions(Stored):
    """The options that somebody gave to the daemon with a backup or a drill. Only what was given is
    written."""

    point: str | None = stored.text()
    scenario: str | None = stored.text()
    repository: str | None = stored.text()
    components: tuple[str, ...] = stored.texts()
    accept_size: bool = stored.flag()
    blind: bool = stored.flag(sparse=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail(Stored):
    """The fields that all kinds share.

    Before the run: `why` it begins now, the `timeout_s` of its schedule, the requested options
    (`asked`). At its end: `took_s` if the clock was set, or the host slept, during the run;
    `error_code`, `remedy`, whether the error is `permanent`, and whether drd left everything
    `untouched` before it, when it failed; the restore `point` that it made or restored, and how
    many `bytes` it moved."""

    kind: ClassVar[str] = ""
    _OUTCOME: ClassVar[frozenset[str]] = frozenset()
    """The fields that the end of the run adds. Empty for kinds whose request is never compared."""

    why: str | None = stored.text()
    timeout_s: float | None = stored.seconds()
    asked: AskedOptions | None = stored.value(AskedOptions.from_json)
    took_s: float | None = stored.seconds()
    permanent: bool = stored.flag()
    untouched: bool = stored.flag(sparse=True)
    error_code: str | None = stored.text(sparse=True)
    remedy: str | None = stored.text()
    point: str | None = stored.text()
    bytes: int | None = stored.count()

    def outcome(self) -> Self:
        """Return only the outcome of the run."""
        said = self.to_json()
        return self.from_json({k: v for k, v in said.items() if k in self._OUTCOME})

    def request(self) -> Self:
        """Return only the request of the run."""
        said = self.to_json()
        return self.from_json({k: v for k, v in said.items() if k not in self._OUTCOME})


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupDetail(RunDetail):
    """Its end adds how far apart the data times of the plan's groups are (`consistency`)."""

    kind = "backup"

    components: tuple[str, ...] = stored.texts()
    consistency: tuple[Spread, ...] = stored.values(Spread.from_json, sparse=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillDetail(RunDetail):
    """`by` is the name that the operator of an operator drill gave. The drill is `blind` if drd
    gives no hints. `tools` are the versions of the programs that it used, `operator` the people's
    part (`drd.model.operator_drill`)."""

    kind = "drill"
    by: str | None = stored.text(sparse=True)
    blind: bool = stored.flag(sparse=True)
    operator: Mapping[str, Any] | None = stored.anything(sparse=True)

    scenario: str | None = stored.text()
    components: tuple[str, ...] = stored.texts(sparse=True)
    result: str | None = stored.text()
    fence: FenceReport | None = stored.value(FenceReport.from_json)
    tools: Mapping[str, str] = stored.mapping()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryDetail(RunDetail):
    """The request (`drd.flows.restore.recovery_request.RecoveryRequest`); `asked_at`, when a
    person began to handle it; `clean_for`, the incident whose clean point it restores; the
    components that it has `begun`, `log`, where the replay of a log stops, the digests of the
    files that the plan's `commands` name, and the hash of what a drill proves of the plan. Its end
    adds `result`, the `places` of the restored data, its `usage` by others at that time, the
    `tasks` that the kinds of the components leave to a person, and the steps that were
    `rolled_back`."""

    kind = "recovery"
    target: str | None = stored.text()
    asked_point: str | None = stored.text()
    before: datetime | None = stored.time()
    lost_at: datetime | None = stored.time()
    components: tuple[str, ...] = stored.texts()
    repository: str | None = stored.text(sparse=True)
    scenario: str | None = stored.text(sparse=True)
    in_place: bool = stored.flag(sparse=True)
    part: Part | None = stored.value(Part.from_json, sparse=True)
    clean_for: int | None = stored.count(sparse=True)
    log: str | None = stored.text(sparse=True)
    overwrite: bool = stored.flag()
    no_owner: bool = stored.flag()
    as_owner: bool = stored.flag()
    no_undo: bool = stored.flag()
    accept_paths: bool = stored.flag()
    after_kit: bool = stored.flag()
    asked_at: datetime | None = stored.time()
    begun: tuple[str, ...] = stored.texts()
    commands: Mapping[str, Any] | None = stored.anything()
    proof: str | None = stored.text(sparse=True)
    result: str | None = stored.text()
    places: tuple[RestoredPlace, ...] = stored.values(RestoredPlace.from_json)
    usage: tuple[Usage, ...] = stored.values(Usage.from_json)
    tasks: tuple[Task, ...] = stored.values(Task.from_json)
    rolled_back: tuple[str, ...] = stored.texts()

    _OUTCOME: ClassVar = frozenset(
        {
            "result",
            "bytes",
            "error_code",
            "remedy",
            "permanent",
            "untouched",
            "rolled_back",
            "took_s",
            "places",
            "usage",
            "tasks",
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyDetail(RunDetail):
    """`copied` are the points that arrived."""

    kind = "copy"

    copy_of: str | None = stored.text()
    copied: tuple[str, ...] = stored.texts()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionDetail(RunDetail):
    """`force` and `clock_is_right` are the reasons of a person, who is `by`; `given_up` are points
    that a person gave up for a `reason`. Its end adds the points that were `forgotten`, those over
    the `limit` that are `waiting`, or the `pauses`."""

    kind = "retention"

    force: str | None = stored.text(sparse=True)
    clock_is_right: str | None = stored.text(sparse=True)
    given_up: tuple[str, ...] = stored.texts()
    reason: str | None = stored.text()
    by: Actor | None = stored.value(Actor.from_json, sparse=True)
    forgotten: tuple[str, ...] = stored.texts()
    snapshots: int | None = stored.count()
    limit: int | None = stored.count()
    waiting: tuple[str, ...] = stored.texts()
    pauses: tuple[Pause, ...] = stored.values(Pause.from_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneDetail(RunDetail):
    """`summary` is restic's."""

    kind = "prune"

    summary: str | None = stored.text()
    pauses: tuple[Pause, ...] = stored.values(Pause.from_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationDetail(RunDetail):
    """How many of the `parts` were `read`, and the points `affected` by damage; None if drd cannot
    find out."""

    kind = "verification"

    read: int | None = stored.count()
    parts: int | None = stored.count()
    affected: tuple[str, ...] | None = stored.texts(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessDetail(RunDetail):
    """Both None where the check itself failed."""

    kind = "readiness"

    readiness: str | None = stored.text()
    findings: tuple[ReadinessFinding, ...] | None = stored.values(
        ReadinessFinding.from_json, default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KitDetail(RunDetail):
    """The `file` that drd tests by itself, and which kit is in it. `proof` is the hash of what a
    drill proves of the plan in it. `away`: this host cannot open any repository either; `outdated`:
    the kit opens all of them, but is older than the plan."""

    kind = "kit"

    file: str | None = stored.text(sparse=True)
    sha256: str | None = stored.text(sparse=True)
    made_at: datetime | None = stored.time()
    plan_digest: str | None = stored.text()
    proof: str | None = stored.text(sparse=True)
    away: bool = stored.flag(sparse=True)
    outdated: bool = stored.flag()


@dataclass(frozen=True, slots=True, kw_only=True)
class RekeyDetail(RunDetail):
    """`to` is the digest of the reference to the new password; an older drd wrote the reference."""

    kind = "rekey"

    to: Any = stored.anything()
    waits_for: tuple[str, ...] = stored.texts()
    removed: tuple[str, ...] = stored.texts()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingDetail(RunDetail):
    """The restore points that a listing of another tool's copies showed anew, that the tool let
    expire, and that are gone before their time."""

    kind = "listing"

    listed: int | None = stored.count()
    added: tuple[str, ...] = stored.texts()
    expired: tuple[str, ...] = stored.texts()
    missing: tuple[str, ...] = stored.texts()


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlDetail(RunDetail):
    """What a control has `observed` at the live service, and what the plan expects. The next check
    compares with the restore point `reference`."""

    kind = "control"

    observed: str | None = stored.text()
    expected: str | None = stored.text()
    reference: str | None = stored.text()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreservationDetail(RunDetail):
    """The incident, and what was done with its preserved evidence: `taken`, `verified`, …"""

    kind = "preservation"

    incident: int | None = stored.count()
    act: str | None = stored.text()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookDetail(RunDetail):
    """The values given: the `incident`, the plan (`of_plan`), and the `inputs` by name; secret
    inputs are references. `exercise` is the number of the exercise in which the playbook runs;
    `rehearsal`: the playbook is practised outside of an exercise. The end of the run adds the steps
    that were `rolled_back`."""

    kind = "playbook"

    incident: int | None = stored.count()
    of_plan: str | None = stored.text()
    exercise: int | None = stored.count()
    rehearsal: bool = stored.flag(sparse=True)
    inputs: Mapping[str, Any] = stored.mapping()
    rolled_back: tuple[str, ...] = stored.texts()

    @property
    def is_practised(self) -> bool:
        """Whether people only practise: no message is sent, and no alert is raised."""
        return self.rehearsal or self.exercise is not None

    @property
    def in_sandbox(self) -> bool:
        """Whether `recover` and `preserve` work in a sandbox: people practise, and there is no
        incident."""
        return self.is_practised and self.incident is None

    _OUTCOME: ClassVar = frozenset(
        {"error_code", "remedy", "permanent", "untouched", "took_s", "rolled_back"}
    )


_CLASSES: Mapping[str, type[RunDetail]] = {
    cls.kind: cls
    for cls in (
        BackupDetail,
        DrillDetail,
        RecoveryDetail,
        CopyDetail,
        RetentionDetail,
        PruneDetail,
        VerificationDetail,
        ReadinessDetail,
        KitDetail,
        RekeyDetail,
        ListingDetail,
        ControlDetail,
        PreservationDetail,
        PlaybookDetail,
    )
}


def class_of(kind: str) -> type[RunDetail]:
    """Return the class of a kind of run."""
    return _CLASSES.get(kind, RunDetail)


def read(kind: str, data: Mapping[str, Any]) -> RunDetail:
    """Return the details in the row of a run of this kind. Raises Malformed for a value of another
    type."""
    return class_of(kind).from_json(data)

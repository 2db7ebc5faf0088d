"""The regular jobs of a plan: one for each kind of run and repository.

They are compiled once when a plan is loaded and kept as JSON in the catalogue, so that a daemon
with 10,000 plans reads no YAML. `drd.model.due` computes when a job is due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from drd.model.controls import ControlSpec
from drd.model.kit_findings import VERIFY
from drd.model.plan import Component, KitWatch, Objectives, Plan, RepositorySpec
from drd.model.policies import Blackout, Times
from drd.model.run import RunKind

READINESS_EVERY_S = 86400.0
"""A day: backups notice most of what readiness examines, and each readiness run is a process."""

READINESS_SOON_S = 900.0
READINESS_TIMEOUT_S = 300.0

CONTROL_LONGER_S = 60.0
"""How long the run of a control may take longer than the control itself."""
RETENTION_TIMEOUT_S = 3600.0
KIT_TIMEOUT_S = 1800.0
LISTING_SHARE = 0.1
LISTING_SHORTEST_S = 60.0
LISTING_LONGEST_S = 3600.0
"""The copies of another tool are listed after this share of the RPO, within these bounds."""

MARGIN_SHARE = 0.25
"""The share of the RPO that `every: auto` keeps free. The exposure then stays below the share at
which a plan is at risk (0.8), with time for a late start and one retry.
"""
MARGIN_AT_LEAST_S = 30.0

_SPREAD = 0.1
"""The share of its period over which the first starts of a kind are spread."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a job starts: every `every_s` seconds after its last start, by `cron`, `auto` (from the
    RPO), or `follows`: as soon as there is something new to copy.

    Blackout windows and cron are in `timezone`. `jitter_s` is the longest delay of this plan's
    starts by cron, and of the first start otherwise; the delay is always the same. `timeout_s` ends
    a run, `retries` bounds how often a failed run is retried before its next regular time.
    """

    every_s: float | None = None
    cron: str | None = None
    auto: bool = False
    follows: bool = False
    timezone: str = "UTC"
    blackout: tuple[Blackout, ...] = ()
    jitter_s: float = 0.0
    timeout_s: float = 3600.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of work of one plan. `kind` is a `RunKind`. `subject` is the repository's name for
    copy, verification and prune, the action for a kit, else empty. `repositories` are the URLs that
    it uses, `hosts` the hosts of the components that it reads, if they were known when the plan was
    accepted.
    """

    plan: str
    kind: str
    timing: Timing
    rpo_s: float
    subject: str = ""
    repositories: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        return self.plan, self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Schedule:
    """The jobs of one plan, backup first. `digest` and `file` are the plan's. The RPO in
    `objectives` is the one that restore points have to keep."""

    plan: str
    digest: str
    file: str
    objectives: Objectives
    jobs: tuple[Job, ...]

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON; timings omit defaults."""
        return {
            "plan": self.plan,
            "digest": self.digest,
            "file": self.file,
            "objectives": asdict(self.objectives),
            "jobs": [_job_to_json(job) for job in self.jobs],
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Schedule:
        """Return the inverse of `to_json`. Keys of another version of drd are ignored."""
        objectives = Objectives(**_known_fields(Objectives, data["objectives"]))
        plan = data["plan"]
        jobs = tuple(_job_from_json(plan, objectives.rpo_s, job) for job in data["jobs"])
        return Schedule(plan, data["digest"], data["file"], objectives, jobs)


def margin_s(rpo_s: float) -> float:
    """Return the time that `every: auto` keeps free of the RPO: a quarter of it, at least 30 s."""
    return max(MARGIN_AT_LEAST_S, MARGIN_SHARE * rpo_s)


def auto_exposure_s(rpo_s: float) -> float:
    """Return the exposure that `every: auto` allows, reached when a backup is done."""
    return max(rpo_s - margin_s(rpo_s), margin_s(rpo_s))


def auto_interval_s(rpo_s: float, expected_s: float) -> float:
    """Return the time from a point's data time to the next start by `every: auto`. Never less than
    the margin: backups that take longer than the RPO follow each other closely, but not without a
    pause.
    """
    return max(rpo_s - expected_s - margin_s(rpo_s), margin_s(rpo_s))


# --- JSON -----------------------------------------------------------------------------------


def _job_to_json(job: Job) -> dict[str, Any]:
    timing = asdict(job.timing)
    usual = asdict(Timing())
    return {
        "kind": job.kind,
        "subject": job.subject,
        "timing": {key: value for key, value in timing.items() if value != usual[key]},
        "repositories": list(job.repositories),
        "hosts": list(job.hosts),
    }


def _job_from_json(plan: str, rpo_s: float, data: Mapping[str, Any]) -> Job:
    timing = _known_fields(Timing, data["timing"])
    if "blackout" in timing:
        timing["blackout"] = tuple(
            Blackout(w["from_min"], w["to_min"], tuple(w["days"])) for w in timing["blackout"]
        )
    return Job(
        plan,
        data["kind"],
        Timing(**timing),
        rpo_s,
        data["subject"],
        tuple(data["repositories"]),
        tuple(data["hosts"]),
    )


def _known_fields(of: type, data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key in of.__dataclass_fields__}  # type: ignore[attr-defined]


# --- from a plan ----------------------------------------------------------------------------


HostOf = Callable[[Component], str]
"""Returns the server that a component is read from; empty for this host, and if it is unknown."""


def this_host(_: Component) -> str:
    """Return the default for plans whose servers are not known."""
    return ""


def schedule_of(plan: Plan, kit: KitWatch | None = None, host_of: HostOf = this_host) -> Schedule:
    """Return the jobs of the plan, and of tests of its recovery `kit`. Work that starts only by
    hand has no job. Prune needs retention rules, because without rules nothing is ever forgotten.
    `host_of` says which components are read from the same server.
    """
    jobs = tuple(_jobs(plan, kit, host_of))
    objectives = replace(plan.objectives, rpo_s=plan.points_within_s)
    return Schedule(plan.name, plan.digest, plan.file, objectives, jobs)


def _jobs(plan: Plan, kit: KitWatch | None, host_of: HostOf) -> Iterator[Job]:
    rpo_s = plan.points_within_s
    primary = (plan.primary.url,)
    everywhere = tuple(r.url for r in plan.repositories.values())
    forgets = not plan.retention.keeps_everything and not plan.made_by
    if plan.made_by:
        # It locks no repository.
        yield Job(plan.name, RunKind.LISTING, _listing(rpo_s), rpo_s)
    elif (timing := _backup(plan)) is not None:
        database_hosts = (host_of(component) for component in plan.components.values())
        hosts = tuple(dict.fromkeys(host for host in database_hosts if host))
        yield Job(plan.name, RunKind.BACKUP, timing, rpo_s, "", primary, hosts)
    for copy in plan.repositories.values():
        if copy.copy_of is not None and (copying := _copying(plan)) is not None:
            between = (plan.repositories[copy.copy_of].url, copy.url)
            yield Job(plan.name, RunKind.COPY, copying, rpo_s, copy.name, between)
    if (timing := _drill(plan)) is not None:
        yield Job(plan.name, RunKind.DRILL, timing, rpo_s, "", primary)
    if forgets and (every_s := plan.retention.every_s) is not None:
        timing = Timing(every_s=every_s, jitter_s=_SPREAD * every_s, timeout_s=RETENTION_TIMEOUT_S)
        yield Job(plan.name, RunKind.RETENTION, timing, rpo_s, "", everywhere)
    for repository in plan.repositories.values():
        yield from _maintenance(plan, repository, forgets=forgets)
    if kit is not None:
        trying = Timing(
            every_s=kit.every_s,
            jitter_s=min(_SPREAD * kit.every_s, 3600.0),
            timeout_s=KIT_TIMEOUT_S,
        )
        # It locks no repository either.
        yield Job(plan.name, RunKind.KIT, trying, rpo_s, VERIFY)
    spread = Timing(
        every_s=READINESS_EVERY_S,
        jitter_s=READINESS_SOON_S,
        timeout_s=READINESS_TIMEOUT_S,
        retries=5,
    )
    # They lock no repository, so they neither wait for those that do nor keep them waiting.
    yield Job(plan.name, RunKind.READINESS, spread, rpo_s)
    for control in plan.controls:
        yield Job(plan.name, RunKind.CONTROL, _controlling(control), rpo_s, control.name)


def _timing(times: Times, jitter_s: float, **more: Any) -> Timing:
    """Make the timing of jobs that start at these times. `more` are keys of `Timing`."""
    return Timing(
        every_s=times.every_s,
        cron=times.cron,
        timezone=times.timezone,
        blackout=times.blackout,
        jitter_s=jitter_s,
        timeout_s=times.timeout_s,
        **more,
    )


def _backup(plan: Plan) -> Timing | None:
    policy = plan.backup
    if policy.interval_s is None:
        return None
    # Limits spread them further; a plan that has no backup yet shall not wait for its first one.
    usual_s = 0.0 if policy.cron is not None else min(_SPREAD * policy.interval_s, 15.0)
    jitter_s = usual_s if policy.jitter_s is None else policy.jitter_s
    return _timing(policy, jitter_s, auto=policy.auto, retries=policy.retries)


def _listing(rpo_s: float) -> Timing:
    """Return when the copies of another tool are listed: often enough to see in time that one is
    late."""
    every_s = min(max(LISTING_SHARE * rpo_s, LISTING_SHORTEST_S), LISTING_LONGEST_S)
    return Timing(every_s=every_s, jitter_s=min(_SPREAD * every_s, 15.0), timeout_s=every_s * 10)


def _controlling(control: ControlSpec) -> Timing:
    jitter_s = min(_SPREAD * control.every_s, 15.0)
    timeout_s = control.timeout_s + CONTROL_LONGER_S
    return Timing(every_s=control.every_s, jitter_s=jitter_s, timeout_s=timeout_s)


def _copying(plan: Plan) -> Timing | None:
    policy = plan.copying
    return None if policy.by_hand else _timing(policy, 0.0, follows=policy.follows, retries=5)


def _drill(plan: Plan) -> Timing | None:
    policy = plan.drill
    if not policy.is_regular:
        return None
    # Soon: a plan that was never drilled is not green.
    return _timing(policy, min(_SPREAD * (policy.every_s or 0.0), 3600.0))


def can_verify(repository: RepositorySpec) -> bool:
    """Return whether anything can verify the repository: a tool that drd does not know may not."""
    command = repository.adopted.command if repository.adopted is not None else None
    return command is None or bool(command.verify)


def _maintenance(plan: Plan, repository: RepositorySpec, *, forgets: bool) -> Iterator[Job]:
    policies: tuple[tuple[RunKind, Times], ...] = (
        (RunKind.PRUNE, plan.prune),
        (RunKind.VERIFICATION, plan.verification),
    )
    for kind, policy in policies:
        if kind is RunKind.VERIFICATION and not can_verify(repository):
            continue
        if (kind is RunKind.PRUNE and not forgets) or not policy.is_regular:
            continue
        timing = _timing(policy, _SPREAD * (policy.every_s or 0.0))
        url = (repository.url,)
        yield Job(plan.name, kind, timing, plan.points_within_s, repository.name, url)

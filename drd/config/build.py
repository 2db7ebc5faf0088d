"""Convert a valid plan file to the values that the rest of drd works with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from drd.config import runbook, schema, timing
from drd.config.adopted import PGBACKREST
from drd.config.adopted_settings import CommandToolSettings, Only
from drd.config.consistency import groups
from drd.config.drill import Drill
from drd.config.inventory import inventory
from drd.config.kit import sharing, watch
from drd.config.limits import LimitsSettings
from drd.config.log_logic import BASE_EVERY_S, logs_decide
from drd.config.own_objectives import points_within_s
from drd.config.parse import Parsed
from drd.config.readiness import policy as readiness_policy
from drd.config.resolved import resolved_plan
from drd.config.scheme_settings import SECTIONS
from drd.config.stanza_settings import option_text, variable_of
from drd.config.timing_logic import blackout
from drd.config.training import review_policy, training_policy
from drd.fields import Settings
from drd.model.adopted import READ_UP_TO, Adopted, CommandTool, Stanza
from drd.model.controls import ControlSpec
from drd.model.cron import longest_gap
from drd.model.limits import UNLIMITED, Limits
from drd.model.location import normal_url
from drd.model.plan import (
    FULL_EVERY_S,
    CheckSpec,
    Component,
    DrillPolicy,
    Heartbeat,
    Hook,
    KitPolicy,
    Objectives,
    Plan,
    RepositorySpec,
    S3Access,
    SecretRef,
    Target,
)
from drd.model.policies import (
    BackupPolicy,
    CopyPolicy,
    PrunePolicy,
    RetentionPolicy,
    Times,
    VerificationPolicy,
)
from drd.model.proof import plan_hash, proof_hash
from drd.model.schedule import auto_exposure_s
from drd.model.windows import longest_blackout_s
from drd.notifiers.settings import PlanHeartbeat
from drd.registry import KINDS

Policy = TypeVar("Policy", bound=Times)


def build_plan(parsed: Parsed, file: Path) -> Plan:
    """Return the plan, with its hashes. Components keep the order of the file."""
    plan = parsed.file
    resolved = resolved_plan(parsed)
    return Plan(
        name=plan.plan,
        owner=plan.owner,
        description=plan.description,
        objectives=Objectives(
            plan.objectives.rpo, plan.objectives.rto, window_s=plan.objectives.window
        ),
        components=_components(plan),
        repositories={n: _repository(n, r, plan) for n, r in plan.repositories.items()},
        backup=_backup(plan),
        retention=_retention(plan.retention),
        checks=tuple(CheckSpec(c.name, c.kind, c.component, c) for c in plan.checks),
        runbook=runbook.steps(plan),
        targets={n: Target(n, dict(places)) for n, places in parsed.targets.items()},
        drill=_drill(plan.drill),
        digest=plan_hash(resolved),
        proof=proof_hash(resolved),
        file=str(file),
        resolved=resolved,
        heartbeat=_heartbeat(plan.heartbeat),
        copying=_copying(plan.copies),
        prune=_times(PrunePolicy, plan.prune),
        verification=_times(
            VerificationPolicy,
            plan.verification,
            read_all_within_s=plan.verification.read_all_within,
        ),
        kit=KitPolicy(
            plan.kit.required, tuple(plan.kit.recipients), sharing(plan.kit), watch(plan.kit)
        ),
        readiness=readiness_policy(plan.readiness),
        inventory=inventory(plan),
        training=training_policy(plan.training),
        review=review_policy(plan.review),
        consistency=groups(plan.consistency),
        controls=tuple(ControlSpec(c.name, c.kind, c, c.every, c.timeout) for c in plan.controls),
    )


def _heartbeat(heartbeat: PlanHeartbeat | None) -> Heartbeat | None:
    if heartbeat is None:
        return None
    return Heartbeat(heartbeat.url, on=tuple(dict.fromkeys(heartbeat.on)))


def _components(plan: schema.PlanFile) -> dict[str, Component]:
    tools = {r.made_by for r in plan.repositories.values()} - {None}
    whole = PGBACKREST in tools
    return {
        n: _component(n, c, adopted=bool(tools), whole_server=whole)
        for n, c in plan.components.items()
    }


def _component(
    name: str, settings: schema.AnyComponent, *, adopted: bool, whole_server: bool
) -> Component:
    served_as = KINDS[settings.kind].served_as(settings) if whole_server else ""
    return Component(
        name,
        settings.kind,
        settings,
        before=_hook(settings.before),
        after=_hook(settings.after),
        may_be_empty=settings.may_be_empty,
        adopted=adopted,
        copied_as=settings.copied_as or served_as,
        limits=_limits(settings.limits),
        rpo_s=settings.rpo,
    )


def _limits(settings: LimitsSettings | None) -> Limits:
    if settings is None:
        return UNLIMITED
    return Limits(settings.upload, settings.download, settings.nice, settings.ionice)


def _hook(hook: schema.HookSettings | None) -> Hook | None:
    return Hook(tuple(hook.command), hook.timeout) if hook is not None else None


def _repository(
    name: str, repository: schema.RepositorySettings, plan: schema.PlanFile
) -> RepositorySpec:
    spec = repository_spec(name, repository)
    if repository.made_by is None:
        return spec
    components = tuple(_components(plan).values())
    only = repository.only or Only()
    given = {"host": only.host, "tag": only.tag}
    adopted = Adopted(
        repository.made_by,
        plan.plan,
        components,
        tuple((key, value) for key, value in given.items() if value is not None),
        _command(repository.command),
        _stanza(repository),
        READ_UP_TO if repository.read_up_to is None else repository.read_up_to,
    )
    return replace(spec, adopted=adopted)


def _command(settings: CommandToolSettings | None) -> CommandTool | None:
    if settings is None:
        return None
    return CommandTool(
        tuple(settings.list_),
        tuple(settings.restore),
        tuple(settings.verify),
        tuple(settings.env.items()),
        settings.timeout,
    )


def _stanza(repository: schema.RepositorySettings) -> Stanza | None:
    settings = repository.pgbackrest
    if settings is None:
        return None
    options = settings.options.items()
    return Stanza(
        settings.stanza or repository.url.partition(":")[2],
        settings.config,
        tuple((variable_of(name), option_text(value)) for name, value in options),
        tuple(settings.env.items()),
        settings.repo,
        settings.timeout,
        settings.check,
    )


def repository_spec(name: str, repository: schema.RepositorySettings) -> RepositorySpec:
    s3 = repository.s3
    access = S3Access()
    if s3 is not None:
        access = S3Access(
            access_key=s3.access_key,
            secret_key=s3.secret_key,
            session_token=s3.session_token,
            region=s3.region,
            ca_cert=s3.ca_cert,
            bucket_lookup=s3.bucket_lookup,
        )
    return RepositorySpec(
        name,
        normal_url(repository.url),
        repository.password or SecretRef("text", ""),
        s3=access,
        protection=repository.protection,
        copy_of=repository.copy_of,
        access=_access(repository),
    )


def _access(repository: schema.RepositorySettings) -> tuple[tuple[str, SecretRef | str], ...]:
    name = repository.url.partition(":")[0]
    section: Settings | None = getattr(repository, name) if name in SECTIONS else None
    if section is None:
        return ()
    given = {key: getattr(section, key) for key in type(section).model_fields}
    return tuple((key, value) for key, value in given.items() if value is not None)


def _times(policy: type[Policy], section: timing.Timed, **more: Any) -> Policy:
    """Return a policy with the times of its section. `more` are the policy's own keys."""
    return policy(
        every_s=None if isinstance(section.every, str) else section.every,
        cron=section.cron,
        timezone=section.timezone,
        blackout=blackout(section.blackout),
        timeout_s=section.timeout,
        **{"longest_gap_s": _gap(section), **more},
    )


def _gap(section: timing.Timed) -> float | None:
    return longest_gap(section.cron, section.timezone) if section.cron is not None else None


def _backup(plan: schema.PlanFile) -> BackupPolicy:
    backup, auto, within_s = plan.backup, {}, points_within_s(plan)
    if backup.every == "auto" and not logs_decide(plan):
        auto = {"auto": True, "longest_gap_s": auto_exposure_s(within_s)}
    jitter_s = 0.0 if backup.jitter == "none" else backup.jitter
    own_s = within_s if within_s != plan.objectives.rpo else None
    policy = _times(
        BackupPolicy, backup, retries=backup.retries, jitter_s=jitter_s, rpo_s=own_s, **auto
    )
    if backup.every == "auto" and not policy.auto:
        return replace(policy, every_s=BASE_EVERY_S)
    return policy


def _copying(copy: timing.Copy) -> CopyPolicy:
    policy = _times(CopyPolicy, copy, by_hand=copy.every == "never")
    pause_s = (policy.interval_s or 0.0) + longest_blackout_s(policy.blackout)
    return replace(policy, pause_s=pause_s)


def _retention(retention: schema.Retention) -> RetentionPolicy:
    return RetentionPolicy(
        keep_within_s=retention.keep_within,
        last=retention.last,
        hourly=retention.hourly,
        daily=retention.daily,
        weekly=retention.weekly,
        monthly=retention.monthly,
        yearly=retention.yearly,
        max_repack_bytes=retention.max_repack,
        every_s=retention.every if retention.every != "never" else None,
    )


def _drill(drill: Drill) -> DrillPolicy:
    point = drill.restore_point
    policy = _times(
        DrillPolicy,
        drill,
        scenarios=tuple(drill.scenarios),
        fence=drill.fence,
        reach=tuple(drill.reach),
        read=tuple(drill.read),
        full_every_s=(drill.full_every or FULL_EVERY_S) if drill.restore == "instant" else None,
    )
    if point == "latest":
        return policy
    return replace(policy, random_within_s=point.random_within, random_each=point.each)

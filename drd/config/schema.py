"""The schema of a plan file: one home for validation, JSON Schema, reference and editors."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, create_model, model_validator

from drd.actions.erasures import ErasuresSettings
from drd.checks.settings import CheckSettings
from drd.config.adopted_settings import CommandToolSettings, Only
from drd.config.consistency import ConsistencyGroup
from drd.config.drill import Drill
from drd.config.inventory import AffectedData, Endpoint, RiskSettings, RotatedCredential, Tier
from drd.config.kit import PlanKit
from drd.config.limits import LimitsSettings
from drd.config.readiness import PlanReadiness
from drd.config.registry_fields import AsWritten, OfKind
from drd.config.scheme_settings import B2, SECTIONS, Azure, Gs, Rclone, Rest, Sftp
from drd.config.stanza_settings import StanzaSettings
from drd.config.steps import NAME_RULE, AnyStep
from drd.config.timing import Backup, Copy, Prune, Verification
from drd.config.training import PlanReview, PlanTraining
from drd.controls.settings import ControlSettings
from drd.fields import AbsolutePath, Duration, DurationOrNever, Name, Secret, Settings, Size
from drd.model.schemes import SCHEMES
from drd.notifiers.settings import PlanHeartbeat
from drd.ports.kinds import KindSpec
from drd.registry import CHECKS, CONTROLS, KINDS

Count = Annotated[int, Field(strict=True, ge=0, le=100_000)]


class HookSettings(Settings):
    """A command around the capture of a component. The command gets no keys and no passwords. It
    runs as drd's user, who can read keys and passwords: so only root and this user may have the
    right to change the program."""

    command: list[str] = Field(
        min_length=1,
        description="The program and its arguments, as a list; drd does not use a shell.",
    )
    timeout: Duration = Field(
        60.0,
        description="Time limit. drd ends a command that takes longer, and counts it as failed.",
    )


class ComponentKeys(Settings):
    """What every kind of component can have besides its own keys."""

    if TYPE_CHECKING:
        kind: str

    unsaid: ClassVar = {
        "may_be_empty": (False,),
        "copied_as": (None,),
        "limits": (None,),
        "rpo": (None,),
    }

    may_be_empty: bool = Field(
        False,
        description="If true, a drill can pass although this component was empty when it "
        "was backed up: no table, no row, no file. If false, such a drill is "
        "inconclusive, because a component is often empty only because its "
        "volume was not mounted. For the same reason, drd backs up a component "
        "of kind files that consists only of a symbolic link only if "
        "`may_be_empty` is true.",
    )
    rpo: Duration | None = Field(
        None,
        description="The RPO of this component, if it is not the RPO of the plan (`objectives`). "
        "It may be shorter or longer. A plan is breached if one of its components exceeds its own "
        "RPO. A change needs no new drill, unless a check of this component expects `within rpo`.",
    )
    before: HookSettings | None = Field(
        None,
        description="Command that drd runs before the capture of this component. If the command "
        "fails, drd does not capture the component, and the backup of the component has failed.",
    )
    after: HookSettings | None = Field(
        None,
        description="Command that drd runs after the capture, even if the capture failed.",
    )
    copied_as: AbsolutePath | None = Field(
        None,
        description="Path of the dump or file of this component in each copy, if another "
        "tool makes the copies (`made_by` of the repository). Default: the "
        "component's own path.",
    )
    limits: LimitsSettings | None = Field(
        None,
        description="Bandwidth and priority for backups and drills of this component. A change "
        "needs no new drill.",
    )


@cache
def component_model(spec: KindSpec) -> type[ComponentKeys]:
    """Return the model of a component of this kind: the keys of the kind, and the keys that every
    component has."""
    stem = spec.settings.__name__.removesuffix("Settings")
    bases = cast("tuple[type[ComponentKeys], ...]", (ComponentKeys, spec.settings))
    doc = spec.settings.__doc__
    return _of_both(create_model(f"{stem}Component", __base__=bases, __doc__=doc), spec.settings)


def _of_both(model: type[ComponentKeys], of_kind: type[Settings]) -> type[ComponentKeys]:
    """Return the model with `unsaid` of both: of its bases, it would have that of one."""
    model.unsaid = {**ComponentKeys.unsaid, **of_kind.unsaid}
    return model


def target_models() -> list[type[Settings]]:
    return [spec.target for spec in KINDS]


AnyComponent = Annotated[ComponentKeys, OfKind(KINDS, component_model)]

AnyCheck = Annotated[CheckSettings, OfKind(CHECKS, lambda spec: spec.settings)]


AnyControl = Annotated[ControlSettings, OfKind(CONTROLS, lambda spec: spec.settings)]


class ObjectivesSettings(Settings):
    """The objectives."""

    rpo: Duration = Field(
        description="How much data may be lost, as a time: `15m` means the data of the last 15 "
        "minutes."
    )
    rto: Duration = Field(description="How long the service may be down, for example `30m`.")
    window: Duration = Field(
        90 * 86400.0,
        description="The time over which drd reports the attainment: the share of this time in "
        "which the RPO was kept. At least the RPO.",
    )


class S3(Settings):
    """Access to the bucket. Without keys the instance's role is used."""

    access_key: Secret | None = Field(None, description="Access key id.")
    secret_key: Secret | None = Field(None, description="Secret access key.")
    session_token: Secret | None = Field(
        None, description="Session token, if the keys are temporary."
    )
    region: str | None = Field(None, min_length=1, description="Region, if the server requires it.")
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of your own certificate authority."
    )
    bucket_lookup: Literal["auto", "dns", "path"] = Field(
        "auto",
        description="How requests name the bucket: in the host name, in the path, "
        "or as drd detects.",
    )


WHOLE_LOSS = "The repository's encryption password. Without this password the backups are lost."


class RepositorySettings(Settings):
    """Where copies are kept: one restic repository."""

    unsaid: ClassVar = {
        "copy_of": (None,),
        "made_by": (None,),
        "only": (None,),
        "read_up_to": (None,),
        "command": (None,),
        "pgbackrest": (None,),
        **dict.fromkeys(SECTIONS, (None,)),
    }

    url: str = Field(
        min_length=1,
        description="`s3:https://host/bucket/prefix` (`s3:http://…` without TLS), an "
        "absolute path, or an address as restic writes it: "
        f"{', '.join(f'`{scheme.form}`' for scheme in SCHEMES.values())}.",
    )
    password: Secret | None = Field(
        None,
        description=f"{WHOLE_LOSS} Required, except with `made_by: command` or `pgbackrest`.",
    )
    s3: S3 | None = Field(
        None, description="Keys and settings for the bucket. Only if `url` begins with `s3:`."
    )
    sftp: Sftp | None = Field(
        None, description="SSH key and host keys. Only if `url` begins with `sftp:`."
    )
    rest: Rest | None = Field(
        None, description="Login at the REST server. Only if `url` begins with `rest:`."
    )
    b2: B2 | None = Field(
        None, description="Key ID and key of Backblaze B2. Only if `url` begins with `b2:`."
    )
    azure: Azure | None = Field(
        None, description="Storage account and its key. Only if `url` begins with `azure:`."
    )
    gs: Gs | None = Field(
        None,
        description="Project and credentials of Google Cloud. Only if `url` begins with `gs:`.",
    )
    rclone: Rclone | None = Field(
        None, description="Configuration of rclone. Only if `url` begins with `rclone:`."
    )
    protection: Literal["object-lock", "versioning", "append-only", "none"] | None = Field(
        None,
        description="How the storage protects this repository from deletion. drd checks this where "
        "it can.",
    )
    copy_of: Name | None = Field(
        None,
        description="Name of another repository of this plan. drd copies the complete "
        "restore points of that repository into this repository, after each "
        "backup or as `copy` says. This repository has its own password and "
        "keys. If both are buckets and their keys differ, drd needs rclone.",
    )
    made_by: Literal["restic", "pgbackrest", "command"] | None = Field(
        None,
        description="The other tool that makes the copies here (adopted.md). drd lists, "
        "drills and recovers these copies, and never writes into this "
        "repository. `restic`: a repository that restic fills, or a tool that "
        "calls restic. `pgbackrest`: a stanza of pgBackRest; the URL is then "
        "`pgbackrest:STANZA`. `command`: whatever the commands in `command` "
        "list and restore; the URL is then `command:NAME`. Without `made_by`, "
        "drd makes the copies.",
    )
    command: CommandToolSettings | None = Field(
        None, description="The commands of the other tool. Only with `made_by: command`."
    )
    pgbackrest: StanzaSettings | None = Field(
        None, description="What pgBackRest needs. Only with `made_by: pgbackrest`."
    )
    only: Only | None = Field(
        None, description="Which copies belong to this service. Only with `made_by`."
    )
    read_up_to: Size | None = Field(
        None,
        description="drd reads a packed dump (gzip, zstd, xz, bzip2) to its end once before it "
        "counts as a restore point. Over the network it does so up to this size (1GiB); larger "
        "dumps count after a drill. Dumps in a directory are always read. Only with `made_by: "
        "restic` or `command`.",
    )


class Retention(Settings):
    """Which restore points are kept: the points that match at least one rule. Without rules, all
    points are kept. The newest point, the newest point that passed a drill, and held points (`drd
    hold`) are always kept."""

    unsaid: ClassVar = {"every": (None, 86400.0)}

    keep_within: Duration | None = Field(
        None,
        description="Keep all points that are at most this much older than the newest "
        "complete point.",
    )
    last: Count = Field(0, description="Keep this number of the newest points.")
    hourly: Count = Field(
        0, description="Keep the newest point of each hour, for this number of hours."
    )
    daily: Count = Field(
        0,
        description="Keep the newest point of each day, for this number of days; "
        "`backup.timezone` applies, as for all periods.",
    )
    weekly: Count = Field(
        0, description="Keep the newest point of each week, for this number of weeks."
    )
    monthly: Count = Field(
        0, description="Keep the newest point of each month, for this number of months."
    )
    yearly: Count = Field(
        0, description="Keep the newest point of each year, for this number of years."
    )
    max_repack: Size | None = Field(
        None,
        description="How much data one prune may rewrite, like `2G`: this limits how long "
        "backups wait for the prune. Default: as much as restic considers "
        "useful.",
    )
    every: DurationOrNever | None = Field(
        None,
        description="How often drd forgets the points that no rule keeps. Default: 1d if there is "
        "a rule. `never`: only when a person runs `drd retention`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _daily(cls, data: Any) -> Any:
        """Every day, if there is a rule and the plan does not set it."""
        if isinstance(data, dict) and set(data) - {"every", "max_repack"}:
            return {"every": "1d", **data}
        return data


TargetComponent = Annotated[Any, AsWritten(target_models)]
"""A target is checked later, by the kind of the component that it names."""


_INVENTORY = ("depends_on", "endpoints", "credentials", "data", "risks", "controls")


class PlanFile(Settings):
    """What a service consists of, how much data it may lose, how long it may be down, and how it is
    restored."""

    unsaid: ClassVar = {
        "copies": (Copy(),),
        "consistency": ([],),
        "erasures": (None,),
        "prune": (Prune(),),
        "verification": (Verification(),),
        "heartbeat": (None,),
        "kit": (PlanKit(),),
        "readiness": (PlanReadiness(),),
        "training": (PlanTraining(),),
        "review": (None,),
        "tier": (None,),
        "business_owner": ("",),
        **dict.fromkeys(_INVENTORY, ([],)),
    }

    plan: Name = Field(
        description=f"The plan's name: {NAME_RULE}. It begins with a letter or a digit."
    )
    owner: str = Field("", description="Who is responsible for this service.")
    description: str = Field("", description="What the service is, for the person on call.")
    objectives: ObjectivesSettings = Field(
        description="How much data may be lost, and how long the service may be down, for example "
        "`{rpo: 15m, rto: 1h}`."
    )
    components: dict[Name, AnyComponent] = Field(
        description="What is protected, by name, for example `{db: {kind: sqlite, path: "
        "/srv/app.db}}`. The names `drd` and `manifest` are reserved."
    )
    repositories: dict[Name, RepositorySettings] = Field(
        description="The repositories, by name, for example `{primary: {url: /srv/backup, "
        "password: {credential: NAME}}}`: one that receives the backups, and any number of copies "
        "with `copy_of`."
    )
    consistency: list[ConsistencyGroup] = Field(
        default_factory=list,
        description="Groups of components whose data belongs together, for example "
        "`[{components: [orders-db, sessions], within: 5s}]`. drd begins the capture of all "
        "components of a group at the same moment (operations.md).",
    )
    backup: Backup = Backup()
    copies: Copy = Field(Copy(), alias="copy")
    retention: Retention = Retention()
    prune: Prune = Prune()
    verification: Verification = Verification()
    checks: list[AnyCheck] = Field(
        default_factory=list,
        description="Conditions that the restored data must meet. Without checks, every drill is "
        "inconclusive.",
    )
    runbook: list[AnyStep] | None = Field(
        None,
        min_length=1,
        description="The ordered steps of a recovery, which drills rehearse. Without a runbook: "
        "restore all components, then run all checks.",
    )
    erasures: ErasuresSettings | None = None
    targets: dict[Name, dict[Name, TargetComponent]] = Field(
        default_factory=dict,
        description="Places that a recovery can restore to, by name. Each target gives, for the "
        "name of each component, the place to restore the component to, with the keys of its kind.",
    )
    drill: Drill = Drill()
    heartbeat: PlanHeartbeat | None = Field(
        None,
        description="A heartbeat for each run, sent to a watcher elsewhere. Not part of the "
        "plan's hash: after a change, no new drill is necessary.",
    )
    kit: PlanKit = PlanKit()
    readiness: PlanReadiness = PlanReadiness()
    training: PlanTraining = PlanTraining()
    review: PlanReview | None = None
    tier: Tier | None = Field(
        None, description="How important the service is: 1 is the most important, 5 the least."
    )
    business_owner: str = Field(
        "", description="The person who decides for the business, and gets messages in plain words."
    )
    depends_on: list[Name] = Field(
        default_factory=list,
        description="Names of plans, and of other services, that this service needs. An "
        "incident of one of these plans also affects this plan.",
    )
    endpoints: list[Endpoint] = Field(
        default_factory=list, description="URLs at which the service is reached."
    )
    credentials: list[RotatedCredential] = Field(
        default_factory=list, description="Credentials that have to be replaced after a leak."
    )
    data: list[AffectedData] = Field(
        default_factory=list, description="The data about people that the service has."
    )
    risks: list[RiskSettings] = Field(
        default_factory=list,
        description="Known risks, and what covers these risks. `drd plan risks` lists what "
        "is missing.",
    )
    controls: list[AnyControl] = Field(
        default_factory=list,
        description="Read-only checks of the live service, which drd repeats (controls.md).",
    )

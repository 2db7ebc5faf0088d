"""The schema of a plan file: one home for validation, JSON Schema, reference and editors."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    create_model,
    model_validator,
)

from drd.actions.erasures import ErasuresSettings
from drd.checks.settings import CheckSettings
from drd.config.adopted_settings import CommandToolSettings, Only
from drd.config.kit import PlanKit
from drd.config.readiness import PlanReadiness
from drd.config.registry_fields import AsWritten, OfKind
from drd.config.scheme_settings import B2, SECTIONS, Azure, Gs, Rclone, Rest, Sftp
from drd.config.stanza_settings import StanzaSettings
from drd.config.steps import NAME_RULE, AnyStep, Name
from drd.config.timing import (
    TIMEOUT,
    Backup,
    Copy,
    Prune,
    Timed,
    Verification,
)
from drd.fields import AbsolutePath, Duration, DurationOrNever, Secret, Settings, Size
from drd.model.malformed import Malformed
from drd.model.schemes import SCHEMES
from drd.notifiers.settings import PlanHeartbeat
from drd.ports.kinds import KindSpec
from drd.registry import CHECKS, KINDS

Count = Annotated[int, Field(strict=True, ge=0, le=100_000)]


class HookSettings(Settings):
    """A command around the capture of a component. The command gets no keys and no passwords. It
    runs as drd's user, who can read them: only root and this user may have the right to
    change the program."""

    command: list[str] = Field(min_length=1, description="The command's words; drd uses no shell.")
    timeout: Duration = Field(
        60.0,
        description="Time limit. drd ends a command that takes longer, and counts it as failed.",
    )


class ComponentKeys(Settings):
    """What every kind of component can have besides its own keys."""

    if TYPE_CHECKING:
        kind: str

    unsaid: ClassVar = {"may_be_empty": (False,), "copied_as": (None,)}

    may_be_empty: bool = Field(
        False,
        description="If true, a drill can pass although this component was empty when it was "
        "backed up: no table, no row, no file. If false, such a drill is inconclusive, because a "
        "component is often empty only because its volume was not mounted. For the same reason "
        "drd backs up a component of files that has only a symbolic link only if this is true.",
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
        description="Path of the dump or file of this component in each copy, if another tool "
        "makes the copies (`made_by` of the repository). Without it: the component's own path.",
    )


@cache
def component_model(spec: KindSpec) -> type[ComponentKeys]:
    """Return the model of a component of this kind: its own keys, and those of every component."""
    stem = spec.settings.__name__.removesuffix("Settings")
    bases = cast("tuple[type[ComponentKeys], ...]", (ComponentKeys, spec.settings))
    return create_model(f"{stem}Component", __base__=bases, __doc__=spec.settings.__doc__)


def target_models() -> list[type[Settings]]:
    return [spec.target for spec in KINDS]


AnyComponent = Annotated[ComponentKeys, OfKind(KINDS, component_model)]

AnyCheck = Annotated[CheckSettings, OfKind(CHECKS, lambda spec: spec.settings)]


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
        "auto", description="How requests name the bucket: by host name, by path, or detected."
    )


WHOLE_LOSS = "The repository's encryption password. Without it the backups are lost."


class RepositorySettings(Settings):
    """Where copies are kept: one restic repository."""

    unsaid: ClassVar = {
        "copy_of": (None,),
        "made_by": (None,),
        "only": (None,),
        "command": (None,),
        "pgbackrest": (None,),
        **dict.fromkeys(SECTIONS, (None,)),
    }

    url: str = Field(
        min_length=1,
        description="`s3:https://host/bucket/prefix` (`s3:http://…` without TLS), an absolute "
        "path, or an address as restic has it: "
        f"{', '.join(f'`{scheme.form}`' for scheme in SCHEMES.values())}.",
    )
    password: Secret | None = Field(
        None,
        description=f"{WHOLE_LOSS} Required, but for `made_by: command` and `pgbackrest`.",
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
        description="Name of another repository of this plan. drd copies the complete restore "
        "points of that repository into this one, after each backup or as `copy` says. This "
        "repository has a password and keys of its own. If both are buckets and their keys differ, "
        "drd needs rclone.",
    )
    made_by: Literal["restic", "pgbackrest", "command"] | None = Field(
        None,
        description="The other tool that makes the copies here (adopted.md). drd lists, drills and "
        "recovers them, and writes nothing into this repository. `restic`: a repository that "
        "restic fills, or a tool that calls restic. `pgbackrest`: a stanza of pgBackRest; the URL "
        "is then `pgbackrest:STANZA`. `command`: whatever the commands in `command` "
        "list and restore; the URL is then `command:NAME`. Without it, drd makes the copies.",
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


class Retention(Settings):
    """Which restore points are kept: those that match at least one rule. Without rules, all are
    kept. The newest point, the newest that passed a drill, and held ones (`drd hold`) always
    stay."""

    unsaid: ClassVar = {"every": (None, 86400.0)}

    keep_within: Duration | None = Field(
        None,
        description="Keep all points that are at most this much older than the newest complete "
        "one.",
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
        "backups wait for the prune. By default, as much as restic finds worthwhile.",
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


class RandomPoint(Settings):
    """Sometimes a drill uses an older point than the newest."""

    random_within: Duration = Field(
        description="The greatest age of the restore point that a drill chooses at random."
    )
    each: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        4, description="How often a drill uses a random point: `4` means one drill out of four."
    )


def _restore_point(value: Any) -> Any:
    if value == "latest" or isinstance(value, dict):
        return value
    raise Malformed(
        "is not a valid restore_point", "write `latest` or {random_within: 30d, each: 4}"
    )


DrilledPoint = Annotated[
    Annotated[Literal["latest"], Tag("latest")] | Annotated[RandomPoint, Tag("random")],
    Discriminator(lambda value: "latest" if value == "latest" else "random"),
    BeforeValidator(_restore_point),
]


def _reach(text: str) -> str:
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not bare or (":" in bare) != host.startswith("[") or not port.isdecimal():
        raise Malformed(f'"{text}" is not a host and port', "write HOST:PORT, like db1:5432")
    if not 0 < int(port) < 1 << 16 or any(c.isspace() or c in "/@*?" for c in bare):
        raise Malformed(f'"{text}" is not a host and port', "write HOST:PORT, like db1:5432")
    return text


def _readable(text: str) -> str:
    if not text.startswith("/") or text.strip("/") == "" or "\0" in text:
        raise Malformed(f'"{text}" is not an absolute path below /', "write one, like /etc/app")
    return text


Reach = Annotated[str, AfterValidator(_reach)]
Readable = Annotated[str, AfterValidator(_readable)]


class Drill(Timed):
    """When drills run, and what they rehearse."""

    unsaid: ClassVar = {
        "cron": (None,),
        "timezone": ("UTC",),
        "blackout": ([],),
        "timeout": (4 * 3600.0,),
        "fence": ("best",),
        "reach": ([],),
        "read": ([],),
    }

    every: Duration | None = Field(
        None,
        description="Time between the starts of two drills. Without `every` and `cron`, drills "
        "start only by hand.",
    )
    timeout: Duration = Field(4 * 3600.0, description=TIMEOUT)
    restore_point: DrilledPoint = Field(
        "latest",
        description="Which restore point a drill uses: always the latest, or sometimes a random "
        "older one.",
    )
    scenarios: list[Literal["database-loss", "region-loss", "host-loss"]] = Field(
        default=["database-loss"],
        min_length=1,
        description="The loss that drills simulate, one after the other. `database-loss`: the "
        "data of the service. `region-loss`: the data, and the repository that backups "
        "go to: the drill restores from a copy. `host-loss`: this host with all that is on "
        "it: the drill restores with the recovery kit alone (`kit: {file: …}`).",
    )
    fence: Literal["best", "required"] = Field(
        "best",
        description="How strictly a drill confines code that comes from a backup (sandbox.md). "
        "`best`: as strictly as this host supports; the evidence names each part of the fence "
        "that is missing. `required`: the drill is inconclusive if a part of the fence is "
        "missing.",
    )
    reach: list[Reach] = Field(
        default_factory=list,
        description="Addresses (HOST:PORT) that the servers, services and commands of a drill may "
        "connect to over TCP. They may also look up the names of these hosts. They can reach "
        "nothing else outside of the sandbox.",
    )
    read: list[Readable] = Field(
        default_factory=list,
        description="Absolute paths of files and directories that services and commands of a drill "
        "may read in addition to the system's programs: for example their configuration, or a "
        "program outside of /usr and /opt.",
    )


class PlanFile(Settings):
    """What a service consists of, how much data it may lose, how long it may be down, and how it is
    restored."""

    unsaid: ClassVar = {
        "copies": (Copy(),),
        "erasures": (None,),
        "prune": (Prune(),),
        "verification": (Verification(),),
        "heartbeat": (None,),
        "kit": (PlanKit(),),
        "readiness": (PlanReadiness(),),
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
        "plan's hash: changing it needs no new drill.",
    )
    kit: PlanKit = PlanKit()
    readiness: PlanReadiness = PlanReadiness()

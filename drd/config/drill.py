"""The schema of a plan's drills."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from drd.config.timing import TIMEOUT, Timed
from drd.fields import Duration, Settings, host_and_port
from drd.model.malformed import Malformed


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


def _readable(text: str) -> str:
    if not text.startswith("/") or text.strip("/") == "" or "\0" in text:
        raise Malformed(
            f'"{text}" is / or does not begin with /',
            "write an absolute path below /, like /etc/app",
        )
    return text


Reach = Annotated[str, AfterValidator(host_and_port)]
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
        "restore": ("whole",),
        "full_every": (None,),
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
        description="Addresses (HOST:PORT) that the servers, services and commands of a "
        "drill may connect to over TCP. These programs may also look up the "
        "names of these hosts. They cannot reach anything else outside of the "
        "sandbox.",
    )
    read: list[Readable] = Field(
        default_factory=list,
        description="Absolute paths of files and directories that services and commands of a drill "
        "may read in addition to the system's programs: for example their configuration, or a "
        "program outside of /usr and /opt.",
    )
    restore: Literal["whole", "instant"] = Field(
        "whole",
        description="How much a drill restores. `whole`: everything. `instant`: components of kind "
        "`postgres-cluster` are not restored; their servers start on the mounted restore point, "
        "and read only what the checks ask for. This needs root or drd's service "
        "(postgres-cluster.md).",
    )
    full_every: Duration | None = Field(
        None,
        description="With `restore: instant`: the greatest time between two drills that restore "
        "everything (default: 30d). drd chooses by itself which drill does.",
    )

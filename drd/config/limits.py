"""The limits of a component."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from drd.fields import Settings, Size


class LimitsSettings(Settings):
    """What backups and drills of one component may use. A recovery is never limited."""

    upload: Size | None = Field(
        None,
        ge=1024,
        description="Bytes per second that a backup of this component sends to the repository "
        "(restic's --limit-upload): `5M`.",
    )
    download: Size | None = Field(
        None,
        ge=1024,
        description="Bytes per second that a backup or a drill receives from the repository "
        "(restic's --limit-download). A recovery takes all that the line gives.",
    )
    nice: int | None = Field(
        None,
        ge=0,
        le=19,
        description="A number from 0 to 19 that is added to the nice value of restic in a backup "
        "or a drill, and of the program whose output restic stores. With 19, they use only "
        "processor time that no other program needs.",
    )
    ionice: Literal["idle"] | Annotated[int, Field(ge=0, le=7)] | None = Field(
        None,
        description="The priority of restic and of that program when they use disks: `idle`, or a "
        "level of the class best-effort, from 0 (highest) to 7 (lowest).",
    )

"""The limits of a component."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from drd.fields import Settings, Size


class LimitsSettings(Settings):
    """What backups and drills of one component may use, and what stores its log (WAL, binary
    log). A recovery is never limited, and neither are copies to other repositories: a copy has
    the data of all components together."""

    upload: Size | None = Field(
        None,
        ge=1024,
        description="Bytes per second that a backup of this component, or what stores its log, "
        "sends to the repository (restic's --limit-upload): `5M`. If the server writes its log "
        "faster, drd stores it later and later.",
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
        "or a drill and when it stores the log, and of the program that copies the data "
        "(`pg_dump`, `mariadb-dump`, `pg_basebackup`). With 19, they use only processor time that "
        "no other program needs. "
        "`mariadb-backup` keeps its priority, because all commits of the server wait for it at "
        "the end; so does the program that receives the data of Redis or Valkey.",
    )
    ionice: Literal["idle"] | Annotated[int, Field(ge=0, le=7)] | None = Field(
        None,
        description="The priority of restic and of that program when they use disks: `idle`, or a "
        "level of the class best-effort, from 0 (highest) to 7 (lowest).",
    )

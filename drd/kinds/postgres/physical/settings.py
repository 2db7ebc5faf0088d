"""The keys of a plan about a whole PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from drd.fields import (
    AbsolutePath,
    Connection,
    Contradiction,
    DatabaseFingerprintField,
    DatabaseFingerprintSettings,
    Duration,
    OrWords,
    Settings,
    mode_alone,
)
from drd.kinds.log_settings import LogSettings, within
from drd.kinds.postgres import dsn


class WalSettings(LogSettings):
    """drd receives the WAL of the server all the time, and stores it between the backups: the
    server can then be recovered to any time."""


class IncrementalSettings(Settings):
    """When a backup copies only what has changed since the last one."""

    mode: Literal["auto", "off"] = Field(
        "auto",
        description="`auto`: a backup is incremental if the server has `summarize_wal = on` and "
        "the repository has an earlier copy of it. `off`: each backup is a full copy.",
    )
    full_every: Duration = Field(
        7 * 86400.0,
        description="After this time, a backup is a full copy again.",
    )
    at_most: int = Field(
        24,
        ge=1,
        le=500,
        description="The largest number of incremental copies after a full one. A recovery reads "
        "all of them.",
    )


IncrementalField = Annotated[
    IncrementalSettings,
    BeforeValidator(mode_alone),
    OrWords("auto", "off"),
    Field(description="When a backup copies only what has changed. Short form: `auto`, `off`."),
]


class ClusterSettings(Settings):
    """A whole PostgreSQL server: all of its databases, copied file by file with pg_basebackup."""

    unsaid: ClassVar = {"incremental": (IncrementalSettings(),), "wal": (None,)}

    kind: Literal["postgres-cluster"]
    dsn: Connection = Field(
        description="The connection string of the server (libpq). Checks ask the database in it, "
        "unless they name another. Write a secret reference such as `{credential: NAME}`. If the "
        "connection string contains no password, you can write it here directly: "
        "`postgresql://drd@db1/orders`. The user in it needs the right REPLICATION.",
    )
    data_dir: AbsolutePath | None = Field(
        None,
        description="The data directory of the server, if the server is on this host: needed only "
        "for recoveries in place (`drd recover --in-place`).",
    )
    bin_dir: AbsolutePath | None = Field(
        None,
        description="Directory of the programs of PostgreSQL. Default: the installed version that "
        "is the same as the version of the server.",
    )
    checkpoint: Literal["fast", "spread"] = Field(
        "fast",
        description="How the server begins a backup. `fast`: it writes all changed pages at once. "
        "`spread`: it takes up to its `checkpoint_timeout` for this, which loads its disks less.",
    )
    fingerprint: DatabaseFingerprintField = DatabaseFingerprintSettings()
    incremental: IncrementalField = IncrementalSettings()
    wal: WalSettings | None = Field(
        None,
        description="drd receives the WAL of the server, so that you can recover to any time "
        "(`drd recover --before`): `{every: 30s}`. The server needs max_slot_wal_keep_size. "
        "Default: only the states of the backups can be restored.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        yield from dsn.contradictions(self.dsn)
        yield from within("wal", self.wal)


class ClusterTarget(Settings):
    """Where a whole PostgreSQL server is restored to: a data directory."""

    data_dir: AbsolutePath = Field(
        description="The data directory. It must be missing or empty, unless --overwrite is given. "
        "No server may run in it while drd restores."
    )
    bin_dir: AbsolutePath | None = Field(
        None,
        description="Directory of the programs of PostgreSQL. Their major version must be that of "
        "the backup.",
    )
    dsn: Connection | None = Field(
        None,
        description="The connection string of the restored server. If a step of the runbook has "
        "started this server, checks ask it. Without `dsn`, start the server after the checks.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        if self.dsn is not None:
            yield from dsn.contradictions(self.dsn)

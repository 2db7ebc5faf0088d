"""The keys of a plan about a whole MariaDB server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from drd.fields import (
    AbsolutePath,
    Connection,
    Contradiction,
    DatabaseFingerprintField,
    DatabaseFingerprintSettings,
    Settings,
)
from drd.kinds.log_settings import LogSettings, within
from drd.kinds.mariadb import dsn
from drd.model.malformed import Malformed


class BinlogSettings(LogSettings):
    """drd receives the binary log of the server all the time, and stores it between the backups:
    the server can then be recovered to any time."""


class ServerSettings(Settings):
    """A whole MariaDB server: all of its databases and users, copied file by file with
    mariadb-backup."""

    unsaid: ClassVar = {"binlog": (None,)}

    kind: Literal["mariadb-server"]
    dsn: Connection = Field(
        description="The address of the server, with the database that checks ask unless they name "
        "another: a secret reference such as `{credential: NAME}`, or, if it contains no password, "
        "the text itself: `mariadb:///shop?socket=/run/mysqld/mysqld.sock`. The server must run on "
        "this host, because mariadb-backup reads its files.",
    )
    data_dir: AbsolutePath | None = Field(
        None,
        description="The data directory of the server: needed only for recoveries in place "
        "(`drd recover --in-place`).",
    )
    bin_dir: AbsolutePath | None = Field(
        None,
        description="Directory of MariaDB's programs (mariadb-backup, mariadbd, innochecksum; "
        "with `binlog` also mariadb-binlog and mariadb). Default: the installed ones.",
    )
    fingerprint: DatabaseFingerprintField = DatabaseFingerprintSettings()
    binlog: BinlogSettings | None = Field(
        None,
        description="drd receives the binary log of the server, so that you can recover to any "
        "time (`drd recover --before`): `{every: 30s}`. The server needs log_bin and "
        "`binlog_format = ROW`. Default: only the states of the backups can be restored.",
    )

    @model_validator(mode="before")
    @classmethod
    def _always_whole(cls, data: Any) -> Any:
        if isinstance(data, dict) and "incremental" in data:
            raise Malformed(
                "names incremental copies (`incremental`), which drd does not make",
                "leave out `incremental`: of each whole copy, restic stores only what changed "
                "since the last one (docs/mariadb.md)",
            )
        return data

    def contradictions(self) -> Iterator[Contradiction]:
        yield from dsn.contradictions(self.dsn)
        yield from within("binlog", self.binlog)


class ServerTarget(Settings):
    """Where a whole MariaDB server is restored to: a data directory."""

    data_dir: AbsolutePath = Field(
        description="The data directory. It must be missing or empty, unless --overwrite is given. "
        "No server may run in it while drd restores."
    )
    bin_dir: AbsolutePath | None = Field(
        None,
        description="Directory of mariadb-backup, mariadbd and innochecksum. Their series must be "
        "that of the backup.",
    )
    dsn: Connection | None = Field(
        None,
        description="How to reach the restored server after a step of the runbook has started it: "
        "checks then ask this server. Without it, start the server after the checks.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        if self.dsn is not None:
            yield from dsn.contradictions(self.dsn)

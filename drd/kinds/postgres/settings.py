"""The keys of a plan about a PostgreSQL database."""

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
from drd.kinds.inside import IN, InContainer
from drd.kinds.postgres import dsn
from drd.model.malformed import Malformed


class PostgresSettings(Settings):
    """A PostgreSQL database, dumped whole with pg_dump."""

    unsaid: ClassVar = {"inside": (None,)}

    kind: Literal["postgres"]
    dsn: Connection = Field(
        description="The connection string of the database (libpq): a secret reference such as "
        "`{credential: NAME}`, or, if it contains no password, the text itself: "
        "`postgresql://drd@db1/orders`."
    )
    bin_dir: AbsolutePath | None = Field(
        None,
        description="Directory of pg_dump and related programs. Default: the newest installed "
        "version that fits the server.",
    )
    method: Literal["logical", "physical"] = Field(
        "logical",
        description="logical: pg_dump. For the files of a whole server, use the kind "
        "`postgres-cluster`.",
    )
    compression: Literal["none", "zstd", "gzip"] = Field(
        "none",
        description="Compression inside the dump. With `none`, restic stores and compresses only "
        "the data that is new since the last backup. `zstd` is faster for a first backup, "
        "but then every backup stores the whole dump again.",
    )
    fingerprint: DatabaseFingerprintField = DatabaseFingerprintSettings()
    inside: InContainer | None = IN

    def contradictions(self) -> Iterator[Contradiction]:
        if self.method == "physical":
            text = "`method: physical` copies a whole server, which is a kind of its own"
            hint = "use `kind: postgres-cluster` (docs/postgres-cluster.md), or leave out `method`."
            yield Contradiction(("method",), text, hint)
        yield from dsn.contradictions(self.dsn)


_DIRECTORIES = ("data_dir", "data_directory", "pgdata", "directory", "path")


class PostgresTarget(Settings):
    """Where a postgres component is restored to; the database is created when it is missing."""

    unsaid: ClassVar = {"inside": (None,)}

    dsn: Connection = Field(description="Connection to the database to restore into.")
    bin_dir: AbsolutePath | None = Field(None, description="Directory of pg_restore.")
    inside: InContainer | None = IN

    @model_validator(mode="before")
    @classmethod
    def _no_directory(cls, data: Any) -> Any:
        given = [key for key in _DIRECTORIES if isinstance(data, dict) and key in data]
        if given:
            raise Malformed(
                f"names the directory of a server (`{given[0]}`), but drd restores a database "
                "into a running server",
                "start a new server, and write its connection string into `dsn`. Only components "
                "of kind postgres-cluster are restored to a directory. To restore a whole server "
                "of pgBackRest, run pgbackrest restore into a new directory (docs/adopted.md)",
            )
        return data

    def contradictions(self) -> Iterator[Contradiction]:
        return dsn.contradictions(self.dsn)

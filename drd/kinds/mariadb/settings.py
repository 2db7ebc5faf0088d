"""The keys of a plan about a database of MariaDB or MySQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from drd.fields import (
    AbsolutePath,
    Connection,
    Contradiction,
    DatabaseFingerprintField,
    DatabaseFingerprintSettings,
    Settings,
)
from drd.kinds.inside import IN, InContainer
from drd.kinds.mariadb import dsn


class MariadbSettings(Settings):
    """A database of MariaDB or MySQL, dumped whole with mariadb-dump or mysqldump."""

    unsaid: ClassVar = {"inside": (None,)}

    kind: Literal["mariadb"]
    dsn: Connection = Field(
        description="The address of the database: a secret reference such as "
        "`{credential: NAME}`, or, if it contains no password, the text itself: "
        "`mariadb://drd@db1:3306/orders`, or `mariadb:///orders?socket=/run/mysqld/mysqld.sock`."
    )
    bin_dir: AbsolutePath | None = Field(
        None,
        description="Directory of mariadb-dump, mariadb, mariadbd and mariadb-install-db, for "
        "MySQL of mysqldump, mysql and mysqld. Default: the installed ones.",
    )
    fingerprint: DatabaseFingerprintField = DatabaseFingerprintSettings()
    inside: InContainer | None = IN

    def contradictions(self) -> Iterator[Contradiction]:
        return dsn.contradictions(self.dsn)


class MariadbTarget(Settings):
    """Where a mariadb component is restored to; the database is created when it is missing."""

    unsaid: ClassVar = {"inside": (None,)}

    dsn: Connection = Field(description="The address of the database to restore into.")
    bin_dir: AbsolutePath | None = Field(
        None, description="Directory of mariadb, for MySQL of mysql."
    )
    inside: InContainer | None = IN

    def contradictions(self) -> Iterator[Contradiction]:
        return dsn.contradictions(self.dsn)

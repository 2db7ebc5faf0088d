"""The keys of a plan about a SQLite database."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from drd.fields import (
    AbsolutePath,
    DatabaseFingerprintField,
    DatabaseFingerprintSettings,
    Settings,
)


class SqliteSettings(Settings):
    """A SQLite database file, copied consistently under concurrent writers."""

    kind: Literal["sqlite"]
    path: AbsolutePath = Field(description="The database file.")
    fingerprint: DatabaseFingerprintField = DatabaseFingerprintSettings()


class SqliteTarget(Settings):
    """Where a sqlite component is restored to."""

    path: AbsolutePath = Field(
        description="The database file to restore to; its directory has to exist."
    )

"""Sets a damaged catalogue aside."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from drd.catalogue.engine import sqlite_path
from drd.catalogue.trouble import explain_os
from drd.errors import CatalogueError


def set_aside(url: str, at: datetime) -> Path:
    """Rename a damaged SQLite catalogue with the files beside it, and return its new name. No
    process may have it open."""
    path = sqlite_path(make_url(url))
    if path is None:
        raise CatalogueError(
            "this catalogue is in PostgreSQL, and drd can rename only a catalogue in SQLite",
            hint="restore the database of the catalogue from a backup of PostgreSQL.",
        )
    aside = path.with_name(f"{path.name}.damaged-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    try:
        for suffix in ("-wal", "-shm", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise explain_os(error, str(path)) from error
    return aside

"""Measure dumps of databases of unusual form against the scripts that an administrator would write:
very many tables, and one table that has all the data."""

from __future__ import annotations

from bench import backup, drill, recover
from bench.table import Row
from bench.workshop import Workshop

TABLES = 20_000
SIZE = "800M"
_ALLOWED_RATIO = 1.1


def rows(workshop: Workshop, what: str, times: int) -> list[Row]:
    """Measure the database that the workshop has filled."""
    return [
        *backup.rows(workshop, what, times, ratio=_ALLOWED_RATIO),
        *drill.rows(workshop, what, times, allowed=_ALLOWED_RATIO),
        *recover.against_script(workshop, what, times, allowed=_ALLOWED_RATIO),
    ]

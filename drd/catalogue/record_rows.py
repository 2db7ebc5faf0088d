"""The rows of the chain of records as entries."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from drd.catalogue.record_tables import record_bodies as bodies
from drd.catalogue.record_tables import records as table
from drd.model.records import Body, Entry, Header

WHOLE = select(table, bodies.c.salt, bodies.c.body).outerjoin(bodies, bodies.c.seq == table.c.seq)
"""Entries with their bodies."""

SEALED = "sealed"
"""In the place of the salt: the text is the sealed body."""


def to_entry(row: Row[Any]) -> Entry:
    """Return the entry of a row; without a body if the row has no body."""
    text = getattr(row, "body", None)
    return Entry(
        Header(
            seq=row.seq,
            at=row.at,
            actor_kind=row.actor_kind,
            actor_name=row.actor_name,
            came=row.came,
            subject=row.subject,
            kind=row.kind,
            digest=row.digest,
            previous=row.previous,
        ),
        row.hash,
        row.key,
        row.signature,
        Body(row.salt, text) if text is not None and row.salt != SEALED else None,
        text if text is not None and row.salt == SEALED else "",
    )

"""How far the reading of each repository has come."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, select

from drd.catalogue.daemon_tables import verifications
from drd.catalogue.engine import upsert
from drd.model.read_progress import Reading


def known(connection: Connection, plan: str, repository: str) -> Reading | None:
    row = connection.execute(
        select(verifications).where(
            verifications.c.plan == plan, verifications.c.repository == repository
        )
    ).one_or_none()
    if row is None:
        return None
    return Reading(
        parts=row.parts,
        next_part=row.next_part,
        cycle_started_at=row.cycle_started_at,
        last_part_at=row.last_part_at,
        last_complete_at=row.last_complete_at,
        error=row.error,
    )


def record(connection: Connection, plan: str, repository: str, reading: Reading) -> None:
    upsert(connection, verifications, {"plan": plan, "repository": repository, **asdict(reading)})

"""How manifests were when they were stored, and the kit that a host was made from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, select

from drd.catalogue.engine import insert_all, upsert
from drd.catalogue.tables import kit_bases, seals
from drd.model.seals import KitBase, Seal


def record(connection: Connection, plan: str, seal: Seal) -> None:
    upsert(connection, seals, _row(plan, seal))


def known(connection: Connection, plan: str) -> dict[str, Seal]:
    rows = connection.execute(select(seals).where(seals.c.plan == plan))
    return {row.point: Seal(row.point, row.digest, row.manifests, row.snapshots) for row in rows}


def of_point(connection: Connection, plan: str, point: str) -> Seal | None:
    query = select(seals).where(seals.c.plan == plan, seals.c.point == point)
    row = connection.execute(query).one_or_none()
    return None if row is None else Seal(row.point, row.digest, row.manifests, row.snapshots)


def base_on_kit(
    connection: Connection, plan: str, made_at: datetime, found: Iterable[Seal] | None
) -> None:
    """From here on the kit's list is what is known, and nothing that a replica had."""
    connection.execute(delete(seals).where(seals.c.plan == plan))
    insert_all(connection, seals, [_row(plan, seal) for seal in found or ()])
    row = {"plan": plan, "made_at": made_at, "listed": found is not None}
    upsert(connection, kit_bases, row)


def kit_base(connection: Connection, plan: str) -> KitBase | None:
    row = connection.execute(select(kit_bases).where(kit_bases.c.plan == plan)).one_or_none()
    return None if row is None else KitBase(row.made_at, row.listed)


def _row(plan: str, seal: Seal) -> dict[str, object]:
    return {"plan": plan, **seal.to_json()}

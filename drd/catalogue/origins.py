"""How manifests were when they were stored, and the kit that a host was made from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select

from drd.catalogue.engine import SqlStore, insert_all, upsert
from drd.catalogue.tables import kit_bases, seals
from drd.model.seals import KitBase, Seal


class SqlOrigins(SqlStore):
    """See `drd.ports.origins.Origins`."""

    def record_seals(self, plan: str, found: Iterable[Seal]) -> None:
        with self._database.write() as connection:
            for seal in found:
                upsert(connection, seals, _row(plan, seal))

    def seals(self, plan: str) -> dict[str, Seal]:
        query = select(seals).where(seals.c.plan == plan)
        with self._database.read() as connection:
            return {row.point: _seal(row) for row in connection.execute(query)}

    def seal(self, plan: str, point: str) -> Seal | None:
        query = select(seals).where(seals.c.plan == plan, seals.c.point == point)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _seal(row)

    def base_on_kit(self, plan: str, made_at: datetime, found: Iterable[Seal] | None) -> None:
        kit = {"plan": plan, "made_at": made_at, "listed": found is not None}
        with self._database.write() as connection:
            connection.execute(delete(seals).where(seals.c.plan == plan))
            insert_all(connection, seals, [_row(plan, seal) for seal in found or ()])
            upsert(connection, kit_bases, kit)

    def kit_base(self, plan: str) -> KitBase | None:
        query = select(kit_bases).where(kit_bases.c.plan == plan)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else KitBase(row.made_at, row.listed)


def _row(plan: str, seal: Seal) -> dict[str, object]:
    return {"plan": plan, **seal.to_json()}


def _seal(row: Row[Any]) -> Seal:
    return Seal(row.point, row.digest, row.manifests, row.snapshots)

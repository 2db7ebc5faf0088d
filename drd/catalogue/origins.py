"""How manifests were when they were stored, in the catalogue. See `drd.ports.origins.Origins`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from drd.catalogue import seals
from drd.catalogue.engine import SqlStore
from drd.model.seals import KitBase, Seal


class SqlOrigins(SqlStore):
    """Thread-safe; every method is one transaction."""

    def record_seals(self, plan: str, found: Iterable[Seal]) -> None:
        with self._database.write() as connection:
            for seal in found:
                seals.record(connection, plan, seal)

    def seals(self, plan: str) -> dict[str, Seal]:
        with self._database.read() as connection:
            return seals.known(connection, plan)

    def seal(self, plan: str, point: str) -> Seal | None:
        with self._database.read() as connection:
            return seals.of_point(connection, plan, point)

    def base_on_kit(self, plan: str, made_at: datetime, found: Iterable[Seal] | None) -> None:
        with self._database.write() as connection:
            seals.base_on_kit(connection, plan, made_at, found)

    def kit_base(self, plan: str) -> KitBase | None:
        with self._database.read() as connection:
            return seals.kit_base(connection, plan)

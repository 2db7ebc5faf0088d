"""The signatures of manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, func, select

from drd.catalogue.engine import SqlStore, upsert
from drd.catalogue.tables import point_signatures as table
from drd.catalogue.tables import trusted_keys
from drd.model.manifest_signature import ManifestSignature


class SqlSignatures(SqlStore):
    """See `drd.ports.signatures.SignatureStore`."""

    def record(self, plan: str, point: str, signature: ManifestSignature) -> None:
        row = {
            "plan": plan,
            "point": point,
            "digest": signature.digest,
            "key": signature.key,
            "signed": signature.signed,
            "public": signature.public,
        }
        with self._database.write() as connection:
            upsert(connection, table, row)

    def of_plan(self, plan: str) -> dict[str, ManifestSignature]:
        query = select(table).where(table.c.plan == plan)
        with self._database.read() as connection:
            return {row.point: _signature(row) for row in connection.execute(query)}

    def get(self, plan: str, point: str) -> ManifestSignature | None:
        query = select(table).where(table.c.plan == plan, table.c.point == point)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _signature(row)

    def trust(self, keys: Mapping[str, str], *, after: int) -> None:
        with self._database.write() as connection:
            known = connection.execute(select(func.min(trusted_keys.c.after))).scalar()
            for key, public in {"": "", **keys}.items():
                row = {"key": key, "public": public, "after": after if known is None else known}
                upsert(connection, trusted_keys, row)

    def trusted(self) -> tuple[Mapping[str, str], int | None]:
        with self._database.read() as connection:
            rows = connection.execute(select(trusted_keys)).all()
        after = min((row.after for row in rows), default=None)
        return {row.key: row.public for row in rows if row.key}, after


def _signature(row: Row[Any]) -> ManifestSignature:
    return ManifestSignature(row.digest, row.key, row.signed, row.public)

"""The signatures of manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Row, select

from drd.catalogue.engine import SqlStore, upsert
from drd.catalogue.record_tables import trusted_keys
from drd.catalogue.tables import point_signatures as table
from drd.model.manifest_signature import ManifestSignature, Replaced, TrustedKeys

_NONE_REPLACED: Mapping[str, Replaced] = MappingProxyType({})


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

    def by_key(self, key: str) -> list[str]:
        query = select(table.c.digest).where(table.c.key == key, table.c.public != "")
        with self._database.read() as connection:
            return list(connection.execute(query.distinct().order_by(table.c.digest)).scalars())

    def trust(
        self,
        keys: Mapping[str, str],
        *,
        after: int,
        replaced: Mapping[str, Replaced] = _NONE_REPLACED,
    ) -> None:
        with self._database.write() as connection:
            known = _trusted(connection.execute(select(trusted_keys)).all())
            since = after if known.after is None else known.after
            for key, public in {"": "", **keys}.items():
                end = known.replaced.get(key) or replaced.get(key)
                row = {
                    "key": key,
                    "public": public,
                    "after": since,
                    "replaced_at": end.at if end is not None else None,
                    "replaced_seq": end.seq if end is not None else None,
                }
                upsert(connection, trusted_keys, row)

    def trusted(self) -> TrustedKeys:
        with self._database.read() as connection:
            return _trusted(connection.execute(select(trusted_keys)).all())


def _trusted(rows: Sequence[Row[Any]]) -> TrustedKeys:
    return TrustedKeys(
        {row.key: row.public for row in rows if row.key},
        min((row.after for row in rows), default=None),
        {
            row.key: Replaced(row.replaced_at, row.replaced_seq)
            for row in rows
            if row.replaced_at is not None
        },
    )


def _signature(row: Row[Any]) -> ManifestSignature:
    return ManifestSignature(row.digest, row.key, row.signed, row.public)

"""Time stamps of the records."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import select

from drd.catalogue.engine import SqlStore, upsert
from drd.catalogue.record_tables import record_stamps as table
from drd.model.timestamps import Stamp


class SqlStamps(SqlStore):
    """See `drd.ports.stamps.StampStore`."""

    def keep(self, stamp: Stamp) -> None:
        with self._database.write() as connection:
            upsert(connection, table, asdict(stamp))

    def newest(self, limit: int) -> list[Stamp]:
        query = select(table).order_by(table.c.seq.desc()).limit(limit)
        with self._database.read() as connection:
            return [
                Stamp(row.seq, row.hash, row.at, row.authority, row.response)
                for row in connection.execute(query)
            ]

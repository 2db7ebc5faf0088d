"""A database that a run has set aside: find, exchange and drop it by the names that carry the run's
mark.
"""

from __future__ import annotations

import psycopg

from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.cluster import Cluster, as_target_error
from drd.kinds.postgres.publish import DatabasePublication
from drd.model.plan import SecretRef
from drd.ports import Aside, mark_of
from drd.process import Container

_SIZE = "SELECT pg_catalog.pg_database_size(%s)"


class KeptDatabase:
    """Implements the port `Kept`."""

    def __init__(
        self,
        component: str,
        dsn: SecretRef,
        run: str,
        *,
        database: str | None = None,
        inside: Container | None = None,
    ) -> None:
        """`database` replaces the database in the dsn."""
        self._database = database
        self._component = component
        self._dsn = dsn
        self._inside = inside
        self._run = run
        self._cluster: Cluster | None = None

    def _names(self) -> tuple[Cluster, DatabasePublication]:
        if self._cluster is None:
            given = address_of(self._dsn, self._inside)
            cluster = Cluster(given, mark_of(self._run))
            name = self._database or given.dbname or cluster.admin().info.user
            cluster.address = given.to_database(name)
            self._cluster = cluster
        return self._cluster, DatabasePublication(self._cluster, self._component, self._run)

    def held(self) -> list[Aside]:
        asides = []
        with as_target_error(f"cannot search for the kept copy of {self._component}"):
            cluster, names = self._names()
            place = f"database {names.final}"
            for kept, former in ((names.aside, True), (names.after, False)):
                if cluster.has(kept):
                    size = _size(cluster, kept)
                    asides.append(Aside(self._component, place, f"database {kept}", size, former))
        return asides

    def require_exchangeable(self, *, back: bool) -> None:
        with as_target_error(f"cannot search for the kept copy of {self._component}"):
            self._names()[1].require_exchangeable(back=back)

    def swap(self, *, back: bool) -> None:
        with as_target_error(
            f"cannot exchange the present database of {self._component} and its kept copy (drd "
            "exchanges both or none)"
        ):
            self._names()[1].swap(back=back)

    def discard(self) -> None:
        with as_target_error(f"cannot drop the kept copy of {self._component}"):
            self._names()[1].discard()

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None


def _size(cluster: Cluster, name: str) -> int | None:
    """Return the size; None for a user who may not see it."""
    try:
        row = cluster.one(_SIZE, [name])
    except psycopg.Error:
        return None
    return int(row[0]) if row and row[0] is not None else None

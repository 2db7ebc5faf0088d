"""Query the databases of a restored PostgreSQL server, for checks and steps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from drd.kinds.databases import Mode
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.connection import connect
from drd.kinds.postgres.inspect import PostgresInspector
from drd.kinds.postgres.physical import contents
from drd.kinds.server_inspector import DatabasesInspector
from drd.model.snapshot import Fingerprint


class ClusterInspector(DatabasesInspector[Address]):
    """Sends the queries of checks and steps to a restored PostgreSQL server."""

    names_database = "PGDATABASE"

    @property
    def sockets(self) -> Sequence[str]:
        host = self._shown.get("PGHOST", "")
        return (host,) if host.startswith("/") else ()

    def _connected(self, address: Address) -> PostgresInspector:
        return PostgresInspector(address)

    def _described(self, reach: contents.Reach, mode: Mode, budget_s: float) -> Fingerprint:
        with closing(connect(reach(self._default))) as connection:
            databases = contents.names(connection)
        return contents.fingerprint(reach, databases, mode=mode, budget_s=budget_s, properties={})

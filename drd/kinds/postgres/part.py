"""Single tables: find them in the point, describe the live ones, and inspect the copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from drd.kinds.databases import mode_of
from drd.kinds.postgres import database
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.connection import Connection, connect, interruptible
from drd.kinds.postgres.copies import PlacedTables
from drd.kinds.postgres.fingerprint import describe, others_of, split_name
from drd.kinds.postgres.inspect import PostgresInspector
from drd.kinds.postgres.naming import resolve
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint


def narrow(snapshot: ComponentSnapshot, part: Part) -> tuple[Part, ComponentSnapshot]:
    """Implements `Kind.narrow`."""
    known = snapshot.fingerprint
    if part.is_whole:
        return part, snapshot
    if not isinstance(known, DatabaseFingerprint) or known.mode == "off":
        return resolve(part, None, snapshot.component), snapshot
    resolved = resolve(part, known, snapshot.component)
    return resolved, replace(snapshot, fingerprint=known.only(resolved.tables))


def live(address: Address, part: Part, like: Fingerprint, budget_s: float) -> DatabaseFingerprint:
    """Implements `Kind.live` for the database with this address."""
    assert isinstance(like, DatabaseFingerprint)
    with closing(connect(address)) as connection:
        properties = {} if part.tables else database.read(connection)
        connection.execute("SET default_transaction_isolation = 'repeatable read'")
        connection.execute("SET default_transaction_read_only = on")
        with interruptible(connection), connection.transaction():
            only = None
            if part.tables:
                only = {split_name(n) for n in _leaves(connection, part.tables)}
            fingerprint = describe(
                connection, mode=mode_of(like), budget_s=budget_s, properties=properties, only=only
            )
    return fingerprint.only(part.tables) if part.tables else fingerprint


def _leaves(connection: Connection, tables: Sequence[str]) -> list[str]:
    """Return the tables, or their current partitions."""
    partitioned, _ = others_of(connection)
    return [leaf for name in tables for leaf in partitioned.get(name, (name,))]


class TablesInspector(PostgresInspector):
    """Inspects only the copies, by the names in the point."""

    def __init__(
        self, address: Address, environment: Mapping[str, str], placed: PlacedTables
    ) -> None:
        super().__init__(address, environment)
        self._sources = {split_name(name): source for name, source in placed.sources.items()}
        self._comparable = placed.comparable

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        assert isinstance(like, DatabaseFingerprint)
        names = {split_name(n): n for n in (*like.tables, *like.not_reached)}
        ours = {key: names.get(split_name(s), s) for key, s in self._sources.items()}
        with self._lock:
            connection = self._connection(pinned=True)
            with interruptible(connection), connection.transaction():
                fingerprint = describe(
                    connection,
                    mode=mode_of(like) if self._comparable else "counts",
                    budget_s=budget_s,
                    properties={},
                    names=ours,
                    only=ours.keys(),
                )
        return DatabaseFingerprint(
            fingerprint.mode,
            fingerprint.tables,
            fingerprint.not_reached,
            damaged=fingerprint.damaged,
        )

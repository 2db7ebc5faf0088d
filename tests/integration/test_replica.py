"""A replica of the catalogue on another host than the one that made it."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd.catalogue.replica import make_ours
from drd.catalogue.sql_catalogue import open_catalogue
from drd.errors import CatalogueError
from drd.model.run import RunState

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)

_RUN = (
    "insert into runs (id, plan, kind, trigger, state, started_at, finished_at, plan_digest, token,"
    " owner_host, detail) values (?, 'shop', 'backup', 'schedule', ?,"
    " '2026-11-25T00:00:00.000000+00:00', ?, 'd', 1, 'old', '{}')"
)
_MESSAGE = (
    "insert into outbox (channel, event, plan, severity, body, created_at, next_try_at, tries)"
    " values ('mail', 'firing', 'shop', 'critical', '{}', ?1, ?1, 0)"
)


@pytest.fixture
def replica(tmp_path: Path) -> Path:
    catalogue = open_catalogue(f"sqlite:///{tmp_path}/drd.db", create=True)
    catalogue.export_to(tmp_path / "replica.db")
    catalogue.close()
    return tmp_path / "replica.db"


def test_runs_of_the_lost_host_are_ended(replica: Path) -> None:
    """Else the new host would settle a backup of the old one, which may be alive, and forget the
    snapshots that it is still making; and it would send what was on its way days ago."""
    with sqlite3.connect(replica) as connection:
        connection.execute(_RUN, ("aaaa0000", "running", None))
        connection.execute(_RUN, ("bbbb0000", "pending", None))
        connection.execute(_RUN, ("cccc0000", "succeeded", "2026-11-25T00:01:00.000000+00:00"))
        connection.execute(_MESSAGE, ("2026-11-25T00:00:00.000000+00:00",))
    make_ours(replica, NOW)
    catalogue = open_catalogue(f"sqlite:///{replica}", create=False)
    try:
        assert catalogue.runs.abandoned() == []
        assert catalogue.outbox.due_channels(NOW) == []
        runs = {r.id: r for r in catalogue.runs.newest()}
    finally:
        catalogue.close()
    assert runs["aaaa0000"].state is RunState.INTERRUPTED
    assert runs["aaaa0000"].finished_at == NOW
    assert "its replica" in (runs["aaaa0000"].error or "")
    assert runs["bbbb0000"].state is RunState.CANCELLED
    assert runs["cccc0000"].state is RunState.SUCCEEDED
    assert runs["cccc0000"].error is None


def test_a_damaged_replica_is_refused(replica: Path) -> None:
    data = bytearray(replica.read_bytes())
    data[4096:12288] = b"\xff" * 8192
    replica.write_bytes(data)
    with pytest.raises(CatalogueError, match="damaged"):
        make_ours(replica, NOW)


def test_a_replica_of_a_newer_drd_is_refused(replica: Path) -> None:
    with sqlite3.connect(replica) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(CatalogueError, match="9999"):
        make_ours(replica, NOW)

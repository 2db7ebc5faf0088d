"""The instant of a capture: one exported snapshot, and its data time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from drd.kinds.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant. `snapshot` is the name to pass to other connections. `data_time` is the time of
    drd's own clock, or, on a standby that is behind, the time of the last replayed transaction.
    """

    snapshot: str
    data_time: datetime
    standby: bool
    facts: Mapping[str, Any]


# Without a transaction replayed since its start, a standby has at least its checkpoint's data.
_REPLAY = """
SELECT coalesce(pg_catalog.pg_last_xact_replay_timestamp(),
                (SELECT checkpoint_time FROM pg_catalog.pg_control_checkpoint())),
       coalesce(pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn(), false)
       AND EXISTS (SELECT 1 FROM pg_catalog.pg_stat_wal_receiver WHERE status = 'streaming')"""


def export_snapshot(holder: Connection) -> Moment:
    """Begin the transaction that holds the snapshot, and export it. Times are taken just before the
    snapshot, so all data older than them is in it.
    """
    row = holder.execute(
        "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.clock_timestamp()"
    ).fetchone()
    assert row is not None
    standby = bool(row[0])
    skew = (row[1] - datetime.now(UTC)).total_seconds()
    facts: dict[str, Any] = {"standby": standby, "clock_skew_s": round(skew, 1)}
    replayed, current = None, True
    if standby:
        replay = holder.execute(_REPLAY.encode()).fetchone()
        assert replay is not None
        replayed, current = replay
        facts["standby_current"] = current
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    now = datetime.now(UTC)
    exported = holder.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
    assert exported is not None
    data_time = now if current or replayed is None else min(now, replayed)
    return Moment(str(exported[0]), data_time, standby, facts)

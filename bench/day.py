"""Measure what a day of WAL costs in its repository after upkeep: the bytes of all files in the
repository, divided by the bytes of WAL that the server wrote and drd received. For comparison, the
same WAL is received and stored once by hand. The day is shorter than a real one: drd's receiver has
shorter hours."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bench import measure
from bench.log_site import LOAD, PLAN, LogSite
from bench.table import Row, mb
from tests.servers import PostgresServer

HOUR_S = 24.0
"""Seconds of the receiver's hour: a push takes one or two, so an hour has about ten."""
_PER_S = 300
_HOURS = 24
_AFTER_HOURS = 8
"""Hours without load afterwards, in which drd consolidates and prunes what the day has left."""
_ALLOWED_RATIO = 1.10
_SLOT = "by_hand"


def rows(home: Path, server: PostgresServer, hour_s: float) -> list[Row]:
    site = LogSite(home / "day", server, "30s")
    by_hand = site.workshop.new_repository()
    received = site.workshop.home / "received"
    received.mkdir()
    receiver = [sys.executable, "-m", "bench.short_day", "receiver", PLAN, "server"]
    site.workshop.drd("backup", PLAN)  # makes drd's own state; the log begins after this backup
    server.execute(f"select pg_create_physical_replication_slot('{_SLOT}', true)")
    pushes: set[str] = set()
    try:
        with (
            site.started(
                site.workshop.client("pg_receivewal", "-D", str(received), "-S", _SLOT, "-n")
            ),
            site.started(receiver, {"BENCH_HOUR_S": str(hour_s)}),
        ):
            begin = site.end()
            server.execute("insert into markers values (-1)", LOAD)
            site.await_arrival(begin)
            site.workshop.drd("backup", PLAN)
            with site.load(_PER_S):
                most = _watch(site, _HOURS * hour_s, pushes)
            most = max(most, _watch(site, _AFTER_HOURS * hour_s, pushes, trickle=True))
            end = site.end()
            site.await_arrival(end - (1 << 20))
            time.sleep(hour_s / 2)
            cost = _bytes(site.log_repository)
    finally:
        server.execute(f"select pg_drop_replication_slot('{_SLOT}')")
    words = ["restic", "backup", "--json", "-q", str(received)]
    measure.run(words, site.workshop.restic(by_hand))
    once = _bytes(by_hand)
    wal, left = end - begin, len(site.arrivals())
    ratio = cost / wal
    return [
        Row(f"a day of WAL in {len(pushes)} pushes, consolidated to {left}: bytes in the "
            "repository, against bytes of WAL received", mb(cost), mb(wal), ratio,
            f"<= {_ALLOWED_RATIO:.2f}x", ratio <= _ALLOWED_RATIO),
        Row("  against what restic needs for this WAL, compressed and stored once", mb(cost),
            mb(once), cost / once, "", None),
        Row("  before upkeep, at its most", mb(most), mb(once), most / once, "", None),
    ]  # fmt: skip


def _watch(site: LogSite, seconds: float, pushes: set[str], *, trickle: bool = False) -> int:
    """Look at the repository for so long, and add to the `pushes` that were seen; return its
    largest size. A `trickle` is a small transaction now and then, so that drd goes on."""
    stop, number, most = time.monotonic() + seconds, 0, 0
    while time.monotonic() < stop:
        if trickle:
            number += 1
            site.server.execute(f"insert into markers values ({number})", LOAD)
        most = max(most, _bytes(site.log_repository))
        pushes |= {p.name for p in (site.log_repository / "snapshots").iterdir()}
        time.sleep(0.5)
    return most


def _bytes(repository: Path) -> int:
    """The size of all files. Some vanish meanwhile: restic's locks, and what a prune removes."""
    total = 0
    for path in repository.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total

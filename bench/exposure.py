"""Measure the exposure of a server under load: how long after its commit a transaction was in the
repository of the log, where a recovery reaches it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median

from bench.log_site import LOAD, PLAN, Arrival, LogSite
from bench.measure import BenchFailed
from bench.table import Row
from tests.servers import PostgresServer

EVERY = ("5s", "30s")
_PER_S = 200
_MARK_EVERY_S = 0.2
_INTERVALS = 6
_ALLOWED_MORE_S = 5.0


def rows(home: Path, server: PostgresServer, every: str) -> list[Row]:
    """Measure with one interval: several intervals of load, with a marker in between again and
    again."""
    interval_s = float(every.removesuffix("s"))
    site = LogSite(home / f"every{every}", server, every)
    with site.started(["drd", "daemon"]):
        site.await_reachable()
        with site.load(_PER_S):
            markers = _markers(site, _INTERVALS * max(interval_s, 10.0))
        site.await_arrival(markers[-1][1])
        arrivals = site.arrivals()
    waits = [_arrived(arrivals, end) - at for at, end in markers]
    _prove(site, len(markers))
    longest, allowed = max(waits), interval_s + _ALLOWED_MORE_S
    return [
        Row(f"exposure under load, `wal: {{every: {every}}}`: the longest of {len(waits)}",
            f"{longest:.1f} s", f"{interval_s:.0f} s, the interval", longest / interval_s,
            f"<= {allowed:.0f} s", longest <= allowed),
        Row("  the median", f"{median(waits):.1f} s", f"{interval_s:.0f} s",
            median(waits) / interval_s, "", None),
    ]  # fmt: skip


def _markers(site: LogSite, seconds: float) -> list[tuple[float, int]]:
    """Commit markers; return when each was committed, and the position after it."""
    found: list[tuple[float, int]] = []
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        site.server.execute(f"insert into markers values ({len(found)})", LOAD)
        at = time.time()
        found.append((at, site.end()))
        time.sleep(_MARK_EVERY_S)
    return found


def _arrived(arrivals: list[Arrival], end: int) -> float:
    return min(a.at for a in arrivals if a.end >= end)


def _prove(site: LogSite, count: int) -> None:
    """Recover to the end of the log: all markers have to be there."""
    words = ("recover", PLAN, "--target", "standby", "--to-last", "--yes")
    checks = json.loads(site.workshop.drd(*words).output)["checks"]
    [found] = [c["observed"] for c in checks if c["name"] == "markers"]
    if int(found) != count:
        raise BenchFailed(f"a recovery has {found} of {count} markers")

"""Measure what the documentation promises, and print each figure beside its baseline.

Nothing here is a test: a busy machine gives other figures. Read the ratios.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import (
    backup,
    daemon,
    day,
    drill,
    exposure,
    incident_status,
    increment,
    instant,
    kinds,
    methods,
    recover,
    second,
    small,
    status,
    tables,
    upkeep,
)
from bench.measure import BenchFailed
from bench.table import Row, text
from bench.workshop import Workshop
from drd.model.units import parse_size
from tests.servers import postgres_server, short_directory

_PARTS = (
    "backup", "second", "drill", "recover", "kinds", "methods", "increment", "instant", "tables",
    "exposure", "day", "status", "daemon",
)  # fmt: skip
_SIZE_OF_KINDS = "200M"
_SIZED = {"backup", "second", "drill", "recover"}
_WITH_POSTGRES = _SIZED | {
    "kinds", "methods", "increment", "instant", "tables", "exposure", "day"
}  # fmt: skip
_LARGE = 300 * 1000 * 1000


def main() -> int:
    args = _arguments()
    parts = args.only or list(_PARTS)
    found: list[Row] = []
    try:
        with short_directory(args.directory) as home:
            if _WITH_POSTGRES & set(parts):
                found += _with_postgres(home, parts, args)
            if "status" in parts:
                _say(f"status, {args.runs:,} and {10 * args.runs:,} runs: filling the catalogues")
                found += _told(status.rows(home, args.runs, 10 * args.runs))
                _say("status, an incident: making its entries")
                found += _told(incident_status.rows(home / "incident"))
            if "daemon" in parts:
                found += _of_daemon(home, args)
    except BenchFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(text(found))
    return 0


def _with_postgres(home: Path, parts: list[str], args: argparse.Namespace) -> list[Row]:
    found: list[Row] = []
    with postgres_server(home / "pg") as server:
        workshop = Workshop(home, server)
        if "kinds" in parts:
            chosen, size = args.kind or list(kinds.KINDS), (args.size or [_SIZE_OF_KINDS])[0]
            found += _told(kinds.rows(workshop, chosen, size, args.times or 3, _say))
        found += _of_whole_servers(workshop, parts, args)
        if "tables" in parts:
            found += _of_tables(workshop, args)
        for size in (args.size or ["50M", "1G"]) if set(parts) & _SIZED else ():
            wanted = parse_size(size)
            times = args.times or (3 if wanted > _LARGE else 7)
            _say(f"{size}: filling the database")
            workshop.fill(wanted)
            if "backup" in parts:
                _say(f"{size}: backup, {times} times each")
                found += _told(backup.rows(workshop, size, times))
            if "drill" in parts:
                _say(f"{size}: drill, {times} times each")
                found += _told(drill.rows(workshop, size, times))
            if "recover" in parts:
                _say(f"{size}: recover, {times} times each")
                found += _told(recover.rows(workshop, size, times, small=wanted <= _LARGE))
            if "second" in parts:
                _say(f"{size}: second backup in every format")
                found += _told(second.rows(workshop, size))
    return found


def _of_whole_servers(workshop: Workshop, parts: list[str], args: argparse.Namespace) -> list[Row]:
    found: list[Row] = []
    times, server = args.times or 3, workshop.postgres
    for size in (args.size or instant.SIZES) if "instant" in parts else ():
        _say(f"{size}: filling the database, then instant and whole drills")
        workshop.fill(parse_size(size))
        found += _told(instant.rows(workshop, size, times))
    for size in (args.size or methods.SIZES) if "methods" in parts else ():
        _say(f"{size}: filling the database, then drills and recoveries by files and by a dump")
        workshop.fill(parse_size(size))
        found += _told(methods.rows(workshop, size, times))
    for size in (args.size or [increment.SIZE]) if "increment" in parts else ():
        _say(f"{size}: updates of 1 %, then incremental backups")
        found += _told(increment.rows(workshop, size, parse_size(size) / 1e6))
    for every in exposure.EVERY if "exposure" in parts else ():
        _say(f"exposure under load, every {every}")
        found += _told(exposure.rows(workshop.home, server, every))
    if "day" in parts:
        _say(f"a day of WAL, with hours of {args.hour:.0f} s")
        found += _told(day.rows(workshop.home, server, args.hour))
    return found


def _of_tables(workshop: Workshop, args: argparse.Namespace) -> list[Row]:
    times = args.times or 3
    size = (args.size or [tables.SIZE])[0]
    _say(f"one table of {size}: filling the database, then backup, drill and recover")
    workshop.fill_one(parse_size(size))
    found = _told(tables.rows(workshop, f"one table of {size}", times))
    _say(f"{args.tables:,} tables: filling the database, then backup, drill and recover")
    workshop.fill_many(args.tables)
    return found + tables.rows(workshop, f"{args.tables:,} tables", times)


def _of_daemon(home: Path, args: argparse.Namespace) -> list[Row]:
    counts = sorted(args.plans or [10, 1_000, 10_000])
    _say(f"daemon: {args.seconds:.0f} s each with {', '.join(f'{n:,}' for n in counts)} plans")
    found = daemon.rows(home, counts, args.seconds)
    _say("daemon: a real small run")
    found += small.rows(home)
    _say("daemon: a year of its catalogue")
    return found + upkeep.rows(home)


def _told(found: list[Row]) -> list[Row]:
    """Print what was measured at once, and return it: the whole takes hours."""
    print(text(found), file=sys.stderr, flush=True)
    return found


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=_PARTS, help="only this (repeatable)")
    parser.add_argument(
        "--size", action="append", metavar="SIZE", help="of the database: 50M and 1G (repeatable)"
    )
    parser.add_argument(
        "--kind", action="append", choices=kinds.KINDS, help="of `kinds`, only this (repeatable)"
    )
    parser.add_argument("--times", type=int, metavar="N", help="pairs of runs: 7, from 300 MB on 3")
    parser.add_argument(
        "--runs", type=int, default=100_000, metavar="N", help="in the catalogue (100000), and 10 N"
    )
    parser.add_argument(
        "--plans", type=int, action="append", metavar="N", help="of the daemon: 10, 1000 and 10000"
    )
    parser.add_argument(
        "--seconds", type=float, default=120.0, metavar="S", help="to watch each daemon (120)"
    )
    parser.add_argument(
        "--tables", type=int, default=tables.TABLES, metavar="N", help="of one database (20000)"
    )
    parser.add_argument(
        "--hour", type=float, default=day.HOUR_S, metavar="S",
        help="seconds of an hour of the day of WAL (24)",
    )  # fmt: skip
    parser.add_argument(
        "--directory", type=Path, default=Path("/tmp"), help="a place with room (short path)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Measure what a backup of a whole server adds after 1 % of its rows were updated, against another
full copy that is stored in the same way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bench import measure
from bench.second import added
from bench.table import Row, mb
from bench.workshop import Workshop

SIZE = "800M"
_ALLOWED_PER_GB = 50 * 1000 * 1000
_ACCOUNTS_PER_MB = 6_650  # of the files of pgbench's tables
_LOAD = "pgbench"

_FULL = """
rm -rf "$1"
pg_basebackup -D "$1" --checkpoint=fast --no-sync -h "$2" -p "$3" -U "$4"
restic backup --json "$1"
"""


def rows(workshop: Workshop, size: str, megabytes: float) -> list[Row]:
    """Measure both kinds of tables: those of pgbench, whose rows are empty filler, and those of the
    other measurements, whose text hardly compresses."""
    server = workshop.postgres
    server.execute("alter system set summarize_wal = on")
    server.execute("select pg_reload_conf()")
    found = []
    accounts = int(megabytes * _ACCOUNTS_PER_MB)
    server.execute("drop database if exists shop")
    server.execute(f"drop database if exists {_LOAD}")
    server.execute(f"create database {_LOAD}")
    try:
        _initialise(workshop, accounts)
        found += _measured(workshop, f"{size} of pgbench", lambda: _update(workshop, accounts))
    finally:
        server.execute(f"drop database {_LOAD} with (force)")
    workshop.fill(int(megabytes * 1e6))
    found += _measured(workshop, f"{size} of hashes", lambda: workshop.change(scattered=True))
    server.execute("alter system reset summarize_wal")
    server.execute("select pg_reload_conf()")
    return found


def _initialise(workshop: Workshop, accounts: int) -> None:
    scale = str(max(1, accounts // 100_000))
    measure.run(workshop.client("pgbench", "-i", "-q", "-s", scale, _LOAD), workshop.environment)


def _update(workshop: Workshop, accounts: int) -> None:
    workshop.postgres.execute(
        "update pgbench_accounts set abalance = abalance + 1 where aid in (select 1 + (random() * "
        f"{accounts})::int from generate_series(1, {accounts // 100}))",
        _LOAD,
    )


def _measured(workshop: Workshop, what: str, change: Callable[[], object]) -> list[Row]:
    repository, by_hand = workshop.new_repository(), workshop.new_repository()
    dsn = workshop.conninfo.replace("dbname=shop", "dbname=postgres")
    component = f'it: {{kind: postgres-cluster, dsn: "{dsn}", checkpoint: fast}}'
    name = workshop.write_plan(repository.name, repository, component)
    workshop.drd("backup", name)
    _full(workshop, by_hand)
    change()
    workshop.postgres.execute("checkpoint")
    size = _bytes(workshop)
    done = workshop.drd("backup", name)
    [component] = json.loads(done.output)["components"]
    if "incremental" not in component["made"]:
        raise measure.BenchFailed(f"{what}: {component['made']}")
    again = _full(workshop, by_hand)
    workshop.remove(repository)
    workshop.remove(by_hand)
    ours, theirs = int(component["added_bytes"]), added(again)
    allowed = _ALLOWED_PER_GB * size / 1e9
    return [
        Row(f"incremental backup, {what} ({mb(size)} of files), after updates of 1 %: added",
            mb(ours), f"{mb(theirs)}, another full copy", ours / theirs,
            f"<= {mb(allowed)}", ours <= allowed),
        Row("  its time", f"{done.seconds:.2f} s", f"{again.seconds:.2f} s",
            done.seconds / again.seconds, "", None),
    ]  # fmt: skip


def _full(workshop: Workshop, repository: Path) -> measure.Run:
    server = workshop.postgres
    copy = workshop.home / "work/by-hand"
    words = [str(copy), str(server.socket_dir), str(server.port), server.superuser]
    done = workshop.bash(_FULL, workshop.restic(repository), words)
    workshop.bash('rm -rf "$1"', workshop.environment, [str(copy)])
    return done


def _bytes(workshop: Workshop) -> int:
    query = "select sum(pg_database_size(oid)) from pg_database"
    return int(workshop.postgres.execute(query)[0][0])

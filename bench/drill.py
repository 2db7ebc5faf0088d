"""Measure a drill against a script that an administrator would write with the same tools and
checks.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from bench import measure
from bench.table import Row, cpu
from bench.workshop import Workshop

_ALLOWED_RATIO = 1.0
SCRIPT = Path(__file__).with_name("drill.sh")


def rows(
    workshop: Workshop, size: str, times: int, *, allowed: float = _ALLOWED_RATIO
) -> list[Row]:
    """Measure both, with the same snapshot of the same repository."""
    repository = workshop.new_repository()
    plan = workshop.new_plan(repository)
    backup = json.loads(workshop.drd("backup", plan).output)
    snapshot = backup["components"][0]["snapshot"]
    expected, queries = write_expected(workshop), write_queries(workshop)
    roles = workshop.home / "roles.sql"
    server = workshop.postgres
    roles.write_text(
        workshop.bash(
            'pg_dumpall --roles-only -h "$1" -p "$2" -U postgres | grep -v "ROLE postgres"',
            workshop.environment,
            [str(server.socket_dir), str(server.port)],
        ).output
    )

    def ours() -> measure.Run:
        return workshop.drd("drill", plan)

    def theirs() -> measure.Run:
        environment = {
            **workshop.restic(repository),
            "BIN": str(server.bin_dir),
            "SANDBOX": str(workshop.home / "work/script"),
            "SERVER_USER": "postgres" if os.geteuid() == 0 else "",
        }
        files = [str(expected), str(queries), str(roles)]
        return measure.run(["bash", str(SCRIPT), snapshot, *files], environment)

    left, right = measure.in_turn(ours, theirs, times)
    workshop.remove(repository)
    drd, plain = measure.seconds(left), measure.seconds(right)
    ratio = drd / plain
    return [
        Row(f"drill, {size}, against a script", f"{drd:.2f} s", f"{plain:.2f} s", ratio,
            f"<= {allowed:.1f}x", ratio <= allowed),
        *cpu("it", left, right),
    ]  # fmt: skip


def write_expected(workshop: Workshop) -> Path:
    """Write a file with each table and its row count, for the scripts."""
    path = workshop.home / "expected-counts"
    path.write_text("".join(f"{table} {rows}\n" for table, rows in workshop.counts().items()))
    return path


def write_queries(workshop: Workshop) -> Path:
    """Write a file with the query of each check, one a line."""
    path = workshop.home / "queries"
    path.write_text("".join(f"{query}\n" for query, _ in workshop.checks.values()))
    return path

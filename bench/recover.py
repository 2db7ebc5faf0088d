"""Measure a recovery against a script that an administrator would write with the same steps and
tools.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench import measure
from bench.drill import write_expected, write_queries
from bench.table import Row, cpu
from bench.workshop import Workshop

_ALLOWED_RATIO = 1.05
_WORTH = 1.05
"""What prefetch must save at least: it is threads, and a case of its own in each step."""
_TARGET = "back"
SCRIPT = Path(__file__).with_name("recover.sh")


def rows(workshop: Workshop, size: str, times: int, *, small: bool) -> list[Row]:
    """Measure both; then drd against drd without prefetch, which must be worth it where a database
    is small.
    """
    return _measured(workshop, size, times, _ALLOWED_RATIO, small=small)


def against_script(workshop: Workshop, size: str, times: int, *, allowed: float) -> list[Row]:
    """Measure both: they restore the same snapshot to a missing database, on the same server."""
    return _measured(workshop, size, times, allowed, small=None)


def _measured(
    workshop: Workshop, size: str, times: int, allowed: float, *, small: bool | None
) -> list[Row]:
    """`small` None: without the comparison with drd without prefetch."""
    repository = workshop.new_repository()
    plan = workshop.new_plan(repository, target=_TARGET)
    backup = json.loads(workshop.drd("backup", plan).output)
    snapshot = backup["components"][0]["snapshot"]
    expected, queries = write_expected(workshop), write_queries(workshop)
    server = workshop.postgres

    def ours() -> measure.Run:
        _drop(workshop)
        return workshop.drd("recover", plan, "--target", "standby", "--yes")

    def unfetched() -> measure.Run:
        _drop(workshop)
        return workshop.drd_without_prefetch("recover", plan, "--target", "standby", "--yes")

    def theirs() -> measure.Run:
        _drop(workshop)
        environment = {
            **workshop.restic(repository),
            "BIN": str(server.bin_dir),
            "PGHOST": str(server.socket_dir),
            "PGPORT": str(server.port),
            "PGUSER": server.superuser,
            "LANDING": str(workshop.home / "work/landing"),
            "TARGET": _TARGET,
        }
        return measure.run(
            ["bash", str(SCRIPT), snapshot, str(expected), str(queries)], environment
        )

    left, right = measure.in_turn(ours, theirs, times)
    prefetched = [] if small is None else _prefetched(ours, unfetched, size, times, small=small)
    _drop(workshop)
    workshop.remove(repository)
    whole, plain = measure.seconds(left), measure.seconds(right)
    rta = median(map(measure.rta, left))
    ratio = rta / plain
    return [
        Row(f"RTA of recover, {size}, against a script", f"{rta:.2f} s", f"{plain:.2f} s", ratio,
            f"<= {allowed:.2f}x", ratio <= allowed),
        Row(f"recover, {size}: the whole command", f"{whole:.2f} s", f"{plain:.2f} s",
            whole / plain, "", None),
        *cpu("it", left, right),
        *prefetched,
    ]  # fmt: skip


def _prefetched(
    ours: Callable[[], measure.Run],
    unfetched: Callable[[], measure.Run],
    size: str,
    times: int,
    *,
    small: bool,
) -> list[Row]:
    with_it, without = measure.in_turn(ours, unfetched, times)
    fetched, late = (median(map(measure.rta, runs)) for runs in (with_it, without))
    worth = late / fetched
    target = (f">= {_WORTH:.2f}x", worth >= _WORTH) if small else ("", None)
    name = f"RTA of recover, {size}, without prefetch"
    return [Row(name, f"{late:.2f} s", f"{fetched:.2f} s", worth, *target)]


def _drop(workshop: Workshop) -> None:
    workshop.postgres.execute(f"drop database if exists {_TARGET} with (force)")

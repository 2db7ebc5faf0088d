"""Measure drills and recoveries of a whole server by its files against those of its database by a
dump, with the same checks. Both alternate in the same run."""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import median

from bench import measure
from bench.table import Row, cpu
from bench.workshop import Workshop

SIZES = ("200M", "800M")
_ALLOWED_RATIO = 1 / 3
_BACK = "back"


def rows(workshop: Workshop, size: str, times: int) -> list[Row]:
    """Measure the server that the workshop has filled."""
    repository = workshop.new_repository()
    back = workshop.home / "methods.back"
    dump = workshop.new_plan(repository, target=_BACK)
    files = workshop.write_plan(
        f"{repository.name}-files",
        repository,
        f'shop: {{kind: postgres-cluster, dsn: "{workshop.conninfo}", checkpoint: fast, '
        "incremental: off}",
        f'{workshop.check_lines}targets: {{standby: {{shop: {{data_dir: "{back}"}}}}}}\n',
    )
    first = {plan: workshop.drd("backup", plan) for plan in (files, dump)}

    def recover(plan: str) -> measure.Run:
        _clear(workshop, back)
        return workshop.drd("recover", plan, "--target", "standby", "--yes")

    drills = measure.in_turn(
        lambda: workshop.drd("drill", files), lambda: workshop.drd("drill", dump), times
    )
    recoveries = measure.in_turn(lambda: recover(files), lambda: recover(dump), times)
    _clear(workshop, back)
    workshop.remove(repository)
    by_files, by_dump = first[files].seconds, first[dump].seconds
    return [
        Row(f"whole server against a dump, {size}: first backup", f"{by_files:.2f} s",
            f"{by_dump:.2f} s", by_files / by_dump, "", None),
        _row(f"whole server against a dump, {size}: RTA of a drill", *drills),
        *cpu("the whole command", *drills),
        _row(f"whole server against a dump, {size}: RTA of recover", *recoveries),
        *cpu("the whole command", *recoveries),
    ]  # fmt: skip


def _row(what: str, files: list[measure.Run], dump: list[measure.Run]) -> Row:
    ours, theirs = (median(map(measure.rta, runs)) for runs in (files, dump))
    ratio = ours / theirs
    return Row(what, f"{ours:.2f} s", f"{theirs:.2f} s", ratio, "<= 0.33x", ratio <= _ALLOWED_RATIO)


def _clear(workshop: Workshop, back: Path) -> None:
    workshop.postgres.execute(f"drop database if exists {_BACK} with (force)")
    if back.is_dir():
        shutil.rmtree(back)

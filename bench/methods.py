"""Measure drills and recoveries of a whole server by its files against those of its database by a
dump, with the same checks. Both alternate in the same run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from statistics import median

from bench import measure
from bench.table import Row, cpu
from bench.workshop import CHECKS, Workshop

SIZES = ("200M", "800M")
_ALLOWED_RATIO = 1 / 3
_BACK = "back"

_PLAN = """\
plan: {name}
objectives: {{rpo: 1h, rto: 1h}}
components:
  shop: {{kind: postgres-cluster, dsn: "{dsn}", checkpoint: fast, incremental: off}}
repositories:
  primary: {{url: "{url}", password: {{file: {home}/password}}}}
checks:
{checks}
  - {{name: row counts, kind: rows, component: shop}}
targets: {{standby: {{shop: {{data_dir: "{back}"}}}}}}
"""


def rows(workshop: Workshop, size: str, times: int) -> list[Row]:
    """Measure the server that the workshop has filled."""
    repository = workshop.new_repository()
    dump, files = workshop.new_plan(repository, target=_BACK), f"{repository.name}-files"
    back = workshop.home / "methods.back"
    checks = "\n".join(
        f'  - {{name: {title}, kind: sql, component: shop, query: "{query}", expect: "{expect}"}}'
        for title, (query, expect) in CHECKS.items()
    )
    text = _PLAN.format(
        name=files, dsn=workshop.conninfo, url=repository, home=workshop.home, checks=checks,
        back=back,
    )  # fmt: skip
    (workshop.home / f"plans/{files}.yaml").write_text(text)
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
        *_cpu("the whole command", *drills),
        _row(f"whole server against a dump, {size}: RTA of recover", *recoveries),
        *_cpu("the whole command", *recoveries),
    ]  # fmt: skip


def _cpu(what: str, files: list[measure.Run], dump: list[measure.Run]) -> list[Row]:
    return cpu(what, measure.cpu_seconds(files), measure.cpu_seconds(dump))


def _row(what: str, files: list[measure.Run], dump: list[measure.Run]) -> Row:
    ours, theirs = (median(map(_rta, runs)) for runs in (files, dump))
    ratio = ours / theirs
    return Row(what, f"{ours:.2f} s", f"{theirs:.2f} s", ratio, "<= 0.33x", ratio <= _ALLOWED_RATIO)


def _rta(run: measure.Run) -> float:
    return float(json.loads(run.output)["rta_s"])


def _clear(workshop: Workshop, back: Path) -> None:
    workshop.postgres.execute(f"drop database if exists {_BACK} with (force)")
    if back.is_dir():
        shutil.rmtree(back)

"""Measure instant drills against whole ones of the same server with the same checks, which ask one
of its four tables. Both alternate in the same run."""

from __future__ import annotations

import json
from statistics import median

from bench import measure
from bench.table import Row, cpu, mb
from bench.workshop import Workshop

SIZES = ("200M", "400M", "800M")

_CHECKS = """\
checks:
  - {name: a sum, kind: sql, component: server, query: "select sum(customer) from part2",
      expect: "> 0"}
"""


def rows(workshop: Workshop, size: str, times: int) -> list[Row]:
    """Measure the server that the workshop has filled."""
    repository = workshop.new_repository()
    component = f'server: {{kind: postgres-cluster, dsn: "{workshop.conninfo}", incremental: off}}'

    def plan(name: str, restore: str) -> str:
        more = f"drill: {{every: 1d{restore}}}\n{_CHECKS}"
        return workshop.write_plan(f"{repository.name}-{name}", repository, component, more)

    quick, full = plan("instant", ", restore: instant"), plan("whole", "")
    for name in (quick, full):
        workshop.drd("backup", name)
    workshop.drd("drill", quick)  # the first drill of a plan restores everything
    left, right = measure.in_turn(
        lambda: workshop.drd("drill", quick), lambda: workshop.drd("drill", full), times
    )
    workshop.remove(repository)
    ours = [json.loads(run.output) for run in left]
    if any(one["instant"] is None for one in ours):
        raise measure.BenchFailed(f"{size}: a drill that should be instant restored everything")
    answered = median(one["instant"]["answered_s"] for one in ours)
    rta = median(measure.rta(run) for run in right)
    [reading] = ours[0]["instant"]["readings"]
    read, whole = reading["read_bytes"], reading["whole_bytes"]
    return [
        _row(size, "the whole command", measure.seconds(left), measure.seconds(right)),
        *cpu("it", left, right),
        _row(size, "until the checks are answered", answered, rta),
        Row(f"instant drill, {size}: bytes read", mb(read), mb(whole), read / whole, "", None),
    ]


def _row(size: str, what: str, instant: float, whole: float) -> Row:
    name = f"instant drill, {size}: {what}"
    return Row(name, f"{instant:.2f} s", f"{whole:.2f} s", instant / whole, "", None)

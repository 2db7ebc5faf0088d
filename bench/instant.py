"""Measure instant drills against whole ones of the same server with the same checks, which ask one
of its four tables. Both alternate in the same run."""

from __future__ import annotations

import json
from statistics import median
from typing import Any

from bench import measure
from bench.table import Row, cpu, mb
from bench.workshop import Workshop

SIZES = ("200M", "400M", "800M")

_PLAN = """\
plan: {name}
objectives: {{rpo: 1h, rto: 1h}}
components:
  server: {{kind: postgres-cluster, dsn: "{dsn}", incremental: off}}
repositories:
  primary: {{url: "{url}", password: {{file: {home}/password}}}}
drill: {{every: 1d{instant}}}
checks:
  - {{name: a sum, kind: sql, component: server, query: "select sum(customer) from part2",
      expect: "> 0"}}
"""


def rows(workshop: Workshop, size: str, times: int) -> list[Row]:
    """Measure the server that the workshop has filled."""
    repository = workshop.new_repository()
    plans = {}
    for name, instant in (("instant", ", restore: instant"), ("whole", "")):
        plans[name] = f"{repository.name}-{name}"
        text = _PLAN.format(
            name=plans[name], dsn=workshop.conninfo, url=repository, home=workshop.home,
            instant=instant,
        )  # fmt: skip
        (workshop.home / f"plans/{plans[name]}.yaml").write_text(text)
        workshop.drd("backup", plans[name])
    workshop.drd("drill", plans["instant"])  # the first drill of a plan restores everything
    left, right = measure.in_turn(
        lambda: workshop.drd("drill", plans["instant"]),
        lambda: workshop.drd("drill", plans["whole"]),
        times,
    )
    workshop.remove(repository)
    ours, theirs = [_said(run) for run in left], [_said(run) for run in right]
    if any(one["instant"] is None for one in ours):
        raise measure.BenchFailed(f"{size}: a drill that should be instant restored everything")
    answered = median(one["instant"]["answered_s"] for one in ours)
    rta = median(one["rta_s"] for one in theirs)
    [reading] = ours[0]["instant"]["readings"]
    read, whole = reading["read_bytes"], reading["whole_bytes"]
    return [
        _row(size, "the whole command", measure.seconds(left), measure.seconds(right)),
        *cpu("it", measure.cpu_seconds(left), measure.cpu_seconds(right)),
        _row(size, "until the checks are answered", answered, rta),
        Row(f"instant drill, {size}: bytes read", mb(read), mb(whole), read / whole, "", None),
    ]


def _row(size: str, what: str, instant: float, whole: float) -> Row:
    name = f"instant drill, {size}: {what}"
    return Row(name, f"{instant:.2f} s", f"{whole:.2f} s", instant / whole, "", None)


def _said(run: measure.Run) -> dict[str, Any]:
    return dict(json.loads(run.output))

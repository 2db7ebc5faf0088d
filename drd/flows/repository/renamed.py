"""Find restore points of plans that have no file any more. Most often a plan got another name: its
points stay under the former name, where no command looks for them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

from drd.model.plan import NAME, Plan
from drd.plan_files import plan_files, plan_name
from drd.ports import Catalogue, SnapshotInfo
from drd.presence import is_gone


def left_behind(catalogue: Catalogue, plan: str) -> dict[str, int]:
    """Return, by plan, how many restore points the plans without a file have left in the
    repositories of `plan`. A plan counts as well if its former file now contains `plan`."""
    places = catalogue.health.places()
    mine = {place.url for place in places if place.plan == plan}
    near = {place.plan for place in places if place.url in mine} - {plan}
    left = {
        row.name: len(catalogue.points.of_plan(row.name))
        for row in catalogue.queue.plan_rows(sorted(near) if mine else None)
        if row.name != plan
        and (row.name in near or plan_name(row.file) == plan)
        and _has_no_file(row.name, row.file)
    }
    return {name: number for name, number in left.items() if number}


def of_others(
    catalogue: Catalogue, plan: Plan, manifests: Iterable[SnapshotInfo], *, has_own: bool
) -> dict[str, int]:
    """Return from a listing of all manifests the number of points of each plan that has no file on
    this host. If `plan` has points of its own (`has_own`), plans that this host never loaded are
    left out: they belong to others."""
    counts = Counter(m.host for m in manifests if m.host != plan.name and NAME.fullmatch(m.host))
    if not counts:
        return {}
    files = {row.name: row.file for row in catalogue.queue.plan_rows(sorted(counts))}
    return {
        name: number
        for name, number in sorted(counts.items())
        if (name in files or not has_own) and _has_no_file(name, files.get(name) or plan.file)
    }


def _has_no_file(name: str, file: str) -> bool:
    """Return whether neither this file nor one beside it contains the plan."""
    if not file or (plan_name(file) == name and not is_gone(file)):
        return False
    beside = plan_files(os.path.dirname(file))  # noqa: PTH120
    return all(plan_name(one.path) != name for one in beside)

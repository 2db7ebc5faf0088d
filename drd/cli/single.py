"""Print what `drd recover` does with a single thing: its options, and what would change."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from drd.cli import output
from drd.cli.diff import found_document, rows_of
from drd.errors import UsageError
from drd.flows.restore.recovery_plan import RecoveryPlan
from drd.flows.restore.single_items import Changes, Held, changes
from drd.flows.services import Services
from drd.model.single_item import Part
from drd.model.text import counted, escaped
from drd.model.units import format_size

SHOWN = 10
"""Lines of differences; `drd diff` has them all."""


def part_of(args: argparse.Namespace) -> Part | None:
    """Return the part that the options name. Raises UsageError."""
    if args.table and args.path:
        raise UsageError(
            "--table and --path cannot be combined",
            hint="recover the tables first and then the paths, in two commands.",
        )
    if args.database is not None and not args.database.strip():
        raise UsageError("--database is empty", hint="write the name of a database after it.")
    if args.into is not None and not args.into.strip():
        raise UsageError("--into is empty", hint="write the name of the copy after --into.")
    if args.database is not None and args.path:
        raise UsageError(
            "--database and --path cannot be combined",
            hint="recover the database first and then the paths, in two commands.",
        )
    if not (args.table or args.path or args.into or args.database):
        return None
    if args.overwrite and args.into is not None and not args.path:
        raise UsageError(
            "--into and --overwrite cannot be combined for tables and paths",
            hint="leave out --overwrite, and write an unused name after --into.",
        )
    if len(set(args.component)) > 1:
        raise UsageError(
            "--database, --table, --path and --into need exactly one --component",
            hint="recover one component after the other.",
        )
    return Part(tuple(args.table), tuple(args.path), args.into, args.database)


def changes_of(services: Services, planned: RecoveryPlan) -> Changes | None:
    """Return the live data against the point; None if the whole service is restored."""
    if planned.single is None:
        return None
    name = planned.components[0]
    component = planned.plan.components[name]
    return changes(services, component, planned.point.component(name), planned.single.part)


def heading(planned: RecoveryPlan) -> Iterator[str]:
    """Return what is restored, and under which name."""
    assert planned.single is not None
    part, name = planned.single.part, planned.components[0]
    what = "table" if part.tables else "path" if part.paths else "database"
    for thing in part.names:
        yield f"{what:<10} {escaped(thing)}, of {name}"
    if part.into is not None:
        beside = "as" if len(part.tables) < 2 and not part.paths else "into"
        yield f"{beside:<10} {escaped(part.into)}"
    if part.tables or (part.into is not None and not planned.request.overwrite):
        yield "beside     the existing data, which stays unchanged"


def lines(changed: Changes) -> Iterator[str]:
    """Return how the point and the live data differ, for the terminal."""
    if changed.unknown is not None:
        yield f"live now   unknown: {changed.unknown}"
    others = set()
    if changed.found is not None:
        others = {t.table for t in changed.found.tables if t.change == "contents"}
    for thing in changed.things:
        was, now = _held(thing.was), _held(thing.now)
        more = ", other contents" if thing.name in others else ""
        name = escaped(thing.name)
        yield f"live now   {name}: {was} in the restore point, {now} in the live data{more}"
    if changed.found is None or (changed.found.tables and changed.things):
        return
    rows = list(rows_of(changed.found))
    if not rows:
        same = "no difference" if changed.found.equal else "drd found no difference"
        both = counted(changed.found.compared, *changed.found.counted)
        yield f"live now   {same} between the restore point and the live data, in {both}"
    for row in rows[:SHOWN]:
        yield "since then " + "  ".join(w.strip() for w in row if w)
    if len(rows) > SHOWN:
        yield (
            f"since then {counted(len(rows) - SHOWN, 'more difference')}: to see all, use drd diff"
        )


def _held(held: Held | None) -> str:
    if held is None:
        return "nothing"
    if held.count is None:
        return "an unknown number of rows"
    if held.bytes is None:
        return counted(held.count, "row")
    return f"{counted(held.count, 'entry', 'entries')}, {format_size(held.bytes)}"


def document(planned: RecoveryPlan, changed: Changes | None) -> dict[str, Any]:
    """Return the document for `--json`."""
    if planned.single is None:
        return {}
    part = planned.single.part
    what: dict[str, Any] = {
        "tables": list(part.tables),
        "paths": [output.unmarked(p) for p in part.paths],
        "into": part.into,
        "database": part.database,
    }
    what_is_counted = "entries" if part.paths else "rows"
    if changed is not None:
        what["live"] = {
            "reason": changed.unknown,
            "things": [
                {
                    "name": output.unmarked(t.name),
                    f"a_{what_is_counted}": t.was.count if t.was else None,
                    f"b_{what_is_counted}": t.now.count if t.now else None,
                }
                for t in changed.things
            ],
            **(found_document(changed.found) if changed.found is not None else {}),
        }
    return {"single": what}

"""`drd diff`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from drd.checks.words import printable
from drd.cli import output
from drd.cli.session import session
from drd.flows.restore.difference import LiveDifference, compare
from drd.model.difference import Difference, TableChange
from drd.model.text import counted, left_out
from drd.model.units import format_time, to_rfc3339

SHOWN = 40
"""Lines of differences that are shown without --all."""


def run(args: argparse.Namespace) -> int:
    with session(args, acts=False) as app:
        plan = app.plans.load(args.plan)
        compared = compare(app.services(plan), plan, args.component, args.point, args.other)
    if args.json:
        output.print_json(document(compared))
    else:
        _print(compared, None if args.all else SHOWN)
    return 0


def document(compared: LiveDifference) -> dict[str, Any]:
    difference = compared.found
    sides = {
        side: {"name": of.name, "data_time": to_rfc3339(of.data_time)}
        for side, of in (("a", compared.a), ("b", compared.b))
    }
    return {
        "plan": compared.plan,
        "component": compared.component.name,
        "kind": compared.component.kind,
        **sides,
        **found_document(difference),
    }


def found_document(found: Difference) -> dict[str, Any]:
    """Return the differences themselves."""
    return {
        "equal": found.equal,
        "compared": found.compared,
        "only_counted": found.only_counted,
        "tables": [
            {"table": t.table, "change": t.change, "a_rows": t.a_rows, "b_rows": t.b_rows}
            for t in found.tables
        ],
        "files": [
            {"path": output.unmarked(f.path), "change": f.change, "what": list(f.what)}
            for f in found.files
        ],
        "properties": [{"name": p.name, "a": p.a, "b": p.b} for p in found.properties],
        "unknown": [{"name": output.unmarked(n), "reason": why} for n, why in found.unknown],
    }


def _print(compared: LiveDifference, limit: int | None) -> None:
    a, b = compared.a, compared.b
    output.say(
        f"{compared.plan}: {compared.component.name} at {a.name} "
        f"({format_time(a.data_time, seconds=True)}) and {b.name} "
        f"({format_time(b.data_time, seconds=True)})"
    )
    rows = [[f"  {words[0]}", *words[1:]] for words in rows_of(compared.found)]
    if rows:
        output.say(output.table(rows[:limit], keep=3))
    if limit is not None and len(rows) > limit:
        output.say(f"  …{left_out(len(rows) - limit)}: add --all")
    for line in _summary(compared, len(rows)):
        output.say(line)


def rows_of(found: Difference) -> Iterator[list[str]]:
    """Return for each difference its kind, its subject, and where it is."""
    for prop in found.properties:
        yield ["changed", prop.name, _before_and_now(prop.a, prop.b)]
    for table in found.tables:
        yield [_WORDS[table.change], printable(table.table), _counts(table)]
    for file in found.files:
        yield [file.change, printable(file.path), ", ".join(file.what)]


_WORDS = {"added": "added", "removed": "removed", "rows": "changed", "contents": "changed"}


def _counts(table: TableChange) -> str:
    a, b = table.a_rows, table.b_rows
    if a is None or b is None:
        known = b if a is None else a
        return "" if known is None else counted(known, "row")
    if a == b:
        return f"{counted(b, 'row')} as before, but with other contents"
    return f"{a:,} -> {b:,} rows ({b - a:+,})"


def _summary(compared: LiveDifference, differing: int) -> Iterator[str]:
    difference = compared.found
    both = counted(difference.compared, *difference.counted)
    if difference.equal:
        yield f"no difference in {both}"
    elif not differing:
        yield f"no difference found in {both}"
    else:
        yield f"{counted(differing, 'difference')}, {both} compared"
    if difference.only_counted:
        yield (
            f"of {counted(difference.only_counted, *difference.counted)} drd only counted the "
            "rows: it does not see rows that were changed in place. With `fingerprint: digest` in "
            "the plan it sees them from the next backup on"
        )
    for name, why in difference.unknown[:5]:
        yield f"unknown: {printable(name)}: {why}"
    if more := left_out(len(difference.unknown) - 5):
        yield f"unknown: …{more}"


def _before_and_now(a: Any, b: Any) -> str:
    shown = f"{_shown(a)} -> {_shown(b)}"
    return shown if len(shown) <= 100 else ""


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

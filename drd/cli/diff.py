"""`drd diff`."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from textwrap import fill
from typing import Any

from drd.cli import output
from drd.cli.session import session
from drd.config.starter import WHOLE
from drd.flows.component_names import require_components
from drd.flows.restore.difference import LiveDifference, compare
from drd.flows.restore.difference_defaults import component_or_only, point_or_newest
from drd.model.difference import (
    HIDDEN_FIELD,
    HIDDEN_FIELDS,
    Change,
    Difference,
    FileChange,
    PropertyChange,
    RelationChange,
    TableChange,
)
from drd.model.text import counted, escaped, left_out
from drd.model.units import format_time, to_rfc3339
from drd.registry import KINDS

_ROOM = 66
_DOCUMENTS = "documents"
"""The check that compares components which consist of documents with fields."""

SHOWN = 40
"""Lines of differences that are shown without --all."""


def run(args: argparse.Namespace) -> int:
    with session(args, acts=args.restored) as app:
        plan = app.plans.load(args.plan)
        services = app.services(plan)
        component = component_or_only(plan, args.component)
        require_components(plan.name, plan.components, (component,))
        point = point_or_newest(services, plan, component, args.point)
        compared = compare(
            services,
            plan,
            component,
            point,
            args.other,
            database=args.database,
            restored=args.restored,
        )
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
        "compares": list(compared.covers.things),
        "not_compared": list(compared.covers.left_out),
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
        "relations": [
            {"name": r.name, "kind": r.kind, "change": r.change} for r in found.relations
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
    line = (
        f"{compared.plan}: component {compared.component.name}: {a.name} "
        f"({format_time(a.data_time, seconds=True)}) compared with {b.name} "
        f"({format_time(b.data_time, seconds=True)})"
    )
    output.say(fill(line, 80, subsequent_indent="  ", **WHOLE))
    if KINDS[compared.component.kind].comparison == _DOCUMENTS:
        rows = [[change, path] for change, path in _of_documents(compared.found)]
        for change, path in rows[:limit]:
            output.say(_wrapped(change, path))
    else:
        rows = [[f"  {words[0]}", *words[1:]] for words in rows_of(compared.found)]
        if rows:
            output.say(output.table(rows[:limit]))
    if limit is not None and len(rows) > limit:
        output.say(f"  …{left_out(len(rows) - limit)}: add --all")
    for line in _summary(compared, len(rows)):
        output.say(line)


def _of_documents(found: Difference) -> Iterator[tuple[str, str]]:
    """Yield each field that changed, but none of a document that came or went, and no document of
    which a field is named."""
    whole = {f.path for f in found.files if f.change != "changed"}
    told = {
        f"/{f.path.split('/')[1]}"
        for f in found.files
        if f.path.count("/") > 1 and (f.change == "changed" or not f.path.endswith(HIDDEN_FIELDS))
    }
    for file in found.files:
        document = f"/{file.path.split('/')[1]}"
        if file.path == document:
            if document in whole or document not in told:
                yield file.change, escaped(document)
        elif file.path.endswith(HIDDEN_FIELDS):  # one side lacks it: an older drd made that
            if file.change == "changed":
                yield file.change, f"{escaped(document)} (a {HIDDEN_FIELD})"
        elif document not in whole:
            yield file.change, escaped(file.path)


def _wrapped(change: str, path: str) -> str:
    """Return a line of at most 80 columns, and more of them for a longer path."""
    lines = [""]
    for part in re.findall(rf"/[^/]{{0,{_ROOM - 1}}}|[^/]{{1,{_ROOM - 1}}}", path):
        if lines[-1] and len(lines[-1]) + len(part) > _ROOM:
            lines.append("")
        lines[-1] += part
    return f"  {change:<9}" + f"\n{'':13}".join(lines)


def rows_of(found: Difference) -> Iterator[list[str]]:
    """Return for each difference its kind, its subject, and where it is."""
    for word, name, change in found.changes():
        yield [word, escaped(name), _where(change)]


def _where(change: Change) -> str:
    match change:
        case PropertyChange():
            return _before_and_now(change.a, change.b)
        case TableChange():
            return _counts(change)
        case RelationChange():
            return change.kind
        case FileChange():
            return ", ".join(change.what)


def _counts(table: TableChange) -> str:
    a, b = table.a_rows, table.b_rows
    if a is None or b is None:
        known = b if a is None else a
        return "" if known is None else counted(known, "row")
    if a == b:
        return f"still {counted(b, 'row')}, but their contents differ"
    return f"{a:,} -> {b:,} rows ({b - a:+,})"


def _summary(compared: LiveDifference, differing: int) -> Iterator[str]:
    difference = compared.found
    both = counted(difference.compared, *difference.counted)
    if difference.equal:
        yield f"no difference in {both}"
    elif not differing:
        yield f"drd found no difference in {both}"
    else:
        yield f"{counted(differing, 'difference')}, {both} compared"
    if difference.only_counted:
        more = (
            ". To compare contents from the next backup on, write `fingerprint: digest` in the plan"
        )
        yield (
            f"in {counted(difference.only_counted, *difference.counted)}, drd compared only the "
            f"number of rows: changed contents of rows are not shown"
            f"{'' if compared.covers.counts_only else more}"
        )
    yield from _not_compared(compared)
    for name, why in difference.unknown[:5]:
        yield f"unknown: {escaped(name)}: {escaped(why)}"
    if more := left_out(len(difference.unknown) - 5):
        yield f"unknown: …{more}"


def _not_compared(compared: LiveDifference) -> Iterator[str]:
    covers = compared.covers
    if not covers.left_out:
        return
    things = f"compared: {', '.join(covers.things)}; not compared: {', '.join(covers.left_out)}"
    yield fill(things, 80, subsequent_indent="  ", **WHOLE)
    if covers.by_hand:
        names = {"component": compared.component.name, "point": compared.a.name}
        yield f"to compare these as well, {covers.by_hand.format(plan=compared.plan, **names)}"


def _before_and_now(a: Any, b: Any) -> str:
    if isinstance(a, Mapping | list) and b is None:
        return "is gone"
    if isinstance(b, Mapping | list) and a is None:
        return "is new"
    shown = f"{_shown(a)} -> {_shown(b)}"
    return shown if len(shown) <= 100 else ""


def _shown(value: Any) -> str:
    return escaped(value) if isinstance(value, str) else json.dumps(value)

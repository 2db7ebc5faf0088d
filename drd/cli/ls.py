"""`drd ls`."""

from __future__ import annotations

import argparse
import stat
from collections.abc import Iterator
from typing import Any

from drd.bootstrap import App
from drd.cli import output
from drd.cli.parser import is_time_of_day, unexpected
from drd.cli.point_words import chosen
from drd.cli.session import cancelled_as, session
from drd.errors import NoRestorePoint, UsageError
from drd.flows.restore.browsing import Listed, listed
from drd.flows.services import Services
from drd.model.contents import Item
from drd.model.plan import Plan
from drd.model.snapshot import RestorePoint
from drd.model.text import counted, escaped
from drd.model.units import bare_time, format_size, format_time, to_rfc3339
from drd.ports import Holds

_TYPES = {
    "directory": stat.S_IFDIR,
    "file": stat.S_IFREG,
    "symlink": stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
}


def run(args: argparse.Namespace) -> int:
    with session(args, acts=False) as app:
        services, plan, point, word, unknown = _chosen(app, args)
        words = f"the listing of restore point {point.id} was cancelled: nothing was changed"
        with cancelled_as(lambda: words, f"to start again: drd ls {plan.name} {point.id}"):
            path = _path(args, word)
            try:
                contents = listed(services, plan, point, args.component, path)
            except UsageError:  # no table and no file: perhaps a person named a component
                component = point.component(path) if path is not None else None
                if unknown is not None and component is None:
                    raise unknown from None
                if args.component or component is None:
                    raise
                contents = listed(services, plan, point, [component.component], None)
            else:
                both = None if args.component or path is None else point.component(path)
                if both is not None:  # a table or file has the name of a component
                    contents = [*listed(services, plan, point, [both.component], None), *contents]
    if args.json:
        output.print_json(document(point, contents))
        return 0
    output.say(f"{point.plan}: point {point.id} of {format_time(point.data_time, seconds=True)}")
    for each in contents:
        _print(each)
    output.say()
    for line in _recovering(contents, point):
        output.say(line)
    return 0


def _chosen(
    app: App, args: argparse.Namespace
) -> tuple[Services, Plan, RestorePoint, str | None, NoRestorePoint | None]:
    """Do the same as `chosen`; a word that is no point may be a table, a path or a component of the
    newest one. Returned last is the error to raise if it is none of these."""
    try:
        return *chosen(app, args), None
    except NoRestorePoint as unknown:
        word = args.point
        if word is None or args.path is not None:
            raise
        newest = argparse.Namespace(**{**vars(args), "point": None})
        services, plan, point, _ = chosen(app, newest)
        unknown.hint = (
            f"{unknown.hint} The newest restore point does not contain a table, path or "
            f"component of this name, either. To see what it contains: drd ls {plan.name} "
            "latest"
        )
        return services, plan, point, word, unknown


def _path(args: argparse.Namespace, word: str | None) -> str | None:
    if word is not None and args.path is not None:
        raise unexpected("ls", args.path)
    if word is not None and args.before and is_time_of_day(word):
        raise unexpected("ls", word)
    path: str | None = word if word is not None else args.path
    return path


def document(point: RestorePoint, found: list[Listed]) -> dict[str, Any]:
    return {
        "plan": point.plan,
        "point": point.id,
        "data_time": to_rfc3339(point.data_time),
        "components": [_component(each) for each in found],
    }


def _component(each: Listed) -> dict[str, Any]:
    contents = each.contents
    return {
        "component": each.component,
        "kind": each.kind,
        "within": output.unmarked(contents.within) if contents else None,
        "error": output.unmarked(each.error.message) if each.error else None,
        "items": [_item(item) for item in contents.items] if contents else [],
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "name": output.unmarked(item.name),
        "kind": item.kind,
        "size_bytes": item.bytes,
        "mode": f"{item.mode:04o}" if item.mode is not None else None,
        "changed": to_rfc3339(item.changed) if item.changed else None,
        "rows": item.rows,
        "note": output.unmarked(item.note),
    }


def _print(each: Listed) -> None:
    output.say()
    if each.contents is None:
        assert each.error is not None
        output.say_below("", f"{each.component} ({each.kind}): {each.error.message}")
        if each.error.hint:
            output.say_remedy("  HINT: ", each.error.hint)
        return
    items, within = each.contents.items, each.contents.within
    where = f" in {escaped(within)}" if within else ""
    what = counted(len(items), "entry", "entries")
    output.say(f"{each.component} ({each.kind}): {what}{where}")
    if each.untimed is not None:
        output.warn(f"the times of the files are unknown: {each.untimed.message}")
    if not items:
        return
    if each.holds is Holds.PATHS:
        rows = [_file_row(item, within) for item in items]
        output.say(output.table(rows, header=["  MODE", "SIZE", "CHANGED (UTC)", "NAME"]))
    elif each.holds is Holds.OPAQUE:
        rows = [[f"  {escaped(i.name)}", _size(i), *_odd(i)] for i in items]
        output.say(output.table(rows, header=["  NAME", "SIZE", ""]))
    else:
        rows = [[f"  {escaped(i.name)}", _rows(i), *_odd(i)] for i in items]
        output.say(output.table(rows, header=["  TABLE", "ROWS", ""]))


def _file_row(item: Item, within: str) -> list[str]:
    name = item.name[len(within) :].lstrip("/") if within else item.name
    mode = stat.filemode(_TYPES.get(item.kind, 0) | item.mode) if item.mode is not None else ""
    end = "/" if item.kind == "directory" else ""
    note = f"  {escaped(item.note)}" if item.note else ""
    return [
        f"  {mode or item.kind}",
        _size(item),
        bare_time(to_rfc3339(item.changed)) if item.changed else "",
        f"{escaped(name)}{end}{note}",
    ]


def _recovering(found: list[Listed], point: RestorePoint) -> Iterator[str]:
    with_items = [each for each in found if each.contents and each.contents.items]
    listed_kinds = {each.holds for each in with_items if each.alone}
    for holds, option in ((Holds.TABLES, "--table TABLE"), (Holds.PATHS, "--path PATH")):
        if holds in listed_kinds:
            yield (
                f"to recover one of them: drd recover {point.plan} --point {point.id[:8]} "
                f"{option} …"
            )
    for each in with_items:
        if each.beside and not each.alone:
            yield (
                f"drd restores {each.component} as a whole. To recover a copy of it: drd recover "
                f"{point.plan} --in-place --point {point.id[:8]} --component {each.component} "
                "--into NAME"
            )


def _size(item: Item) -> str:
    return format_size(item.bytes) if item.bytes is not None else ""


def _rows(item: Item) -> str:
    return f"{item.rows:,}" if item.rows is not None else ""


def _odd(item: Item) -> list[str]:
    kind = "" if item.kind == "table" else item.kind
    return [", ".join(filter(None, [kind, escaped(item.note) if item.note else ""]))]

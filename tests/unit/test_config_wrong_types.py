"""A hint for a value of the wrong type leads to a value that is accepted, for every key."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from drd.config.daemon_schema import DaemonFile
from drd.config.json_schema import SchemaView
from drd.config.problems import Report
from drd.config.schema import PlanFile
from drd.config.translation import translate
from drd.config.yaml import Path, dotted, read
from tests.config_support import changed, load, problems

Kinds = tuple[tuple[Path, dict[str, Any]], ...]

QUOTES = "put the value in quotes."
START: dict[type[BaseModel], dict[str, Any]] = {
    DaemonFile: {},
    PlanFile: {"plan": "shop", "objectives": {"rpo": "1h", "rto": "1h"}},
}


def _places(
    node: dict[str, Any], defs: dict[str, Any], path: Path = (), kinds: Kinds = (), seen: Any = ()
) -> Iterator[tuple[Path, Kinds]]:
    """Every place of a text in a schema, with the kinds of what is around it."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from _places(defs[name], defs, path, kinds, (*seen, name))
        return
    for branch in (*node.get("oneOf", ()), *node.get("anyOf", ())):
        yield from _places(branch, defs, path, kinds, seen)
    if node.get("type") == "string":
        yield path, kinds
    properties = node.get("properties", {})
    fixed = {key: value["const"] for key, value in properties.items() if "const" in value}
    kinds = (*kinds, (path, fixed)) if fixed else kinds
    below = [((key,), value) for key, value in properties.items() if key not in fixed]
    below += [((0,), node["items"])] if "items" in node else []
    below += [(("x",), value) for value in node.get("patternProperties", {}).values()]
    if isinstance(node.get("additionalProperties"), dict):
        below.append((("x",), node["additionalProperties"]))
    for step, child in below:
        yield from _places(child, defs, (*path, *step), kinds, seen)


def _put(data: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    key, *below = path
    if isinstance(key, int):
        return [_put(data[0] if isinstance(data, list) and data else None, tuple(below), value)]
    known = data if isinstance(data, dict) else {}
    return {**known, key: _put(known.get(key), tuple(below), value)}


def _hint(model: type[BaseModel], path: Path, kinds: Kinds, value: Any) -> str:
    data: Any = START[model]
    for place, fixed in kinds:
        for key, word in fixed.items():
            data = _put(data, (*place, key), word)
    data = _put(data, path, value)
    report = Report(read(b"a: 1\n", "x.yaml"))
    try:
        model.model_validate(data)
    except ValidationError as error:
        translate(error, report, SchemaView(model), data=data)
    return next((p.hint for p in report.problems if p.path == dotted(path)), "")


@pytest.mark.parametrize("model", [DaemonFile, PlanFile])
def test_a_number_where_a_text_is_wanted(model: type[BaseModel]) -> None:
    root = SchemaView(model).root
    places = dict.fromkeys((p, str(k)) for p, k in _places(root, root.get("$defs", {})))
    by_kinds = {(p, str(k)): k for p, k in _places(root, root.get("$defs", {}))}
    asked = 0
    for path, named in places:
        kinds = by_kinds[path, named]
        if _hint(model, path, kinds, 9473) == QUOTES:
            asked += 1
            assert not _hint(model, path, kinds, "9473"), dotted(path)
    assert asked > 20


REFUSED = [
    ("drill: {every: 7d}", "drill: {every: 7d, reach: [5432]}", "drill.reach[0]", "is a number, not text", "write HOST:PORT, like db1:5432."),
    ("drill: {every: 7d}", "drill: {every: 7d}\nreview: {every: 90d, last: 2026}", "review.last", "is a number, not text", "write a date like 2026-12-31."),
    ("drill: {every: 7d}", "drill: {every: 7d}\ncontrols: [{name: a, kind: tls, address: 'h:443', min_version: 1.2}]", "controls[0].min_version", "is a number, not text", 'put the value in quotes: "1.2".'),
    ("drill: {every: 7d}", "drill: {every: 7d, timezone: CEST}", "drill.timezone", 'there is no time zone "CEST"', "CEST is an abbreviation: write the name of your zone, like Europe/Berlin or Europe/Paris."),
    ("drill: {every: 7d}", "drill: {every: 7d, timezone: EDT}", "drill.timezone", 'there is no time zone "EDT"', "EDT is an abbreviation: write the name of your zone, like America/New_York."),
    ("drill: {every: 7d}", "drill: {every: 7d, timezone: New York}", "drill.timezone", 'there is no time zone "New York"', 'did you mean "America/New_York"?'),
    ("kind: postgres\n", "kind: postgres\n    in: {container: my db, engine: podman}\n", "components.db.in.container", '"my db" is not a name of a container', 'write the name that `podman ps` or `docker ps` shows: letters, digits, `_`, `.` and `-`, at most 128, and first a letter or a digit.'),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[2])
def test_the_hint_says_what_to_write(tmp_path: pathlib.Path, case: tuple[str, ...]) -> None:
    old, new, path, message, hint = case
    found = [p for p in problems(tmp_path, changed(old, new)) if p.path == path]
    assert [(p.message, p.hint) for p in found] == [(message, hint)]


def test_a_zone_of_the_same_part_of_the_world_is_meant(tmp_path: pathlib.Path) -> None:
    (found,) = problems(tmp_path, changed("every: 10m", "every: 10m, timezone: Europe/Belrin"))
    assert found.hint == 'did you mean "Europe/Berlin"?'
    assert load(tmp_path, changed("every: 10m", "every: 10m, timezone: EST"))

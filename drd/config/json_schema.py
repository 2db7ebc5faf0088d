"""The JSON Schema of files (draft 2020-12), for editors, the reference and hints."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel

from drd.config.durations import duration_text
from drd.config.schema import PlanFile
from drd.registry import Added, in_use

DIALECT = "https://json-schema.org/draft/2020-12/schema"

JsonSchema = dict[str, Any]


def plan_schema() -> JsonSchema:
    """Return the schema of plans."""
    return published(PlanFile, "drd plan")


def published(model: type[BaseModel], title: str, *, nulls: bool = False) -> JsonSchema:
    """Return the schema that an editor uses: durations as they are written, no null branches
    unless `nulls` mean something."""
    return {"$schema": DIALECT, **_tidy(model.model_json_schema(), nulls=nulls), "title": title}


def _tidy(node: Any, *, nulls: bool) -> Any:
    if isinstance(node, list):
        return [_tidy(item, nulls=nulls) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _tidy(value, nulls=nulls) for key, value in node.items()}
    if not isinstance(node.get("title", ""), dict):
        node.pop("title", None)
    if not nulls:
        _without_null(node)
    if "patternProperties" in node:
        node["additionalProperties"] = False
    if "discriminator" in node:
        # The mapping is OpenAPI's; each branch has its `const` kind.
        del node["discriminator"]
    if isinstance(node.get("default"), dict) and "properties" not in node.get("default", {}):
        del node["default"]
    if "s|m|h|d|w" in node.get("pattern", "") or "[smhdw]" in node.get("pattern", ""):
        _readable_default(node)
    return node


def _without_null(node: JsonSchema) -> None:
    """`anyOf: [X, null]` with default null becomes X: an absent value is a key left out."""
    if node.get("default", "") is None:
        del node["default"]
    branches = node.get("anyOf")
    if not isinstance(branches, list):
        return
    kept = [b for b in branches if b != {"type": "null"}]
    if len(kept) == 1:
        del node["anyOf"]
        own = dict(node)
        node |= kept[0] | own
    else:
        node["anyOf"] = kept


def _readable_default(node: JsonSchema) -> None:
    if isinstance(node.get("default"), (int, float)):
        node["default"] = duration_text(node["default"])


# --- looking things up in it ----------------------------------------------------------------


class SchemaView:
    """One model's schema, followed along paths of data."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model
        self.root: JsonSchema = _schema_of(model, in_use())

    def properties(self, path: tuple[str | int, ...], data: Any) -> dict[str, JsonSchema]:
        """The keys allowed at `path`, by name, given the data there now."""
        properties: dict[str, JsonSchema] = {}
        for node in self.nodes(path, data):
            properties |= node.get("properties", {})
        return properties

    def nodes(self, path: tuple[str | int, ...], data: Any) -> list[JsonSchema]:
        """Return the schemas that apply at `path`, given the present data there; empty for an
        unknown key."""
        nodes = list(self._open(self.root, data))
        for element in path:
            data = data[element] if has_member(data, element) else None
            nodes = [
                opened
                for node in nodes
                for child in _children(node, element)
                for opened in self._open(child, data)
            ]
        return nodes

    def _open(self, node: JsonSchema, data: Any) -> Iterator[JsonSchema]:
        """Follow references and open unions, by `kind` where that decides."""
        if "$ref" in node:
            yield from self._open(self.root["$defs"][node["$ref"].rpartition("/")[2]], data)
            return
        mapping = node.get("discriminator", {}).get("mapping", {})
        kind = data.get("kind") if isinstance(data, dict) else None
        if isinstance(kind, str) and kind in mapping:
            yield from self._open({"$ref": mapping[kind]}, data)
            return
        branches = [*node.get("oneOf", ()), *node.get("anyOf", ())]
        if not branches:
            yield node
        for branch in branches:
            yield from self._open(branch, data)


@cache
def _schema_of(model: type[BaseModel], _: tuple[Added, ...]) -> JsonSchema:
    """Made once for what is in use, because it takes longer than everything else in
    reading a plan."""
    return model.model_json_schema()


def _children(node: JsonSchema, element: str | int) -> Iterator[JsonSchema]:
    if isinstance(element, int):
        if "items" in node:
            yield node["items"]
    elif element in node.get("properties", {}):
        yield node["properties"][element]
    else:
        yield from node.get("patternProperties", {}).values()
        if isinstance(node.get("additionalProperties"), dict):
            yield node["additionalProperties"]


def has_member(data: Any, element: str | int) -> bool:
    """Return whether plain data of any shape has this key or index."""
    if isinstance(data, dict):
        return element in data
    return isinstance(data, list) and isinstance(element, int) and element < len(data)

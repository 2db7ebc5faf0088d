"""Read YAML so that every key and value keeps its line.

The reader composes from libyaml's events instead of using PyYAML's constructors: these lose lines,
take the last of two equal keys, and read words and numbers by YAML 1.1. Here `on`, `off`, `yes` and
`no` are text, as in YAML 1.2 and in editors, and numbers on which the two versions disagree (`010`,
`1_000`, `1:30`) are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from drd.config.yaml_errors import LOADER, syntax_problem
from drd.errors import ConfigError, Problem

MAX_DEPTH = 40
"""Levels of nesting; a plan needs seven."""

MAX_VALUES = 20_000
"""Values after aliases are followed, so that a few lines cannot grow into gigabytes."""

Path = tuple[str | int, ...]

_STR_TAG = "tag:yaml.org,2002:str"
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_AMBIGUOUS = re.compile(
    r"[-+]?(0[0-9_]+|0[box][0-9a-fA-F_]+|[0-9]+(_[0-9_]*)+|[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)"
)


@dataclass(frozen=True, slots=True)
class LinePlace:
    """The line of the key (or list item), and the line of the value, both counted from 1."""

    key: int
    value: int


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file as plain values, and the place of each. `places` has the path of every value,
    including mappings and lists. `problems` are the problems that did not prevent the reading of
    the rest.
    """

    file: str
    data: Any
    places: dict[Path, LinePlace]
    problems: list[Problem] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)

    def line(self, path: Path, *, of_key: bool = False) -> int:
        """Return the line of the value at `path`; if it does not exist, the line of the nearest
        mapping or list around it. The line of a mapping or list is the line of its key.
        """
        while path and path not in self.places:
            path, of_key = path[:-1], True
        if not path:
            return min((p.key for p in self.places.values()), default=1)
        place = self.places[path]
        return place.key if of_key or self._is_container(path) else place.value

    def _is_container(self, path: Path) -> bool:
        value = self.data
        for element in path:
            value = value[element]
        return isinstance(value, (dict, list))


def dotted(path: Path) -> str:
    """Format a path: `components.orders-db.dsn`, `checks[2].query`."""
    text = ""
    for element in path:
        text += f"[{element}]" if isinstance(element, int) else f".{element}"
    return text.removeprefix(".")


def read(raw: bytes, file: str, *, allow_empty: bool = False) -> Document:
    """Parse one document. Raises ConfigError with one problem where the text is not YAML at all.

    Equal keys, tags and ambiguous numbers are in `problems` instead, all of them. An empty file
    is a problem, or an empty mapping with `allow_empty`.
    """
    text = _decode(raw, file)
    try:
        root = _compose(text, file)
    except yaml.YAMLError as error:
        raise ConfigError([syntax_problem(error, text, file)]) from None
    if root is None:
        if allow_empty:
            return Document(file, {}, {})
        raise ConfigError(
            [Problem(file, 1, "", "the file is empty", "`drd plan new` writes a first plan.")]
        )
    expansion = _Expansion(file)
    data = expansion.value(root, (), 0)
    return Document(file, data, expansion.places, expansion.problems, expansion.broken)


def _decode(raw: bytes, file: str) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = Problem(file, line, "", "is not UTF-8 text", "save the file as UTF-8.")
        raise ConfigError([problem]) from None
    return text


# --- events to nodes ------------------------------------------------------------------------


@dataclass(slots=True)
class _Scalar:
    line: int
    text: str
    plain: bool
    tag: str | None


@dataclass(slots=True)
class _List:
    line: int
    tag: str | None
    items: list[_Node] = field(default_factory=list)


@dataclass(slots=True)
class _Map:
    line: int
    tag: str | None
    pairs: list[tuple[_Node, _Node]] = field(default_factory=list)
    key: _Node | None = None


_Node = _Scalar | _List | _Map


def _compose(text: str, file: str) -> _Node | None:
    """Return the root of the only document; None for an empty one. Needs no recursion."""
    root: _Node | None = None
    open_nodes: list[_List | _Map] = []
    anchors: dict[str, _Node] = {}
    documents = 0
    for event in yaml.parse(text, Loader=LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                hint = "put each plan into a separate file."
                raise ConfigError([Problem(file, line, "", "contains several documents", hint)])
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            open_nodes.pop()
        elif isinstance(event, yaml.NodeEvent):
            node = _node(event, anchors, file, line)
            root = root or node
            if open_nodes:
                _attach(open_nodes[-1], node)
            if isinstance(node, (_List, _Map)) and not isinstance(event, yaml.AliasEvent):
                open_nodes.append(node)
                if len(open_nodes) > MAX_DEPTH:
                    raise ConfigError([_too_deep(file, line)])
    return None if isinstance(root, _Scalar) and root.plain and not root.text else root


def _node(event: Any, anchors: dict[str, _Node], file: str, line: int) -> _Node:
    if isinstance(event, yaml.AliasEvent):
        known = anchors.get(event.anchor or "")
        if known is None:
            hint = f"define the anchor first, as &{event.anchor}; or put the text in quotes."
            raise ConfigError([Problem(file, line, "", f"*{event.anchor} is not defined", hint)])
        return known
    node: _Node
    if isinstance(event, yaml.ScalarEvent):
        node = _Scalar(line, event.value, event.style is None or event.style == "", event.tag)
    elif isinstance(event, yaml.SequenceStartEvent):
        node = _List(line, event.tag)
    else:
        node = _Map(line, event.tag)
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _attach(parent: _List | _Map, node: _Node) -> None:
    if isinstance(parent, _List):
        parent.items.append(node)
    elif parent.key is None:
        parent.key = node
    else:
        parent.pairs.append((parent.key, node))
        parent.key = None


def _too_deep(file: str, line: int) -> Problem:
    return Problem(
        file,
        line,
        "",
        f"is nested deeper than {MAX_DEPTH} levels",
        "use fewer levels: a plan needs at most 7.",
    )


# --- nodes to values ------------------------------------------------------------------------


class _Expansion:
    """Follows aliases and merge keys; every value gets its path and place."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.places: dict[Path, LinePlace] = {}
        self.problems: list[Problem] = []
        self.broken: set[Path] = set()
        self.count = 0

    def value(self, node: _Node, path: Path, depth: int) -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            message = f"contains more than {MAX_VALUES} values, counted through its aliases"
            hint = "aliases (*name) multiply the values; use fewer of them."
            raise ConfigError([Problem(self.file, node.line, dotted(path), message, hint)])
        if depth > MAX_DEPTH:
            raise ConfigError([_too_deep(self.file, node.line)])
        if node.tag not in (None, "!", _STR_TAG) or (node.tag and not isinstance(node, _Scalar)):
            hint = "write the value without the tag."
            self._report(node.line, path, f"the tag {node.tag} is not allowed here", hint)
        if isinstance(node, _Scalar):
            return self._scalar(node, path)
        if isinstance(node, _List):
            return [self._item(item, (*path, i), depth) for i, item in enumerate(node.items)]
        return self._map(node, path, depth)

    def _item(self, node: _Node, path: Path, depth: int) -> Any:
        self.places[path] = LinePlace(node.line, node.line)
        return self.value(node, path, depth + 1)

    def _map(self, node: _Map, path: Path, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        own: set[str] = set()
        for key, value in self._merged(node, depth):
            result[key.text] = self._entry(key, value, path, depth)
        for key, value in self._own_items(node, path):
            if key.text in own:
                first = self.places[(*path, key.text)].key
                message = f'the key "{key.text}" is given twice here'
                hint = f"remove one of the two lines; the first is line {first}."
                self._report(key.line, (*path, key.text), message, hint)
                continue
            own.add(key.text)
            self._forget((*path, key.text))
            result[key.text] = self._entry(key, value, path, depth)
        return result

    def _entry(self, key: _Scalar, value: _Node, path: Path, depth: int) -> Any:
        here = (*path, key.text)
        self.places[here] = LinePlace(key.line, value.line)
        return self.value(value, here, depth + 1)

    def _forget(self, path: Path) -> None:
        """Drop the places below a merged value that an own key replaces."""
        if path in self.places:
            for known in [p for p in self.places if p[: len(path)] == path]:
                del self.places[known]

    def _own_items(self, node: _Map, path: Path) -> Iterator[tuple[_Scalar, _Node]]:
        for key, value in node.pairs:
            if not isinstance(key, _Scalar):
                self._report(
                    key.line, path, "a key must be text", "write the key as text: `name: value`."
                )
            elif not _is_merge(key):
                yield key, value

    def _merged(self, node: _Map, depth: int) -> list[tuple[_Scalar, _Node]]:
        """Return the pairs that `<<` brings in; of equal keys the first named mapping wins."""
        self.count += len(node.pairs)
        if depth > MAX_DEPTH or self.count > MAX_VALUES:
            raise ConfigError([_too_deep(self.file, node.line)])
        merged: dict[str, tuple[_Scalar, _Node]] = {}
        for key, value in node.pairs:
            if not _is_merge(key):
                continue
            for source in value.items if isinstance(value, _List) else [value]:
                if not isinstance(source, _Map):
                    hint = "write `<<: *NAME`, with the NAME of an anchor (`&NAME`) on a mapping."
                    self._report(key.line, (), "the value of `<<` is not a mapping", hint)
                    continue
                brought = {k.text: (k, v) for k, v in self._merged(source, depth + 1)}
                brought |= {k.text: (k, v) for k, v in self._own_items(source, ())}
                merged = brought | merged
        return list(merged.values())

    def _scalar(self, node: _Scalar, path: Path) -> Any:
        text = node.text
        if "\0" in text:
            self._report(node.line, path, "contains a NUL character", "remove it.")
        if not node.plain or node.tag is not None:
            return text
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _AMBIGUOUS.fullmatch(text):
            hint = f'write "{text}" in quotes for text, a plain number, or a duration like 1m30s.'
            message = f"{text} is read differently by different versions of YAML"
            self._report(node.line, path, message, hint)
            return text
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
        return text

    def _report(self, line: int, path: Path, message: str, hint: str) -> None:
        self.problems.append(Problem(self.file, line, dotted(path), message, hint))
        if path:
            self.broken.add(path)


def _is_merge(key: _Node) -> bool:
    return isinstance(key, _Scalar) and key.plain and key.text == "<<"


def reads_as_text(text: str) -> bool:
    """Return whether this word, without quotes, is text to `read`."""
    known = (_INT, _FLOAT, _AMBIGUOUS)
    return text not in _NULL | _BOOL.keys() and not any(p.fullmatch(text) for p in known)

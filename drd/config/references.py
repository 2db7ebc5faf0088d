"""Find and replace references to secrets and files in a plan or drd.yaml.

Comments and the order of keys stay: they matter most when a host is made anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from drd.config.daemon_schema import DaemonFile
from drd.config.plan_file import checked
from drd.config.writing import inline
from drd.config.yaml import Path, read
from drd.config.yaml_errors import LOADER
from drd.fields import Secret, Settings
from drd.model.plan import SecretRef

_SOURCES = frozenset({"file", "env", "credential", "command"})


def plan_references(text: str, file: FilePath) -> dict[Path, SecretRef]:
    """Return every secret reference of a plan, by its path in the plan, except the references in
    `credentials`, which drd never reads. Raises ConfigError.
    """
    parsed, _ = checked(text.encode(), file)
    references = {p: r for p, r in _references(parsed.file, ()) if p[0] != "credentials"}
    for target, places in parsed.targets.items():
        for component, settings in places.items():
            references |= dict(_references(settings, ("targets", target, component)))
    return references


def daemon_references(text: str, file: FilePath) -> dict[Path, SecretRef]:
    """Return every secret reference of a drd.yaml that was accepted before."""
    data = read(text.encode(), str(file), allow_empty=True).data
    return dict(_references(DaemonFile.model_validate(data), ()))


def written_references(value: Any, path: Path = ()) -> Iterator[tuple[Path, SecretRef]]:
    """Yield everything in the data of a file that has the form of a reference to a secret, whatever
    its key means."""
    if isinstance(value, Mapping):
        if len(value) == 1 and not _SOURCES.isdisjoint(value):
            try:
                yield path, TypeAdapter(Secret).validate_python(value)
            except ValidationError:
                pass
            else:
                return
        for key, item in value.items():
            yield from written_references(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from written_references(item, (*path, index))


def reference_of_text(text: str) -> SecretRef:
    """Return a reference as in a plan, like `{credential: NAME}`. Raises ValueError, which does not
    repeat the text."""
    try:
        data = yaml.load(text, Loader=LOADER)  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        raise ValueError("is not a reference to a secret") from None
    try:
        return TypeAdapter(Secret).validate_python(data)
    except ValidationError as error:
        raise ValueError(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from None


def _references(value: Any, path: Path) -> Iterator[tuple[Path, SecretRef]]:
    if isinstance(value, SecretRef):
        if value.source != "text":
            yield path, value
    elif isinstance(value, Settings):
        for name, info in type(value).model_fields.items():
            yield from _references(getattr(value, name), (*path, info.alias or name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _references(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _references(item, (*path, index))


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


def rewritten(text: str, references: Mapping[Path, SecretRef], values: Mapping[Path, str]) -> str:
    """Return the YAML text with these references, and these plain values, instead of the old ones;
    a value at a path of one missing key is added at the end.

    An anchor is changed once, for all its uses."""
    root = yaml.compose(text, Loader=LOADER)
    edits: set[_Edit] = set()
    added: list[str] = []
    for path, reference in references.items():
        node = _node_at(root, path)
        assert isinstance(node, yaml.MappingNode), path
        ((key, value),) = node.value
        edits.add(_Edit(key.start_mark.index, _end(value), inline(_written(reference))[1:-1]))
    for path, plain in values.items():
        node = _node_at(root, path)
        if node is None:
            added.append(f"{path[0]}: {inline(plain)}\n")
        else:
            edits.add(_Edit(node.start_mark.index, _end(node), inline(plain)))
    for edit in sorted(edits, key=lambda e: e.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    if added and isinstance(root, yaml.MappingNode) and root.flow_style:
        return text[: text.rindex("}")] + ", " + ", ".join(a.strip() for a in added) + "}\n"
    return text + ("\n" if text and not text.endswith("\n") else "") + "".join(added)


def _written(reference: SecretRef) -> dict[str, Any]:
    value = reference.value
    return {reference.source: list(value) if isinstance(value, tuple) else value}


def _end(node: Any) -> int:
    """The end of a node's text; the end mark of one in block style stands behind what follows."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _node_at(node: Any, path: Path) -> Any:
    """Return the node at a path, even if a merge key provides it; None if there is none."""
    for element in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(element, int):
            node = node.value[element] if element < len(node.value) else None
        elif isinstance(node, yaml.MappingNode):
            node = _entry(node, str(element))
        else:
            return None
    return node


def _entry(node: Any, name: str) -> Any:
    merged = None
    for key, value in node.value:
        if key.value == name:
            return value
        if key.value == "<<":
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                merged = merged or _entry(source, name)
    return merged

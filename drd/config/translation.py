"""Translate pydantic's errors about a file into plain words, each at its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from drd.config.absent_kinds import FAMILY_OF, not_in_use, unavailable
from drd.config.json_schema import SchemaView, has_member
from drd.config.problems import NAME_HINT, Report, as_name, did_you_mean, listed, nearest
from drd.config.steps import KEYS_OF_EVERY_STEP, step_kinds
from drd.config.yaml import Path
from drd.model.malformed import Malformed
from drd.model.nearest import closest
from drd.model.text import counted, either
from drd.registry import CONTROLS, FAMILIES, Registry

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}

_PATH = "a path"
_ABSOLUTE = "^/"

_BOUND_WORDS = {
    "ge": "at least {}",
    "gt": "more than {}",
    "le": "at most {}",
    "lt": "less than {}",
}
_BOUNDS = {
    "greater_than_equal": {"ge"},
    "greater_than": {"gt"},
    "less_than_equal": {"le"},
    "less_than": {"lt"},
}
"""pydantic's errors about bounds, and the key of each in its context."""


def translate(
    error: ValidationError, report: Report, view: SchemaView, *, data: Any, prefix: Path = ()
) -> None:
    """Report every error of a model that was validated from `data`, which stands at `prefix`.

    Errors that were already reported are not repeated."""
    grouped: dict[tuple[Path, str], list[Mapping[str, Any]]] = {}
    before = set(report.broken)
    items = [(_locate(item, data), item) for item in error.errors(include_url=False)]
    inner = {path[:n] for (path, _), _ in items for n in range(len(path))}
    for (place, last), item in items:
        if item["type"] == "literal_error" and place in inner:
            continue  # it is no word of the list, but a mapping, whose own errors are reported
        path = (*place, *_misspelt(item, place))
        if not any((*prefix, *path)[:n] in before for n in range(len(prefix) + len(path) + 1)):
            grouped.setdefault((path, last), []).append(dict(item))
    sentences = {
        place: _Translation(items, *place, view, data).sentence()
        for place, items in grouped.items()
    }
    for (path, _), sentence in sentences.items():
        whole = (*prefix, *path)
        if sentence.is_missing and _is_meant(path, sentences):
            report.broken.add(whole)
        else:
            report.error(whole, sentence.message, sentence.hint, of_key=sentence.of_key)


def _is_meant(missing: Path, sentences: Mapping[tuple[Path, str], _Sentence]) -> bool:
    """Return whether another key was taken for a misspelling of this one: then it is not
    missing."""
    key = missing[-1]
    return any(p[:-1] == missing[:-1] and s.meant == key for (p, _), s in sentences.items())


def _misspelt(item: Mapping[str, Any], path: Path) -> Path:
    """Return the key that an element without a kind uses instead, else `kind` itself."""
    if not item["type"].startswith("union_tag_"):
        return ()
    of_step = path[:1] == ("runbook",)
    words = step_kinds() if of_step else ("kind",)
    keys = list(item["input"]) if isinstance(item["input"], dict) else []
    if of_step:
        keys = [key for key in keys if key not in KEYS_OF_EVERY_STEP]
    if words[0] in keys:
        return (words[0],)
    near = [key for word in words if (key := closest(word, keys, alike=0.7))]
    return tuple(near[:1]) or (() if path[:1] == ("runbook",) else ("kind",))


def _locate(item: Mapping[str, Any], data: Any) -> tuple[Path, str]:
    """Return the path in the data that an error is about, without tags of unions."""
    path: Path = ()
    value = data
    location: tuple[str | int, ...] = item["loc"]
    last = str(location[-1]) if location else ""
    for index, element in enumerate(location):
        if element == "[key]":
            break
        if has_member(value, element):
            path, value = (*path, element), value[element]
        elif index == len(location) - 1 and item["type"] == "missing":
            path = (*path, element)
    return path, last if last == "[key]" else ""


class _Sentence(NamedTuple):
    """What is wrong at one place, and what to do. `of_key`: it is about the key rather than the
    value. `meant` is the key that was probably meant, for an unknown one. `is_missing`: the key is
    not there.
    """

    message: str
    hint: str
    of_key: bool = False
    meant: str = ""
    is_missing: bool = False


_REFERENCE = "the possible values are in docs/plan-reference.md"
_EMPTY = _Sentence("is empty", "give the key a value, or remove the line.")


_NOT_INSIDE = (
    "leave out `in`. For files in a volume of a container, write the path of the volume on this "
    "host (docs/containers.md)."
)


class _Translation:
    """The sentence for the errors at one place."""

    def __init__(
        self,
        items: Sequence[Mapping[str, Any]],
        path: Path,
        last: str,
        view: SchemaView,
        data: Any,
    ) -> None:
        self.item = items[0]
        self.items = items
        self.path = path
        self.is_key = last == "[key]"
        self.view = view
        self.data = data

    def sentence(self) -> _Sentence:
        kind = str(self.item["type"])
        value = self.item.get("input")
        if self.is_key:
            return _bad_name(str(self.path[-1]))._replace(of_key=True)
        if kind == "extra_forbidden":
            return self._unknown_key(str(self.path[-1]))
        if kind == "missing":
            return self._missing()
        if kind in ("union_tag_invalid", "union_tag_not_found"):
            return self._kind()
        if value is None and kind != "value_error":
            return _EMPTY
        wanted = [_WANTED[i["type"]] for i in self.items if i["type"] in _WANTED]
        if any(_is_path(schema) for schema in self.view.nodes(self.path, self.data)):
            wanted = [_PATH if w == "text" else w for w in wanted]
        if wanted:
            return _wrong_type(list(dict.fromkeys(wanted)), value, self._as_text)
        return self._other(kind, value)

    def _as_text(self, value: Any) -> str:
        """Return the remedy for a value that must be a text: to put it in quotes, unless the text
        would be wrong as well; for a list or a mapping, the form that the text must have."""
        is_plain = not isinstance(value, (list, dict))
        quoted = _with(self.data, self.path, _plain(value) if is_plain else "")
        try:
            self.view.model.model_validate(quoted)
        except ValidationError as error:
            there = [i for i in error.errors(include_url=False) if _is_at(i, self.path, quoted)]
            if there and (is_plain or there[0]["type"] == "value_error"):
                return _Translation(there, self.path, "", self.view, quoted).sentence().hint
        return "put the value in quotes." if is_plain else "write text."

    def _unknown_key(self, key: str) -> _Sentence:
        """An existing key cannot be the one that was meant."""
        beside = self.data
        for element in self.path[:-1]:
            beside = beside[element]
        known = list(self.view.properties(self.path[:-1], self.data))
        kinds = step_kinds()
        if set(kinds) <= set(known):  # a step: only the keys of its own kind
            own = next((k for k in kinds if k in beside), "")
            if key in kinds and own:
                hint = f"write `{key}` as a step of its own, in another item of the list."
                text = f"a step can do only one thing, but this step has both `{own}` and `{key}`"
                return _Sentence(text, hint, of_key=True)
            known = [k for k in known if k not in kinds]
        if key == "in" and self.path[0] in ("components", "targets"):
            kind = f"kind {beside['kind']} does" if "kind" in beside else "this component does"
            text = f"{kind} not run in a container, so it does not have the key `in`"
            return _Sentence(text, _NOT_INSIDE, of_key=True)
        free = [k for k in known if k not in beside]
        hint = did_you_mean(key, free) or listed(known)
        return _Sentence(f'unknown key "{key}"', hint, of_key=True, meant=closest(key, free))

    def _missing(self) -> _Sentence:
        key = str(self.path[-1])
        about = self.view.properties(self.path[:-1], self.data).get(key, {}).get("description", "")
        first = about[:1].lower() if about[1:2].islower() else about[:1]
        hint = f"add the key `{key}`: {first}{about[1:]}" if about else f"add the key `{key}`."
        return _Sentence(f"{key} is missing", hint, of_key=True, is_missing=True)

    def _kind(self) -> _Sentence:
        context = self.item.get("ctx", {})
        key = str(self.path[-1])
        if "tag" in context:
            kind = str(context["tag"])
            tags = re.findall(r"'([^']*)'", str(context.get("expected_tags", "")))
            if lacking := unavailable(str(self.path[0]), kind):
                return _Sentence(*lacking)
            hint = not_in_use(str(self.path[0]), kind) or nearest(kind, tags)
            return _Sentence(f'unknown kind "{kind}"', hint)
        if isinstance(self.path[-1], str) and key != "kind":
            words = step_kinds() if self.path[0] == "runbook" else ("kind",)
            hint = nearest(key, words)
            return _Sentence(f'unknown key "{key}"', hint, meant=closest(key, words))
        if key == "kind":
            hint = f"write its kind, for example `kind: {self._some_kind()}`."
            return _Sentence("kind is missing", hint, is_missing=True)
        keys = self.item["input"] if isinstance(self.item["input"], dict) else ()
        own = [str(key) for key in keys if key not in KEYS_OF_EVERY_STEP]
        if lacking := next(filter(None, (unavailable("runbook", key) for key in own)), None):
            return _Sentence(*lacking)
        unused = next(filter(None, (not_in_use("runbook", key) for key in own)), "")
        some = (
            f"give the step one of these keys: {', '.join(step_kinds())}; for example "
            "`restore: all`."
        )
        return _Sentence("is not a step of a runbook", unused or some)

    def _some_kind(self) -> str:
        section = str(self.path[0])
        known: Registry[Any] = CONTROLS if section == "controls" else FAMILIES[FAMILY_OF[section]]
        return known.names[0]

    def _other(self, kind: str, value: Any) -> _Sentence:
        context = self.item.get("ctx", {})
        if kind == "value_error":
            malformed = Malformed.of(context["error"])
            return _Sentence(malformed.fact, malformed.hint(_REFERENCE))
        if kind in ("literal_error", "enum"):
            choices = re.findall(r"'([^']*)'", str(context.get("expected", "")))
            return _no_choice(value, choices)
        if kind in _BOUNDS:
            return self._out_of_range(value)
        if kind == "string_pattern_mismatch":
            if context.get("pattern") == _ABSOLUTE:
                text = f"{_shown(value)} is not an absolute path"
                return _Sentence(text, "write the whole path, which begins with /.")
            return self._without_pattern(value)
        if kind in ("too_short", "string_too_short"):
            least = context.get("min_length", 1)
            if kind == "string_too_short" or not value or least < 2:
                return _EMPTY
            return _Sentence(f"has only {counted(len(value), 'item')}", f"write at least {least}.")
        if kind == "too_long":
            most, there = context["max_length"], counted(len(value), "item")
            return _Sentence(f"has {there}", f"write {most} at most.")
        if kind == "string_too_long":
            return _Sentence(f"is longer than {context['max_length']} characters", "shorten it.")
        reason = str(self.item["msg"]).removeprefix("Input ")
        text = f"{_shown(value)} is not valid: it {reason}"
        return _Sentence(text, "the possible values are in docs/plan-reference.md.")

    def _without_pattern(self, value: Any) -> _Sentence:
        """Most patterns are those of names; others have an example."""
        schemas = self.view.nodes(self.path, self.data)
        examples = (e for s in schemas for e in s.get("examples", ()) if isinstance(e, str))
        if example := next(examples, ""):
            text = f"{_shown(value)} does not have the right form"
            return _Sentence(text, f'write it like "{example}".')
        return _bad_name(str(value))

    def _out_of_range(self, value: Any) -> _Sentence:
        """Name both bounds, not only the one that was missed."""
        (bound,) = _BOUNDS[str(self.item["type"])] & self.item["ctx"].keys()
        schemas = self.view.nodes(self.path, self.data)
        least, most = (
            next((str(s[key]) for s in schemas if key in s), "") for key in ("minimum", "maximum")
        )
        if least and most:
            return _Sentence(f"{_shown(value)} is out of range", f"write {least} to {most}.")
        words = _BOUND_WORDS[bound].format(self.item["ctx"][bound])
        return _Sentence(f"{_shown(value)} is out of range", f"write {words}.")


def _is_at(item: Mapping[str, Any], path: Path, data: Any) -> bool:
    return _locate(item, data)[0] == path


def _with(data: Any, path: Path, value: Any) -> Any:
    """Return the data with another value at an existing place."""
    if not path:
        return value
    key, *below = path
    changed = data.copy()
    changed[key] = _with(data[key], tuple(below), value)
    return changed


def _is_path(schema: Mapping[str, Any]) -> bool:
    return schema.get("pattern") == _ABSOLUTE or schema.get("format") == "path"


def _bad_name(name: str) -> _Sentence:
    better = as_name(name)
    hint = NAME_HINT
    if better and better != name:
        hint = f'{NAME_HINT} "{better}" is allowed.'
    return _Sentence(f'"{name}" is not a valid name', hint)


def _wrong_type(wanted: list[str], value: Any, as_text: Callable[[Any], str]) -> _Sentence:
    actual = _type_of(value)
    if isinstance(value, float) and "a whole number" in wanted:
        return _Sentence(f"{value} is not a whole number", "write the number without a fraction.")
    hint = f"write {either(wanted)}."
    if _PATH in wanted:
        hint = "write a path, like /var/lib/drd."
    elif wanted == ["text"] or ("text" in wanted and not isinstance(value, (dict, list))):
        hint = as_text(value)
    elif "a mapping" in wanted:
        hint = "write indented lines `key: value` below this key."
    elif "a list" in wanted:
        hint = "write [a, b], or lines that begin with `- `."
    return _Sentence(f"is {actual}, not {either(wanted)}", hint)


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a mapping"


def _no_choice(value: Any, choices: Sequence[str]) -> _Sentence:
    """The choices are named once: in the remedy, unless that is the nearest one."""
    if not isinstance(value, (str, dict, list)) and _plain(value) in choices:
        text = f"is {_type_of(value)}, not text"
        return _Sentence(text, f'put the value in quotes: "{_plain(value)}".')
    if isinstance(value, str) and (close := did_you_mean(value, choices)):
        return _Sentence(f"{_shown(value)} is not one of {', '.join(choices)}", close)
    return _Sentence(f"{_shown(value)} is not allowed here", f"write {either(choices)}.")


def _shown(value: Any) -> str:
    """Write a value as YAML has it."""
    return f'"{value}"' if isinstance(value, str) else _plain(value)


def _plain(value: Any) -> str:
    """Return what a value that is no text is in the file."""
    return str(value).lower() if isinstance(value, bool) else str(value)

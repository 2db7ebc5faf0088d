"""The resolved plan: the meaning of a plan file, with defaults, without comments and secret values.

The plan hash is the digest of its canonical JSON, which every manifest contains."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic.fields import FieldInfo

from drd.config import runbook
from drd.config.durations import duration_text
from drd.config.parse import Parsed
from drd.config.steps import StepKeys
from drd.fields import DURATIONS, Settings
from drd.model.plan import SecretRef
from drd.model.runbook import LOOKING
from drd.registry import extensions_of

Style = Literal["seconds", "plan"]

COMMAND_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The directories in which drd searches programs of a plan, for their digests. $PATH is not used:
the daemon and an operator have different ones, so the plan would seem changed to one of them.
"""

_LARGEST_COMMAND = 64 << 20


def resolved_plan(parsed: Parsed) -> dict[str, Any]:
    """Plain JSON in the shape of the plan file; durations in seconds, their keys end in `_s`. Keys
    of later versions are left out if their value means the same as no key.

    `commands` has the sha256 of every file that a hook, a command check or a step of the runbook
    names, null for a file that is missing here or cannot be read. `extensions` has, for each
    package from which the plan uses something, the first number of its version; if there is no such
    package, the key is left out.
    """
    resolved = {**_full_plan(parsed, "seconds"), "commands": _commands(parsed)}
    used = extensions_of(
        (c.kind for c in parsed.file.components.values()),
        (c.kind for c in parsed.file.checks),
        (s.kind for s in parsed.file.runbook or ()),
    )
    return {**resolved, **({"extensions": {e.name: e.major for e in used}} if used else {})}


def plan_mapping(parsed: Parsed) -> dict[str, Any]:
    """The same as `resolved_plan` as a plan file has it, so that it can be loaded again."""
    return _full_plan(parsed, "plan")


def _full_plan(parsed: Parsed, style: Style) -> dict[str, Any]:
    data = _settings(parsed.file, style)
    targets = {
        target: {name: _settings(place, style) for name, place in places.items()}
        for target, places in parsed.targets.items()
    }
    written_out = {"targets": targets, "runbook": _runbook(parsed, style)}
    keys = [info.alias or name for name, info in type(parsed.file).model_fields.items()]
    return {k: written_out.get(k, data.get(k)) for k in keys if k in written_out or k in data}


def _runbook(parsed: Parsed, style: Style) -> list[dict[str, Any]]:
    """Every step with its name and kind, and those of its other keys that have a value."""
    written = dict(runbook.named(parsed.file.runbook or ()))
    steps = []
    for step in runbook.steps(parsed.file):
        one: dict[str, Any] = {"name": step.name}
        if step.kind in LOOKING:
            one[step.kind] = list(step.subjects)
        elif step.kind == runbook.ERASURES and parsed.file.erasures is not None:
            one[step.kind] = parsed.file.erasures.component
        if step.name in written:
            one |= _step_document(written[step.name], style)
        steps.append(one)
    return steps


def _step_document(step: StepKeys, style: Style) -> dict[str, Any]:
    whole = _settings(step, style)
    result: dict[str, Any] = {}
    for name, info in type(step).model_fields.items():
        key = info.alias or name
        if name in ("name", "restore", "check") or getattr(step, name) == info.default:
            continue
        key = key if key in whole else f"{key}_s"
        inner = getattr(step, name)
        result[key] = _spoken(inner, style) if isinstance(inner, Settings) else whole[key]
    return result


def _spoken(model: Settings, style: Style) -> dict[str, Any]:
    """Return the keys below a step that differ from their defaults."""
    whole = _settings(model, style)
    result: dict[str, Any] = {}
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if value == info.get_default(call_default_factory=True):
            continue
        key = info.alias or name
        key = key if key in whole else f"{key}_s"
        result[key] = _spoken(value, style) if isinstance(value, Settings) else whole[key]
    return result


def _settings(model: Settings, style: Style) -> dict[str, Any]:
    result: dict[str, Any] = {}
    durations = _durations(type(model))
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        written = info.alias or name
        if style == "plan" and value is None:
            continue
        if style == "seconds" and value in model.unsaid.get(name, ()):
            continue
        if name in durations and not isinstance(value, str):
            key = f"{written}_s" if style == "seconds" else written
            result[key] = _duration(value, style)
        else:
            result[written] = _plain(value, style)
    return result


def _plain(value: Any, style: Style) -> Any:
    if isinstance(value, Settings):
        return _settings(value, style)
    if isinstance(value, SecretRef):
        return _reference(value)
    if isinstance(value, Mapping):
        return {key: _plain(item, style) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, style) for item in value]
    return value


def _reference(ref: SecretRef) -> Any:
    if ref.source == "text":
        return ref.value
    return {ref.source: list(ref.value) if isinstance(ref.value, tuple) else ref.value}


def _duration(value: float | None, style: Style) -> Any:
    if value is None:
        return None
    if style == "plan":
        return duration_text(value)
    return int(value) if value.is_integer() else value


@cache
def _durations(settings: type[Settings]) -> frozenset[str]:
    """Return the fields that are durations."""
    return frozenset(n for n, info in settings.model_fields.items() if _is_duration(info))


def _is_duration(info: FieldInfo) -> bool:
    if any(mark in info.metadata for kind in DURATIONS for mark in get_args(kind)[1:]):
        return True
    return any(argument in DURATIONS for argument in get_args(info.annotation))


# --- the commands that it names ---------------------------------------------------------------


def _commands(parsed: Parsed) -> dict[str, str | None]:
    words = dict.fromkeys(word for argv in _argvs(parsed) for word in _files(argv))
    return {word: _digest(word) for word in words}


def _argvs(parsed: Parsed) -> Iterable[list[str]]:
    for component in parsed.file.components.values():
        yield from (list(words) for _, words in component.all_commands())
        yield from (h.command for h in (component.before, component.after) if h is not None)
    for repository in parsed.file.repositories.values():
        if repository.command is not None:
            yield from (list(words) for _, words in repository.command.all_commands())
    for check in parsed.file.checks:
        yield from (list(words) for _, words in check.all_commands())
    if (erasures := parsed.file.erasures) is not None:
        yield from (list(words) for _, words in erasures.all_commands())
    for step in parsed.file.runbook or ():
        yield from (list(words) for _, words in runbook.commands(step))


def _files(argv: list[str]) -> Iterable[str]:
    """Return the program, and the scripts that an interpreter gets: words that are files here."""
    yield from (w for w in argv[:1] if "${" not in w)
    yield from (w for w in argv[1:] if w.startswith("/") and Path(w).is_file())


def _digest(word: str) -> str | None:
    program = word if word.startswith("/") else shutil.which(word, path=COMMAND_PATH)
    if program is None:
        return None
    try:
        path = Path(program)
        if not path.is_file() or path.stat().st_size > _LARGEST_COMMAND:
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None

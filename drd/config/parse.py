"""Convert a YAML document to models. Broken parts are reported and left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from drd.config.json_schema import SchemaView
from drd.config.problems import Report, nearest
from drd.config.schema import PlanFile
from drd.config.translation import translate
from drd.config.unsupported import refuse_unsupported
from drd.config.yaml import Path
from drd.fields import Settings
from drd.registry import KINDS

_ELEMENTS = ("components", "repositories", "checks", "runbook", "targets", "consistency")
"""Sections in which a broken element does not prevent the use of the others."""

_STAND_INS: Mapping[str, Any] = {
    "plan": "unnamed",
    "objectives": {"rpo": "1h", "rto": "1h"},
    "components": {},
    "repositories": {},
}
"""Stand-ins for broken required sections, so that the rest can be checked."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The valid parts of a plan file.

    `kinds` has the kind of every component in the file, valid or not; empty: references to
    components cannot be checked. `check_at`, `step_at` and `group_at` give the place in the file of
    the valid checks, steps and groups of `consistency`. `targets` are in the models of their kinds.
    """

    file: PlanFile
    kinds: Mapping[str, str]
    check_at: tuple[int, ...]
    step_at: tuple[int, ...]
    group_at: tuple[int, ...]
    targets: dict[str, dict[str, Settings]] = field(default_factory=dict)


def parse(report: Report) -> Parsed | None:
    """Validate a document against the schema; every problem goes into the report. None if too
    little is left for further checks."""
    data = report.document.data
    if not isinstance(data, dict):
        hint = "a plan has lines like `key: value`; `drd plan new` writes a first plan."
        report.error((), "is not a mapping", hint)
        return None
    refuse_unsupported(data, report)
    try:
        file = PlanFile.model_validate(data)
    except ValidationError as error:
        translate(error, report, SchemaView(PlanFile), data=data)
    kinds = _kinds(data)
    targets = _targets(data, kinds, report)
    if report.broken:
        remains = _sound_part(data, report.broken)
        try:
            file = PlanFile.model_validate(remains)
        except ValidationError:
            return None
    return Parsed(
        file,
        kinds,
        _sound_items(data, report, "checks"),
        _sound_items(data, report, "runbook"),
        _sound_items(data, report, "consistency"),
        targets,
    )


def _kinds(data: dict[str, Any]) -> dict[str, str]:
    components = data.get("components")
    if not isinstance(components, dict):
        return {}
    return {n: str(c.get("kind")) if isinstance(c, dict) else "" for n, c in components.items()}


def _targets(
    data: dict[str, Any], kinds: Mapping[str, str], report: Report
) -> dict[str, dict[str, Settings]]:
    """Return each target's settings in the model of the component's kind."""
    sound_targets: dict[str, dict[str, Settings]] = {}
    targets = data.get("targets")
    for target, places in targets.items() if isinstance(targets, dict) else ():
        sound_targets[target] = {}
        for component, raw in places.items() if isinstance(places, dict) else ():
            path: Path = ("targets", target, component)
            settings = _target(raw, path, kinds, report)
            if settings is not None:
                sound_targets[target][component] = settings
    return sound_targets


def _target(raw: Any, path: Path, kinds: Mapping[str, str], report: Report) -> Settings | None:
    component = str(path[-1])
    if report.is_broken(path) or not kinds:
        return None
    if component not in kinds:
        message = f'there is no component "{component}"'
        report.error(path, message, nearest(component, list(kinds)), of_key=True)
        return None
    if kinds[component] not in KINDS:
        return None
    model = KINDS[kinds[component]].target
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        translate(error, report, SchemaView(model), data=raw, prefix=path)
        return None


def _sound_part(data: dict[str, Any], broken: set[Path]) -> dict[str, Any]:
    """Return the data without broken parts; required sections get a stand-in."""
    result = {key: value for key, value in data.items() if (key,) not in broken}
    for path in broken:
        section = path[0]
        if section in _ELEMENTS and len(path) > 1:
            continue
        result.pop(str(section), None)
    for section in (s for s in _ELEMENTS if s in result):
        bad = {p[1] for p in broken if len(p) > 1 and p[0] == section}
        value = result[section]
        if isinstance(value, dict):
            kept = {k: v for k, v in value.items() if k not in bad}
            result[section] = kept
        elif isinstance(value, list):
            result[section] = [v for i, v in enumerate(value) if i not in bad]
    if not result.get("runbook", True):
        del result["runbook"]
    return {**{k: v for k, v in _STAND_INS.items() if k not in result}, **result}


def _sound_items(data: dict[str, Any], report: Report, section: str) -> tuple[int, ...]:
    items = data.get(section) if (section,) not in report.broken else None
    bad = {p[1] for p in report.broken if len(p) > 1 and p[0] == section}
    return tuple(i for i in range(len(items) if isinstance(items, list) else 0) if i not in bad)

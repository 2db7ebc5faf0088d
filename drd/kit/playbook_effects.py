"""What a host's own texts in a repository (playbooks, templates of messages and others) would make
drd do, for the person who accepts them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from drd.config.yaml import read
from drd.errors import ConfigError
from drd.kit.plan_effects import PlanEffect
from drd.model.text import escaped

_DIRECTORY = "playbooks/"
_WHAT = {
    "templates": "a template, which drd executes for messages to people",
    "regimes": "a duty to report, which drd would follow",
    "exercises": "an exercise, which drd would offer",
    "awareness": "a text, which drd would give people to read",
}


def own_text_orders(texts: Mapping[str, bytes]) -> dict[str, list[PlanEffect]]:
    """Return what each of the host's own texts would do, by the name of its file. It may replace
    one of drd's. A template is a program, although drd confines it, so it needs acceptance."""
    others = {
        name: [PlanEffect(f"{_WHAT[kind]} ({len(data):,} bytes)", asks=kind == "templates")]
        for name, data in texts.items()
        if (kind := name.partition("/")[0]) in _WHAT
    }
    return {**playbook_orders(texts), **others}


def playbook_orders(texts: Mapping[str, bytes]) -> dict[str, list[PlanEffect]]:
    """Return what the steps of each playbook would do, by the name of its file."""
    return {
        name: list(_of_file(name, data))
        for name, data in texts.items()
        if name.startswith(_DIRECTORY)
    }


def _of_file(name: str, data: bytes) -> Iterator[PlanEffect]:
    try:
        document = read(data, name, allow_empty=True).data
    except ConfigError:
        yield PlanEffect("cannot be read: drd will refuse it", asks=True)
        return
    for at, step in (*_inputs(document), *_steps(document)):
        yield PlanEffect(escaped(f"{at}: {json.dumps(step, default=str)}"), asks=True)


def _inputs(document: Any) -> Iterator[tuple[str, Any]]:
    """Return each input with its place: steps use the values, and a default may be a command."""
    inputs = document.get("inputs") if isinstance(document, dict) else None
    for at, one in enumerate(inputs if isinstance(inputs, list) else []):
        yield f"inputs.{at}", one


def _steps(document: Any) -> Iterator[tuple[str, Any]]:
    """Return each step with its place; of a malformed file whatever is there."""
    tasks = document.get("tasks") if isinstance(document, dict) else None
    for at, task in enumerate(tasks if isinstance(tasks, list) else []):
        steps = task.get("steps") if isinstance(task, dict) else None
        for number, step in enumerate(steps if isinstance(steps, list) else []):
            yield f"tasks.{at}.steps.{number}", step

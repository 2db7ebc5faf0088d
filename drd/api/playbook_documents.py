"""The documents of playbooks."""

from __future__ import annotations

from typing import Any

from drd.api.values import Document
from drd.config.playbook_words import deed
from drd.model.playbook import Playbook
from drd.model.runbook import Live, Step


def playbook_document(playbook: Playbook) -> Document:
    steps = {step.name: step for step in playbook.runbook}
    return {
        "playbook": playbook.name,
        "title": playbook.title,
        "about": playbook.about,
        "use_when": playbook.use_when,
        "own": playbook.own,
        "file": playbook.file,
        "digest": playbook.digest,
        "inputs": [
            {"name": i.name, "what": i.what, "secret": i.secret, "default": i.default}
            for i in playbook.inputs
        ],
        "tasks": [
            {
                "name": task.name,
                "text": task.text,
                "role": task.role,
                "due": str(task.due) if task.due is not None else None,
                "steps": [_step(steps[name]) for name in task.steps],
            }
            for task in playbook.tasks
        ],
    }


def _step(step: Step) -> dict[str, Any]:
    live = step.live or Live()
    return {
        "name": step.name,
        "kind": step.kind,
        "does": deed(step),
        "rollback": deed(live.rollback) if live.rollback is not None else None,
        "final": live.final or None,
        "expires_s": live.expires_s,
        "repeats": step.repeat,
    }

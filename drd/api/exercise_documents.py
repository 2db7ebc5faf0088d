"""The documents of exercises."""

from __future__ import annotations

from typing import Any

from drd.api.values import Document
from drd.model.exercises.exercise import Exercise, Inject, Question


def exercise_document(exercise: Exercise) -> Document:
    return {
        "exercise": exercise.name,
        "title": exercise.title,
        "about": exercise.about,
        "playbooks": list(exercise.playbooks),
        "roles": list(exercise.roles),
        "sources": list(exercise.sources),
        "lasts_s": exercise.lasts_s,
        "own": exercise.own,
        "file": exercise.file,
        "digest": exercise.digest,
        "injects": [_inject(one) for one in exercise.injects],
    }


def _inject(inject: Inject) -> dict[str, Any]:
    return {
        "name": inject.name,
        "at_s": inject.at_s,
        "tell": inject.tell,
        "role": inject.role or None,
        "concerns": {
            "playbooks": list(inject.playbooks),
            "plans": list(inject.plans),
            "regimes": list(inject.regimes),
        },
        "questions": [_question(q) for q in inject.questions],
        "expect": [
            {"name": e.name, "what": e.what, "within_s": e.within_s, "run": e.run or None}
            for e in inject.expectations
        ],
    }


def _question(question: Question) -> dict[str, Any]:
    return {
        "name": question.name,
        "ask": question.ask,
        "role": question.role or None,
        "within_s": question.within_s,
        "options": list(question.options),
        "right": list(question.right or question.words),
        "explain": question.explain or None,
    }

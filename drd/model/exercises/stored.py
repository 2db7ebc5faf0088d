"""An exercise as an entry of the records keeps it: a later change of its file does not matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from drd.model.exercises.exercise import Exercise, Expectation, Inject, Question


def exercise_to_json(exercise: Exercise) -> dict[str, Any]:
    """Return an exercise as plain values, without the place of its file."""
    document = asdict(exercise)
    del document["file"], document["own"]
    return document


def exercise_of_json(kept: Mapping[str, Any]) -> Exercise:
    """Read what `exercise_to_json` has written. Raises KeyError, TypeError or ValueError for
    anything else."""
    return Exercise(
        str(kept["name"]),
        str(kept["title"]),
        str(kept["about"]),
        _texts(kept, "playbooks"),
        _texts(kept, "roles"),
        _texts(kept, "sources"),
        tuple(_inject(one) for one in kept["injects"]),
        str(kept["digest"]),
        "",
        own=True,
    )


def _inject(kept: Mapping[str, Any]) -> Inject:
    return Inject(
        str(kept["name"]),
        float(kept["at_s"]),
        str(kept["tell"]),
        str(kept["role"]),
        _texts(kept, "playbooks"),
        _texts(kept, "plans"),
        _texts(kept, "regimes"),
        tuple(_question(one) for one in kept["questions"]),
        tuple(_expectation(one) for one in kept["expectations"]),
    )


def _question(kept: Mapping[str, Any]) -> Question:
    return Question(
        str(kept["name"]),
        str(kept["ask"]),
        str(kept["role"]),
        _seconds(kept["within_s"]),
        _texts(kept, "words"),
        _texts(kept, "options"),
        _texts(kept, "right"),
        str(kept["explain"]),
    )


def _expectation(kept: Mapping[str, Any]) -> Expectation:
    within = _seconds(kept["within_s"])
    return Expectation(str(kept["name"]), str(kept["what"]), within, str(kept["run"]))


def _texts(kept: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(str(one) for one in kept[key])


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)

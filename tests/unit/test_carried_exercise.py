"""A played exercise is carried through the daemon as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drd.config.exercises import load_exercises
from drd.model.exercises.carried import played_of_json, played_to_json
from drd.model.exercises.played import Played, Said
from drd.model.exercises.stored import exercise_of_json, exercise_to_json

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
EXERCISE = exercise_of_json(exercise_to_json(load_exercises(None).known["leaked-api-key"]))
SAID = Said("we call", "Anna", NOON, 61.5, "good", "4f2a", improves=True)
PLAYED = Played(
    7,
    EXERCISE,
    NOON,
    "Anna",
    2.0,
    {"start": 0.0, "later": None},
    {"q1": SAID},
    {"q1": replace(SAID, elapsed_s=None, improves=False)},
    (SAID, replace(SAID, text="more", run="")),
    NOON + timedelta(hours=1),
    3600.5,
    (3, 4),
    {"start": NOON, "later": NOON + timedelta(minutes=2)},
)


@pytest.mark.parametrize(
    "played",
    [
        PLAYED,
        replace(PLAYED, speed=None, ended_at=None, altered=(), notes=(), told={}, told_at={}),
        Played(1, EXERCISE, NOON, "Bob", 0.0),
    ],
)
def test_an_exercise_that_was_carried_is_the_same(played: Played) -> None:
    assert played_of_json(json.loads(json.dumps(played_to_json(played)))) == played


@pytest.mark.parametrize("key", ["number", "text", "begun_at", "speed", "ended_at", "altered"])
def test_what_drd_never_writes_is_refused(key: str) -> None:
    carried = played_to_json(PLAYED)
    with pytest.raises((KeyError, TypeError, ValueError)):
        played_of_json({name: value for name, value in carried.items() if name != key})

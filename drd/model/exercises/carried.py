"""How an exercise was played, as plain values: for those who play it through the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drd.model.exercises.played import Played, Said
from drd.model.exercises.stored import exercise_of_json, exercise_to_json
from drd.model.units import from_rfc3339, to_rfc3339


def played_to_json(played: Played) -> dict[str, Any]:
    """Return all of it as plain values, with the text of the exercise."""
    return {
        "number": played.number,
        "text": exercise_to_json(played.exercise),
        "begun_at": to_rfc3339(played.begun_at),
        "by": played.by,
        "speed": played.speed,
        "told": dict(played.told),
        "answers": {name: _said_to_json(said) for name, said in played.answers.items()},
        "judged": {name: _said_to_json(said) for name, said in played.judged.items()},
        "notes": [_said_to_json(said) for said in played.notes],
        "ended_at": to_rfc3339(played.ended_at) if played.ended_at is not None else None,
        "elapsed_s": played.elapsed_s,
        "altered": list(played.altered),
        "told_at": {name: to_rfc3339(at) for name, at in played.told_at.items()},
    }


def played_of_json(carried: Mapping[str, Any]) -> Played:
    """Read what `played_to_json` has written. Raises KeyError, TypeError or ValueError for anything
    else."""
    return Played(
        int(carried["number"]),
        exercise_of_json(carried["text"]),
        from_rfc3339(carried["begun_at"]),
        str(carried["by"]),
        _seconds(carried["speed"]),
        {str(name): _seconds(at) for name, at in carried["told"].items()},
        {str(name): _said(said) for name, said in carried["answers"].items()},
        {str(name): _said(said) for name, said in carried["judged"].items()},
        tuple(map(_said, carried["notes"])),
        _time(carried["ended_at"]),
        float(carried["elapsed_s"]),
        tuple(int(number) for number in carried["altered"]),
        {str(name): from_rfc3339(at) for name, at in carried.get("told_at", {}).items()},
    )


def _said_to_json(said: Said) -> dict[str, Any]:
    return {
        "text": said.text,
        "by": said.by,
        "at": to_rfc3339(said.at),
        "elapsed_s": said.elapsed_s,
        "verdict": said.verdict,
        "run": said.run,
        "improves": said.improves,
    }


def _said(carried: Mapping[str, Any]) -> Said:
    return Said(
        str(carried["text"]),
        str(carried["by"]),
        from_rfc3339(carried["at"]),
        _seconds(carried["elapsed_s"]),
        str(carried["verdict"]),
        str(carried["run"]),
        bool(carried["improves"]),
    )


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)


def _time(value: Any) -> datetime | None:
    return None if value is None else from_rfc3339(value)

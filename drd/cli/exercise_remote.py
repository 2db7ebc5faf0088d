"""Play an exercise through the daemon, for members of the group that do not own the state."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from drd.cli.remote import Answered, Remote
from drd.errors import UsageError
from drd.model.exercises.carried import played_of_json
from drd.model.exercises.exercise import Exercise, Question
from drd.model.exercises.played import Played
from drd.model.exercises.stored import exercise_of_json

_PATH = "/v1/exercises"
_PACE_S = 0.06
"""Seconds between two requests: the daemon takes 20 in a second of one user."""


def text_of(remote: Remote, name: str) -> Exercise:
    """Return the exercise of this name. Raises UsageError."""
    if "/" in name or name.endswith(".yaml"):
        raise UsageError(
            f"the daemon does not read the file {name}: it plays the exercises of drd, and those "
            "of the directory that `exercises` in drd.yaml names",
            hint="give the name of an exercise. To list the exercises: drd exercise list",
        )
    with _asking():
        return exercise_of_json(remote.get(f"/v1/exercise-texts/{name}")["text"])


def listed(remote: Remote) -> list[dict[str, Any]]:
    """Return the document of each exercise that was played, the newest first."""
    return list(remote.get(_PATH)["played"])


def document_of(remote: Remote, number: int) -> tuple[dict[str, Any], Played]:
    """Return the document of an exercise that was played, and how it was played."""
    with _asking():
        told = remote.get(f"{_PATH}/{number}")
    return told, played_of_json(told.pop("play"))


class RemoteTable:
    """The table of an exercise that the daemon records. Has the methods of
    `drd.flows.exercises.playing.Table`."""

    def __init__(self, remote: Remote, played: Played, by: str | None) -> None:
        self._remote, self._by = remote, by
        self.played = played

    @classmethod
    def begin(
        cls, remote: Remote, name: str, *, by: str | None, speed: float | None
    ) -> RemoteTable:
        """Begin an exercise."""
        with _asking():
            told = remote.post(f"{_PATH}/begin", exercise=name, speed=speed, by=by)
        return cls(remote, played_of_json(told["play"]), by)

    def tell(self, inject: str, elapsed_s: float | None) -> None:
        self._act("tell", inject=inject, elapsed_s=elapsed_s)

    def answer(self, question: Question, text: str, elapsed_s: float | None, by: str = "") -> None:
        self._act("answer", question=question.name, text=text, elapsed_s=elapsed_s, speaker=by)

    def judge(
        self,
        expectation: str,
        verdict: str,
        *,
        text: str = "",
        elapsed_s: float | None = None,
        by: str = "",
    ) -> None:
        said = {"text": text, "elapsed_s": elapsed_s}
        self._act("judge", expectation=expectation, verdict=verdict, speaker=by, **said)

    def note(
        self, text: str, elapsed_s: float | None, *, by: str = "", improves: bool = False
    ) -> None:
        self._act("note", text=text, elapsed_s=elapsed_s, speaker=by, improves=improves)

    def judge_runs(self) -> None:
        self._act("runs")

    def end(self) -> None:
        self._act("end")

    def _act(self, verb: str, *, speaker: str = "", **body: Any) -> None:
        time.sleep(_PACE_S)
        path = f"{_PATH}/{self.played.number}/{verb}"
        with _asking():
            told = self._remote.post(path, by=self._by, speaker=speaker or None, **body)
        self.played = played_of_json(told["play"])


@contextmanager
def _asking() -> Iterator[None]:
    """What the daemon refuses as wrong usage is a UsageError, as on the daemon's side."""
    try:
        yield
    except Answered as answered:
        if answered.exit_code != UsageError.exit_code:
            raise
        raise UsageError(answered.message, hint=answered.hint) from None

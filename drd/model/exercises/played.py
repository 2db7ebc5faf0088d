"""How an exercise was played: what its entries in the chain of records say.

The entries of an exercise are of kinds of their own, about the subject `exercise:NAME`. Only
exercises read these entries, so they cannot cause an incident, a deadline, an alert or a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from drd.model.exercises.exercise import Exercise, Expectation, Inject, Question
from drd.model.exercises.stored import exercise_of_json
from drd.model.records import Entry, body_of

PREFIX = "exercise"
BEGIN = f"{PREFIX}.begin"
INJECT = f"{PREFIX}.inject"
ANSWER = f"{PREFIX}.answer"
JUDGED = f"{PREFIX}.judged"
NOTE = f"{PREFIX}.note"
END = f"{PREFIX}.end"

MARK = "an exercise: nothing of this happened"
"""A sentence in the first entry of an exercise, for people who read the records without drd."""

MET, PARTLY, MISSED = "met", "partly", "missed"
VERDICTS = (MET, PARTLY, MISSED)


def subject(name: str) -> str:
    """Return the subject of the entries of an exercise."""
    return f"{PREFIX}:{name}"


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said at the table: an answer, a judgement, a note. `elapsed_s` is the time on
    the clock of the exercise, None without a clock; for a run of a playbook, the time of the news
    and the real seconds from then until the run ended. A judgement has a `verdict`, and the id of
    the `run` of a playbook that shows it. An answer with an empty `text`: people left the question
    out. `improves`: the note says what should change."""

    text: str
    by: str
    at: datetime
    elapsed_s: float | None = None
    verdict: str = ""
    run: str = ""
    improves: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """One time that an exercise was played. `number` is the number of its first entry. `speed` is
    how many seconds of its clock pass in one second; 0: there is no clock, and people ask for each
    inject; None: the times come from a file. `told` has for each inject the time on the clock at
    which people got it, `told_at` the time of day. `altered` are the numbers of entries that
    somebody changed, which do not count."""

    number: int
    exercise: Exercise
    begun_at: datetime
    by: str
    speed: float | None
    told: Mapping[str, float | None] = field(default_factory=dict)
    answers: Mapping[str, Said] = field(default_factory=dict)
    judged: Mapping[str, Said] = field(default_factory=dict)
    notes: tuple[Said, ...] = ()
    ended_at: datetime | None = None
    elapsed_s: float = 0.0
    altered: tuple[int, ...] = ()
    told_at: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def untold(self) -> tuple[Inject, ...]:
        return tuple(one for one in self.exercise.injects if one.name not in self.told)

    @property
    def open_questions(self) -> tuple[Question, ...]:
        """The questions that were asked, but have no answer yet."""
        told = (one for one in self.exercise.injects if one.name in self.told)
        return tuple(q for one in told for q in one.questions if q.name not in self.answers)

    @property
    def to_judge(self) -> tuple[Expectation, ...]:
        """The expectations of injects that people got, if nobody has said yet whether they were
        met."""
        told = (one for one in self.exercise.injects if one.name in self.told)
        return tuple(e for one in told for e in one.expectations if e.name not in self.judged)

    def inject_of(self, question: str) -> Inject:
        """Return the inject with this question or expectation."""
        for inject in self.exercise.injects:
            named = {q.name for q in inject.questions} | {e.name for e in inject.expectations}
            if question in named:
                return inject
        raise KeyError(question)


def plays(entries: Iterable[Entry]) -> list[Played]:
    """Read these entries of exercises. Return each time that an exercise was played, sorted by its
    begin. Entries without their body, and entries that drd has not written, do not count."""
    by_exercise: dict[int, Played] = {}
    for entry in sorted(entries, key=lambda one: one.seq):
        change = _CHANGES.get(entry.header.kind)
        if change is None:
            continue
        body = body_of(entry)
        try:
            number = entry.seq if entry.header.kind == BEGIN else int(body["begun"])
            played = change(by_exercise.get(number), entry, body)
        except (KeyError, ValueError, TypeError, AttributeError):
            by_exercise = _altered(by_exercise, entry)
            continue
        if played is not None:
            by_exercise[number] = played
    return [by_exercise[number] for number in sorted(by_exercise)]


def _altered(found: dict[int, Played], entry: Entry) -> dict[int, Played]:
    """Note an entry that somebody changed, in the plays of its exercise that had not ended yet."""
    if not entry.is_altered:
        return found
    return {
        number: replace(one, altered=(*one.altered, entry.seq))
        if subject(one.exercise.name) == entry.header.subject and one.ended_at is None
        else one
        for number, one in found.items()
    }


_Change = Callable[[Played | None, Entry, Mapping[str, Any]], Played | None]


def _begun(_: Played | None, entry: Entry, body: Mapping[str, Any]) -> Played:
    speed = body["speed"]
    exercise = exercise_of_json(body["text"])
    if subject(exercise.name) != entry.header.subject:
        raise ValueError("of another exercise")
    return Played(
        entry.seq,
        exercise,
        entry.header.at,
        str(body["by"]),
        None if speed is None else float(speed),
    )


def _told(played: Played | None, entry: Entry, body: Mapping[str, Any]) -> Played | None:
    name, at = str(body["inject"]), _elapsed(body)
    if played is None or played.ended_at is not None or name in played.told:
        return played
    told_at = {**played.told_at, name: entry.header.at}
    return _at(replace(played, told={**played.told, name: at}, told_at=told_at), at)


def _answered(played: Played | None, entry: Entry, body: Mapping[str, Any]) -> Played | None:
    name, said = str(body["question"]), _said(entry, body)
    if played is None or played.ended_at is not None or name in played.answers:
        return played
    return _at(replace(played, answers={**played.answers, name: said}), said.elapsed_s)


def _judged(played: Played | None, entry: Entry, body: Mapping[str, Any]) -> Played | None:
    name, said = str(body["expectation"]), _said(entry, body)
    if played is None or played.ended_at is not None or name in played.judged:
        return played
    if said.verdict not in VERDICTS:
        raise ValueError(said.verdict)
    return replace(played, judged={**played.judged, name: said})


def _noted(played: Played | None, entry: Entry, body: Mapping[str, Any]) -> Played | None:
    said = _said(entry, body)
    if played is None or played.ended_at is not None:
        return played
    return _at(replace(played, notes=(*played.notes, said)), said.elapsed_s)


def _ended(played: Played | None, entry: Entry, _: Mapping[str, Any]) -> Played | None:
    if played is None or played.ended_at is not None:
        return played
    return replace(played, ended_at=entry.header.at)


_CHANGES: Mapping[str, _Change] = {
    BEGIN: _begun,
    INJECT: _told,
    ANSWER: _answered,
    JUDGED: _judged,
    NOTE: _noted,
    END: _ended,
}
KINDS = tuple(_CHANGES)


def _said(entry: Entry, body: Mapping[str, Any]) -> Said:
    return Said(
        str(body["text"]),
        str(body["by"]),
        entry.header.at,
        _elapsed(body),
        str(body.get("verdict") or ""),
        str(body.get("run") or ""),
        bool(body.get("improves")),
    )


def _elapsed(body: Mapping[str, Any]) -> float | None:
    value = body["elapsed_s"]
    return None if value is None else float(value)


def _at(played: Played, elapsed_s: float | None) -> Played:
    """Return the exercise with its clock at this time, or later if it was later already."""
    return replace(played, elapsed_s=max(played.elapsed_s, elapsed_s or 0.0))

"""The result of an exercise: what was met, when, what was missed, and what should change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drd.model.exercises.exercise import Expectation, Inject, Question
from drd.model.exercises.played import MET, MISSED, PARTLY, Played, Said
from drd.model.text import either
from drd.model.units import format_duration

LATE = "late"
_NOT_TOLD = "people did not get the news that belongs to this"
QUESTION, DECISION, EXPECTATION = "question", "decision", "expectation"


@dataclass(frozen=True, slots=True)
class Item:
    """One question, decision or expectation, and its result: `met`, `late` (right, but after
    `within_s`), `partly` or `missed`. `why` says in words why it is not met. `after_s` is the time
    on the clock from the inject to the answer, None if it is not known."""

    sort: str
    name: str
    inject: str
    asked: str
    verdict: str
    said: Said | None = None
    why: str = ""
    after_s: float | None = None
    within_s: float | None = None
    right: tuple[str, ...] = ()
    explain: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an exercise. `complete`: people got all injects, and ended the exercise."""

    items: tuple[Item, ...]
    complete: bool
    improve: tuple[str, ...] = ()

    def of(self, verdict: str) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.verdict == verdict)

    @property
    def is_passed(self) -> bool:
        """Whether the exercise was played to its end, and everything was met in time."""
        return self.complete and len(self.of(MET)) == len(self.items)


def result_of(played: Played) -> Result:
    """Return the result of an exercise, for the part that was played."""
    items = tuple(_items(played))
    improve = tuple(note.text for note in played.notes if note.improves)
    complete = played.ended_at is not None and not played.untold
    return Result(items, complete, improve)


def _items(played: Played) -> Iterator[Item]:
    for inject in played.exercise.injects:
        for question in inject.questions:
            yield _of_question(played, inject, question)
        for expected in inject.expectations:
            yield _of_expectation(played, inject, expected)


def _of_question(played: Played, inject: Inject, question: Question) -> Item:
    said = played.answers.get(question.name)
    after = _after(played, inject, said)
    verdict, why = _judge(played, inject, question, said, after)
    return Item(
        DECISION if question.is_decision else QUESTION,
        question.name,
        inject.name,
        question.ask,
        verdict,
        said,
        why,
        after,
        question.within_s,
        question.right or question.words,
        question.explain,
    )


def _judge(
    played: Played, inject: Inject, question: Question, said: Said | None, after: float | None
) -> tuple[str, str]:
    if said is None or not said.text:
        told = inject.name in played.told
        return MISSED, "nobody answered" if told else _NOT_TOLD
    if question.right and said.text not in question.right:
        return MISSED, f"according to the exercise, the right decision is: {either(question.right)}"
    if question.words and not contains(said.text, question.words):
        return (
            MISSED,
            f"the answer does not contain any of these words: {', '.join(question.words)}",
        )
    return _in_time(question.within_s, after)


def contains(answer: str, words: tuple[str, ...]) -> bool:
    """Return whether an answer contains one of the words, in capitals or small letters."""
    return any(word.casefold() in answer.casefold() for word in words)


def _in_time(within: float | None, after: float | None) -> tuple[str, str]:
    if within is None or after is None or after <= within:
        return MET, ""
    return LATE, f"took {format_duration(after)}, longer than the allowed {format_duration(within)}"


def _of_expectation(played: Played, inject: Inject, expected: Expectation) -> Item:
    said = played.judged.get(expected.name)
    after = _after(played, inject, said)
    if said is None:
        told = inject.name in played.told
        verdict, why = MISSED, "nobody said whether this was done" if told else _NOT_TOLD
    elif said.verdict == MET:
        verdict, why = _in_time(expected.within_s, after)
    else:
        verdict, why = (PARTLY if said.verdict == PARTLY else MISSED), said.text
    return Item(
        EXPECTATION,
        expected.name,
        inject.name,
        expected.what,
        verdict,
        said,
        why,
        after,
        expected.within_s,
    )


def _after(played: Played, inject: Inject, said: Said | None) -> float | None:
    told = played.told.get(inject.name)
    if said is None or said.elapsed_s is None or told is None:
        return None
    return max(said.elapsed_s - told, 0.0)

"""Play an exercise: each answer is an entry of the chain of records before it is confirmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drd.errors import UsageError
from drd.flows.incidents.texts import name_of, text_of
from drd.model.actor import Actor
from drd.model.exercises import played as kinds
from drd.model.exercises.exercise import Exercise, Question
from drd.model.exercises.played import MARK, VERDICTS, Played, plays, subject
from drd.model.exercises.stored import exercise_to_json
from drd.model.nearest import closest
from drd.model.records import Draft, Entry
from drd.ports import Catalogue, Clock

_MOST = 100_000
LONGEST = 4000
"""Limit in characters of what somebody says."""


def begin(
    catalogue: Catalogue,
    clock: Clock,
    exercise: Exercise,
    *,
    by: str,
    actor: Actor,
    speed: float | None,
) -> Table:
    """Begin an exercise, with its whole text in its first entry."""
    at = clock.now()
    body = {
        "is": MARK,
        "text": exercise_to_json(exercise),
        "speed": speed,
        "by": name_of(by),
        "actor": actor,
    }
    draft = Draft(kinds.BEGIN, subject(exercise.name), body, at, actor)
    entry = catalogue.records.append(draft)
    [played] = plays([entry])
    return Table(catalogue, clock, played, by, actor)


def played_ones(catalogue: Catalogue) -> list[Played]:
    """Return each time that an exercise was played, the newest first."""
    opening: dict[int, Entry] = {}
    for kind in kinds.KINDS:
        opening |= {e.seq: e for e in catalogue.records.newest(kind=kind, limit=_MOST)}
    return plays(opening.values())[::-1]


def find(catalogue: Catalogue, number: int) -> Played:
    """Return the exercise whose first entry has this number. Raises UsageError."""
    hint = "to list the exercises that were played: drd exercise report"
    head = catalogue.records.head()
    first = catalogue.records.get(number) if head is not None and number <= head.seq else None
    if first is None or first.header.kind != kinds.BEGIN:
        raise UsageError(f"no exercise with the number {number} was played", hint=hint)
    about = (catalogue.records.about(first.header.subject, kind=kind) for kind in kinds.KINDS)
    entries = [entry for of_kind in about for entry in of_kind]
    played = next((one for one in plays(entries) if one.number == number), None)
    if played is None:
        raise UsageError(
            f"the text of exercise {number} was removed from the records, or changed", hint=hint
        )
    return played


@dataclass
class Table:
    """The table at which an exercise is played. `by` is the name of the person who types, `actor`
    what the kernel knows of this person. Methods raise UsageError for texts that cannot be
    recorded. When a method returns, its text is in the records."""

    catalogue: Catalogue
    clock: Clock
    played: Played
    by: str
    actor: Actor

    def tell(self, inject: str, elapsed_s: float | None) -> None:
        """Record that people were told an inject."""
        self._add(kinds.INJECT, {"inject": inject, "by": self.by, "elapsed_s": elapsed_s})

    def answer(self, question: Question, text: str, elapsed_s: float | None, by: str = "") -> None:
        """Record an answer or a decision. An empty text: people left the question out."""
        if text:
            text = chosen(question, text) if question.is_decision else _text(text)

        def fits(played: Played) -> None:
            if question.name in played.answers:
                raise UsageError(
                    f"question {question.name} has an answer already: an answer is never changed",
                    hint="to add a correction as a note: /note TEXT",
                )

        self._add(kinds.ANSWER, self._body("question", question.name, text, elapsed_s, by), fits)

    def judge(
        self,
        expectation: str,
        verdict: str,
        *,
        text: str = "",
        elapsed_s: float | None = None,
        run: str = "",
        by: str = "",
    ) -> None:
        """Record whether an expectation was met. `run` is the run that shows it."""
        assert verdict in VERDICTS
        text = _text(text) if text.strip() else ""
        body = self._body("expectation", expectation, text, elapsed_s, by)
        self._add(kinds.JUDGED, {**body, "verdict": verdict, "run": run})

    def note(
        self, text: str, elapsed_s: float | None, *, by: str = "", improves: bool = False
    ) -> None:
        """Record a note about the exercise. `improves`: the note says what should change."""
        body = self._body("note", "", _text(text), elapsed_s, by)
        self._add(kinds.NOTE, {**body, "improves": improves})

    def end(self) -> None:
        """Record that the exercise is over, unless this is recorded already."""
        self._add(kinds.END, {"by": self.by})

    def _body(
        self, key: str, name: str, text: str, elapsed_s: float | None, by: str
    ) -> dict[str, Any]:
        who = name_of(by) if by.strip() else self.by
        return {key: name, "text": text, "by": who, "elapsed_s": elapsed_s}

    def _add(
        self,
        kind: str,
        body: Mapping[str, Any],
        fits: Callable[[Played], None] = lambda _: None,
    ) -> None:
        number, at = self.played.number, self.clock.now()
        of = subject(self.played.exercise.name)

        def drafts(entries: Sequence[Entry]) -> Sequence[Draft]:
            now = _own(entries, number)
            if now.ended_at is not None:
                if kind == kinds.END:
                    return ()
                raise UsageError(
                    f"exercise {number} is over",
                    hint=f"see its result: drd exercise report {number}",
                )
            fits(now)
            whole = {"begun": number, **body, "actor": self.actor}
            return [Draft(kind, of, whole, at, self.actor)]

        self.played = _own(self.catalogue.records.extend(of, drafts), number)


def _own(entries: Sequence[Entry], number: int) -> Played:
    played = next((one for one in plays(entries) if one.number == number), None)
    if played is None:
        raise UsageError(
            f"the text of exercise {number} was removed from the records meanwhile",
            hint="begin the exercise again: drd exercise run NAME. To list the exercises: drd "
            "exercise list",
        )
    return played


def chosen(question: Question, text: str) -> str:
    """Return the option that a person means: by its number, or its text. Raises UsageError."""
    text = text.strip()
    if text.isdecimal() and 1 <= int(text) <= len(question.options):
        return question.options[int(text) - 1]
    for option in question.options:
        if option.casefold() == text.casefold():
            return option
    near = closest(text, list(question.options))
    hint = f"type the number of an option: 1 to {len(question.options)}."
    raise UsageError(
        f"{text[:80]!r} is not one of the options",
        hint=f"did you mean {near!r}? Or {hint}" if near else hint,
    )


def _text(text: str) -> str:
    return text_of(text, "the text", LONGEST)

"""Check the file of an exercise after the schema has accepted it, and make the exercise."""

from __future__ import annotations

from drd.config.exercise_schema import (
    DecisionSettings,
    ExerciseFile,
    InjectSettings,
    QuestionSettings,
)
from drd.config.problems import Report
from drd.config.yaml import Path
from drd.model.exercises.exercise import Exercise, Expectation, Inject, Question
from drd.model.snapshot import json_digest
from drd.model.units import format_duration


def check_exercise(file: ExerciseFile, report: Report) -> None:
    """Report errors that the schema cannot express."""
    seen: dict[str, str] = {}
    before = file.injects[0]
    for at, inject in enumerate(file.injects):
        here: Path = ("injects", at)
        if inject.at < before.at:
            message = (
                f"inject {inject.name} is due before inject {before.name}, which is written above "
                f"it and is due at {format_duration(before.at)}"
            )
            hint = "write the injects in the order of `at`."
            report.error((*here, "at"), message, hint)
        before = inject
        _once(report, seen, "inject", inject.name, here)
        for key in ("questions", "decisions", "expect"):
            for number, one in enumerate(getattr(inject, key)):
                _once(report, seen, "", one.name, (*here, key, number))
        for number, decision in enumerate(inject.decisions):
            for wrong in decision.contradictions():
                place = (*here, "decisions", number, *wrong.path)
                report.error(place, wrong.message, wrong.hint, of_key=wrong.of_key)


def _once(report: Report, seen: dict[str, str], sort: str, name: str, path: Path) -> None:
    """Report a name that is used twice: answers are recorded by the name."""
    key = f"{sort}:{name}"
    if key in seen:
        hint = "give one of the two another name: drd records answers by this name."
        report.error((*path, "name"), f'the name "{name}" is used twice', hint)
    seen[key] = name


def build_exercise(file: ExerciseFile, place: str, *, own: bool) -> Exercise:
    """Return the exercise of a sound file."""
    return Exercise(
        file.exercise,
        file.title.strip(),
        file.about.strip(),
        tuple(file.playbooks),
        tuple(file.roles),
        tuple(file.sources),
        tuple(_inject(one) for one in file.injects),
        json_digest(file.model_dump(mode="json")),
        place,
        own,
    )


def _inject(one: InjectSettings) -> Inject:
    return Inject(
        one.name,
        one.at,
        one.tell.strip(),
        one.role or "",
        tuple(one.concerns.playbooks),
        tuple(one.concerns.plans),
        tuple(one.concerns.regimes),
        (*map(_question, one.questions), *map(_question, one.decisions)),
        tuple(Expectation(e.name, e.what.strip(), e.within, e.run or "") for e in one.expect),
    )


def _question(one: QuestionSettings | DecisionSettings) -> Question:
    shared = (one.name, one.ask.strip(), one.role or "", one.within)
    explain = (one.explain or "").strip()
    if isinstance(one, QuestionSettings):
        return Question(*shared, words=tuple(one.words), explain=explain)
    return Question(*shared, options=tuple(one.options), right=tuple(one.right), explain=explain)

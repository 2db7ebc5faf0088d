"""`drd exercise list|show|check|new|schema`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

from drd.api.exercise_documents import exercise_document
from drd.cli import output
from drd.cli.enduring import quick_settings
from drd.cli.own_files import copied, given, how_many, say_checked, say_named, tell_copied, warn_of
from drd.config.exercises import (
    SHIPPED,
    Exercises,
    exercise_schema,
    exercises_of,
    load_exercises,
    unknown_names,
)
from drd.model.exercises.exercise import Exercise, Expectation, Inject, Question
from drd.model.text import escaped
from drd.model.units import format_duration

_HEADER = ("EXERCISE", "TITLE", "LASTS", "PLAYBOOKS")


def usable(found: Exercises) -> Exercises:
    """Warn of each file that drd cannot use. Returns all exercises."""
    warn_of(found.problems, "drd exercise check")
    return found


def list_(args: argparse.Namespace) -> int:
    exercises = usable(exercises_of(quick_settings(args))).known.values()
    if args.json:
        output.print_json({"exercises": [exercise_document(one) for one in exercises]})
        return 0
    rows = [
        [
            one.name + (" (own)" if one.own else ""),
            escaped(one.title),
            format_duration(one.lasts_s) if one.lasts_s else "0m",
            ", ".join(one.playbooks) or "-",
        ]
        for one in exercises
    ]
    output.say(output.table(rows, header=_HEADER))
    return 0


def show(args: argparse.Namespace) -> int:
    exercise = exercises_of(quick_settings(args)).get(args.name)
    if args.json:
        output.print_json(exercise_document(exercise))
        return 0
    for name, text in _lines(exercise):
        output.say_below(f"{name:<12} ", escaped(text))
    return 0


def _lines(exercise: Exercise) -> Iterator[tuple[str, str]]:
    yield "exercise", exercise.name + (" (own)" if exercise.own else "")
    yield "title", exercise.title
    yield "about", exercise.about
    if exercise.playbooks:
        yield "playbooks", ", ".join(exercise.playbooks)
    if exercise.roles:
        yield "roles", ", ".join(exercise.roles)
    for source in exercise.sources:
        yield "source", source
    for inject in exercise.injects:
        yield from _of_inject(inject)
    yield "file", exercise.file


def _of_inject(inject: Inject) -> Iterator[tuple[str, str]]:
    to = f" (to {inject.role})" if inject.role else ""
    yield f"at {clock_words(inject.at_s)}", f"{inject.name}{to}: {inject.tell}"
    if about := concerns(inject):
        yield "  about", about
    for question in inject.questions:
        yield ("  decision" if question.is_decision else "  question"), _asked(question)
    for expected in inject.expectations:
        yield "  expected", _expected(expected)


def concerns(inject: Inject) -> str:
    """Return what an inject is about, in words; empty if the inject does not name anything."""
    named = (
        ("playbook", inject.playbooks),
        ("plan", inject.plans),
        ("duty to report", inject.regimes),
    )
    return "; ".join(f"{sort} {', '.join(names)}" for sort, names in named if names)


def clock_words(seconds: float) -> str:
    """Return a time on the clock of an exercise: `00:25`, hours and minutes after its start."""
    minutes = int(seconds // 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _asked(question: Question) -> str:
    role = f" ({question.role})" if question.role else ""
    options = f" Options: {'; '.join(question.options)}." if question.options else ""
    right = question.right or question.words
    sort = "Right" if question.is_decision else "A right answer contains one of"
    rights = f" {sort}: {'; '.join(right)}." if right else ""
    explain = f" {question.explain}" if question.explain else ""
    ask = f"{question.name}{role}: {question.ask}{_within(question.within_s)}"
    return f"{ask}{options}{rights}{explain}"


def _expected(expected: Expectation) -> str:
    by = f" (a run of playbook {expected.run} shows it)" if expected.run else ""
    return f"{expected.name}: {expected.what}{by}{_within(expected.within_s)}"


def _within(seconds: float | None) -> str:
    return f" (within {format_duration(seconds)})" if seconds is not None else ""


def check(args: argparse.Namespace) -> int:
    """Check the files of all exercises, and the given ones. Return 2 if a file has an error."""
    settings = quick_settings(args)
    asked = given(args.files)
    exercises = exercises_of(settings, asked.files)
    say_named(args, exercises, asked.names)
    count = how_many((one.own for one in exercises.known.values()), "exercise")
    return say_checked(args, exercises.problems, list(unknown_names(exercises, settings)), count)


def new(args: argparse.Namespace) -> int:
    """Copy an exercise of drd into the directory of the user's own exercises."""
    source = load_exercises(None).get(args.source)
    name = args.name or source.name
    file = copied(
        SHIPPED / f"{source.name}.yaml", "exercise", quick_settings(args).exercises_dir, name
    )
    if args.json:
        output.print_json({"exercise": name, "file": str(file)})
        return 0
    adapt = "adapt the news, questions and expectations to your service"
    tell_copied("exercise", file, adapt, f"drd exercise show {name}", quiet=args.quiet)
    return 0


def schema(_: argparse.Namespace) -> int:
    output.say(json.dumps(exercise_schema(), indent=2))
    return 0

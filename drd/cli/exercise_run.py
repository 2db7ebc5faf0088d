"""`drd exercise run`: play an exercise at a terminal, or with a file of answers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from drd import process
from drd.api.exercise_acts import judge_runs
from drd.api.exercise_result import as_markdown, played_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.decide import who
from drd.cli.exercise_remote import RemoteTable, document_of, listed, text_of
from drd.cli.exercise_table import Table, Terminal
from drd.cli.incident_acting import zone_of
from drd.cli.remote import Remote
from drd.cli.session import session
from drd.config.daemon import DaemonSettings
from drd.config.exercise_answers import AnswersFile, load_answers
from drd.config.exercises import exercises_of
from drd.errors import Cancelled, ConfigError, UsageError
from drd.flows.exercises.playing import Table as RecordedTable
from drd.flows.exercises.playing import begin, chosen, find, played_ones
from drd.model.exercises.exercise import Exercise
from drd.model.exercises.played import MET, MISSED, PARTLY, Played
from drd.model.exercises.result import LATE, result_of
from drd.model.text import escaped

_VERDICTS = {"yes": MET, "partly": PARTLY, "no": MISSED}


def run(args: argparse.Namespace) -> int:
    """Return 0 if the exercise was played to its end, and everything was met, else 1."""
    with session(args, acts=False, records=True) as app:
        _require_a_way(args)
        table = _table(app, args) if app.state.is_ours else _remote_table(app, args)
        answers = None
        if args.answers is not None:
            answers = _answers(args, table.played.exercise)
        try:
            if answers is not None:
                _from_file(table, answers)
            else:
                Terminal(table, args.speed, beside=args.json).play()
            _judge_runs(app, table, quiet=args.json or args.quiet)
            if answers is not None:
                _judged(table, answers)
            else:
                Terminal(table, args.speed, beside=args.json).review()
            table.end()
        except Cancelled as cancelled:
            number = table.played.number
            cancelled.message = f"exercise {number} was interrupted; all recorded answers are kept"
            cancelled.hint = f"to continue: drd exercise run --resume {number}"
            cancelled.program = ""
            raise
        return _tell(app, args, table.played)


def _require_a_way(args: argparse.Namespace) -> None:
    if args.answers is not None and args.speed is not None:
        raise UsageError(
            "--answers and --speed exclude each other: with a file of answers, drd does not wait",
            hint="leave out --speed.",
        )
    if args.answers is None and not sys.stdin.isatty():
        raise UsageError(
            "an exercise needs a terminal on which people type their answers",
            hint="in a script, give the answers in a file: --answers FILE",
        )
    if (args.name is None) == (args.resume is None):
        raise UsageError(
            "give either the name of an exercise, or --resume NUMBER to continue an exercise",
            hint="to list the exercises: drd exercise list. To list those that were played, with "
            "their numbers: drd exercise report",
        )


def _remote_table(app: App, args: argparse.Namespace) -> RemoteTable:
    """Return the table of an exercise that the daemon records."""
    remote = Remote(app)
    if args.resume is not None:
        _, played = document_of(remote, args.resume)
        _require_going_on(played)
        return RemoteTable(remote, played, args.by)
    exercise = text_of(remote, args.name)
    if args.answers is not None:
        _answers(args, exercise)  # an error comes before anything is recorded
    _tell_unfinished(listed(remote), exercise, args)
    return RemoteTable.begin(remote, exercise.name, by=args.by, speed=_speed(args))


def _speed(args: argparse.Namespace) -> float | None:
    return None if args.answers is not None else 1.0 if args.speed is None else args.speed


def _require_going_on(played: Played) -> None:
    if played.ended_at is not None:
        raise UsageError(
            f"exercise {played.number} is over",
            hint=f"see its result: drd exercise report {played.number}",
        )


def _table(app: App, args: argparse.Namespace) -> RecordedTable:
    said = who(args, app.settings)
    by = str(app.settings.users.get(said["by"], said["by"]) if args.by is None else args.by)
    if args.resume is not None:
        played = find(app.catalogue, args.resume)
        _require_going_on(played)
        return RecordedTable(app.catalogue, app.clock, played, by, said["actor"])
    exercise = _exercise(app.settings, args.name)
    if args.answers is not None:
        _answers(args, exercise)  # an error comes before anything is recorded
    _tell_unfinished(map(played_document, played_ones(app.catalogue)), exercise, args)
    actor, speed = said["actor"], _speed(args)
    return begin(app.catalogue, app.clock, exercise, by=by, actor=actor, speed=speed)


def _exercise(settings: DaemonSettings, name: str) -> Exercise:
    """Return the exercise of this name, or in this file."""
    if "/" not in name and not name.endswith(".yaml"):
        return exercises_of(settings).get(name)
    path = Path(name).absolute()
    exercises = exercises_of(settings, (path,))
    known = next((one for one in exercises.known.values() if one.file == str(path)), None)
    if known is None:
        wrong = [problem for problem in exercises.problems if problem.file == str(path)]
        raise ConfigError(wrong)
    return known


def _tell_unfinished(
    played: Iterable[Mapping[str, Any]], exercise: Exercise, args: argparse.Namespace
) -> None:
    """Warn if the exercise was begun before and is not over. `played` are documents."""
    for one in played:
        if one["exercise"] == exercise.name and one["ended_at"] is None and not args.quiet:
            output.warn(
                f"exercise {one['number']} ({exercise.name}) is not over. To continue it instead: "
                f"drd exercise run --resume {one['number']}"
            )
            return


# --- with a file of answers ------------------------------------------------------------------


def _answers(args: argparse.Namespace, exercise: Exercise) -> AnswersFile:
    """Read the file of answers. Raises ConfigError, and UsageError for an option that a decision
    does not have."""
    answers = load_answers(Path(args.answers), exercise)
    for question in exercise.questions:
        if question.is_decision and (said := answers.answers.get(question.name)) is not None:
            try:
                chosen(question, said.answer)
            except UsageError as error:
                error.message = f"{args.answers}: {question.name}: {error.message}"
                raise
    return answers


def _from_file(table: Table, answers: AnswersFile) -> None:
    """Record each inject at its time, with the answers of the file. Recorded answers stay."""
    for inject in table.played.exercise.injects:
        process.check_cancelled()
        if inject.name not in table.played.told:
            table.tell(inject.name, inject.at_s)
        for question in inject.questions:
            if question.name in table.played.answers:
                continue
            said = answers.answers.get(question.name)
            if said is None:
                table.answer(question, "", None)
                continue
            after = inject.at_s + said.after if said.after is not None else None
            table.answer(question, said.answer, after, said.by)
    known = {note.text for note in table.played.notes}
    for text in answers.notes:
        if text.strip() not in known:
            table.note(text, None)


def _judged(table: Table, answers: AnswersFile) -> None:
    for expected in table.played.to_judge:
        said = answers.expect.get(expected.name)
        if said is None:
            continue
        told = table.played.told.get(table.played.inject_of(expected.name).name)
        after = told + said.after if told is not None and said.after is not None else None
        verdict = _VERDICTS[said.met]
        table.judge(expected.name, verdict, text=said.says, elapsed_s=after, by=said.by)
    known = {note.text for note in table.played.notes if note.improves}
    for text in answers.improve:
        if text.strip() not in known:
            table.note(text, None, improves=True)


# --- runs of playbooks -----------------------------------------------------------------------


def _judge_runs(app: App, table: Table, *, quiet: bool) -> None:
    """Let drd judge which playbooks were run since the exercise began, and print the verdicts."""
    expected = {one.name for one in table.played.to_judge if one.run}
    if not expected:
        return
    if isinstance(table, RemoteTable):
        table.judge_runs()
    else:
        assert isinstance(table, RecordedTable)
        judge_runs(app, table)
    for item in result_of(table.played).items:
        if item.name in expected and item.said is not None and not quiet:
            late = f"; {item.why}" if item.verdict == LATE else ""
            words = f"{item.name}: {item.said.text}{late}"
            output.say_below(f"  {item.verdict:<8} ", escaped(words))


# --- the end ---------------------------------------------------------------------------------


def _tell(app: App, args: argparse.Namespace, played: Played) -> int:
    if args.json:
        output.print_json(played_document(played))
    elif not args.quiet:
        output.say()
        for line in as_markdown(played, zone_of(app)).splitlines():
            output.say(line)
        output.say(f"to see this result again: drd exercise report {played.number}")
    return 0 if result_of(played).is_passed else 1

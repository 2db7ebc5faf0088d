"""`drd exercise run`: play an exercise at a terminal, or with a file of answers."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path

from drd import process
from drd.api.exercise_result import as_markdown, played_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.decide import who
from drd.cli.exercise_table import Terminal
from drd.cli.incident_acting import zone_of
from drd.cli.session import require_owner, session
from drd.config.daemon import DaemonSettings
from drd.config.exercise_answers import AnswersFile, load_answers
from drd.config.exercises import exercises_of
from drd.config.playbooks import playbooks_of
from drd.errors import Cancelled, ConfigError, UsageError
from drd.flows.exercises.playing import Table, begin, chosen, find, played_ones
from drd.flows.playbooks.rehearsals import rehearsals
from drd.model.exercises.exercise import Exercise, Expectation
from drd.model.exercises.played import MET, MISSED, PARTLY, Played
from drd.model.exercises.result import result_of
from drd.model.rehearsals import Rehearsal, newest

_WHY = "the answers of an exercise are entries of the records, which only their owner can add to"
_VERDICTS = {"yes": MET, "partly": PARTLY, "no": MISSED}


def run(args: argparse.Namespace) -> int:
    """Return 0 if the exercise was played to its end, and everything was met, else 1."""
    with session(args, acts=False, records=True) as app:
        require_owner(app, "exercise run", _WHY)
        _require_a_way(args)
        table = _table(app, args)
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


def _table(app: App, args: argparse.Namespace) -> Table:
    said = who(args, app.settings)
    by = str(app.settings.users.get(said["by"], said["by"]) if args.by is None else args.by)
    if args.resume is not None:
        played = find(app.catalogue, args.resume)
        if played.ended_at is not None:
            raise UsageError(
                f"exercise {played.number} is over",
                hint=f"see its result: drd exercise report {played.number}",
            )
        return Table(app.catalogue, app.clock, played, by, said["actor"])
    exercise = _exercise(app.settings, args.name)
    if args.answers is not None:
        _answers(args, exercise)  # an error comes before anything is recorded
    _tell_unfinished(app, exercise, args)
    speed = None if args.answers is not None else 1.0 if args.speed is None else args.speed
    return begin(app.catalogue, app.clock, exercise, by=by, actor=said["actor"], speed=speed)


def _exercise(settings: DaemonSettings, name: str) -> Exercise:
    """Return the exercise of this name, or in this file."""
    if "/" not in name and not name.endswith(".yaml"):
        return exercises_of(settings).get(name)
    path = Path(name).absolute()
    found = exercises_of(settings, (path,))
    known = next((one for one in found.known.values() if one.file == str(path)), None)
    if known is None:
        wrong = [problem for problem in found.problems if problem.file == str(path)]
        raise ConfigError(wrong)
    return known


def _tell_unfinished(app: App, exercise: Exercise, args: argparse.Namespace) -> None:
    for played in played_ones(app.catalogue):
        if played.exercise.name == exercise.name and played.ended_at is None and not args.quiet:
            output.warn(
                f"exercise {played.number} ({exercise.name}) is not over. To continue it instead: "
                f"drd exercise run --resume {played.number}"
            )
            return


# --- with a file of answers ------------------------------------------------------------------


def _answers(args: argparse.Namespace, exercise: Exercise) -> AnswersFile:
    """Read the file of answers. Raises ConfigError, and UsageError for an option that a decision
    does not have."""
    found = load_answers(Path(args.answers), exercise)
    for question in exercise.questions:
        if question.is_decision and (said := found.answers.get(question.name)) is not None:
            try:
                chosen(question, said.answer)
            except UsageError as error:
                error.message = f"{args.answers}: {question.name}: {error.message}"
                raise
    return found


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
    """Judge each expectation with a playbook: was this playbook run since the exercise began?"""
    for expected in table.played.to_judge:
        if expected.run:
            found = _newest_run(app, expected, table.played.begun_at)
            verdict = MET if found is not None and found.counts else MISSED
            text = _run_words(expected, found)
            table.judge(expected.name, verdict, text=text, run=found.run if found else "", by="drd")
            if not quiet:
                output.say_below(f"  {verdict:<8} ", f"{expected.name}: {text}")


def _newest_run(app: App, expected: Expectation, begun: datetime) -> Rehearsal | None:
    playbook = playbooks_of(app.settings).known.get(expected.run)
    if playbook is None:
        return None
    return newest(rehearsals(app.catalogue, playbook, begun))


def _run_words(expected: Expectation, found: Rehearsal | None) -> str:
    if found is None:
        return f"nobody ran playbook {expected.run} to its end during the exercise"
    if found.counts:
        return f"run {found.run} executed every step of playbook {expected.run}"
    return f"run {found.run} of playbook {expected.run} does not count, because {found.lacks}"


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

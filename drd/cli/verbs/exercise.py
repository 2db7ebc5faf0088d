"""Options of `drd exercise`."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.parser import Verbs
from drd.cli.verbs.leaf import leaf
from drd.cli.verbs.own_files import Told, own_file_verbs

_FASTEST = 100_000

EXAMPLES = """\
examples:
  drd exercise list                         the exercises of drd and your own
  drd exercise show ransomware              its injects, questions and answers: for organisers
  drd exercise new --from ransomware        copy it into your own directory and adapt it
  drd exercise check                        check all files: schema, times, names
  drd exercise check ./quake.yaml           check this file as well
  drd exercise schema > exercise.schema.json

exit codes: 0 done, 2 usage, or a file has an error."""

RUN_EXAMPLES = """\
examples:
  drd exercise run ransomware                    by the clock: each inject comes at its time
  drd exercise run ransomware --speed 60         a minute of the exercise takes a second
  drd exercise run ./quake.yaml --speed 0        without a clock: Enter shows the next inject
  drd exercise run --resume 213                  continue an exercise that was interrupted
  drd exercise run insider --answers said.yaml   without a terminal: reads the answers from a file

drd records each answer, with the time and who said it, before it confirms it. After an interruption
or a kill, --resume continues with the first question that has no answer.
exit codes: 0 all expectations met, 1 one of them missed or late, 2 usage, 130 interrupted."""

REPORT_EXAMPLES = """\
examples:
  drd exercise report                            which exercises were played
  drd exercise report 213                        what was met, late or missed, and what to improve
  drd exercise report 213 --output result.md     the same, into a new file

exit codes: 0 done, 2 usage."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "exercise",
        description="Table-top exercises: drd tells people the news of an incident by the clock, "
        "and records what they answer and decide. Nothing real happens: drd opens no incident, "
        "starts no deadline and sends no message. drd has its own exercises. Your exercises are "
        "files in the directory that `exercises` in drd.yaml names.",
        epilog=EXAMPLES,
    )
    verbs = parser.add_subparsers(dest="exercise_verb", metavar="VERB", required=True)
    own_file_verbs(
        verbs,
        "exercise",
        show=Told(
            "show one exercise with its answers, for organisers",
            "Show one exercise for the person who prepares it: each inject, its questions, the "
            "right answers, and what is expected. People who take part should not read this.",
        ),
        check=Told(
            "check the files of exercises: schema, times, names",
            "Check the files of all exercises: their schema, the order of the injects, and the "
            "playbooks, plans and duties to report that they name.",
        ),
        epilog=EXAMPLES,
    )
    _run(verbs)
    _report(verbs)


def _run(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    run = leaf(
        verbs,
        "run",
        "play an exercise: news by the clock, answers are recorded",
        "exercise_run:run",
        description="Play an exercise with the people at the table: one person types what they "
        "answer and decide. At the end, drd asks whether the expectations were met and what should "
        "change, and prints the result. drd opens no incident, starts no deadline, raises no alert "
        "and sends no message. Members of the operating group play it through the daemon.",
        epilog=RUN_EXAMPLES,
    )
    run.add_argument("name", nargs="?", metavar="NAME", help="name or file of the exercise")
    run.add_argument(
        "--speed",
        type=_speed,
        metavar="N",
        help="how many times faster than real time the clock runs (default: 1); with 0, there is "
        "no clock: press Enter to continue",
    )
    run.add_argument(
        "--answers",
        metavar="FILE",
        help="a YAML file with the answers; drd then asks no questions and does not wait",
    )
    run.add_argument(
        "--resume", type=count, metavar="N", help="continue the exercise with this number"
    )
    run.add_argument("--by", metavar="NAME", help="the name of the person who types")


def _report(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    report = leaf(
        verbs,
        "report",
        "the exercises that were played, and their results",
        "exercise_report:run",
        description="List the exercises that were played, or print the result of one as Markdown: "
        "what was met, late and missed, who said what, and what should change.",
        epilog=REPORT_EXAMPLES,
    )
    report.add_argument(
        "number", nargs="?", type=count, metavar="N", help="number of an exercise that was played"
    )
    report.add_argument("--output", metavar="FILE", help="write the page into this new file")


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0 <= speed <= _FASTEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {_FASTEST}")
    return speed

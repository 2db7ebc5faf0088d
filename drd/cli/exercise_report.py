"""`drd exercise report`: the exercises that were played, and the result of one."""

from __future__ import annotations

import argparse

from drd.api.exercise_result import as_markdown, played_document, state_words
from drd.cli import output
from drd.cli.incident_acting import zone_of
from drd.cli.new_file import write_new
from drd.cli.session import require_owner, session
from drd.flows.exercises.playing import find, played_ones
from drd.model.text import escaped
from drd.model.units import format_time

_WHY = "the answers of an exercise are in the records, which only their owner reads"
_HEADER = ("NUMBER", "EXERCISE", "BEGUN", "BY", "RESULT")


def run(args: argparse.Namespace) -> int:
    with session(args, reading=True) as app:
        require_owner(app, "exercise report", _WHY)
        zone = zone_of(app)
        played = find(app.catalogue, args.number) if args.number is not None else None
        every = [] if played is not None else played_ones(app.catalogue)
    if played is None:
        if args.json:
            output.print_json({"played": [played_document(one) for one in every]})
            return 0
        rows = [
            (
                str(one.number),
                escaped(one.exercise.name),
                format_time(one.begun_at, zone=zone),
                escaped(one.by),
                state_words(one),
            )
            for one in every
        ]
        output.say(output.table(rows, header=_HEADER) if rows else "no exercise was played yet")
        return 0
    page = as_markdown(played, zone)
    if args.output is not None:
        write_new(args.output, page.encode())
    if args.json:
        output.print_json({**played_document(played), "file": args.output})
    elif args.output is None:
        for line in page.splitlines():
            output.say(line)
    elif not args.quiet:
        output.say(f"wrote {escaped(args.output)}")
    return 0

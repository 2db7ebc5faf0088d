"""`drd exercise report`: the exercises that were played, and the result of one."""

from __future__ import annotations

import argparse
from typing import Any

from drd.api.exercise_result import as_markdown, played_document, state_words
from drd.bootstrap import App
from drd.cli import output
from drd.cli.exercise_remote import document_of, listed
from drd.cli.incident_acting import zone_of
from drd.cli.new_file import write_new
from drd.cli.remote import Remote
from drd.cli.session import session
from drd.flows.exercises.playing import find, played_ones
from drd.model.exercises.played import Played
from drd.model.text import escaped
from drd.model.units import format_time, from_rfc3339

_HEADER = ("NUMBER", "EXERCISE", "BEGUN", "BY", "RESULT")


def run(args: argparse.Namespace) -> int:
    with session(args, reading=True) as app:
        zone = zone_of(app)
        played = _played(app, args.number) if args.number is not None else None
        every = [] if played is not None else _every(app)
    if played is None:
        if args.json:
            output.print_json({"played": every})
            return 0
        rows = [
            (
                str(one["number"]),
                escaped(one["exercise"]),
                format_time(from_rfc3339(one["begun_at"]), zone=zone),
                escaped(one["by"]),
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


def _played(app: App, number: int) -> Played:
    if app.state.is_ours:
        return find(app.catalogue, number)
    return document_of(Remote(app), number)[1]


def _every(app: App) -> list[dict[str, Any]]:
    """Return the document of each exercise that was played, the newest first."""
    if not app.state.is_ours:
        return listed(Remote(app))
    return [played_document(one) for one in played_ones(app.catalogue)]

"""`drd playbook list|show|check|new|schema`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

from drd.api.playbook_documents import playbook_document
from drd.cli import output
from drd.cli.enduring import quick_settings
from drd.cli.own_files import copied, given, how_many, say_checked, say_named, tell_copied, warn_of
from drd.config.playbook_words import step_words
from drd.config.playbooks import (
    SHIPPED,
    Playbooks,
    load_playbooks,
    playbook_schema,
    playbooks_of,
    unheld_findings,
)
from drd.model.playbook import Playbook
from drd.model.text import escaped

_HEADER = ("PLAYBOOK", "TITLE", "TASKS", "STEPS")


def usable(found: Playbooks) -> Playbooks:
    """Warn of each file that drd cannot use. Returns all playbooks."""
    warn_of(found.problems, "drd playbook check")
    return found


def list_(args: argparse.Namespace) -> int:
    playbooks = usable(playbooks_of(quick_settings(args))).known.values()
    if args.json:
        output.print_json({"playbooks": [playbook_document(one) for one in playbooks]})
        return 0
    rows = [
        [
            one.name + (" (own)" if one.own else ""),
            escaped(one.title),
            str(len(one.tasks)),
            str(len(one.runbook)),
        ]
        for one in playbooks
    ]
    output.say(output.table(rows, header=_HEADER))
    return 0


def show(args: argparse.Namespace) -> int:
    playbook = playbooks_of(quick_settings(args)).get(args.name)
    if args.json:
        output.print_json(playbook_document(playbook))
        return 0
    for name, text in _lines(playbook):
        output.say_below(f"{name:<10} ", escaped(text))
    return 0


def _lines(playbook: Playbook) -> Iterator[tuple[str, str]]:
    yield "playbook", playbook.name + (" (own)" if playbook.own else "")
    yield "title", playbook.title
    yield "about", playbook.about
    yield "use when", playbook.use_when
    for one in playbook.inputs:
        secret = " (a secret: give file:PATH, env:NAME or credential:NAME)" if one.secret else ""
        default = f"; default: {one.default}" if one.default is not None else ""
        yield "input", f"{one.name}: {one.what}{secret}{default}"
    steps = {step.name: step for step in playbook.runbook}
    for task in playbook.tasks:
        due = f", due {task.due}" if task.due is not None else ""
        yield "task", f"{task.name} ({task.role}{due}): {task.text}"
        for name in task.steps:
            yield "  step", step_words(steps[name])
    yield "file", playbook.file


def check(args: argparse.Namespace) -> int:
    """Check the files of all playbooks, and the given ones. Return 2 if a file has an error."""
    settings = quick_settings(args)
    asked = given(args.files)
    playbooks = playbooks_of(settings, asked.files)
    say_named(args, playbooks, asked.names)
    count = how_many((one.own for one in playbooks.known.values()), "playbook")
    return say_checked(args, playbooks.problems, list(unheld_findings(playbooks, settings)), count)


def new(args: argparse.Namespace) -> int:
    """Copy a playbook of drd into the directory of the user's own playbooks."""
    source = load_playbooks(None).get(args.source)
    name = args.name or source.name
    file = copied(
        SHIPPED / f"{source.name}.yaml", "playbook", quick_settings(args).playbooks_dir, name
    )
    if args.json:
        output.print_json({"playbook": name, "file": str(file)})
        return 0
    adapt = "adapt the addresses, roles and steps to your service"
    dry = f"drd playbook run {name} --dry-run"
    tell_copied("playbook", file, adapt, dry, quiet=args.quiet)
    return 0


def schema(_: argparse.Namespace) -> int:
    output.say(json.dumps(playbook_schema(), indent=2))
    return 0

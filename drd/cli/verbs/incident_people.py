"""Options of the verbs of `drd incident` about people: assign, role, task."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import entry


def people(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    entry(
        verbs,
        "assign",
        "name the lead of the response",
        "NAME",
        examples="drd incident assign anna",
        description="Name the lead of the response.",
    )
    entry(
        verbs,
        "role",
        "give a person a role",
        "ROLE NAME",
        examples="drd incident role communications bert",
        description="Give a person a role in the response: communications, legal, forensics, …",
    )
    task = entry(
        verbs,
        "task",
        "add a task, or report it as done",
        "TEXT",
        examples='drd incident task "change the key" --to bert --due 1h\n'
        "drd incident task --done 2",
        description="Add a task, or report a task as done.",
    )
    task.add_argument("--to", default="", metavar="NAME", help="who does it")
    task.add_argument(
        "--due", metavar="TIME", help="when the task is due: 1h from now, 16:00, or RFC 3339"
    )
    task.add_argument("--done", type=count, metavar="TASK", help="number of a task that is done")

"""The verbs in families, as people look for them: `drd run cancel` beside `drd cancel`.

A member is the verb with the same options, in its family under a name of its own. Only the member
that the command line names imports its options."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from drd.cli.options import global_options
from drd.cli.parser import Parser, Verbs

MEMBERS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "plan": {
        "readiness": ("readiness", "whether the recovery of each plan is proven, or why not"),
        "schedule": ("schedule", "what runs next, for how long, and why"),
        "training": ("training", "what people practised and read, and until when it counts"),
    },
    "point": {
        "list": ("points", "the restore points of a plan"),
        "ls": ("ls", "what a restore point contains: files, tables"),
        "mount": ("mount", "mount the files of a restore point in a directory"),
        "diff": ("diff", "what changed since a restore point"),
        "hold": ("hold", "keep a restore point whatever the rules say"),
        "release": ("release", "end a hold, so that retention may forget the restore point"),
    },
    "run": {
        "list": ("runs", "which runs there were, and how they ended"),
        "cancel": ("cancel", "end a run and everything that it started"),
        "resume": ("resume", "continue a recovery that stopped"),
        "approve": ("approve", "approve a step that a recovery waits for"),
        "done": ("done", "report a manual step, or a whole recovery, as done"),
        "retry": ("retry", "try a failed step of a recovery again"),
        "skip": ("skip", "continue a recovery without one of its steps"),
        "rollback": ("rollback", "roll back the steps of a recovery"),
        "undo": ("undo", "put back the data that a recovery replaced"),
        "evidence": ("evidence", "what drills and recoveries proved"),
    },
    "alert": {
        "list": ("alerts", "open alerts, and who takes care of them"),
        "ack": ("ack", "acknowledge an alert: silence it for a while"),
        "notify": ("notify", "test the channels; list their state"),
        "incident": ("incident", "the response to an incident: who did what when"),
        "playbook": ("playbook", "how to contain an incident: revoke, limit, block, recover"),
        "exercise": ("exercise", "table-top exercises: people practise an incident by the clock"),
    },
    "repository": {
        "copy": ("copy", "copy restore points to the plan's other repositories"),
        "verify": ("verify", "check that the repositories can still be read"),
        "retention": ("retention", "forget restore points by the plan's policy"),
        "prune": ("prune", "remove data that no restore point needs"),
        "catalogue": ("catalogue", "rebuild or verify drd's catalogue from the repositories"),
    },
    "kit": {
        "bootstrap": ("bootstrap", "make an empty machine ready to recover"),
    },
    "service": {
        "install": ("install", "install the systemd service"),
        "uninstall": ("uninstall", "stop the service and remove the files that install wrote"),
        "daemon": ("daemon", "run the service: start what is due, supervise, alert"),
        "records": ("records", "the signed records of what was proven, decided and done"),
        "obligations": ("obligations", "duties to report an incident, and when reports are due"),
        "adopt": ("adopt", "show or decide which machine owns drd's state"),
        "config": ("config", "check drd.yaml before the daemon reads it"),
        "completion": ("completion", "print the completion script for your shell"),
    },
}
"""By family and name in the family: the verb, and its line in the help of the family."""


def add_members(verbs: Verbs, family: str) -> None:
    """Add the members to the verbs of their family; with their options, if they are named."""
    for name, (verb, line) in MEMBERS[family].items():
        verbs.member = name, line
        if verbs.words is None or name in verbs.words:
            import_module(f"drd.cli.verbs.{verb}").add_parser(verbs)
        else:
            verbs.add_parser(verb)


def verbs_of(parser: Parser, above: Verbs, name: str) -> Verbs:
    """Return the verbs of a family with its members; its own can be added."""
    verbs = parser.add_subparsers(
        prog=parser.prog,
        dest=f"{name}_verb",
        metavar="VERB",
        required=True,
        parser_class=Parser,
        action=Verbs,
    )
    assert isinstance(verbs, Verbs)
    verbs.words = above.words
    add_members(verbs, name)
    return verbs


def family(sub: Verbs, name: str, description: str, examples: str) -> Verbs:
    """Add a family that consists of members, and return its verbs."""
    parser = sub.add_parser(name, description=description, epilog=examples)
    assert isinstance(parser, Parser)
    global_options(parser)
    return verbs_of(parser, sub, name)

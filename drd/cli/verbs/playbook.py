"""Options of `drd playbook`."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.parser import Verbs
from drd.cli.verbs.leaf import leaf

EXAMPLES = """\
examples:
  drd playbook list                         the playbooks of drd and your own
  drd playbook show leaked-api-key          when to use it, what it asks for, its tasks and steps
  drd playbook new --from leaked-api-key    copy it into your own directory, to adapt it
  drd playbook check                        all files: schema, values, roles that nobody holds
  drd playbook check ./block.yaml           one file, wherever it is
  drd playbook schema > playbook.schema.json

exit codes: 0 done, 2 usage, or a file has an error."""

RUN_EXAMPLES = """\
examples:
  drd playbook run leaked-api-key --dry-run           what would happen, step by step
  drd playbook run leaked-api-key --incident 3        on the timeline of incident 3, with its tasks
  drd playbook run leaked-api-key --set key-url=https://gw:8443/keys/17 \\
      --set admin-token=file:/etc/drd/gateway-token   a secret only as file:, env: or credential:
  drd playbook run insider --plan orders --yes        steps that need a plan use this plan

While it runs, in another terminal: drd approve RUN STEP --by NAME, drd done, drd retry, drd skip.
To continue after a kill: drd resume RUN. To take everything back: drd rollback RUN.
exit codes: 0 done, 1 a step failed, 2 usage, 11 the playbook is running already."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "playbook",
        description="How to contain an incident: playbooks revoke, limit, block and recover step "
        "by step, with approvals and rollback. They are files, in the directory `playbooks` of "
        "drd.yaml.",
        epilog=EXAMPLES,
    )
    verbs = parser.add_subparsers(dest="playbook_verb", metavar="VERB", required=True)
    leaf(
        verbs,
        "list",
        "the playbooks of drd and your own",
        "playbook:list_",
        description="List the playbooks of drd and your own. One of your own replaces that of drd "
        "with the same name.",
        epilog=EXAMPLES,
    )
    show = leaf(
        verbs,
        "show",
        "one playbook: when to use it, inputs, tasks, steps",
        "playbook:show",
        description="Show one playbook: when to use it, what it asks for, its tasks and steps, and "
        "what a rollback takes back.",
        epilog=EXAMPLES,
    )
    show.add_argument("name", metavar="NAME", help="name of the playbook")
    check = leaf(
        verbs,
        "check",
        "schema, values and roles of the files",
        "playbook:check",
        description="Check the files of all playbooks: their schema, the values that steps use, "
        "approvals that are missing, roles that nobody holds.",
        epilog=EXAMPLES,
    )
    check.add_argument("files", nargs="*", metavar="FILE", help="check these files as well")
    new = leaf(
        verbs,
        "new",
        "copy a playbook of drd, to adapt it",
        "playbook:new",
        description="Write a playbook of drd into your own directory, where you adapt it. It then "
        "replaces that of drd. An existing file is not overwritten.",
        epilog=EXAMPLES,
    )
    new.add_argument("--from", dest="source", required=True, metavar="NAME", help="which one")
    new.add_argument(
        "--name", metavar="NEW", help="another name for it: then both are there (default: the same)"
    )
    _run(verbs)
    leaf(
        verbs,
        "schema",
        "the JSON Schema of playbooks",
        "playbook:schema",
        description="Print the JSON Schema of playbooks, for editors.",
        epilog=EXAMPLES,
    )


def _run(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    run = leaf(
        verbs,
        "run",
        "carry out a playbook, step by step",
        "playbook_run:run",
        description="Carry out a playbook: its steps in their order, with approvals of people. It "
        "shows the steps, and asks before it begins.",
        epilog=RUN_EXAMPLES,
    )
    run.add_argument("name", metavar="NAME", help="name of the playbook")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the value of an input; of a secret only where it is: file:PATH, env:NAME or "
        "credential:NAME; may be given again",
    )
    run.add_argument("--plan", metavar="P", help="the plan on which steps work")
    run.add_argument(
        "--incident",
        type=count,
        metavar="N",
        help="record it in this incident, which gets its tasks",
    )
    run.add_argument("--by", metavar="NAME", help="your name on the timeline of the incident")
    run.add_argument(
        "--dry-run", action="store_true", help="show what it would do, and change nothing"
    )
    run.add_argument("--yes", action="store_true", help="ask nothing (for scripts)")

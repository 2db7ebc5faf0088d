"""Options of `drd playbook`."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.parser import Verbs
from drd.cli.verbs.leaf import leaf
from drd.cli.verbs.own_files import Told, own_file_verbs

EXAMPLES = """\
examples:
  drd playbook list                         the playbooks of drd and your own
  drd playbook show leaked-api-key          when to use it, its inputs, tasks and steps
  drd playbook new --from leaked-api-key    copy it into your own directory and adapt it
  drd playbook check                        check all files: schema, values, roles nobody holds
  drd playbook check ./block.yaml           check this file as well
  drd playbook check leaked-api-key         the same as without a name, and which file is in force
  drd playbook schema > playbook.schema.json

exit codes: 0 done, 2 usage, or a file has an error."""

RUN_EXAMPLES = """\
examples:
  drd playbook run leaked-api-key --dry-run           what would happen, step by step
  drd playbook run leaked-api-key --incident 3        on the timeline of incident 3, with its tasks
  drd playbook run leaked-api-key --set key-url=https://gw:8443/keys/17 \\
      --set admin-token=file:/etc/drd/gateway-token   secrets only as file:, env: or credential:
  drd playbook run insider --plan orders --yes        steps that need a plan use this plan
  drd playbook run insider --exercise 213             rehearse it in exercise 213: sends no message
  drd playbook run insider --plan shop --rehearse     the same outside of an exercise

While the playbook runs, in another terminal: drd approve RUN STEP --by NAME, drd done, drd retry,
drd skip. To continue after a kill: drd resume RUN. To roll back all steps: drd rollback RUN.
exit codes: 0 done, 1 a step failed, 2 usage, 11 the playbook is running already."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "playbook",
        description="Contain an incident: playbooks revoke, limit, block and recover step by step, "
        "with approvals and rollback. drd has its own playbooks. Your playbooks are files in the "
        "directory that `playbooks` in drd.yaml names.",
        epilog=EXAMPLES,
    )
    verbs = parser.add_subparsers(dest="playbook_verb", metavar="VERB", required=True)
    own_file_verbs(
        verbs,
        "playbook",
        show=Told(
            "one playbook: when to use it, inputs, tasks, steps",
            "Show one playbook: when to use it, its inputs, tasks and steps, and how each step is "
            "rolled back.",
        ),
        check=Told(
            "check the files of playbooks: schema, values, roles",
            "Check the files of all playbooks: their schema, the values that steps use, approvals "
            "that are missing, roles that nobody holds.",
        ),
        epilog=EXAMPLES,
    )
    _run(verbs)


def _run(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    run = leaf(
        verbs,
        "run",
        "carry out a playbook, step by step",
        "playbook_run:run",
        description="Carry out the steps of a playbook in their order, with approvals of people. "
        "drd shows the steps, and asks for confirmation before it begins.",
        epilog=RUN_EXAMPLES,
    )
    run.add_argument("name", metavar="NAME", help="name of the playbook")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the value of an input; if the input is a secret, where the secret is: file:PATH, "
        "env:NAME or credential:NAME; may be given several times",
    )
    run.add_argument("--plan", metavar="P", help="the plan for the steps that need a plan")
    run.add_argument(
        "--incident",
        type=count,
        metavar="N",
        help="record the run in this incident, and add the tasks of the playbook to it",
    )
    run.add_argument(
        "--exercise",
        type=count,
        metavar="N",
        help="the run belongs to this exercise, which is being played: its `notify` steps send "
        "nothing, and drd raises no alert for the run. Without --incident, `recover` and "
        "`preserve` work in a sandbox",
    )
    run.add_argument(
        "--rehearse",
        action="store_true",
        help="the same, outside of an exercise",
    )
    run.add_argument("--by", metavar="NAME", help="your name on the timeline of the incident")
    run.add_argument(
        "--dry-run", action="store_true", help="show what the playbook would do, and change nothing"
    )
    run.add_argument("--yes", action="store_true", help="do not ask for confirmation (for scripts)")

"""`drd resume`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli.options import global_options

EXAMPLES = """\
examples:
  drd resume 4f2a                        go on where it stopped

What is done is not done again. The step in whose midst it was stopped begins anew, and one that
ended the recovery is tried again.
exit codes: as drd recover; 2 it cannot go on, 11 a process carries it out."""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "resume",
        help="go on with a recovery that stopped",
        description="Go on with a recovery whose process died (also with the host), that failed, "
        "or that was cancelled.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("run", help="id of the run, or its beginning")
    parser.add_argument("--yes", action="store_true", help="kept for scripts: nothing is asked")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.resume:run")


def run(args: argparse.Namespace) -> int:
    from drd.cli.live import watched
    from drd.cli.recover import carry_out
    from drd.cli.session import session
    from drd.flows.restore.resume import resume_plan

    with session(args) as app, watched(app, args):
        found = app.catalogue.run(args.run)
        plan = app.load_named(found.plan)
        services = app.services(plan)
        return carry_out(services, resume_plan(services, plan, found), args)

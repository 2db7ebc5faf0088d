"""`drd done`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.decide import agreed, who
from drd.cli.options import global_options

if TYPE_CHECKING:
    from drd.flows.restore.kept_copies import Standing
    from drd.ports import Aside

EXAMPLES = """\
examples:
  drd done 4f2a plug-in --by anna        the manual step plug-in
  drd done 4f2a                          the recovery: what it had set aside is removed for good
  drd done 4f2a plug-in --by anna --comment "port 7, not 8"

exit codes: 0 recorded, 1 something could not be removed, 2 it does not wait for this, or not for
them, 11 a recovery of the plan is being carried out."""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "done",
        help="tick off a manual step; or be done with a recovery",
        description="With STEP: say that a step of kind manual is done, from any terminal of this "
        "host, also while no process carries the recovery out. NAME is one of the people in "
        "drd.yaml and holds the role, where the step asks for one. Without: all is well with the "
        "recovery, so that what it had set aside is removed; it cannot be undone after that.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("run", help="id of the run, or its beginning")
    parser.add_argument("step", nargs="?", help="the step's name")
    parser.add_argument("--by", metavar="NAME", help="who has done it (of a step: has to be given)")
    parser.add_argument("--comment", default="", metavar="TEXT", help="kept with it")
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed")
    parser.add_argument("--yes", action="store_true", help="do not ask (for machines)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.done:run")


def run(args: argparse.Namespace) -> int:
    if args.step is None:
        return _with_all(args)
    return agreed(args, "done", "done")


def _with_all(args: argparse.Namespace) -> int:
    from drd.cli.aside import run_and_plan
    from drd.cli.confirm import confirm
    from drd.cli.session import session
    from drd.flows.restore.kept_copies import let_go, standing_of

    with session(args) as app:
        found, plan = run_and_plan(app, args.run)
        services = app.services(plan)
        standing = standing_of(services, plan, found)
        held = standing.held
        if args.dry_run:
            return _say(args, standing)
        if held and not args.yes:
            _tell(held, "would remove")
            confirm(
                plan.name,
                "removing what is set aside",
                "add --yes when you mean it, or --dry-run to see what would happen.",
            )
        let_go(services, plan, found, comment=args.comment, **who(args))
    return _say(args, standing)


def _say(args: argparse.Namespace, standing: Standing) -> int:
    from drd.cli.aside import documents

    run, held = standing.run, standing.held
    if args.json:
        removed = documents(held)
        output.print_json(
            {
                "run": run.id,
                "plan": run.plan,
                "dry_run": args.dry_run,
                "removed": removed,
                "missing": documents(standing.gone),
            }
        )
    elif not args.quiet:
        _tell(held, "would remove" if args.dry_run else "removed")
        _tell(standing.gone, "not there any more")
        if not held:
            output.say(f"nothing is set aside of run {run.id}")
    return 0


def _tell(held: Sequence[Aside], what: str) -> None:
    from drd.cli.aside import line

    for aside in held:
        output.say(f"  {what}  {line(aside)}")

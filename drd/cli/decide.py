"""What `drd approve`, `done`, `retry` and `skip` share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.options import global_options

if TYPE_CHECKING:
    from drd.config.daemon import DaemonSettings
    from drd.flows.deciding import Deciding, Said


def add_verb(
    sub: Any, verb: str, *, help_text: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """A verb about one step of a run; the caller adds its own options."""
    parser: argparse.ArgumentParser = sub.add_parser(
        verb, help=help_text, description=description, epilog=examples
    )
    global_options(parser)
    parser.add_argument("run", help="id of the run, or its beginning")
    parser.add_argument("step", help="the step's name")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler=f"drd.cli.{verb}:run")
    return parser


def add_person(parser: argparse.ArgumentParser, what: str) -> None:
    """Who says so; `what` is what they do, for the help."""
    parser.add_argument(
        "--by", metavar="NAME", help=f"who {what} (default: whom `people` maps to your user)"
    )
    parser.add_argument("--comment", default="", metavar="TEXT", help="kept with it")


def agreed(args: argparse.Namespace, action: str, words: str) -> int:
    """Record that one of the people did `action`: `approve` or `done`."""
    return decided(
        args,
        lambda deciding, settings: deciding.agree(
            args.step, action, _name(args, deciding, settings), args.comment, settings.roles
        ),
        words,
    )


def _name(args: argparse.Namespace, deciding: Deciding, settings: DaemonSettings) -> str:
    """What `--by` claims, else the person of whoever logged in. Raises UsageError for nobody."""
    from drd.errors import UsageError

    actor = deciding.actor
    found = args.by or settings.users.get(actor.login_user or actor.user)
    if not found:
        raise UsageError(
            f"it is not said who answers {args.step}",
            hint="give --by NAME, of `people` in drd.yaml, or map your user there: user: USER.",
        )
    return str(found)


def decided(
    args: argparse.Namespace, decide: Callable[[Deciding, DaemonSettings], Said], words: str
) -> int:
    """Record it, and say what happens now."""
    from drd.bootstrap import app
    from drd.flows.deciding import Deciding
    from drd.process import actor_here

    with app(args.config) as opened:
        run = opened.catalogue.run(args.run)
        plan = opened.plan_in_force(run.plan)
        actor = actor_here(by=args.by or "")
        deciding = Deciding(opened.catalogue, plan, run, opened.clock.now(), actor)
        said = decide(deciding, opened.settings)
    if args.json:
        output.print_json(_document(said))
    elif not args.quiet:
        output.say(f"{said.run.plan}: {said.decision.step} {words} by {said.decision.by}")
        if not said.alive:
            output.say(f"no process carries run {said.run.id} out: drd resume {said.run.id}")
    return 0


def _document(said: Said) -> dict[str, Any]:
    from drd.model.units import to_rfc3339

    decision = said.decision
    return {
        "run": said.run.id,
        "plan": said.run.plan,
        "step": decision.step,
        "action": decision.action,
        "by": decision.by,
        "comment": decision.comment,
        "at": to_rfc3339(decision.at),
        "actor": decision.actor.to_json() if decision.actor is not None else None,
        "started_the_run": str(said.own),
        "alive": said.alive,
    }


def who(args: argparse.Namespace) -> dict[str, Any]:
    """`by` and `actor` of what is decided here: the name that `--by` claims, else the one of whoever
    logged in, and what the kernel says of this process."""
    from drd.process import actor_here

    actor = actor_here(by=args.by or "")
    return {"by": args.by or actor.login_user or actor.user, "actor": actor}

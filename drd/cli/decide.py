"""What `drd approve`, `done`, `retry` and `skip` share."""

from __future__ import annotations

import argparse
import os
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
    parser.add_argument("--by", required=True, metavar="NAME", help=f"who {what}")
    parser.add_argument("--comment", default="", metavar="TEXT", help="kept with it")


def agreed(args: argparse.Namespace, action: str, words: str) -> int:
    """Record that one of the people did `action`: `approve` or `done`."""
    return decided(
        args,
        lambda deciding, settings: deciding.agree(
            args.step, action, args.by, args.comment, settings.roles
        ),
        words,
    )


def decided(
    args: argparse.Namespace, decide: Callable[[Deciding, DaemonSettings], Said], words: str
) -> int:
    """Record it, and say what happens now."""
    from drd.bootstrap import app
    from drd.flows.deciding import Deciding

    with app(args.config) as opened:
        run = opened.catalogue.run(args.run)
        plan = opened.plan_in_force(run.plan)
        said = decide(Deciding(opened.catalogue, plan, run, opened.clock.now()), opened.settings)
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
        "alive": said.alive,
    }


def somebody() -> str:
    """The user who typed this, also behind sudo."""
    import pwd

    name = os.environ.get("SUDO_USER")
    if name:
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())

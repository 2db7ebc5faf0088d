"""`drd ack`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.alerts import document
from drd.cli.options import global_options

if TYPE_CHECKING:
    from datetime import datetime

    from drd.bootstrap import App
    from drd.model.alerts import Alert

EXAMPLES = """\
examples:
  drd ack 3f9a --by anna                                until it is resolved
  drd ack 3f9a --by anna --until 8h --why "disk ordered"
  drd ack 3f9a --by anna --until 2026-11-25T08:00:00Z"""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "ack",
        help="take care of an alert: silence it for a while",
        description="Acknowledge an alert: nobody is reminded of it until then, or until it is "
        "resolved. It fires again when it is still there then, or when it gets graver.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("alert", help="its id, or how that begins")
    parser.add_argument("--by", required=True, metavar="NAME", help="who takes care")
    parser.add_argument(
        "--until", metavar="TIME", help="silence ends: 8h, 2d, or 2026-11-25T08:00:00Z"
    )
    parser.add_argument("--why", metavar="TEXT", help="for whoever looks next")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.ack:run")


def run(args: argparse.Namespace) -> int:
    from drd.bootstrap import app

    with app(args.config) as opened:
        alert = _acknowledge(opened, args)
    if args.json:
        output.print_json(document(alert))
    elif not args.quiet:
        from drd.cli.render import plain
        from drd.flows.alert_messages import acknowledgement

        output.say(plain(f"{alert.id} ({alert.plan or 'drd'}: {alert.message})"))
        output.say(plain(f"acknowledged {acknowledgement(alert)}"))
    return 0


def _acknowledge(opened: App, args: argparse.Namespace) -> Alert:
    from drd.flows.alert_messages import routed

    now = opened.clock.now()
    settings = opened.settings
    return opened.catalogue.alerts.acknowledge(
        args.alert,
        by=_person(args.by, settings.people),
        until=_until(args.until, now) if args.until else None,
        why=args.why,
        at=now,
        tell=lambda transitions: routed(transitions, settings.channels),
    )


def _person(name: str, people: Sequence[str]) -> str:
    """Raises UsageError, naming the nearest, for somebody who is not among `people`, if any are."""
    from difflib import get_close_matches

    from drd.errors import UsageError

    if not name.strip():
        raise UsageError("--by names nobody", hint="say who takes care: --by NAME")
    if not people or name in people:
        return name
    close = get_close_matches(name, people, n=1, cutoff=0.6)
    known = ", ".join(people)
    hint = f'did you mean "{close[0]}"?' if close else f"one of: {known}."
    raise UsageError(f"drd.yaml knows no person {name!r}", hint=hint)


def _until(text: str, now: datetime) -> datetime:
    from datetime import timedelta

    from drd.errors import UsageError
    from drd.model.units import from_rfc3339, parse_duration, to_rfc3339

    hint = "write a duration like 8h, or a time like 2026-11-25T08:00:00Z."
    try:
        until = now + timedelta(seconds=parse_duration(text))
    except OverflowError as error:
        raise UsageError(f"--until {text} is too far away", hint=hint) from error
    except ValueError:
        try:
            until = from_rfc3339(text)
        except ValueError as error:
            raise UsageError(f"--until: {text!r} is not a time", hint=hint) from error
    if until <= now:
        raise UsageError(f"--until {to_rfc3339(until)} is past", hint=hint)
    return until

"""`drd ack`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.alerts import alert_of
from drd.cli.options import global_options

if TYPE_CHECKING:
    from drd.bootstrap import App

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
    parser.add_argument(
        "--by", metavar="NAME", help="who takes care (default: whom `people` maps to your user)"
    )
    parser.add_argument(
        "--until", metavar="TIME", help="silence ends: 8h, 2d, or 2026-11-25T08:00:00Z"
    )
    parser.add_argument("--why", metavar="TEXT", help="for whoever looks next")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.ack:run")


def run(args: argparse.Namespace) -> int:
    from drd.bootstrap import app
    from drd.cli.remote import Remote
    from drd.cli.session import tell_of_daemon

    with app(args.config) as opened:
        if opened.owns_state:
            tell_of_daemon(opened, args)
            document = _acknowledged(opened, args)
        else:
            document = Remote(opened).post(
                f"/v1/alerts/{args.alert}/ack", by=args.by, until=args.until, reason=args.why
            )
    if args.json:
        output.print_json(document)
    elif not args.quiet:
        from drd.cli.render import plain
        from drd.flows.alerts.messages import acknowledgement

        alert = alert_of(document)
        output.say(plain(f"{alert.id} ({alert.plan or 'drd'}: {alert.message})"))
        output.say(plain(f"acknowledged {acknowledgement(alert)}"))
    return 0


def _acknowledged(app: App, args: argparse.Namespace) -> dict[str, Any]:
    from drd.api.acknowledging import acknowledge, known_person
    from drd.api.documents import alert_document
    from drd.cli.decide import who
    from drd.errors import UsageError

    said = who(args)
    name = app.settings.users.get(said["by"], said["by"]) if args.by is None else args.by
    if args.by is None and app.settings.people and name not in app.settings.people:
        raise UsageError(
            "no name is given for who takes care of the alert", hint="give --by NAME, of `people`."
        )
    name = known_person(name, app.settings.people)
    alert = acknowledge(
        app, args.alert, by=name, until=args.until, why=args.why, actor=said["actor"]
    )
    return alert_document(alert)

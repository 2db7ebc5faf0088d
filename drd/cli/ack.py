"""`drd ack`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.api.acknowledging import acknowledge, known_person
from drd.api.alert_documents import alert_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.alerts import alert_of
from drd.cli.decide import who
from drd.cli.enduring import app_of
from drd.cli.remote import Remote
from drd.cli.render import plain
from drd.errors import UsageError
from drd.flows.alerts.messages import acknowledgement


def run(args: argparse.Namespace) -> int:
    with app_of(args) as opened:
        if opened.state.is_ours:
            document = _acknowledged(opened, args)
        else:
            document = Remote(opened).post(
                f"/v1/alerts/{args.alert}/ack", by=args.by, until=args.until, reason=args.why
            )
    if args.json:
        output.print_json(document)
    elif not args.quiet:
        alert = alert_of(document)
        output.say(plain(f"{alert.id} ({alert.plan or 'drd'}: {alert.text})"))
        output.say(plain(f"acknowledged {acknowledgement(alert)}"))
    return 0


def _acknowledged(app: App, args: argparse.Namespace) -> dict[str, Any]:
    said = who(args, app.settings)
    name = app.settings.users.get(said["by"], said["by"]) if args.by is None else args.by
    if args.by is None and app.settings.people and name not in app.settings.people:
        raise UsageError(
            "--by is missing: who takes care of the alert?",
            hint="give --by NAME, one of `people` in drd.yaml.",
        )
    name = known_person(name, app.settings.people)
    alert = acknowledge(
        app, args.alert, by=name, until=args.until, why=args.why, actor=said["actor"]
    )
    return alert_document(alert)

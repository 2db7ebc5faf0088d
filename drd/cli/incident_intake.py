"""`drd incident open --from`: alerts of other systems."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd.api.incident_intake import take_in
from drd.bootstrap import App
from drd.cli import output
from drd.cli.given_file import read_given
from drd.cli.incident_acting import author
from drd.cli.remote import Remote
from drd.cli.session import session
from drd.config.intake import load_mapping
from drd.errors import UsageError
from drd.model.intake.reading import LARGEST
from drd.model.text import counted, some


def run(args: argparse.Namespace) -> int:
    _refuse_others(args)
    raw = read_given(args.from_, LARGEST, "send fewer alerts in one message.")
    with session(args, acts=False, records=True) as app:
        document = _taken(app, args, raw)
    left_out = document["left_out"]
    if args.json:
        output.print_json(document)
    elif not args.quiet:
        _tell(document)
    for why, count in left_out.items():
        output.warn(
            f"drd did not record {counted(count, 'alert')} of the source, because {why} "
            "(docs/intake.md)"
        )
    return 1 if left_out else 0


def _refuse_others(args: argparse.Namespace) -> None:
    given = {
        "a title": args.title,
        "--report": args.report,
        "--severity": args.severity,
        "--restricted": args.restricted,
    }
    for name, value in given.items():
        if value:
            raise UsageError(
                f"incident open: {name} and --from were given together",
                hint=f"leave out {name}: the alerts have titles and severities of their "
                "own. Only --plan can be combined with --from.",
            )


def _taken(app: App, args: argparse.Namespace, raw: bytes) -> dict[str, Any]:
    mapping = load_mapping(Path(args.mapping)) if args.mapping is not None else None
    if app.state.is_ours:
        said = author(app, args)
        return take_in(app, said, raw, mapping=mapping, scope=args.plan).document()
    try:
        message = raw.decode()
    except UnicodeDecodeError:
        raise UsageError("the message is not UTF-8", hint="send JSON.") from None
    keys = mapping.keys() if mapping is not None else None
    return Remote(app).post(
        "/v1/incidents/intake", message=message, mapping=keys, plans=args.plan, by=args.by
    )


def _tell(document: Mapping[str, Any]) -> None:
    for key, words in (
        ("opened", "opened incident"),
        ("reported", "filed report"),
        ("updated", "added to incident"),
    ):
        if document[key]:
            output.say(f"{words} {some(document[key], 20)}")
    if document["unchanged"]:
        output.say(f"{counted(document['unchanged'], 'alert')} without new information")
    if document["opened"]:
        output.say(f"see what is next:   drd incident show {document['opened'][-1]}")
    if not any(document[key] for key in ("opened", "reported", "updated", "unchanged", "left_out")):
        output.say("the message contains no alert")

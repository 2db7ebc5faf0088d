"""`drd incident open --from`: alerts of other systems, and reports of mail servers."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping, Sequence
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
from drd.model.incidents.bounces import LARGEST as LARGEST_REPORT
from drd.model.incidents.bounces import bounces_in
from drd.model.intake.mapped import Mapped
from drd.model.intake.reading import LARGEST
from drd.model.text import counted, escaped, some


def run(args: argparse.Namespace) -> int:
    _refuse_others(args)
    raw = read_given(args.from_, LARGEST_REPORT, "send fewer alerts in one message.")
    mapping = load_mapping(Path(args.mapping)) if args.mapping is not None else None
    with session(args, acts=False, records=True) as app:
        document = taken(app, args, raw, mapping=mapping, plans=args.plan)
    if "bounced" in document:
        return tell_bounces(args, document)
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
                f"incident open: {name} and --from cannot be combined",
                hint=f"leave out {name}: the alerts have titles and severities of their "
                "own. Only --plan can be combined with --from.",
            )


def taken(
    app: App,
    args: argparse.Namespace,
    raw: bytes,
    *,
    mapping: Mapped | None = None,
    plans: Sequence[str] = (),
) -> dict[str, Any]:
    """Take in a message of another system, here or through the daemon, and return the result.
    Raises UsageError."""
    if app.state.is_ours:
        said = author(app, args)
        return take_in(app, said, raw, mapping=mapping, scope=plans).document()
    is_report = mapping is None and bounces_in(raw) is not None
    try:
        # What follows the headers of the mail that came back is not needed.
        message = raw[:LARGEST].decode(errors="replace") if is_report else raw.decode()
    except UnicodeDecodeError:
        raise UsageError("the message is not UTF-8", hint="send JSON.") from None
    keys = mapping.keys() if mapping is not None else None
    return Remote(app).post(
        "/v1/incidents/intake", message=message, mapping=keys, plans=list(plans), by=args.by
    )


def tell_bounces(args: argparse.Namespace, document: Mapping[str, Any]) -> int:
    if args.json:
        output.print_json(document)
    elif not args.quiet:
        for line in bounce_lines(document):
            output.say(line)
    for why in document["unmatched"]:
        output.warn(f"a report was not recorded: {why}")
    return 1 if document["unmatched"] else 0


def bounce_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Return in words what drd did with reports of mail servers."""
    for one in document["bounced"]:
        yield (
            f"message {one['message']} of incident {one['incident']} came back from "
            f"{escaped(one['to'])}"
        )
        again = shlex.join(["--to", escaped(one["to"])])
        yield f"> drd incident message send {one['incident']} {one['message']} --again {again}"
    if document["unchanged"]:
        yield f"{counted(document['unchanged'], 'report')} without new information"
    if document["not_failed"]:
        yield (
            "the mail server is still trying to deliver the mail, or has delivered it: nothing was "
            "recorded"
        )
    if withheld := document.get("withheld"):  # an older service does not say it
        yield (
            f"{counted(withheld, 'report')} about a mail that you may not read: drd recorded what "
            "is new"
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

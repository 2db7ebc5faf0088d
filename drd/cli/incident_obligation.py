"""`drd incident obligation`: show which reports of an incident are due, and record results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drd.api.obligation_acts import ObligationBody, ObligationsQuery, Said, record, shown
from drd.bootstrap import App
from drd.cli import output
from drd.cli.incident_acting import author, path_of, zone_of
from drd.cli.obligation_screen import screen
from drd.cli.obligations import fact_of
from drd.cli.remote import Remote
from drd.cli.render import terminal_width
from drd.cli.session import session
from drd.config.regimes import regimes_of
from drd.errors import UsageError
from drd.exhaustion import system_reason
from drd.flows.incidents.choosing import chosen as chosen_incident
from drd.flows.incidents.writing import Desk
from drd.model.text import counted, escaped


def run(args: argparse.Namespace) -> int:
    number, name = _words(args.words)
    given = _given(args, name)
    query = {
        "all": args.all,
        "draft": args.draft,
        "version": args.version,
        "calendar": args.ics is not None,
    }
    with session(args, reading=not given, acts=False, records=True) as app:
        ask = _here if app.state.is_ours else _of_daemon
        said, told = ask(app, args, number, given, {"regime": name or None, **query})
    for warning in said.warnings:
        output.warn(warning)
    if args.draft:
        return _draft(args, told)
    if args.ics is not None:
        return _calendar(args, told["calendar"])
    if args.json:
        output.print_json(
            {k: told[k] for k in ("incident", "clocks", "facts", "changed", "versions")}
        )
        return 0
    if said.times:
        output.say(f"recorded for {' and '.join(said.times)}")
    for line in screen(told["paragraphs"], terminal_width(sys.stdout)):
        output.say(line)
    for warning in told["warnings"]:
        output.warn(warning)
    return 0


def _here(
    app: App,
    args: argparse.Namespace,
    number: int | None,
    given: Mapping[str, Any],
    query: Mapping[str, Any],
) -> tuple[Said, dict[str, Any]]:
    which, regimes = chosen_incident(app.catalogue, number), regimes_of(app.settings)

    def desk() -> Desk:
        return Desk(app.catalogue, which, author(app, args, left_out=number is None), zone_of(app))

    # Not validated: on this host, a text may be longer than in a request.
    body = ObligationBody.model_construct(**given)
    said = record(app, regimes, body, desk) if given else Said()
    return said, shown(app, which, regimes, ObligationsQuery.model_construct(**query))


def _of_daemon(
    app: App,
    args: argparse.Namespace,
    number: int | None,
    given: Mapping[str, Any],
    query: Mapping[str, Any],
) -> tuple[Said, dict[str, Any]]:
    remote, said = Remote(app), Said()
    if given:
        made = remote.post(f"{path_of(number)}/obligation", by=args.by, **given)
        said = Said(made["times"], made["warnings"])
    return said, remote.get(f"{path_of(number)}/obligations", **query)


def _given(args: argparse.Namespace, name: str) -> dict[str, Any]:
    """Return what the options ask to record; nothing if they only ask to show."""
    applies = True if args.applies else False if args.does_not_apply else None
    if args.applies and args.does_not_apply:
        hint = "give each in a command of its own: each becomes an entry."
        raise UsageError("--applies and --does-not-apply cannot be combined", hint=hint)
    facts = dict(fact_of(text) for text in args.fact)
    keep = _read(args.keep) if args.keep is not None else None
    acts = (applies, args.submitted, args.late or None, args.hold, keep)
    if not facts and all(act is None for act in acts):
        return {}
    return {
        "regime": name,
        "facts": facts,
        "applies": applies,
        "submitted": args.submitted,
        **({"late": True} if args.late else {}),  # an older service does not know it
        "reference": args.reference,
        "channel": args.channel,
        "proof": args.proof,
        "hold": args.hold,
        "since": args.since,
        "until": args.until,
        "oral": args.oral,
        "reason": args.reason,
        "keep": keep,
        "version": args.version,
    }


def _read(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", "") or "the file is not UTF-8 text").lower()
        hint = "name the file of the report, as it is to be sent."
        raise UsageError(f"cannot read {name}: {reason}", hint=hint) from None


def _draft(args: argparse.Namespace, told: Mapping[str, Any]) -> int:
    if args.json:
        output.print_json(dict(told))
    else:
        for line in told["draft"].removesuffix("\n").split("\n"):
            output.say(escaped(line))
    return 0


def _words(words: Sequence[str]) -> tuple[int | None, str]:
    """Return the number of the incident and the id of the regime, if they were given."""
    rest = list(words)
    number = int(rest.pop(0)) if rest and rest[0].isdecimal() else None
    if len(rest) > 1:
        raise UsageError(
            f"incident obligation: {len(rest)} regimes given, and at most one is possible",
            hint="name one regime in each command. To see examples: drd incident obligation --help",
        )
    return number, rest[0] if rest else ""


def _calendar(args: argparse.Namespace, text: str) -> int:
    if args.ics == "-":
        sys.stdout.write(text)
        return 0
    try:
        Path(args.ics).write_bytes(text.encode())
    except OSError as error:
        reason = system_reason(error)
        raise UsageError(f"cannot write {args.ics}: {reason}", hint="name another file.") from None
    if not args.quiet:
        over = text.count("\r\nSTATUS:CANCELLED\r\n")
        count = counted(text.count("BEGIN:VEVENT") - over, "time")
        also = f", and {over} that are over, as cancelled" if over else ""
        output.say(f"wrote {count} to {args.ics}{also}")
    return 0

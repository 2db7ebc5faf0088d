"""`drd training`: who practised and read what, and until when it counts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from drd.api import training_acts
from drd.bootstrap import App
from drd.cli import output
from drd.cli.confirm import confirm_reading
from drd.cli.incident_scope import plans_or_warning, readable_plans
from drd.cli.remote import Remote
from drd.cli.session import session
from drd.errors import UsageError
from drd.model.plan import Plan
from drd.model.text import counted, escaped
from drd.model.units import format_duration
from drd.process import actor_here

_HEADER = ("PERSON", "WHAT", "REQUIRED BY", "LAST", "UNTIL", "STATE")
_STATES = {
    "valid": "valid",
    "expired": "expired",
    "changed": "the text changed: attest again",
    "never": "never",
    "no user": "drd.yaml does not name a user",
}
_PATH = "/v1/training"
_FEWEST = 12
"""How many digits of a digest a person must give at least."""


def list_(args: argparse.Namespace) -> int:
    with session(args, reading=True) as app:
        told = (
            training_acts.overview(app, _plans(app, args.plan), args.person)
            if app.state.is_ours
            else Remote(app).get(_PATH, plan=args.plan, person=args.person)
        )
    if args.json:
        output.print_json(told)
    else:
        for line in _lines(told):
            output.say(line)
    return 0


def _plans(app: App, wanted: str | None) -> dict[str, Plan]:
    """Return the plans as they are now, or as drd loaded them before. Warn of plans that drd cannot
    read."""
    if wanted is None:
        nothing = not app.plans.names() + app.plans.names_without_file()
        return {} if nothing else plans_or_warning(app)
    return dict(readable_plans(app, wanted))


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        _row(person["person"], one) for person in told["people"] for one in person["qualifications"]
    ]
    if rows:
        yield output.table(rows, header=_HEADER)
    asking = [plan for plan in told["plans"] if any(plan["requires"].values())]
    for plan in asking:
        yield ""
        yield f"{escaped(plan['plan'])} requires {_required(plan['requires'])}"
        for finding in plan["findings"]:
            lead = "" if finding["severity"] == "ok" else f"{finding['severity']}: "
            yield f"  {lead}{escaped(finding['name'])}: {escaped(finding['text'])}"
            if finding["remedy"]:
                yield f"    {escaped(finding['remedy'])}"
    if not asking:
        yield "No plan requires training or a review (`training`, `review` in a plan)."
    if not rows:
        yield (
            "Nobody has passed an operator drill or attested a text yet. To see the texts: drd "
            "training texts"
        )


def _row(person: str, one: Mapping[str, Any]) -> list[str]:
    return [
        escaped(person),
        f"{one['what']} {escaped(one['subject'])}",
        ", ".join(map(escaped, one["plans"])) or "-",
        _day(one["last"]),
        _day(one["until"]),
        "took part" if one["what"] == "exercise" else _STATES[one["state"]],
    ]


def _day(at: str | None) -> str:
    return at[:10] if at else "-"


def _required(requires: Mapping[str, Any]) -> str:
    parts = []
    drills, awareness, review = (requires[k] for k in ("operators", "awareness", "review"))
    if drills is not None:
        people = counted(drills["people"], "person", "people")
        within = format_duration(drills["within_s"])
        parts.append(f"{people} with a passed operator drill in the last {within}")
    if awareness is not None:
        roles = escaped(" or ".join(awareness["roles"]))
        who = f"people with the role {roles}" if roles else "all people"
        every, named = format_duration(awareness["every_s"]), ", ".join(awareness["texts"])
        parts.append(f"{who} to attest the texts {named} every {every}")
    if review is not None:
        parts.append(f"a review of the plan every {format_duration(review['every_s'])}")
    return "; ".join(parts)


def texts(args: argparse.Namespace) -> int:
    told = _told(args, None)
    if args.json:
        output.print_json(told)
        return 0
    for problem in told["problems"]:
        output.warn(f"{problem}. drd does not use this file")
    rows = [
        [t["name"] + (" (own)" if t["own"] else ""), escaped(t["title"]), t["digest"][:12]]
        for t in told["texts"]
    ]
    output.say(output.table(rows, header=("TEXT", "TITLE", "DIGEST")))
    return 0


def show(args: argparse.Namespace) -> int:
    told = _told(args, args.text)
    if args.json:
        output.print_json(told)
    else:
        _print(told)
    return 0


def _told(args: argparse.Namespace, name: str | None) -> dict[str, Any]:
    with session(args, reading=True) as app:
        return _texts(app, name)


def _texts(app: App, name: str | None) -> dict[str, Any]:
    if app.state.is_ours:
        return training_acts.texts(app, name)
    return Remote(app).get(f"{_PATH}/texts", text=name)


def _print(text: Mapping[str, Any]) -> None:
    for line in text["text"].splitlines():
        output.say(escaped(line))


def attest(args: argparse.Namespace) -> int:
    """Show the text, ask the person to confirm that they have read it, and record this."""
    with session(args, acts=False, records=True) as app:
        text = _texts(app, args.text)
        if args.digest is not None and not _names(args.digest, text["digest"]):
            raise UsageError(
                f"the text {args.text} does not have the digest {escaped(args.digest)}: it has "
                f"{text['digest'][:12]}",
                hint=f"read the text: drd training show {args.text}",
            )
        if args.digest is None:
            if sys.stdin.isatty() and not args.json:
                _print(text)
            confirm_reading(args.text, text["digest"][:12])
        said = _record(app, args, text["digest"])
    if args.json:
        output.print_json(said)
    elif not args.quiet:
        output.say(
            f"{escaped(said['person'])} attested the text {said['text']} (entry {said['entry']} of "
            "the records)"
        )
    return 0


def _names(given: str, digest: str) -> bool:
    """Return whether a person gave this digest, or enough of its beginning."""
    return len(given) >= _FEWEST and digest.startswith(given.lower())


def _record(app: App, args: argparse.Namespace, digest: str) -> dict[str, Any]:
    if not app.state.is_ours:
        return Remote(app).post(f"{_PATH}/attest", text=args.text, digest=digest, by=args.by)
    actor = actor_here(by=args.by or "")
    return training_acts.attested(app, args.text, digest, args.by or "", actor)

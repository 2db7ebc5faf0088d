"""The verbs of `drd incident` that add an entry."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from drd.api.incident_documents import incident_document
from drd.bootstrap import App
from drd.bootstrap.duties import duty_table
from drd.cli import incident_scope, output
from drd.cli.incident import author, known_plans, zone_of
from drd.cli.session import require_owner, session
from drd.config.regimes import regimes_of
from drd.errors import UsageError
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.writing import Desk, require_plans
from drd.model.incidents.durations import contradictions
from drd.model.incidents.incident import Incident
from drd.model.incidents.states import State
from drd.model.obligations.clocks import ClockKind
from drd.model.text import counted, escaped, some

Writes = Callable[[App, Desk, Sequence[str]], Incident]
"""Adds an entry to an incident, by the words that were given."""


def write(args: argparse.Namespace, writes: Writes, words: int) -> int:
    """Add an entry; `words` is how many words follow the number of the incident."""
    number, rest = _split(args, words)
    with session(args, acts=False, records=True) as app:
        require_owner(app, f"incident {args.incident_verb}")
        which = chosen(app.catalogue, number)
        said = author(app, args, left_out=number is None)
        desk = Desk(app.catalogue, which, said, zone_of(app))
        incident = writes(app, desk, rest)
    if args.json:
        output.print_json(incident_document(incident))
    elif not args.quiet:
        output.say(
            f"incident {incident.number} ({escaped(incident.title)}): {_done(args, incident, desk)}"
        )
    return 0


def _split(args: argparse.Namespace, words: int) -> tuple[int | None, Sequence[str]]:
    """Return the number of the incident, if one was given, and the words after it."""
    if not hasattr(args, "words"):
        return args.number, ()
    given: list[str] = args.words
    if len(given) == words + 1 and given[0].isdecimal():
        return int(given[0]), given[1:]
    if len(given) == words:
        return None, given
    verb = f"drd incident {args.incident_verb}"
    if len(given) > words and not given[0].isdecimal():
        raise UsageError(
            f"incident {args.incident_verb}: {len(given)} words given, and {words} "
            f"{'is' if words == 1 else 'are'} needed",
            hint=f"put a text into quotes; examples: {verb} --help",
        )
    raise UsageError(
        f"incident {args.incident_verb}: something is missing", hint=f"examples: {verb} --help"
    )


def _done(args: argparse.Namespace, incident: Incident, desk: Desk) -> str:
    if args.incident_verb == "state":
        return f"{incident.state} (entry {incident.last})"
    times = f" for {' and '.join(desk.typed)}" if desk.typed else ""
    return f"entry {incident.last} recorded{times}"


def log(args: argparse.Namespace) -> int:
    marked = args.star or args.unstar

    def add(_app: App, desk: Desk, words: Sequence[str]) -> Incident:
        if marked:
            on = args.star is not None
            return desk.star(marked, on=on)
        if args.correct is not None:
            entry, text, reason = args.correct, words[0], args.reason
            return desk.correct(entry, text, reason)
        at = desk.past(args.at) if args.at is not None else None
        return desk.log(words[0], at)

    return write(args, add, 0 if marked else 1)


def anchor(args: argparse.Namespace) -> int:
    def add(_app: App, desk: Desk, words: Sequence[str]) -> Incident:
        name, at = words
        incident = desk.anchor(name, desk.past(at), args.reason)
        for wrong in contradictions(incident.instants):
            output.warn(f"{wrong}: correct one of them, with --reason TEXT")
        return incident

    return write(args, add, 2)


def state(args: argparse.Namespace) -> int:
    def add(app: App, desk: Desk, words: Sequence[str]) -> Incident:
        if words[0] == State.CLOSED:
            _require_reports(app, desk, args.reason)
        return desk.set_state(words[0], args.reason)

    return write(args, add, 1)


def severity(args: argparse.Namespace) -> int:
    return write(
        args,
        lambda app, desk, words: desk.set_severity(words[0], args.reason, app.settings.severities),
        1,
    )


def assign(args: argparse.Namespace) -> int:
    return write(
        args,
        lambda _, desk, words: desk.assign(words[0]),
        1,
    )


def role(args: argparse.Namespace) -> int:
    return write(
        args,
        lambda _, desk, words: desk.give_role(*words),
        2,
    )


def task(args: argparse.Namespace) -> int:
    def add(_app: App, desk: Desk, words: Sequence[str]) -> Incident:
        if args.done is not None:
            return desk.finish_task(args.done)
        due = desk.coming(args.due) if args.due is not None else None
        return desk.add_task(words[0], args.to, due)

    return write(args, add, 0 if args.done is not None else 1)


def scope(args: argparse.Namespace) -> int:
    if args.count or not (args.add or args.remove):
        return incident_scope.show(args, _split(args, 0)[0])

    def add(app: App, desk: Desk, _: Sequence[str]) -> Incident:
        require_plans(args.add, known_plans(app))
        return desk.change_scope(add=args.add, remove=args.remove, reason=args.reason)

    return write(args, add, 0)


def decide(args: argparse.Namespace) -> int:
    return write(
        args,
        lambda _, desk, words: desk.decide(words[0], args.reason),
        1,
    )


def link(args: argparse.Namespace) -> int:
    return write(
        args,
        lambda _, desk, words: desk.link(words[0], args.text),
        1,
    )


def merge(args: argparse.Namespace) -> int:
    return write(
        args,
        lambda _app, desk, _words: desk.merge(args.into, args.reason),
        0,
    )


def close(args: argparse.Namespace) -> int:
    def add(app: App, desk: Desk, _: Sequence[str]) -> Incident:
        _require_reports(app, desk, args.reason)
        return desk.close(args.reason)

    return write(args, add, 0)


def _require_reports(app: App, desk: Desk, reason: str) -> None:
    """Refuse to close an incident with a report that is not submitted, or without a reason while
    nobody has decided on one: nobody would be reminded of it any more."""
    if not app.catalogue.incidents.get(desk.number).is_open:
        return
    table = duty_table(app, desk.number, regimes_of(app.settings))
    left = [state.regime.id for state in table.unfinished(desk.author.at)]
    if left:
        raise UsageError(
            f"{counted(len(left), 'report')} of incident {desk.number} "
            f"{'is' if len(left) == 1 else 'are'} not submitted: {some(left, 10)}",
            hint=f"record it: drd incident obligation {desk.number} {left[0]} --submitted TIME; or "
            "decide: --does-not-apply --reason TEXT",
        )
    states = table.states(desk.author.at)
    undecided = [s for s in states if s.kind is ClockKind.UNDECIDED and not s.is_quiet]
    if undecided and not reason.strip():
        raise UsageError(
            f"nobody has decided whether {counted(len(undecided), 'report')} of incident "
            f"{desk.number} {'is' if len(undecided) == 1 else 'are'} needed",
            hint=f"to see them: drd incident obligation {desk.number}; or add --reason TEXT: why "
            "nobody decides.",
        )

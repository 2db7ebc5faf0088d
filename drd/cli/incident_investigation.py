"""`drd incident hypothesis|indicator|evidence|cause`: what happened, and what shows it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from drd.api.investigation_documents import investigation_document
from drd.bootstrap import App
from drd.cli import investigation_screen as screen
from drd.cli import output
from drd.cli.incident_acting import zone_of
from drd.cli.incident_entries import write
from drd.cli.new_file import write_new
from drd.cli.session import require_owner, session
from drd.errors import UsageError
from drd.flows.incidents import investigating as flow
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.writing import Desk
from drd.model.incidents.incident import Incident
from drd.model.incidents.investigation import Investigation, Standing, investigation
from drd.model.incidents.stix import bundle, left_out
from drd.model.text import counted


def hypothesis(args: argparse.Namespace) -> int:
    judged = {
        Standing.SUPPORTED: args.supported,
        Standing.REFUTED: args.refuted,
        Standing.OPEN: args.reopen,
    }
    given = [state for state, entry in judged.items() if entry is not None]
    if len(given) > 1:
        hint = "record one after the other: each is an entry of its own."
        raise UsageError(f"{' and '.join(map(str, given))} were given together", hint=hint)
    to = given[0] if given else None
    if to is None and (args.evidence or args.reason):
        raise UsageError(
            "--evidence and --reason are for a hypothesis that is supported or refuted",
            hint="drd incident hypothesis --supported ENTRY --evidence ENTRY",
        )
    if to is None and _only_reads(args):
        return _show(args)

    def add(_app: App, desk: Desk, words: Sequence[str]) -> Incident:
        if to is None:
            return flow.suppose(desk, words[0])
        evidence, reason = args.evidence, args.reason
        return flow.judge(desk, judged[to] or 0, to, evidence=evidence, reason=reason)

    return write(args, add, 1 if to is None else 0)


def indicator(args: argparse.Namespace) -> int:
    if args.withdraw is not None:
        return write(
            args,
            lambda _app, desk, _: flow.withdraw_indicator(desk, args.withdraw, args.reason),
            0,
        )
    if _only_reads(args):
        return _show(args)
    if args.stix is not None:
        hint = "leave out --stix, or the indicator"
        raise UsageError("--stix writes what is recorded, and records nothing", hint=hint)

    def add(_app: App, desk: Desk, words: Sequence[str]) -> Incident:
        return flow.note_indicator(
            desk,
            flow.typed_value(words[0], args.type),
            seen=desk.past(args.seen) if args.seen is not None else None,
            expires=desk.coming(args.expires) if args.expires is not None else None,
            text=args.text,
        )

    return write(args, add, 1)


def evidence(args: argparse.Namespace) -> int:
    if _only_reads(args):
        return _show(args)
    file = flow.read_file(args.file) if args.file is not None else None

    def add(_app: App, desk: Desk, words: Sequence[str]) -> Incident:
        taken = desk.past(args.taken) if args.taken is not None else None
        text, run = words[0], args.run or ""
        return flow.collect(desk, text, where=args.where, file=file, taken_at=taken, run=run)

    return write(args, add, 1)


def cause(args: argparse.Namespace) -> int:
    if _only_reads(args):
        return _show(args)
    return write(
        args,
        lambda _app, desk, words: flow.explain(
            desk,
            words[0],
            evidence=args.evidence,
            hypotheses=args.hypothesis,
            reason=args.reason,
        ),
        1,
    )


def _only_reads(args: argparse.Namespace) -> bool:
    """Return whether nothing was given to record: no word, or the number of an incident alone."""
    words: list[str] = args.words
    return not words or (len(words) == 1 and words[0].isdecimal())


def _show(args: argparse.Namespace) -> int:
    number = int(args.words[0]) if args.words else None
    with session(args, reading=True) as app:
        require_owner(app, f"incident {args.incident_verb}")
        incident = app.catalogue.incidents.get(chosen(app.catalogue, number))
        found = investigation(app.catalogue.incidents.entries(incident))
        now, zone = app.clock.now(), zone_of(app)
    if getattr(args, "stix", None) is not None:
        return _write_stix(args, found)
    if args.json:
        document = {"incident": incident.number, **investigation_document(found)}
        output.print_json(document)
        return 0
    for line in _lines(args.incident_verb, found, now, zone):
        output.say(line)
    return 0


def _lines(verb: str, found: Investigation, now: datetime, zone: tzinfo) -> Iterator[str]:
    rows: list[tuple[str, ...]]
    header: tuple[str, ...]
    match verb:
        case "hypothesis":
            header, rows = screen.HYPOTHESES, [screen.hypothesis_row(h) for h in found.hypotheses]
        case "indicator":
            header = screen.INDICATORS
            rows = [screen.indicator_row(i, now, zone) for i in found.indicators]
        case "evidence":
            header, rows = screen.EVIDENCE, [screen.evidence_row(e, zone) for e in found.evidence]
        case _:
            told = dict(screen.summary(found, now)).get("cause")
            yield told or "no root cause is recorded"
            return
    yield output.table(rows, header=header) if rows else f"no {verb} is recorded"


def _write_stix(args: argparse.Namespace, found: Investigation) -> int:
    made = bundle(found.indicators)
    if left := left_out(found.indicators):
        output.warn(
            f"{counted(len(left), 'indicator')} of type other: STIX has no pattern for "
            f"{'it' if len(left) == 1 else 'them'}, left out"
        )
    if args.stix == "-":
        output.print_json(made)
        return 0
    write_new(args.stix, f"{output.json_text(made)}\n".encode())
    if not args.quiet:
        output.say(f"wrote {counted(len(made.get('objects', ())), 'indicator')} to {args.stix}")
    return 0

"""`drd incident hypothesis|indicator|evidence|cause`: record what happened, and what shows it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

from drd.api.investigation_documents import investigation_document, investigation_of
from drd.bootstrap import App
from drd.cli import output
from drd.cli.incident_acting import path_of, zoned
from drd.cli.incident_entries import act
from drd.cli.new_file import write_new
from drd.errors import UsageError
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.investigating import read_file
from drd.model.incidents import investigation_words as screen
from drd.model.incidents.investigation import Investigation, investigation
from drd.model.incidents.stix import bundle_text, left_out
from drd.model.text import counted


def hypothesis(args: argparse.Namespace) -> int:
    judges = {args.supported, args.refuted, args.reopen} != {None}
    about = judges or args.evidence or args.reason
    if not about and _only_reads(args):
        return _show(args)
    said = {
        "supported": args.supported,
        "refuted": args.refuted,
        "reopen": args.reopen,
        "evidence": args.evidence,
        "reason": args.reason,
    }
    act(args, 0 if about else 1, lambda words: {"text": words[0] if words else "", **said})
    return 0


def indicator(args: argparse.Namespace) -> int:
    if args.withdraw is not None:
        act(args, 0, lambda _: {"withdraw": args.withdraw, "reason": args.reason})
        return 0
    if _only_reads(args):
        return _show(args)
    if args.stix is not None:
        hint = "first record the indicator, then write the file with --stix in a second command."
        raise UsageError("--stix and a new indicator cannot be combined", hint=hint)
    said = {"type": args.type, "seen": args.seen, "expires": args.expires, "text": args.text}
    act(args, 1, lambda words: {"value": words[0], **said})
    return 0


def evidence(args: argparse.Namespace) -> int:
    if _only_reads(args):
        return _show(args)
    file = read_file(args.file) if args.file is not None else None
    said = {
        "where": args.where or (file.path if file is not None else ""),
        "sha256": file.sha256 if file is not None else None,
        "bytes": file.size if file is not None else None,
        "taken": args.taken,
        "run": args.run,
    }
    act(args, 1, lambda words: {"text": words[0], **said})
    return 0


def cause(args: argparse.Namespace) -> int:
    if _only_reads(args):
        return _show(args)
    said = {"evidence": args.evidence, "hypotheses": args.hypothesis, "reason": args.reason}
    act(args, 1, lambda words: {"text": words[0], **said})
    return 0


def _only_reads(args: argparse.Namespace) -> bool:
    """Return whether nothing was given to record: no word, or the number of an incident alone."""
    words: list[str] = args.words
    return not words or (len(words) == 1 and words[0].isdecimal())


def _show(args: argparse.Namespace) -> int:
    number = int(args.words[0]) if args.words else None

    def here(app: App) -> dict[str, Any]:
        incident = app.catalogue.incidents.get(chosen(app.catalogue, number))
        investigated = investigation(app.catalogue.incidents.entries(incident))
        return {"incident": incident.number, "investigation": investigation_document(investigated)}

    told, zone = zoned(args, path_of(number), here)
    investigated = investigation_of(told["investigation"])
    if getattr(args, "stix", None) is not None:
        return _write_stix(args, investigated)
    if args.json:
        output.print_json({"incident": told["incident"], **told["investigation"]})
        return 0
    for line in _lines(args.incident_verb, investigated, datetime.now(UTC), zone):
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
    left = left_out(found.indicators)
    if left:
        output.warn(
            f"the file does not contain {counted(len(left), 'indicator')} of type other, because "
            "STIX has no pattern for this type"
        )
    if args.stix == "-":
        output.say(bundle_text(found.indicators).rstrip())
        return 0
    write_new(args.stix, bundle_text(found.indicators).encode())
    if not args.quiet:
        output.say(
            f"wrote {counted(len(found.indicators) - len(left), 'indicator')} to {args.stix}"
        )
    return 0

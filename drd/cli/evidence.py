"""`drd evidence list` and `drd evidence show`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from drd.api import evidence_documents
from drd.cli import evidence_file, output, remote
from drd.cli.checks_table import STYLE, evidence_of, print_evidence
from drd.cli.recorded import in_one_line
from drd.cli.render import notes, terminal_width
from drd.model.cells import Cell, Note
from drd.model.check_words import failed_words
from drd.model.copy_names import short_copy
from drd.model.plan import IN_PLACE
from drd.model.run import PARTIAL, PARTIAL_DRILL, CheckVerdict, Evidence
from drd.model.text import and_more, counted, escaped, without_output
from drd.model.units import format_duration, format_rfc3339, format_size


def list_(args: argparse.Namespace) -> int:
    document = remote.document(
        args,
        "/v1/evidence",
        lambda app: evidence_documents.evidence_list(app, args.plan, args.limit),
        plan=args.plan,
        limit=args.limit,
    )
    if args.json:
        output.print_json(document)
    elif not document["evidence"]:
        output.say("there is no evidence yet: no drill and no recovery has ended")
    else:
        records = map(in_one_line, document["evidence"])
        items = [note for one in records for note in _notes(one)]
        width, colour = terminal_width(sys.stdout), output.colours(args.no_color)
        output.say("\n".join(notes(items, width=width, colour=colour)))
    return 0


def _notes(document: Mapping[str, Any]) -> list[Note]:
    """Return two lines: when it was, of which plan, what it was and its result; what it showed."""
    evidence = evidence_of(document)
    ended = format_rfc3339(document["finished_at"], seconds=True)
    style = STYLE[str(evidence.result)]
    head = Cell(f"{ended}  {evidence.plan}: {_what(evidence, document)} {evidence.result}", style)
    return [Note(evidence.id, head, ""), Note(evidence.id, Cell(_shown(evidence), "dim"), "")]


def _what(evidence: Evidence, document: Mapping[str, Any]) -> str:
    """`drill of database-loss`, `recovery into standby`, `drill of single components`."""
    target = document["target"]
    if evidence.scenario == PARTIAL_DRILL:
        return "drill of single components"
    if target is None:
        return f"drill of {evidence.scenario}"
    what = "recovery of a part" if evidence.scenario == PARTIAL else "recovery"
    return f"{what} in place" if target == IN_PLACE else f"{what} into {escaped(target)}"


def _shown(evidence: Evidence) -> str:
    """What was proven, or which check failed, or why nothing was."""
    failed = [c for c in evidence.checks if c.verdict is CheckVerdict.FAILED]
    if failed:
        first = failed[0]
        words = failed_words(first.name, first.observed, first.expected)
        return words + and_more(len(failed) - 1)
    if evidence.reason:
        return without_output(evidence.reason)
    passed = sum(c.verdict is CheckVerdict.PASSED for c in evidence.checks)
    text = counted(passed, "check") + " passed"
    if evidence.rta_s is not None:
        text += f", recovered in {format_duration(evidence.rta_s)}"
    if evidence.instant is not None:
        text += f", instant drill in {format_duration(evidence.instant.answered_s)}"
    left = ", ".join(u.component for u in evidence.unproven)
    return f"{text}; not proven: {left}" if left else text


def show(args: argparse.Namespace) -> int:
    if evidence_file.is_named(args.evidence):
        return evidence_file.show(args)
    document = remote.document(
        args,
        f"/v1/evidence/{args.evidence}",
        lambda app: evidence_documents.evidence_record(app, args.evidence),
    )
    if args.json:
        output.print_json(document)
    else:
        _print(in_one_line(document), colour=output.colours(args.no_color))
    return 1 if document["integrity"]["contradicted"] else 0


def _print(document: Mapping[str, Any], *, colour: bool) -> None:
    evidence = evidence_of(document)
    what = _what(evidence, document)
    output.say(f"evidence {evidence.id} of plan {evidence.plan}: {what} {evidence.result}")
    _line("run", f"{evidence.run} (its steps: drd run show {evidence.run})")
    if evidence.point is not None:
        dated = ""
        if document["data_time"] is not None:
            dated = f", with data of {format_rfc3339(document['data_time'], seconds=True)}"
        copy = document.get("copy")  # a daemon of an older version sends none
        named = f" (copy {short_copy(copy)})" if copy else ""
        _line("point", f"{evidence.point}{named}{dated}")
    _line("started", format_rfc3339(document["started_at"], seconds=True))
    _line("ended", format_rfc3339(document["finished_at"], seconds=True))
    if document["lost_at"] is not None:
        _line("lost at", format_rfc3339(document["lost_at"], seconds=True))
    if document["repository"]:
        _line("only from", f"repository {document['repository']}")
    if document["given_by"]:
        _line("read from", f"repository {', '.join(document['given_by'])}")
    if document["restored_bytes"]:
        _line("restored", format_size(document["restored_bytes"]))
    _line("proof hash", document["plan_digest"])
    for program, version in document["tools"].items():
        _line("with", f"{program} {version}")
    print_evidence(evidence, colour=colour)
    _print_integrity(document["integrity"], colour=colour)


_MARKS = {True: ("agrees", "good"), False: ("CONTRADICTS", "bad"), None: ("noted", "")}


def _print_integrity(integrity: Mapping[str, Any], *, colour: bool) -> None:
    output.say("compared with the other records of the catalogue:")
    for one in integrity["comparisons"]:
        word, style = _MARKS[one["agrees"]]
        mark = Cell(f"{word:<11}", style)
        output.say_marked(mark, one["text"], left="  ", right="  ", colour=colour)
    output.say_below("", integrity["text"])


def _line(name: str, text: str) -> None:
    output.say_below(f"  {name:<10} ", text)

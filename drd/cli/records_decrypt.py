"""`drd records decrypt`: restricted entries of an export, on any machine."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from drd.api.record_documents import entry_document
from drd.cli import output
from drd.cli.session import without_host
from drd.errors import UsageError
from drd.flows.records.export import check_export, read_export
from drd.flows.records.restricted import unsealed
from drd.kit.sealing import read_secret_file
from drd.model.text import counted, escaped
from drd.model.units import format_time


def run(args: argparse.Namespace) -> int:
    with without_host(args):
        exported = read_export(Path(args.file))
        report = check_export(exported)
        if report.faults:
            raise UsageError(
                f"{args.file} was changed, at entry {report.faults[0].seq}: "
                f"{escaped(report.faults[0].text)}",
                hint=f"to see every change: drd records verify {args.file}",
            )
        identity = read_secret_file(Path(args.identity), "identity").encode()
        entries = unsealed((e for e in exported.entries if e.sealed), identity)
    if args.json:
        output.print_json({"records": [entry_document(entry) for entry in entries]})
        return 0
    for entry in entries:
        header = entry.header
        at = format_time(header.at, seconds=True)
        output.say(
            f"entry {entry.seq}, {at}, {escaped(header.actor_name)}: {escaped(header.kind)} of "
            f"{escaped(header.subject)}"
        )
        body = json.loads(entry.body.text) if entry.body is not None else None
        for line in json.dumps(body, indent=2, ensure_ascii=True).split("\n"):
            output.say(f"  {line}")
    if not args.quiet:
        output.say(f"{counted(len(entries), 'restricted entry', 'restricted entries')} read")
    return 0

"""`drd evidence show FILE`: the evidence that exported records cite, without a catalogue."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from drd.api.record_documents import entry_document, report_document
from drd.cli import output
from drd.cli.session import without_host
from drd.flows.records.export import check_export, read_export
from drd.model.evidence_integrity import cited_evidence
from drd.model.records import Entry
from drd.model.text import escaped

_ID = re.compile(r"[0-9a-f-]+")


def is_named(name: str) -> bool:
    """Whether this names a file or a directory: a path, or what is there and cannot be an id."""
    return "/" in name or (not _ID.fullmatch(name) and Path(name).exists())


def show(args: argparse.Namespace) -> int:
    with without_host(args):
        exported = read_export(Path(args.evidence))
        report = check_export(exported)
    entries = [e for e in exported.entries if cited_evidence(e)]
    if args.json:
        output.print_json(
            {
                "evidence": [entry_document(e) for e in entries],
                "check": report_document(report, None),
            }
        )
    else:
        for entry in entries:
            _print(entry)
        if not entries:
            output.say("these records do not refer to any evidence")
        if report.faults:
            output.say(
                "somebody changed these records. To see what was changed: drd evidence "
                f"verify {args.evidence}"
            )
    return 1 if report.faults else 0


def _print(entry: Entry) -> None:
    cited = cited_evidence(entry)
    what = f"{cited.get('scenario')} {cited.get('result')}"
    _say(f"evidence {cited.get('id')} of plan {cited.get('plan')}: {what}")
    for name in ("point", "data_time", "started_at", "finished_at", "rpa_s", "rta_s", "reason"):
        if cited.get(name) is not None:
            _say(f"  {name.replace('_', ' '):<12} {cited[name]}")
    for check in _checks(cited):
        words = f"{check.get('observed')} (expected {check.get('expected')})"
        _say(f"  {'check':<12} {check.get('name')}: {words} {check.get('verdict')}")
    _say(f"  {'signed':<12} {f'by key {entry.key}' if entry.signature else 'no'}")


def _checks(cited: dict[str, Any]) -> list[dict[str, Any]]:
    checks = cited.get("checks")
    return [c for c in checks if isinstance(c, dict)] if isinstance(checks, list) else []


def _say(text: str) -> None:
    output.say(escaped(text))

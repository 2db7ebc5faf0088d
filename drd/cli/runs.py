"""`drd runs`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from drd.api import documents
from drd.cli import output, remote
from drd.cli.recorded import recorded_error
from drd.model.actor import Actor
from drd.model.text import and_more, shortened, without_output
from drd.model.units import bare_time, format_duration


def run(args: argparse.Namespace) -> int:
    document = remote.document(
        args,
        "/v1/runs",
        lambda app: documents.runs(app, args.plan, args.limit),
        plan=args.plan,
        limit=args.limit,
    )
    if args.json:
        output.print_json(document)
    elif not document["runs"]:
        output.say("nothing has run yet")
    else:
        _print(document["runs"], _ON_A_TERMINAL if sys.stdout.isatty() else None)
    return 0


def _print(runs: Sequence[dict[str, Any]], most: int | None) -> None:
    """`most` is the number of characters of each error that the table shows; None: all."""
    whole = [_row(r) for r in runs]
    rows = [[*row[:-1], shortened(row[-1], most)] for row in whole] if most else whole
    output.say(output.table(rows, header=_HEADER))
    cut = [row for row, all_of_it in zip(rows, whole, strict=True) if row != all_of_it]
    if cut:
        output.say(f"… To see the whole text: drd run show {cut[0][0]}" + and_more(len(cut) - 1))


_ON_A_TERMINAL = 240
"""The number of characters of an error that the table shows on a terminal."""

_HEADER = ["RUN", "PLAN", "KIND", "STATE", "STARTED (UTC)", "TOOK", "TRIGGER", "WHAT WENT WRONG"]


def _row(run: dict[str, Any]) -> list[str]:
    took_s = run["duration_s"]
    started = bare_time(run["started_at"]) if run["started_at"] else ""
    took = format_duration(took_s) if took_s is not None else ""
    fact, _ = recorded_error(run)
    why = without_output(fact)
    kind = f"{run['kind']} {run['repository'] or ''}".rstrip()
    return [run["run"], run["plan"], kind, run["state"], started, took, _trigger(run), why]


def _trigger(run: dict[str, Any]) -> str:
    """`manual, root, logged in as anna`; for scheduled runs only the trigger."""
    actor = Actor.from_json(run["actor"])
    if actor is None or actor.came == "schedule":
        return str(run["trigger"])
    return f"{run['trigger']}, {actor.short()}"

"""Asking before plans and drd.yaml that came out of a repository become root's."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

from drd.cli import output
from drd.cli.confirm import confirm_texts
from drd.errors import UsageError
from drd.kit.orders import Order


def accept(
    args: argparse.Namespace, stored_at: datetime, orders: Mapping[str, Sequence[Order]]
) -> None:
    """Show what they would have drd do, and have it accepted. Without a terminal only commands need that,
    by an option: places and addresses are shown again before they are used. Raises Cancelled when it
    was not accepted, and UsageError where there is nobody to ask."""
    if args.accept_commands and args.quiet:
        return
    at = f"{stored_at:%Y-%m-%d %H:%M:%S} UTC"
    for line in (
        f"The repository has plans that were stored at {at}, by drd or by somebody else with its password.",
        "With them in force, drd runs, reads, writes and connects to this:",
    ):
        output.say(line, beside=True)
    for name, lines in sorted(orders.items()):
        output.say(f"{name}:", beside=True)
        for line in [order.line for order in lines] or ["nothing"]:
            output.say(f"  {line}", beside=True)
    if args.accept_commands:
        return
    if args.json or not sys.stdin.isatty():
        commands = [order.line for lines in orders.values() for order in lines if order.runs]
        if not commands:
            return
        raise UsageError(
            f"plans out of the repository have commands ({commands[0][:200]}), which are put in force after "
            "a confirmation, and there is no terminal to ask on: nothing was written",
            hint="read what they say, above; when it is what this host did, give the command again with "
            "--accept-commands. A recovery kit needs no such look.",
        )
    confirm_texts()

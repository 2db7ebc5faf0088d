"""Ask before plans and drd.yaml from a repository become root's."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

from drd.cli import output
from drd.cli.confirm import confirm_texts
from drd.errors import UsageError
from drd.kit.plan_effects import PlanEffect
from drd.model.text import left_out
from drd.model.units import format_time


def accept(
    args: argparse.Namespace, stored_at: datetime, orders: Mapping[str, Sequence[PlanEffect]]
) -> None:
    """Show what stored plans would make drd do, and ask a person to accept it. Without a terminal
    an option must accept it, if anything needs acceptance: drd shows all other places and addresses
    again before it uses them. Raises Cancelled when a person declines, and UsageError without a
    terminal."""
    if args.accept_commands and args.quiet:
        return
    at = format_time(stored_at, seconds=True)
    for line in (
        f"The repository has plans that were stored at {at},",
        "by drd or by someone else who has the password of the repository.",
        "If you accept these plans, drd will use the following commands, files and addresses.",
        "Lines with ! run a command, could reveal a secret or a file of this host,",
        "give users of this host rights in drd, send messages,",
        "or trust a file that a recovery replaces:",
    ):
        output.say(line, beside=True)
    for name, lines in sorted(orders.items()):
        output.say(f"{name}:", beside=True)
        for line in [_line(order) for order in lines] or ["  nothing"]:
            output.say(line, beside=True)
    if args.accept_commands:
        return
    if args.json or not sys.stdin.isatty():
        asking = [order.line for lines in orders.values() for order in lines if order.asks]
        if not asking:
            return
        more = left_out(len(asking) - 1)
        raise UsageError(
            "plans or drd.yaml from the repository have commands, could reveal secrets or files "
            "of this host, give users rights, or send messages "
            f"({asking[0][:200]}{more}): this needs your confirmation, but drd has "
            "no terminal to ask you. drd wrote nothing",
            hint="read the list above. If the lost host used all of this, run the command "
            "again with --accept-commands. Plans from a recovery kit do not need this "
            "confirmation.",
        )
    confirm_texts()


def _line(order: PlanEffect) -> str:
    return f"{'!' if order.asks else ' '} {order.line}"

"""`drd adopt`: this machine takes over this state."""

from __future__ import annotations

import argparse

from drd import process
from drd.cli import output
from drd.cli.session import session
from drd.errors import UsageError
from drd.model.state_place import WHILE_CONTESTED
from drd.model.units import format_time


def run(args: argparse.Namespace) -> int:
    with session(args, acts=bool(args.reason), records=True) as app:
        custodian = app.catalogue.custody
        now = app.clock.now()
        custody = custodian.check(now)
        if custody is None:
            raise UsageError(
                "drd's state is in a database that several hosts can share, so no single host "
                "owns the state",
                hint="nothing to do: drd adopt is only for a state in a directory of one host.",
            )
        reason = (args.reason or "").strip()
        if reason:
            custody = custodian.take(now, process.actor_here(), reason) or custody
    if args.json:
        output.print_json({"state": custody.to_json()})
        return 0
    if args.quiet:
        return 0
    owner = custody.owner
    output.say(
        f"drd's state belongs to host {owner.host}, path {owner.path}, since "
        f"{format_time(custody.since)}"
    )
    if custody.reason:
        by = f", given by {custody.by.words()}" if custody.by is not None else ""
        output.say(f"  reason: {output.unmarked(custody.reason)}{by}")
    if reason:
        output.say(
            "  next   if this state is a copy from an earlier time, the repositories may have "
            "newer restore points: drd catalogue rebuild"
        )
    if custody.contested is not None:
        output.complain(
            f"{custody.contested}: {WHILE_CONTESTED}",
            "if another machine takes over, stop drd on this one: `systemctl disable --now drd`. "
            "If this machine takes over: `drd adopt --reason TEXT`",
        )
    return 0

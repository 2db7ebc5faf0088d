"""`drd mount`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from drd.cli import output
from drd.cli.parser import unexpected
from drd.cli.point_words import chosen
from drd.cli.session import cancelled_as, session
from drd.errors import Cancelled
from drd.flows.components.repository_choice import named
from drd.flows.restore.browsing import mount
from drd.model.units import format_time


def run(args: argparse.Namespace) -> int:
    into = Path(args.directory).absolute()
    with session(args, acts=False) as app:
        services, plan, point, word = chosen(app, args, args.repository)
        if word is not None:
            raise unexpected("mount", word)
        mounted = False

        def ready(repository: str, snapshots: Mapping[str, str]) -> None:
            nonlocal mounted
            mounted = True
            at = format_time(point.data_time, seconds=True)
            output.say(f"{plan.name}: point {point.id} of {at}, from repository {repository}")
            rows = [[f"  {name}", f"{into}/{s[:8]}"] for name, s in snapshots.items()]
            output.say(output.table(rows))
            output.say("Ctrl-C unmounts it.")

        words = f"the mount of restore point {point.id} was cancelled: nothing is mounted at {into}"
        again = f"to start again: drd mount {plan.name} {point.id} {into}"
        if args.repository is not None:
            again += f" --repository {args.repository}"
        try:
            with cancelled_as(lambda: words, again):
                mount(
                    services, plan, point, args.component, into=into, on_ready=ready,
                    only=named(plan, args.repository),
                )  # fmt: skip
        except Cancelled:
            if not mounted:
                raise
    output.say(f"unmounted {into}")
    return 0

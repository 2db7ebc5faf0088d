"""`drd uninstall`."""

from __future__ import annotations

import argparse
from pathlib import Path

from drd.bootstrap import app
from drd.cli.install import execute_or_print
from drd.errors import DrdError
from drd.flows.host.install import plan_uninstall
from drd.flows.log.left import kept
from drd.model.text import escaped


def run(args: argparse.Namespace) -> int:
    planned = plan_uninstall(Path(args.prefix).absolute())
    if planned.here:
        planned.notes.extend(_left(args))
    execute_or_print(planned, args)
    return 0


def _left(args: argparse.Namespace) -> list[str]:
    """Return what servers keep for drd, with the commands: nobody removes it afterwards."""
    try:
        with app(args.config, reading=True) as opened:
            services = opened.services_without_plan()
            slots = kept(services.catalogue.queue, services.kinds)
    except DrdError as error:
        why = f"drd cannot read which servers keep a replication slot for it: {error.message}"
        return [f"{why}. If a plan has `wal`, look on its server: TABLE pg_replication_slots;"]
    return [
        f"the server of component {escaped(one.component)} of plan {escaped(one.plan)} keeps its "
        f"log for drd's replication slot {one.name}. On this server, run as a superuser: "
        f"{one.command}"
        for one in slots
    ]

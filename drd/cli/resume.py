"""`drd resume`."""

from __future__ import annotations

import argparse

from drd.cli.live import watched
from drd.cli.recover import execute
from drd.cli.session import session
from drd.flows.restore.resume import resume_plan


def run(args: argparse.Namespace) -> int:
    with session(args) as app, watched(app, args):
        run = app.catalogue.runs.get(args.run)
        plan = app.plans.load_known(run.plan)
        services = app.services(plan)
        return execute(app, services, resume_plan(services, plan, run), args)

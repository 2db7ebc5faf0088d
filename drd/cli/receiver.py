"""`drd receiver`: what the daemon starts for each log that it receives. Not for people."""

from __future__ import annotations

import argparse
import os

from drd import log, process
from drd.bootstrap import Console, app
from drd.cli.worker import handed_plan, listen
from drd.config.run_settings import from_environment
from drd.errors import AlreadyRunning, Cancelled, NotSupported, UsageError
from drd.flows.log.keeper import Keeper
from drd.flows.log.left import kept, leave
from drd.flows.log.repository import logged
from drd.flows.repository.contested import HINT, contested
from drd.flows.services import Services
from drd.model.plan import Plan


def _leave(services: Services, plan: Plan, component: str) -> int:
    """Remove what the server keeps for a component that has no log any more."""
    if component in logged(services, plan):
        return 0
    for one in kept(services.catalogue.queue, services.kinds, plan.name):
        known = plan.components.get(component)
        if one.component == component and known is not None and known.kind == one.kind:
            leave(services, plan, one)
    return 0


def run(args: argparse.Namespace) -> int:
    process.offer_to_oom_killer()
    handed = handed_plan() if args.plan_on_stdin else None
    with app(args.config, settings=from_environment(os.environ)) as opened:
        settings = opened.settings
        log.configure(level=settings.log_level, style=settings.log_format)
        opened.handed = lambda name: handed if handed and handed.plan == name else None
        logger = log.get(plan=args.plan, component=args.component)
        opened.console = Console(
            warn=lambda text: logger.warning("receiver.said", text=text),
            note=lambda text: logger.info("receiver.said", text=text),
        )
        listen()
        plan = opened.plans.in_force(args.plan)
        services = opened.services(plan)
        if args.leave:
            return _leave(services, plan, args.component)
        if args.component not in logged(services, plan):
            raise UsageError(
                f"plan {plan.name} does not receive the log of a component {args.component!r}",
                hint="write the key for its log into the component, such as `wal: {every: 30s}`.",
            )
        if why := contested(services):
            raise NotSupported(f"{why}: drd does not receive logs", hint=f"{HINT}.")
        try:
            with services.catalogue.lock(f"log {plan.name} {args.component}", wait_s=10.0):
                Keeper(services, plan, plan.components[args.component]).run()
        except AlreadyRunning:
            logger.warning("receiver.elsewhere")
            return AlreadyRunning.exit_code
        except Cancelled:
            return 0
    return 0

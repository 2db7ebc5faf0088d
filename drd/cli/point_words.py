"""The restore point that the words `PLAN [POINT]` or `POINT` name."""

from __future__ import annotations

import argparse

from drd.bootstrap import App
from drd.errors import NoRestorePoint, UnknownPlan, UsageError
from drd.flows.components.repository_choice import named
from drd.flows.restore.point_choice import choose, parse_time
from drd.flows.services import Services
from drd.model.plan import Plan
from drd.model.snapshot import RestorePoint


def chosen(
    app: App, args: argparse.Namespace, repository: str | None = None
) -> tuple[Services, Plan, RestorePoint, str | None]:
    """Return the point, which a named repository holds; and the word that followed, if it turned
    out not to name a point: after the id of a point instead of a plan, after `--before`, and for a
    path."""
    name, word, rest = args.plan, args.point, None
    try:
        plan = app.plans.load(name)
    except UnknownPlan as unknown:
        try:
            owner, point = app.catalogue.keeping.plan_of(name)
        except NoRestorePoint:
            raise unknown from None
        if args.before:
            raise UsageError(
                "a restore point and --before cannot be combined", hint="leave out one of them."
            ) from None
        plan, rest, word = app.plans.load_known(owner), word, point
    else:
        if word is not None and (args.before or word.startswith("/")):
            word, rest = None, word
    services = app.services(plan)
    before = parse_time(args.before, app.clock.now()) if args.before else None
    held_by = named(plan, repository)
    choice = choose(services, plan, point=word, before=before, held_by=held_by)
    return services, plan, choice.point, rest

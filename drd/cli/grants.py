"""`drd doctor PLAN --grants`: one script with all rights that a plan needs on its servers."""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Iterator

from drd.cli import output
from drd.cli.session import loaded_plans, require_owner, session
from drd.errors import DrdError, NotSupported, UsageError
from drd.extension_faults import attributed
from drd.kinds.registry import grants_of
from drd.model.plan import Component, Plan
from drd.ports.grants import Grants, Logins
from drd.registry import KINDS
from drd.users import user_name

SERVICE = "drd"
"""The system user that `drd install` makes for the service."""


def print_grants(args: argparse.Namespace) -> int:
    if not args.plan:
        raise UsageError(
            "--grants needs a plan", hint="give the name of the plan: drd doctor PLAN --grants"
        )
    with session(args, acts=False) as app:
        require_owner(app, "doctor --grants")
        for _, plan in loaded_plans(app, args.plan, refreshing=False):
            if isinstance(plan, DrdError):
                raise plan
            state = app.settings.state_dir
            owner = state.stat().st_uid if state is not None and state.is_dir() else os.geteuid()
            users = logins(user_name(owner))
            if args.as_service:  # whose recoveries are those that others ask the service for
                users = Logins(users.service, users.service)
            output.say(script(plan, users, args.plan, as_service=args.as_service))
    return 0


def logins(owner: str) -> Logins:
    """Root acts for the service, also where it is not installed yet; others act for themselves."""
    if owner in ("root", SERVICE):
        return Logins(SERVICE, "root")
    return Logins(owner, "root" if os.geteuid() == 0 else owner)


def _checks(name: str, *, as_service: bool) -> Iterator[str]:
    """Return how to check the rights afterwards."""
    yield "-- Then check that nothing is missing:"
    if not as_service:
        yield f"--   drd doctor {name}                 as root: backups, drills and recoveries"
    yield f"--   drd doctor {name} --as-service    as the service: the same, with its user"


def script(plan: Plan, users: Logins, name: str, *, as_service: bool = False) -> str:
    """Return the script, for all or for the service alone. Raises NotSupported if no component is
    of a kind with grants.
    """
    of_kind: dict[str, list[Component]] = defaultdict(list)
    for component in plan.components.values():
        of_kind[component.kind].append(component)
    given: list[Grants] = []
    without: list[str] = []
    for kind, components in of_kind.items():
        try:
            function = grants_of(kind)
        except NotSupported as error:
            without.append(f"{', '.join(c.name for c in components)}: {error.message}")
            continue
        targets = {
            c.name: [t.components[c.name] for t in plan.targets.values() if c.name in t.components]
            for c in components
        }
        with attributed(f"kind {kind}", KINDS.extension(kind)):
            given.append(function(components, targets, users))
    if not given:
        raise NotSupported("; ".join(without))
    words = f"drd doctor {name} --grants" + (" --as-service" if as_service else "")
    lines = [f"-- Run this command as root: {words} | {each.program}" for each in given]
    lines += [
        f"-- This gives the roles of plan {plan.name} every right that they need for backups,",
        "-- drills and recoveries. A missing role is created. You can run it again at any time.",
        *(f"-- {line}" for each in given for line in each.lacks),
        "-- Drills restore into servers that drd starts for them, and need no more rights here.",
        "-- A managed server has no superuser: run this script as the administrator that the",
        "-- provider gives you (psql -U NAME). Warnings say which rights it cannot give, and what",
        "-- to do instead.",
        *_checks(name, as_service=as_service),
        *(f"-- {line}" for line in without),
    ]
    return "\n".join([*lines, r"\set ON_ERROR_STOP on", "", *(each.sql.rstrip() for each in given)])

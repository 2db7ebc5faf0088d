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
from drd.process import rights
from drd.registry import KINDS
from drd.users import user_name

SERVICE = "drd"
"""The system user that `drd install` makes for the service."""


def print_grants(args: argparse.Namespace) -> int:
    if not args.grants:
        raise UsageError("--kind needs --grants", hint="leave out --kind, or add --grants.")
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
            output.say(script(plan, users, args.plan, as_service=args.as_service, only=args.kind))
    return 0


def logins(owner: str) -> Logins:
    """Root acts for the service, also where it is not installed yet; others act for themselves."""
    if owner in ("root", SERVICE):
        return Logins(SERVICE, "root")
    return Logins(owner, "root" if rights.may_be_root() else owner)


def _checks(name: str, *, as_service: bool) -> Iterator[str]:
    """Return how to check the rights afterwards."""
    yield "-- Then check that nothing is missing:"
    if not as_service:
        yield f"--   drd doctor {name}                 as root: backups, drills and recoveries"
    yield f"--   drd doctor {name} --as-service    as the service: the same, with its user"


def script(
    plan: Plan, users: Logins, name: str, *, as_service: bool = False, only: str | None = None
) -> str:
    """Return the script, for both users of `users` or for the service alone; with `only`, for
    components of this kind. Raises NotSupported if no component is of a kind with grants,
    UsageError if the servers need different programs to read a script."""
    of_kind: dict[str, list[Component]] = defaultdict(list)
    for component in plan.components.values():
        of_kind[component.kind].append(component)
    given: list[Grants] = []
    readers: dict[str, list[str]] = defaultdict(list)
    without: list[str] = []
    if only is not None and only not in of_kind:
        raise UsageError(
            f"plan {plan.name} does not have a component of kind {only}",
            hint=f"use a kind of its components: {', '.join(of_kind)}.",
        )
    for kind, components in of_kind.items():
        if only not in (None, kind):
            continue
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
        readers[given[-1].reader].append(kind)
    if not given:
        raise NotSupported("; ".join(without))
    words = f"drd doctor {name} --grants" + (f" --kind {only}" if only else "")
    words += " --as-service" if as_service else ""
    if len(readers) > 1:
        kinds = [kind for of_reader in readers.values() for kind in of_reader]
        each_kind = "; ".join(f"{words} --kind {kind}" for kind in kinds)
        raise UsageError(
            f"plan {plan.name} has components of kinds {' and '.join(kinds)}: their "
            "servers cannot read the same script",
            hint=f"print a script for each kind: {each_kind}",
        )
    lines = [f"-- Run this command as root: {words} | {each.program}" for each in given]
    lines += [
        f"-- This gives the roles of plan {plan.name} every right that they need for backups,",
        "-- drills and recoveries. A missing role is created. You can run it again at any time.",
        *(f"-- {line}" for each in given for line in each.lacks),
        "-- Drills restore into servers that drd starts for them, and need no more rights here.",
        *(f"-- {line}" for line in dict.fromkeys(line for each in given for line in each.about)),
        *_checks(name, as_service=as_service),
        *(f"-- {line}" for line in without),
    ]
    begins = [line for line in dict.fromkeys(each.begins for each in given) if line]
    return "\n".join([*lines, *begins, "", *(each.sql.rstrip() for each in given)])

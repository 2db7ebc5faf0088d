"""`drd plan controls`: the checks of each live service, and their results."""

from __future__ import annotations

import argparse
from typing import Any

from drd import secrets
from drd.bootstrap import App
from drd.cli import output, vouched
from drd.cli.session import loaded_plans, require_owner, session
from drd.errors import DrdError, UsageError
from drd.flows.host.control import Standing, State, control, require_control, standings
from drd.model.plan import Plan
from drd.model.text import escaped
from drd.model.units import format_duration, format_time, to_rfc3339


def controls(args: argparse.Namespace) -> int:
    if (args.check is not None or args.accept) and args.plan is None:
        raise UsageError(
            "--check and --accept need the name of a plan",
            hint="write the plan before the option: drd plan controls PLAN --check",
        )
    named_standings: list[tuple[str, Standing]] = []
    wanted = args.accept or args.check
    checks = wanted is not None
    with session(args, reading=not checks) as app:
        require_owner(app, "plan controls")
        for name, plan in loaded_plans(app, args.plan, refreshing=checks):
            if isinstance(plan, DrdError):
                output.warn(f"{name}: {plan.message}")
                continue
            names = {require_control(plan, one).name for one in wanted or ()}
            names = names or {one.name for one in plan.controls}
            if checks:
                _check(app, plan, names, accept=bool(args.accept))
            standing = standings(app.services(plan), plan)
            named_standings += [(plan.name, one) for n, one in standing.items() if n in names]
    if args.json:
        output.print_json({"controls": [_document(plan, one) for plan, one in named_standings]})
    else:
        _print(named_standings)
    return _exit_code([one.state for _, one in named_standings]) if checks else 0


def _check(app: App, plan: Plan, names: set[str], *, accept: bool) -> None:
    """Check these controls of a plan; what is wrong is in their runs."""
    services = app.services(plan)
    for one in plan.controls:
        if one.name in names:
            try:
                control(services, plan, one.name, secrets.resolve, accept=accept)
            except DrdError as error:
                output.warn(f"control {one.name}: {error.message}")


def _exit_code(states: list[State]) -> int:
    if State.FAILED in states:
        return 4
    return 0 if all(state is State.HOLDS for state in states) else 5


def _document(plan: str, one: Standing) -> dict[str, Any]:
    return {
        "plan": plan,
        "control": one.spec.name,
        "kind": one.spec.kind,
        "every_s": one.spec.every_s,
        "state": one.state.value,
        "text": one.text or None,
        "remedy": vouched.remedy(one.remedy) or None,
        "at": to_rfc3339(one.at) if one.at is not None else None,
        "run": one.run or None,
    }


def _print(found: list[tuple[str, Standing]]) -> None:
    if not found:
        output.say("there are no controls: add some under `controls` in a plan (docs/controls.md)")
    before = ""
    for plan, one in found:
        if plan != before:
            output.say(f"{plan}:")
        before = plan
        when = f", checked {format_time(one.at, seconds=True)}" if one.at is not None else ""
        again = f"every {format_duration(one.spec.every_s)}"
        output.say(f"  {one.spec.name}: {one.state.value}{when}, {again}")
        if one.text:
            output.say(f"    {escaped(one.text)}")
        for line in vouched.lines(one.remedy):
            output.say(f"    > {escaped(line)}")

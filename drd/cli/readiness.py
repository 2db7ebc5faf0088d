"""`drd readiness`."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

from drd import secrets
from drd.api.findings import readiness_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.findings import name_width, print_findings, worth_showing
from drd.cli.remote import Remote
from drd.cli.session import as_if_in_force, found_by_file, loaded_plans, session
from drd.errors import AlreadyRunning, DrdError
from drd.flows.host.readiness import evaluate, judge_unrecorded
from drd.model.finding import Finding
from drd.model.plan import Plan
from drd.model.readiness import ReadinessReport
from drd.model.readiness_finding import ReadinessFinding
from drd.model.schedule import READINESS_TIMEOUT_S
from drd.model.text import counted
from drd.model.units import format_duration, format_rfc3339
from drd.model.verdicts import Readiness
from drd.repositories.adopted.command import LIST_S

_STYLE = {"ready": "good", "needs drill": "warn", "not ready": "bad"}


def run(args: argparse.Namespace) -> int:
    plans: list[dict[str, Any]] = []
    with session(args, acts=False, records=True) as app:
        if not app.state.is_ours:
            # A user who does not own the state may lack rights that a recovery's operator has, and
            # a check by such a user would report the plan as not ready: the daemon's last check
            # counts.
            known = Remote(app).get("/v1/readiness", plan=args.plan)
            plans += known["plans"]
        for name, plan in (
            loaded_plans(app, args.plan, refreshing=True) if app.state.is_ours else ()
        ):
            if isinstance(plan, DrdError):
                plans.append(_broken(name, plan))
            else:
                if not args.plan:
                    app.services(plan).note(_text_of_check(plan))
                report = _evaluate(app, name, plan)
                as_called = found_by_file(app, name, plan)
                judged = [replace(j, finding=as_called(j.finding)) for j in report.findings]
                plans.append(readiness_document(plan.name, report.readiness, judged))
    if args.json:
        output.print_json({"plans": plans})
    else:
        _print(plans, args)
    return 0 if all(p["readiness"] == "ready" for p in plans) else 3


def _text_of_check(plan: Plan) -> str:
    """Say which plan is checked, among several: a command of another tool may hang for a while."""
    adopted = plan.primary.adopted
    if adopted is None or adopted.command is None:
        return f"drd checks plan {plan.name}"
    most = format_duration(LIST_S)
    return f"drd checks plan {plan.name}: the command `list` of this plan may take up to {most}"


def _evaluate(app: App, name: str, plan: Plan) -> ReadinessReport:
    """If the daemon is just checking, wait for its result: it takes seconds. Only the result of a
    plan that is in force is recorded."""
    with as_if_in_force(app, name, plan) as in_force:
        if not in_force:
            return judge_unrecorded(app.services(plan), plan, secrets.resolve)
    limit = time.monotonic() + READINESS_TIMEOUT_S
    while True:
        try:
            return evaluate(app.services(plan), plan, secrets.resolve, trigger="manual")
        except AlreadyRunning:
            if time.monotonic() > limit:
                raise
            time.sleep(0.5)


def _broken(name: str, error: DrdError) -> dict[str, Any]:
    finding = Finding("plan-file", "error", "", error.message, error.hint)
    judged = ReadinessFinding(finding, Readiness.NOT_READY)
    return readiness_document(name, Readiness.NOT_READY, [judged])


def _print(plans: list[dict[str, Any]], args: argparse.Namespace) -> None:
    colour = output.colours(args.no_color)
    for plan in plans:
        verdict = output.paint(plan["readiness"], _STYLE[plan["readiness"]], colour)
        checked_at = plan.get("looked_at")
        when = f", checked at {format_rfc3339(checked_at)}" if checked_at else ""
        output.say(f"{plan['plan']}: {verdict}{when}")
        shown = worth_showing(plan["findings"], quiet=args.quiet)
        print_findings(shown, width=name_width(shown), colour=colour)
    if len(plans) > 1:
        ready = sum(p["readiness"] == "ready" for p in plans)
        output.say(f"{ready} of {counted(len(plans), 'plan')} ready")

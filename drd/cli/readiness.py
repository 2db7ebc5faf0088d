"""`drd readiness`."""

from __future__ import annotations

import argparse
import time
from datetime import timedelta
from typing import Any

from drd import secrets
from drd.api.documents import readiness_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.remote import Remote
from drd.cli.session import loaded_plans, session
from drd.errors import AlreadyRunning, DrdError
from drd.flows.host.readiness import evaluate
from drd.model.finding import Finding
from drd.model.judged import Judged
from drd.model.plan import Plan
from drd.model.readiness import ReadinessReport
from drd.model.schedule import READINESS_TIMEOUT_S
from drd.model.units import from_rfc3339
from drd.model.verdicts import Readiness

_MARKS = {"ok": ("ok", "good"), "warning": ("WARN", "warn"), "error": ("FAILED", "bad")}
_STYLE = {"ready": "good", "needs drill": "warn", "not ready": "bad"}


def run(args: argparse.Namespace) -> int:
    plans: list[dict[str, Any]] = []
    with session(args, acts=False) as app:
        if not app.owns_state:
            # A user who does not own the state may lack rights that a recovery's operator has, and
            # a check by such a user would report the plan as not ready: the daemon's last check
            # counts.
            known = Remote(app).get("/v1/readiness", plan=args.plan)
            plans += known["plans"]
        for name, plan in loaded_plans(app, args.plan) if app.owns_state else ():
            if isinstance(plan, DrdError):
                plans.append(_broken(name, plan))
            else:
                plans.append(document(plan, _evaluate(app, plan)))
    if args.json:
        output.print_json({"plans": plans})
    else:
        _print(plans, args)
    return 0 if all(p["readiness"] == "ready" for p in plans) else 3


def _evaluate(app: App, plan: Plan) -> ReadinessReport:
    """If the daemon is just checking, wait for its result: it takes seconds."""

    limit = time.monotonic() + READINESS_TIMEOUT_S
    while True:
        try:
            return evaluate(app.services(plan), plan, secrets.resolve, trigger="manual")
        except AlreadyRunning:
            if time.monotonic() > limit:
                raise
            time.sleep(0.5)


def document(plan: Plan, report: ReadinessReport) -> dict[str, Any]:
    """One plan: its verdict, and its findings, those that withhold `ready` first."""
    return readiness_document(
        plan.name, report.readiness.value, [f.to_json() for f in report.findings]
    )


def _broken(name: str, error: Any) -> dict[str, Any]:
    text = output.unmarked(output.masked(error.message))
    remedy = output.unmarked(output.masked(error.hint))
    judged = Judged(Finding("plan-file", "error", "", text, remedy), Readiness.NOT_READY)
    return readiness_document(name, Readiness.NOT_READY.value, [judged.to_json()])


def _print(plans: list[dict[str, Any]], args: argparse.Namespace) -> None:
    colour = output.colours(args.no_color)
    for plan in plans:
        verdict = output.paint(plan["readiness"], _STYLE[plan["readiness"]], colour)
        looked_at = plan.get("looked_at")
        when = f", checked at {looked_at[:16].replace('T', ' ')} UTC" if looked_at else ""
        output.say(f"{plan['plan']}: {verdict}{when}")
        shown = [f for f in plan["findings"] if not (args.quiet and f["severity"] == "ok")]
        width = max((len(f["name"]) for f in shown), default=0)
        for finding in shown:
            _print_finding(finding, width, colour)
    if len(plans) > 1:
        ready = sum(p["readiness"] == "ready" for p in plans)
        output.say(f"{ready} of {len(plans)} plans are ready")


def _print_finding(finding: dict[str, Any], width: int, colour: bool) -> None:
    word, style = _MARKS[finding["severity"]]
    accepted = finding["exception"]
    if accepted:
        word, style = "known", "warn"
    mark = output.paint(f"{word:<6}", style, colour)
    first, *rest = finding["evidence"].splitlines() or [""]
    output.say(f"  {mark}  {finding['name']:<{width}}  {first}")
    indent = " " * (width + 12)
    for line in rest:
        output.say(indent + line)
    if accepted:
        last = from_rfc3339(accepted["until"]) - timedelta(seconds=1)
        output.say(f"{indent}accepted until {last:%Y-%m-%d}: {accepted['reason']}")
    elif finding["remedy"] and finding["severity"] != "ok":
        for number, line in enumerate(finding["remedy"].splitlines()):
            output.say(indent + ("HINT: " if not number else "      ") + line)

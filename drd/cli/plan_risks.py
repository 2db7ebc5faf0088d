"""`drd plan risks`: the threats to each service, and what covers them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from drd.cli import output, vouched
from drd.cli.session import loaded_plans, require_owner, session
from drd.errors import DrdError
from drd.flows.host.risks import threats
from drd.model.risks import Judged
from drd.model.text import counted, escaped


def risks(args: argparse.Namespace) -> int:
    plans: dict[str, list[Judged]] = {}
    with session(args, reading=True) as app:
        require_owner(app, "plan risks")
        for name, plan in loaded_plans(app, args.plan, refreshing=False):
            if isinstance(plan, DrdError):
                output.warn(f"{name}: {plan.message}")
            else:
                plans[plan.name] = threats(app.services(plan), plan)
    if args.json:
        documents = [
            {
                "plan": name,
                "risks": [_document(one) for one in plan_risks if one.is_open or not args.open],
            }
            for name, plan_risks in plans.items()
        ]
        output.print_json({"plans": documents})
    else:
        _print(plans, only_open=args.open)
    return 0


def _document(one: Judged) -> dict[str, Any]:
    risk = one.risk
    return {
        "what": one.what,
        "title": one.title or None,
        "state": one.coverage.value,
        "open": one.is_open,
        "covered_by": list(one.by),
        "missing": [
            {"text": lack.text, "remedy": vouched.remedy(lack.remedy) or None}
            for lack in one.missing
        ],
        "usual": one.usual or None,
        "likelihood": risk.likelihood or None if risk is not None else None,
        "impact": risk.impact or None if risk is not None else None,
        "owner": risk.owner or None if risk is not None else None,
        "reviewed": risk.reviewed or None if risk is not None else None,
    }


def _print(plans: dict[str, list[Judged]], *, only_open: bool) -> None:
    for number, (name, plan_risks) in enumerate(plans.items()):
        if number:
            output.say()
        left = sum(one.is_open for one in plan_risks)
        output.say(f"{name}: {_summary(len(plan_risks), left)}")
        named = [one for one in plan_risks if one.risk is not None]
        for one in named:
            if one.is_open or not only_open:
                for line in _named(one):
                    output.say(line)
        if unnamed := [one for one in plan_risks if one.risk is None]:
            output.say_below(
                "",
                "the plan does not name these risks. Decide about each, and add it under "
                "`risks` in the plan:",
            )
        for one in unnamed:
            output.say_below("  ", f"{one.what}: {one.title}")
            output.say_below("    ", f"usually covered by: {one.usual}")


def _summary(all_of_them: int, left: int) -> str:
    if not left:
        return "every listed risk is covered or decided"
    return f"{left} of {counted(all_of_them, 'risk')} are neither covered nor decided"


def _named(one: Judged) -> Sequence[str]:
    by = f" by {', '.join(one.by)}" if one.by else ""
    lines = [f"  {escaped(one.what)}: {one.coverage.value}{by}"]
    for lack in one.missing:
        lines.append(f"    {escaped(lack.text)}")
        lines += [f"    > {escaped(line)}" for line in vouched.lines(lack.remedy)]
    return lines

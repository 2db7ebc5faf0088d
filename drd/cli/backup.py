"""`drd backup`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.api.outcomes import backup_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.follow import asked
from drd.cli.session import session
from drd.errors import DrdError
from drd.flows.backup.run import BackupOutcome, BackupRequest, backup
from drd.model.plan import Plan
from drd.model.run import RunState
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.model.units import format_duration, format_size, format_time, from_rfc3339


def run(args: argparse.Namespace) -> int:
    request = BackupRequest(tuple(args.component), accept_size=args.accept_size)
    with session(args) as app:
        if not app.owns_state and not args.dry_run:
            document, outcome = _by_the_daemon(app, args)
        else:
            if args.dry_run:
                plan = app.read(args.plan)
                return _dry_run(plan, request.chosen(plan), args.json)
            plan = app.load(args.plan)
            outcome = backup(app.services(plan), plan, request)
            document = documents_of(outcome)
        if args.json:
            output.print_json(document)
        else:
            _print(outcome, quiet=args.quiet)
        return exit_code(outcome)


def _by_the_daemon(app: App, args: argparse.Namespace) -> tuple[dict[str, Any], BackupOutcome]:
    """Return the result: the document, and the outcome in it."""
    done = asked(
        app,
        args.plan,
        "backup",
        quiet=args.quiet or args.json,
        components=args.component,
        accept_size=args.accept_size,
    )
    run, plan, state = done["run"], done["plan"], RunState(done["state"])
    if done["document"] is None:
        failure = DrdError(
            done["error"] or f"the run ended as {state}", hint=f"check the run: drd run show {run}"
        )
        outcome = BackupOutcome(run, plan, state, None, (), {plan: failure})
        return documents_of(outcome), outcome
    rows = tuple(_captured(c) for c in done["document"]["components"])
    errors = {row.component: DrdError(row.error) for row in rows if row.error}
    outcome = BackupOutcome(run, plan, state, _point(done["document"], rows), rows, errors)
    return done["document"], outcome


def documents_of(outcome: BackupOutcome) -> dict[str, Any]:
    return backup_document(outcome)


def _captured(row: dict[str, Any]) -> ComponentSnapshot:
    at = from_rfc3339(row["data_time"]) if row["data_time"] else None
    return ComponentSnapshot(**{**row, "data_time": at})


def _point(document: dict[str, Any], rows: tuple[ComponentSnapshot, ...]) -> RestorePoint:
    """The point, as far as it is shown."""
    at = from_rfc3339(document["data_time"])
    return RestorePoint(
        id=document["point"],
        plan=document["plan"],
        data_time=at,
        available_at=at,
        complete=document["complete"],
        plan_digest="",
        components=rows,
    )


def exit_code(outcome: BackupOutcome) -> int:
    """0 when everything requested was captured. When nothing was, the exit code of the
    first error."""
    if outcome.state == "succeeded":
        return 0
    first = next(iter(outcome.errors.values()), None)
    return first.exit_code if outcome.point is None and first is not None else 1


def _print(outcome: BackupOutcome, *, quiet: bool) -> None:
    if not quiet:
        rows = [
            [
                f"  {r.component}",
                format_size(r.bytes),
                f"{format_size(r.added_bytes)} added",
                format_duration(r.duration_s),
            ]
            for r in outcome.components
            if r.state == "captured"
        ]
        output.say(f"{outcome.plan}: backup {outcome.run}")
        if rows:
            output.say(output.table(rows))
    for name, error in outcome.errors.items():
        output.complain(f"{name}: {error.message}", error.hint)
    if not quiet:
        output.say(_verdict(outcome.point, outcome))


def _verdict(point: RestorePoint | None, outcome: BackupOutcome) -> str:
    if point is None:
        return "failed: nothing was captured, there is no restore point"
    at = format_time(point.data_time, seconds=True)
    if outcome.state == "incomplete":
        names = [c.component for c in outcome.components if c.state == "failed"]
        return f"incomplete: restore point {point.id} lacks {', '.join(names)}"
    if not point.complete:
        held = ", ".join(c.component for c in point.components)
        return f"restore point {point.id} of {at}, with {held} only: it does not count for the RPO"
    return f"restore point {point.id} of {at} is complete"


def _dry_run(plan: Plan, chosen: list[Any], as_json: bool) -> int:
    url = plan.primary.url
    if as_json:
        components = [{"component": c.name, "kind": c.kind} for c in chosen]
        output.print_json(
            {"plan": plan.name, "dry_run": True, "repository": url, "components": components}
        )
        return 0
    output.say(f"{plan.name}: would capture")
    output.say(output.table([[f"  {c.name}", c.kind] for c in chosen]))
    output.say(f"into {url}")
    return 0

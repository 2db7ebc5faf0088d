"""`drd backup`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, NamedTuple

from drd.api.outcomes import backup_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.follow import asked
from drd.cli.recorded import failure_of, recorded_error
from drd.cli.session import cancelled_as, session
from drd.errors import DrdError
from drd.flows.backup.run import BackupOutcome, BackupRequest, backup
from drd.model.consistency import Spread
from drd.model.plan import Plan
from drd.model.run import RunKind, RunState
from drd.model.units import format_duration, format_size, format_time, from_rfc3339


class _Result(NamedTuple):
    """The document of a finished backup, from which its text is made. `failure` is why the whole
    run failed, and `first_exit_code` that of the first error, if this process knows it."""

    document: dict[str, Any]
    failure: DrdError | None = None
    first_exit_code: int = DrdError.exit_code

    @property
    def exit_code(self) -> int:
        """0 when everything requested was captured. When nothing was, the exit code of the first
        error."""
        if self.document["state"] == RunState.SUCCEEDED:
            return 0
        return self.first_exit_code if self.document["point"] is None else 1

    @property
    def errors(self) -> Mapping[str, tuple[str, str]]:
        """Why components failed, and the remedies: by component; by plan if the whole run did."""
        if self.failure is not None:
            return {self.document["plan"]: (self.failure.message, self.failure.hint)}
        rows = self.document["components"]
        recorded = {row["component"]: recorded_error(row) for row in rows}
        groups = self.document.get("consistency", ())  # a daemon of an older version sends none
        recorded |= {", ".join(row["components"]): recorded_error(row) for row in groups}
        return {name: (fact, remedy) for name, (fact, remedy) in recorded.items() if fact}


def run(args: argparse.Namespace) -> int:
    request = BackupRequest(tuple(args.component), accept_size=args.accept_size)
    with session(args) as app:
        if args.dry_run:
            plan = app.plans.load(args.plan)
            return _dry_run(plan, request.chosen(plan), args.json)
        if app.state.is_ours:
            plan = app.plans.load(args.plan)
            with cancelled_as(lambda: _cancelled(app, plan)):
                outcome = backup(app.services(plan), plan, request)
            result = _Result(backup_document(outcome), first_exit_code=outcome.exit_code)
        else:
            result = _by_the_daemon(app, args)
        if args.json:
            output.print_json(result.document)
        else:
            _print(result, quiet=args.quiet)
        return result.exit_code


def _cancelled(app: App, plan: Plan) -> str:
    """Say whether the newest backup has made its restore point before it was cancelled."""
    run = next(iter(app.catalogue.runs.newest(plan.name, limit=1, kind=RunKind.BACKUP)), None)
    points = {p.id for p in app.catalogue.points.of_plan(plan.name)}
    if run is not None and run.id in points:
        return f"the backup of {plan.name} was cancelled, after it had made restore point {run.id}"
    return f"the backup of {plan.name} was cancelled: it did not make a restore point"


def _by_the_daemon(app: App, args: argparse.Namespace) -> _Result:
    done = asked(
        app,
        args.plan,
        "backup",
        quiet=args.quiet or args.json,
        components=args.component,
        accept_size=args.accept_size,
    )
    document = done["document"]
    if document is not None:
        return _Result(document)
    run, plan, state = done["run"], done["plan"], RunState(done["state"])
    document = backup_document(BackupOutcome(run, plan, state, None, ()))
    return _Result(document, failure_of(done))


def _print(result: _Result, *, quiet: bool) -> None:
    document = result.document
    if not quiet:
        # A daemon of an older version does not say it.
        told = any(row.get("made") for row in document["components"])
        rows = [
            [
                f"  {row['component']}",
                format_size(row["bytes"]),
                f"{format_size(row['added_bytes'])} added",
                format_duration(row["duration_s"]),
                *([row.get("made", "")] if told else []),
            ]
            for row in document["components"]
            if row["state"] == "captured"
        ]
        output.say(f"{document['plan']}: backup {document['run']} ended: {document['state']}")
        if rows:
            output.say(output.table(rows))
        for spread in map(Spread.from_json, document.get("consistency", ())):
            if not spread.too_wide:
                output.say(f"  {spread.names}: {spread.words}")
    for name, (fact, remedy) in result.errors.items():
        output.complain(f"{name}: {fact}", remedy)
    if not quiet:
        output.say(_sentence(document))


def _sentence(document: Mapping[str, Any]) -> str:
    point, components = document["point"], document["components"]
    if point is None:
        return "failed: drd did not store any component, so there is no new restore point"
    at = format_time(from_rfc3339(document["data_time"]), seconds=True)
    if document["state"] == RunState.INCOMPLETE:
        names = [row["component"] for row in components if row["state"] == "failed"]
        if not names:
            return (
                f"incomplete: the data in restore point {point} is not of the same moment, so this "
                "point does not count for the RPO"
            )
        return f"incomplete: restore point {point} does not contain {', '.join(names)}"
    if not document["complete"]:
        only = ", ".join(row["component"] for row in components)
        return (
            f"restore point {point} of {at} contains only {only}, so it does not count for the RPO"
        )
    return f"restore point {point} of {at} is complete"


def _dry_run(plan: Plan, chosen: list[Any], as_json: bool) -> int:
    url = plan.primary.url
    if as_json:
        components = [{"component": c.name, "kind": c.kind} for c in chosen]
        output.print_json(
            {"plan": plan.name, "dry_run": True, "repository": url, "components": components}
        )
        return 0
    output.say(f"{plan.name}: drd backup would store in {url}:")
    output.say(output.table([[f"  {c.name}", c.kind] for c in chosen]))
    return 0

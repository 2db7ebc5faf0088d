"""`drd runs` and `drd run show`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.options import global_options

if TYPE_CHECKING:
    from drd.model.run import Run, StepRecord

EXAMPLES = """\
examples:
  drd runs                    the newest of all plans
  drd runs orders-api --limit 5
  drd run show 4f2a           one run with its steps (the beginning of an id is enough)"""


def add_parser(sub: Any) -> None:
    if "runs" not in sub.choices:
        runs = sub.add_parser(
            "runs",
            help="what ran, and how it ended",
            description="Runs, newest first.",
            epilog=EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        global_options(runs)
        runs.add_argument("plan", nargs="?", help="only this plan's")
        runs.add_argument("--limit", type=int, default=20, metavar="N", help="how many (20)")
        runs.add_argument("--json", action="store_true", help="one JSON document")
        runs.set_defaults(handler="drd.cli.runs:run")
    if "run" not in sub.choices:
        one = sub.add_parser(
            "run",
            help="show one run with its steps",
            description="One run.",
            epilog=EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verbs = one.add_subparsers(dest="run_verb", metavar="show", required=True)
        show = verbs.add_parser("show", help="state, error and steps of a run")
        global_options(show)
        show.add_argument("run", help="id of the run, or its beginning")
        show.add_argument("--json", action="store_true", help="one JSON document")
        show.set_defaults(handler="drd.cli.runs:show")


def run(args: argparse.Namespace) -> int:
    from drd.bootstrap import app

    with app(args.config) as opened:
        plan = opened.known_plan(args.plan) if args.plan else None
        runs = opened.catalogue.runs(plan, limit=args.limit)
        if args.json:
            output.print_json({"runs": [document(r) for r in runs]})
        elif not runs:
            output.say("nothing has run yet")
        else:
            output.say(output.table([_row(r) for r in runs], header=_HEADER))
    return 0


def document(run: Run) -> dict[str, Any]:
    from drd.model.units import to_rfc3339

    return {
        "run": run.id,
        "plan": run.plan,
        "kind": str(run.kind),
        "trigger": run.trigger,
        "state": str(run.state),
        "due_at": to_rfc3339(run.due_at) if run.due_at else None,
        "started_at": to_rfc3339(run.started_at) if run.started_at else None,
        "finished_at": to_rfc3339(run.finished_at) if run.finished_at else None,
        "duration_s": run.duration_s,
        "error": output.unmarked(run.error) if run.error else None,
    }


_HEADER = ["RUN", "PLAN", "KIND", "STATE", "STARTED (UTC)", "TOOK", "WHY"]


def _row(run: Run) -> list[str]:
    from drd.model.units import format_duration

    started = f"{run.started_at:%Y-%m-%d %H:%M:%S}" if run.started_at else ""
    took = format_duration(run.duration_s) if run.duration_s is not None else ""
    why = (run.error or "").splitlines()[0][:80] if run.error else ""
    return [run.id, run.plan, str(run.kind), str(run.state), started, took, why]


def show(args: argparse.Namespace) -> int:
    from drd.bootstrap import app

    with app(args.config) as opened:
        run = opened.catalogue.run(args.run)
        steps = opened.catalogue.steps(run.id)
        if args.json:
            detail = {"token": run.token, "detail": dict(run.detail)}
            output.print_json({**document(run), **detail, "steps": [_step(s) for s in steps]})
        else:
            _print(run, steps)
    return 0


def _step(step: StepRecord) -> dict[str, Any]:
    from drd.model.units import to_rfc3339

    return {
        "name": step.name,
        "kind": step.kind,
        "state": str(step.state),
        "attempt": step.attempt,
        "started_at": to_rfc3339(step.started_at),
        "finished_at": to_rfc3339(step.finished_at) if step.finished_at else None,
        "waiting_for": step.waiting_for,
        "error": output.unmarked(step.error) if step.error else None,
    }


def _print(run: Run, steps: list[StepRecord]) -> None:
    from drd.model.units import format_duration

    output.say(f"{run.kind} {run.id} of {run.plan}: {run.state}")
    if run.started_at:
        took = f", took {format_duration(run.duration_s)}" if run.duration_s is not None else ""
        output.say(f"  started    {run.started_at:%Y-%m-%d %H:%M:%S} UTC ({run.trigger}){took}")
    if run.error:
        first, *rest = run.error.splitlines()
        output.say(f"  error      {first}")
        for line in rest:
            output.say(f"             {line}")
    rows = []
    for step in steps:
        seconds = (step.finished_at - step.started_at).total_seconds() if step.finished_at else None
        took = format_duration(seconds) if seconds is not None else ""
        again = f"attempt {step.attempt}" if step.attempt > 1 else ""
        rows.append([f"  {step.name}", str(step.state), took, again])
    if rows:
        output.say(output.table(rows))

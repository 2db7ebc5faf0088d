"""`drd run show`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.options import global_options
from drd.cli.runs import deadline, document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drd.model.run import Decision, Run, StepRecord
    from drd.ports import Catalogue

EXAMPLES = """\
examples:
  drd run show 4f2a              one run with its steps (the beginning of an id is enough)
  drd run show 4f2a --follow     until it is over; Ctrl-C leaves the run alone
  drd run show 4f2a --json

exit codes: 0, 2 there is no such run; with --follow 1 when it did not succeed."""


_AT = "%Y-%m-%d %H:%M:%S"


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "run",
        help="show one run with its steps",
        description="One run.",
        epilog=EXAMPLES,
    )
    verbs = parser.add_subparsers(dest="run_verb", metavar="show", required=True)
    one = verbs.add_parser(
        "show",
        help="state, error and steps of a run",
        description="How a run went, step by step.",
        epilog=EXAMPLES,
    )
    global_options(one)
    one.add_argument("run", help="id of the run, or its beginning")
    one.add_argument("--follow", action="store_true", help="wait until it is over")
    one.add_argument("--json", action="store_true", help="one JSON document")
    one.set_defaults(handler="drd.cli.run:show")


def show(args: argparse.Namespace) -> int:
    from drd.cli.aside import documents
    from drd.cli.follow import follow
    from drd.cli.session import session
    from drd.flows.aside import STEP as ASIDE
    from drd.flows.aside import noted
    from drd.model.run import RunState

    with session(args, reading=True) as opened:
        run = opened.catalogue.run(args.run)
        if args.follow:
            run = follow(opened, run.id, quiet=args.quiet or args.json)
        steps = opened.catalogue.steps(run.id)
        if args.json:
            detail = {"token": run.token, "detail": dict(run.detail)}
            aside = documents(noted(opened.catalogue, run))
            said = opened.catalogue.decisions(run.id)
            output.print_json(
                {
                    **document(run),
                    **detail,
                    "aside": aside,
                    "steps": [_step(s) for s in steps],
                    "decisions": [_decision(run, said, d) for d in said],
                }
            )
        else:
            _print(run, [s for s in steps if s.name != ASIDE])
            _print_aside(opened.catalogue, run)
    return 1 if args.follow and run.state is not RunState.SUCCEEDED else 0


def _print_aside(catalogue: Catalogue, run: Run) -> None:
    """What the run has set aside, and what people said about that."""
    from drd.cli.aside import say_all
    from drd.flows.aside import noted

    for said in catalogue.decisions(run.id):
        if not said.step:
            output.say(f"  {said.action:<10} {said.at:{_AT}} UTC by {_who(said)}")
    say_all(noted(catalogue, run), run.id)


def _who(said: Decision) -> str:
    """`anna: root (uid 0), logged in as anna (uid 1000), at a terminal of db1`."""
    from drd.cli.render import plain

    words = f"{said.by}: {said.actor.words()}" if said.actor is not None else said.by
    return plain(output.masked(words))


def _decision(run: Run, all_said: Sequence[Decision], said: Decision) -> dict[str, Any]:
    from drd.flows.deciding import own
    from drd.model.units import to_rfc3339

    return {
        "step": said.step or None,
        "action": said.action,
        "by": said.by,
        "comment": output.unmarked(said.comment),
        "attempt": said.attempt,
        "at": to_rfc3339(said.at),
        "actor": said.actor.to_json() if said.actor is not None else None,
        "started_the_run": str(own(run, all_said, said.actor)),
    }


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


def _said(step: StepRecord) -> str:
    """Why it failed or was left out, or who answered."""
    result = step.result
    why = (step.error or "").partition("\n")[0] or str(result.get("reason", ""))
    if not why and result.get("by"):
        why = f"by {result['by']}" + (f": {result['comment']}" if result.get("comment") else "")
    return output.unmarked(output.masked(why))


def _only(run: Run) -> str:
    """What of the service a recovery was asked for, where that was not all of it."""
    from drd.checks.words import printable

    part = run.detail.get("part")
    if not part:
        names = run.detail.get("components")
        return f": {', '.join(names)}" if names else ""
    names = [*part["tables"], *part["paths"]] or run.detail.get("begun", [])
    beside = f" as {part['into']}" if part["into"] else ""
    return f": {', '.join(map(printable, names))}{printable(beside)}"


def _print_actors(run: Run) -> None:
    from drd.cli.render import plain

    for what, actor in (("asked by", run.actor), ("cancelled", run.cancel_actor)):
        if actor is not None:
            output.say(f"  {what:<10} {plain(actor.words())}")


def _print(run: Run, steps: list[StepRecord]) -> None:
    from drd.model.units import format_duration

    subject = f", {run.subject}" if run.subject else ""
    output.say(f"{run.kind} {run.id} of {run.plan}{subject}: {run.state}")
    why = f": {run.detail['why']}" if run.detail.get("why") else ""
    output.say(f"  trigger    {run.trigger}{why}")
    _print_actors(run)
    if run.detail.get("point") and run.detail.get("target"):
        output.say(f"  point      {run.detail['point']} into {run.detail['target']}{_only(run)}")
    if run.due_at:
        output.say(f"  due        {run.due_at:{_AT}} UTC")
    if run.started_at:
        took = f", took {format_duration(run.duration_s)}" if run.duration_s is not None else ""
        output.say(f"  started    {run.started_at:{_AT}} UTC{took}")
    if (by := deadline(run)) is not None:
        within = format_duration(float(run.detail["timeout_s"]))
        output.say(f"  deadline   {by:{_AT}} UTC, {within} after its start")
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
        said = f"for {step.waiting_for}" if step.waiting_for else _said(step)
        rows.append(
            [f"  {step.name}", str(step.state), took, "  ".join(filter(None, [again, said]))]
        )
    if rows:
        output.say(output.table(rows))

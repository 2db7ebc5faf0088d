"""`drd run show`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli import output
from drd.cli.aftermath import print_next, print_places, print_unfinished
from drd.cli.aside import say_asides
from drd.cli.checks_table import evidence_of, loss_in, print_evidence, print_fence, print_phases
from drd.cli.follow import RunSource, follow
from drd.cli.operator_lines import print_operator
from drd.cli.recorded import in_one_line, recorded_error
from drd.cli.session import session
from drd.model import run_details
from drd.model.actor import Actor
from drd.model.cause import with_remedy
from drd.model.copy_names import short_copy
from drd.model.plan import Objectives
from drd.model.playbook_names import of_words, playbook_of
from drd.model.run import RunKind
from drd.model.run_details import (
    BackupDetail,
    DrillDetail,
    RecoveryDetail,
    RetentionDetail,
    RunDetail,
)
from drd.model.text import escaped, without_output
from drd.model.units import format_duration, format_rfc3339, from_rfc3339


def show(args: argparse.Namespace) -> int:
    with session(args, reading=True) as opened:
        source = RunSource.of(opened)
        if args.follow:
            follow(source, args.run, quiet=args.quiet or args.json)
        run = source.run(args.run)
    if args.json:
        output.print_json(run)
    else:
        run = in_one_line(run)
        _print(run)
        _print_evidence(run, colour=output.colours(args.no_color))
        _print_decisions(run)
        print_places(run)
        has_done = any(task["code"] == "done" for task in run.get("next", ()))
        say_asides(run["aside"], run["run"], with_done=not has_done)
        print_unfinished(run)
        print_next(run)
    return 1 if args.follow and run["state"] not in ("succeeded", "paused") else 0


def _detail(run: dict[str, Any]) -> RunDetail:
    return run_details.read(run["kind"], run["detail"])


def _print_evidence(run: dict[str, Any], *, colour: bool) -> None:
    """Print what a drill or recovery has shown; before its end, for a drill, the fence between the
    data's own code and the host.
    """
    if run.get("evidence") is not None:
        goals = None
        if run.get("rto_s") is not None:
            goals = Objectives(run["rpo_s"], run["rto_s"])
        evidence = evidence_of(run["evidence"])  # the table above has the steps
        print_evidence(evidence, colour=colour, goals=goals, loss=loss_in(run), steps=False)
        return
    print_phases(run.get("phases", {}))  # from a daemon of a former version
    detail = _detail(run)
    if isinstance(detail, DrillDetail) and detail.fence is not None:
        print_fence(detail.fence, colour=False)


def _print_decisions(run: dict[str, Any]) -> None:
    """People's decisions about the whole run."""
    for decision in run["decisions"]:
        if decision["step"] is None:
            at = format_rfc3339(decision["at"], seconds=True)
            output.say_below(f"  {decision['action']:<10} ", f"{at} by {_actor_text(decision)}")


def _actor_text(decision: dict[str, Any]) -> str:
    """`anna: root (uid 0), logged in as anna (uid 1000), by a command on db1`."""
    actor = Actor.from_json(decision["actor"])
    by = escaped(decision["by"])
    if actor is None:
        return by
    return actor.words() if decision["by"] == actor.user else f"{by}: {actor.words()}"


def _step_text(step: dict[str, Any]) -> str:
    """Why it failed or was left out, or who answered."""
    fact, _ = recorded_error(step)
    why = without_output(fact) or step["reason"] or ""
    if not why and step["by"]:
        why = f"by {step['by']}"
        why += ", who started the run" if step["self_approved"] else ""
        why += f": {step['comment']}" if step["comment"] else ""
    return escaped(why)


def _only(detail: RecoveryDetail) -> str:
    """Return the part of the service that a recovery was limited to, if any."""
    part = detail.part
    if part is None:
        return f": {', '.join(detail.components)}" if detail.components else ""
    names = part.names or detail.begun
    beside = f" as {part.into}" if part.into else ""
    return f": {', '.join(map(escaped, names))}{escaped(beside)}"


def _print_actors(run: dict[str, Any]) -> None:
    actor = Actor.from_json(run["actor"])
    if actor is not None:
        output.say_below("  asked by   ", actor.words())
    actor, at = Actor.from_json(run["cancel_actor"]), run["cancel_asked_at"]
    if actor is not None:
        when = f"{format_rfc3339(at, seconds=True)} " if at else ""
        output.say_below("  cancelled  ", f"{when}by {actor.words()}")


def _print(run: dict[str, Any]) -> None:
    detail = _detail(run)
    what = "repository " if run["kind"] != RunKind.DRILL else ""
    subject = f", {what}{run['repository']}" if run["repository"] else ""
    whose = f"of {run['plan']}" if playbook_of(run["plan"]) is None else of_words(run["plan"])
    head = "run" if playbook_of(run["plan"]) is not None else run["kind"]
    output.say(f"{head} {run['run']} {whose}{subject}: {run['state']}")
    why = f": {run['why']}" if run["why"] else ""
    output.say_below("  trigger    ", f"{run['trigger']}{why}")
    _print_actors(run)
    copy = run.get("copy")  # a daemon of an older version sends none
    named = f" (copy {escaped(short_copy(copy))})" if copy else ""
    if isinstance(detail, RecoveryDetail) and detail.point and detail.target:
        output.say_below(
            "  point      ", f"{detail.point}{named} into {detail.target}{_only(detail)}"
        )
    elif detail.point and named:
        output.say_below("  point      ", f"{detail.point}{named}")
    if run["due_at"]:
        output.say_below("  due        ", format_rfc3339(run["due_at"], seconds=True))
    if run["started_at"]:
        took_s = run["duration_s"]
        took = f", took {format_duration(took_s)}" if took_s is not None else ""
        output.say_below(
            "  started    ", f"{format_rfc3339(run['started_at'], seconds=True)}{took}"
        )
    if run["deadline_at"]:
        within = format_duration(detail.timeout_s)
        at = format_rfc3339(run["deadline_at"], seconds=True)
        output.say_below("  deadline   ", f"{at}, {within} after its start")
    fact, remedy = recorded_error(run)
    if fact:
        first, *rest = with_remedy(fact, remedy).splitlines()
        output.say_below("  error      ", first)
        for line in rest:
            output.say_below("             ", line)
    _print_reasons(detail)
    _print_spreads(detail)
    if isinstance(detail, DrillDetail) and detail.operator is not None:
        print_operator(run["plan"], detail.operator)
    over = run["finished_at"] is not None
    rows = [_step(step, over=over) for step in run["steps"] if step["kind"] != "aside"]
    if rows:
        output.say(output.table(rows))


def _print_spreads(detail: RunDetail) -> None:
    """How far apart the data times of the plan's groups are."""
    if isinstance(detail, BackupDetail):
        for spread in detail.consistency:
            output.say_below("  spread     ", f"{spread.names}: {spread.words}")


def _print_reasons(detail: RunDetail) -> None:
    """What a person gave as the reason for an option of `drd retention`."""
    if isinstance(detail, RetentionDetail):
        for word, reason in (("--force", detail.force), ("clock", detail.clock_is_right)):
            if reason:
                output.say_below(f"  {word:<10} ", escaped(reason))


def _step(step: dict[str, Any], *, over: bool) -> list[str]:
    """`over`: the run has ended, so nobody answers what a step waited for."""
    took = ""
    if step["finished_at"]:
        passed = from_rfc3339(step["finished_at"]) - from_rfc3339(step["started_at"])
        took = format_duration(passed.total_seconds())
    again = f"attempt {step['attempt']}" if step["attempt"] > 1 else ""
    said = _step_text(step)
    if step["waiting_for"]:
        waits = (step["wanted"] if over else None) or step["waiting_for"]
        said = f"for {escaped(waits)}"
    return [f"  {step['name']}", step["state"], took, "  ".join(filter(None, [again, said]))]

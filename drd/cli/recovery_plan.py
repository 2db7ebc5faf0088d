"""Print what a recovery would do, before a person confirms it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any

from drd.cli import output, single
from drd.flows.log.orders import LogOrder
from drd.flows.restore.kit_origin import Origin
from drd.flows.restore.preflight import PreflightResult
from drd.flows.restore.recovery_plan import RecoveryPlan
from drd.flows.restore.resecuring import STEP
from drd.flows.restore.single_items import Changes
from drd.model.adopted import with_copy
from drd.model.losses import NOTHING, by_loss
from drd.model.plan import IN_PLACE
from drd.model.runbook import LOOKING, PEOPLE, Ask, Step, waits_for
from drd.model.snapshot import of_whole_copy
from drd.model.text import counted
from drd.model.units import exact_time, format_duration, format_size, format_time, to_rfc3339


def print_plan(
    planned: RecoveryPlan,
    args: argparse.Namespace,
    changed: Changes | None,
    checked: PreflightResult | None = None,
    origin: Origin | None = None,
) -> None:
    point, request = planned.point, planned.request
    if args.json and args.dry_run:
        output.print_json(_dry_document(planned, changed, checked, origin))
        return
    say = partial(output.say, beside=args.json)
    say_below = partial(output.say_below, beside=args.json)
    say_below(
        f"{planned.plan.name}: ",
        f"recovery of point {with_copy(point)} (data of "
        f"{format_time(point.data_time, seconds=True)}) "
        f"{destination(planned)}",
    )
    for name in planned.components:
        row = point.component(name)
        most = "at most " if row and of_whole_copy(point.id, row.facts) else ""
        size = f"{most}{format_size(row.bytes)}" if row else "not in this point"
        say(f"  restore    {name}  {size}")
    say(f"  from       {', else '.join(planned.repositories)}")
    for name, order in planned.logs.items():
        size = format_size(order.bytes)
        say_below("  log        ", f"{name}: {replay_words(order)} ({size})")
    for line in _steps(planned):
        say(f"  {line}")
    for line in _what_of_it(planned, changed):
        say(f"  {line}")
    if planned.continues:
        say(f"  continues  run {planned.continues}, which was not finished")
    for head, text in _remarks(planned, origin):
        say_below(f"  {head:<11}", text)
    if request.overwrite:
        what = "production" if request.over_production else "the target"
        fate = (
            ""
            if request.no_undo
            else ", and keeps the old data until `drd done`: the disk needs room for both"
        )
        say_below("  overwrites ", f"the data of {what}{fate}")


def _remarks(planned: RecoveryPlan, origin: Origin | None) -> Iterator[tuple[str, str]]:
    """Return what will be left out, where the point comes from, and its parts that the plan does
    not name; each with the word before it.
    """
    yield from ((("clean", planned.clean),) if planned.clean else ())
    yield from (
        (step.name, text)
        for step in planned.plan.runbook
        if (text := approval_text(planned, step)) is not None
    )
    yield from (("note", note) for note in planned.notes)
    yield from (("origin", line) for line in origin.lines()) if origin is not None else ()
    for name, paths in planned.outside.items():
        yield from (("outside", f"{name}: {path} is not in the plan") for path in paths)


def say_writes(checked: PreflightResult, args: argparse.Namespace) -> None:
    """Every place that would be written, and what would be done there."""
    for name, places in checked.writes.items():
        for place in places:
            output.say_below("  writes     ", f"{name}: {place}", beside=args.json)
        for line in checked.does.get(name, ()):
            output.say_below("  documents  ", f"{name}: {line}", beside=args.json)


def _what_of_it(planned: RecoveryPlan, changed: Changes | None) -> Iterator[str]:
    """Return what would be lost, or for a single item what would change, and how long it takes."""
    if planned.single is not None:
        yield from single.heading(planned)
        yield from single.lines(changed) if changed is not None else ()
    else:
        yield from _lost(planned)
    if planned.expected_s is not None:
        took = format_duration(planned.expected_s)
        yield f"expected   {took}: the last {planned.measured_by} took this long"
    elif planned.single is None:
        yield "expected   unknown: no drill has measured how long a recovery takes"


def _lost(planned: RecoveryPlan) -> Iterator[str]:
    """Return the loss: that of the service, or if its components lose differently, a line for each
    loss."""
    first, *others = by_loss(planned.losses)
    lost, names = first
    if not others:
        of_data = " of data" if lost != NOTHING else ""
        yield f"would lose {', '.join([f'{lost}{of_data}', *_rows(planned)])}"
        return
    rows = ", ".join(_rows(planned))
    yield f"would lose {lost} of {', '.join(names)}{f' ({rows})' if rows else ''}"
    for less, them in others:
        yield f"would lose {less} of {', '.join(them)}"


def _dry_document(
    planned: RecoveryPlan,
    changed: Changes | None,
    checked: PreflightResult | None,
    origin: Origin | None,
) -> dict[str, Any]:
    point, request = planned.point, planned.request
    return {
        "dry_run": True,
        "plan": planned.plan.name,
        "point": point.id,
        "target": request.target,
        "in_place": request.over_production,
        "overwrite": request.overwrite,
        "undo": not request.no_undo,
        "data_time": to_rfc3339(point.data_time),
        "lost_at": to_rfc3339(planned.lost_at),
        "loss_s": planned.loss_s,
        "loss_at_most": planned.loss_at_most,
        "losses": [one._asdict() for one in planned.losses],
        "loss_rows": [
            {"component": r.component, "rows": r.rows, "counted": r.counted}
            for r in planned.loss_rows
        ],
        "repositories": list(planned.repositories),
        "expected_s": planned.expected_s,
        "components": list(planned.components),
        "steps": [_step(planned, s) for s in planned.plan.runbook],
        "continues": planned.continues,
        "clean": planned.clean or None,
        "not_restored": list(planned.not_restored),
        "notes": list(planned.notes),
        "findings": [f.to_json() for f in checked.findings] if checked is not None else [],
        "writes": {n: list(p) for n, p in checked.writes.items()} if checked is not None else {},
        "does": {n: list(p) for n, p in checked.does.items() if p} if checked is not None else {},
        "outside": {n: list(p) for n, p in planned.outside.items()},
        "logs": {n: _log_document(order) for n, order in planned.logs.items()},
        "after_kit": {
            "made_at": to_rfc3339(origin.base.made_at),
            "listed": origin.base.listed,
            "differs": {sort: list(lines) for sort, lines in origin.differs.items()},
        }
        if origin is not None
        else None,
        **single.document(planned, changed),
    }


def replay_words(order: LogOrder) -> str:
    """Say to which place a log is replayed: `replayed to the end, …`."""
    target, end = order.target, format_time(order.end.at, seconds=True)
    if target.before is not None and target.before <= order.end.at:
        at = exact_time(target.before)
        return f"replayed, without the transactions that were committed at {at} or later"
    if target.position is not None:
        return f"replayed to the position {order.place}"
    if target.transaction is not None:
        return f"replayed to the commit of transaction {target.transaction}, which is left out"
    return f"replayed to the end of the stored log: all that was committed at {end}"


def _log_document(order: LogOrder) -> dict[str, Any]:
    target = order.target
    return {
        "before": to_rfc3339(target.before) if target.before is not None else None,
        "position": target.position,
        "transaction": target.transaction,
        "until": to_rfc3339(order.end.at),
        "data_time": to_rfc3339(at) if (at := order.data_time) is not None else None,
        "bytes": order.bytes,
    }


def _rows(planned: RecoveryPlan) -> Iterator[str]:
    for loss in planned.loss_rows:
        rows = f"{counted(loss.rows, 'row')} of {loss.component}"
        if loss.rows and loss.counted:
            yield f"at least {rows}"
        elif loss.rows:
            yield f"about {rows} if they grew as between the last two points"


def _step(planned: RecoveryPlan, step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "kind": step.kind,
        "needs": list(waits_for(planned.plan.runbook)[step.name]),
        "role": getattr(step.settings, "role", None),
        "text": approval_text(planned, step),
        "expected_s": planned.expected_steps.get(step.name),
        "left_out": planned.left_out(step),
    }


def approval_text(planned: RecoveryPlan, step: Step) -> str | None:
    """Return what the approval for the credentials asks; None for every other step."""
    is_approval = step.kind == "approve" and step.name.startswith(STEP)
    if planned.request.clean_for is None or not is_approval or not isinstance(step.settings, Ask):
        return None
    return step.settings.text.replace("$${", "${")


def _steps(planned: RecoveryPlan) -> Iterator[str]:
    """The steps beside restoring and checking, in order, with who is asked."""
    steps = planned.plan.runbook
    if all(s.kind in LOOKING for s in steps):
        return
    column = max(len(s.name) for s in steps)
    known = any(s.name in planned.expected_steps for s in steps)
    for number, step in enumerate(steps, 1):
        usual = planned.expected_steps.get(step.name)
        took = f"{format_duration(usual) if usual is not None else '':>8}  " if known else ""
        role = getattr(step.settings, "role", None)
        asks = f"waits for {role or 'any person'}" if step.kind in PEOPLE else ""
        why = planned.left_out(step)
        if why is not None:
            took, asks = f"{'':>8}  " if known else "", f"left out: {why}"
        words = f"{number:>2}. {step.name:<{column}}  {step.kind:<8} {took}{asks}"
        yield words.rstrip()


def destination(planned: RecoveryPlan) -> str:
    """Return where a recovery restores to: `into standby`."""
    request = planned.request
    if planned.beside:
        return "beside the existing data"
    if request.target == IN_PLACE:
        return "into its original place: PRODUCTION"
    return f"into target {request.target}" + (": PRODUCTION" if request.over_production else "")

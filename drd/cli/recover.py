"""`drd recover`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from drd.api.evidence_document import evidence_document
from drd.api.recoveries import aftermath
from drd.bootstrap import App
from drd.cli import output, render, single
from drd.cli.aftermath import measured, print_next, print_places, print_unfinished
from drd.cli.aside import documents, say_all
from drd.cli.checks_table import STYLE, only_steps_failed, print_checks, print_phases, what_failed
from drd.cli.confirm import confirm, confirm_point
from drd.cli.incident_acting import author
from drd.cli.live import watched
from drd.cli.recovery_plan import destination, print_plan, say_writes
from drd.cli.session import session
from drd.cli.single import changes_of, part_of
from drd.errors import Cancelled, UsageError
from drd.flows.components.repository_choice import Holders
from drd.flows.incidents.writing import Desk, require_open
from drd.flows.log.asked import LAST, is_place
from drd.flows.restore.blockers import before_changes
from drd.flows.restore.kit_origin import Origin, is_known, origin_of
from drd.flows.restore.point_choice import parse_time
from drd.flows.restore.preflight import PreflightResult, preflight_only
from drd.flows.restore.recovery import RecoveryOutcome, recover
from drd.flows.restore.recovery_plan import RecoveryPlan, plan_recovery
from drd.flows.restore.recovery_request import RecoveryRequest
from drd.flows.restore.resecuring import clean_of
from drd.flows.restore.unfinished import unfinished
from drd.flows.services import Services
from drd.flows.state.kept_notes import noted
from drd.model.plan import IN_PLACE, Plan
from drd.model.recovered import OLDER_POINT
from drd.model.run import RunKind, StepState
from drd.model.runbook import LOOKING
from drd.model.units import to_rfc3339


def run(args: argparse.Namespace) -> int:
    with session(args) as app, watched(app, args):
        with before_changes():
            services, planned = _prepared(app, args)
        if args.dry_run:
            return 0
        if args.incident is not None:
            desk = Desk(app.catalogue, args.incident, author(app, args))
            target, point = planned.request.target, planned.point.id
            desk.recovering(planned.plan.name, target, point=point, clean=planned.clean)
        return execute(app, services, planned, args)


def _prepared(app: App, args: argparse.Namespace) -> tuple[Services, RecoveryPlan]:
    """Return the recovery, which has been shown and confirmed as the options say."""
    plan = app.plans.load(args.plan)
    services = app.services(plan)
    planned = _planned(app, services, plan, args)
    origin = _origin(services, planned)
    if args.dry_run or not args.yes:
        changed = changes_of(services, planned)
        if args.json and args.dry_run:
            checked = preflight_only(services, planned)
            print_plan(planned, args, changed, checked, origin)
        else:
            print_plan(planned, args, changed, None, origin)
            checked = preflight_only(services, planned, lambda seen: say_writes(seen, args))
            _say_checked(checked, args)
    if args.yes and not args.dry_run:
        for name, paths in planned.outside.items():
            output.warn(
                f"component {name}: the restore point also has paths that the plan does not "
                f"name: {', '.join(paths)}. drd restores them only with --accept-paths"
            )
    if args.dry_run:
        return services, planned
    if origin is not None and not planned.request.after_kit:
        _confirm_origin(origin, args)
        planned = replace(planned, request=replace(planned.request, after_kit=True))
    if not args.yes:
        over = planned.request.over_production and not planned.beside
        what = "a recovery over production" if over else "a recovery"
        confirm(plan.name, what, "add --yes to confirm, or --dry-run to see what would happen.")
    return services, planned


def _planned(app: App, services: Services, plan: Plan, args: argparse.Namespace) -> RecoveryPlan:
    """Return the recovery that the options ask for."""
    request = _request(args, app, plan)
    if args.incident is not None:
        require_open(app.catalogue.incidents.get(args.incident))
    if not args.clean:
        return plan_recovery(services, plan, request)
    if args.incident is None:
        raise UsageError(
            "--clean was given without --incident",
            hint="name the incident: --incident N --clean",
        )
    clean = clean_of(services, plan, args.incident, request)
    request = replace(request, point=clean.point, clean_for=args.incident)
    return replace(plan_recovery(services, plan, request), clean=clean.words())


def _origin(services: Services, planned: RecoveryPlan) -> Origin | None:
    """Return where the point comes from; None if more than the repository confirms it."""
    if is_known(services, planned.plan.name, planned.point):
        return None
    held = Holders(services, planned.plan, planned.point, only=planned.request.only(planned.plan))
    return origin_of(services, planned.plan, planned.point, held)


def _confirm_origin(origin: Origin, args: argparse.Namespace) -> None:
    """`--yes` does not cover it: it was written for points that are confirmed."""
    if args.yes:
        for line in origin.lines():
            output.warn(line)
    confirm_point(
        origin.point.id,
        f"restore point {origin.point.id} was made after the recovery kit",
        "check the restore point with --dry-run. If you trust it, add --accept-after-kit "
        "(--yes is not enough). Or use a point that the kit lists: drd points "
        f"{origin.point.plan}",
        asks=not args.yes,
    )


def _say_checked(checked: PreflightResult, args: argparse.Namespace) -> None:
    if checked.things:
        text = f"  preflight  {checked.things} things checked: nothing prevents the recovery"
        output.say(text, beside=args.json)


def execute(app: App, services: Services, planned: RecoveryPlan, args: argparse.Namespace) -> int:
    """Recover, and print the result."""
    try:
        outcome = recover(services, planned)
    except Cancelled as cancelled:
        runs = services.catalogue.runs.newest(planned.plan.name, limit=20)
        mine = next((r for r in runs if r.kind is RunKind.RECOVERY), None)
        cancelled.message = f"the recovery of {planned.plan.name} was cancelled"
        cancelled.program, cancelled.hint = "", ""
        if mine is not None:
            left = unfinished(services.catalogue, planned.plan, mine)
            cancelled.message += f": {left.words()}"
            cancelled.hint = left.ways_out()
        raise
    run = services.catalogue.runs.get(outcome.evidence.run)
    after = aftermath(app, run, outcome.evidence)
    if args.json:
        output.print_json(_document(outcome, planned, after))
    else:
        _print(outcome, planned, after, args)
    return exit_code(outcome)


def _request(args: argparse.Namespace, app: App, plan: Plan) -> RecoveryRequest:
    now = app.clock.now()
    place = (
        args.before
        if args.before and is_place(app.services(plan).kinds, plan, args.before)
        else None
    )
    before = (args.before if place is None else None) or args.clean_before
    _require_one_place(args)
    lost_at = parse_time(args.lost_at, now) if args.lost_at else None
    if lost_at is not None and lost_at > now:
        raise UsageError(
            f"--lost-at {args.lost_at} is in the future",
            hint="give the time at which data was lost.",
        )
    return RecoveryRequest(
        target=_target(args, plan),
        point=args.point,
        before=parse_time(before, now) if before else None,
        lost_at=lost_at,
        components=tuple(args.component),
        overwrite=args.overwrite,
        no_owner=args.no_owner,
        as_owner=_as_owner(args),
        no_undo=args.no_undo,
        accept_paths=args.accept_paths,
        after_kit=args.accept_after_kit,
        repository=args.repository,
        scenario=args.scenario,
        in_place=args.in_place and args.target is not None,
        part=part_of(args),
        log=LAST if args.to_last else place,
    )


def _require_one_place(args: argparse.Namespace) -> None:
    """A point says by itself where it ends, unless a log leads on from it."""
    for option, given in (("--clean", args.clean), ("--clean-before", args.clean_before)):
        if args.point and given:
            raise UsageError(
                f"--point and {option} cannot be combined",
                hint=f"give only one of them: {option} chooses the restore point itself.",
            )


def _as_owner(args: argparse.Namespace) -> bool:
    if args.as_owner and args.no_owner:
        raise UsageError(
            "--as-owner and --no-owner cannot be combined", hint="give only one of them."
        )
    return bool(args.as_owner)


def _target(args: argparse.Namespace, plan: Plan) -> str:
    if args.target is None and args.in_place:
        return IN_PLACE
    if args.target is None:
        known = f"the targets of {plan.name}: {', '.join(plan.targets) or 'none'}"
        raise UsageError(
            "no target given",
            hint=f"give --target NAME ({known}), or --in-place for production itself.",
        )
    return str(args.target)


def exit_code(outcome: RecoveryOutcome) -> int:
    """1 when something was not restored or a step failed, 4 when a check failed, 5 when no check
    ran."""
    if outcome.restoration.errors or outcome.outcome.fatal:
        return 1
    return {"passed": 0, "failed": 4}.get(str(outcome.evidence.result), 5)


def _document(
    outcome: RecoveryOutcome, planned: RecoveryPlan, after: dict[str, Any]
) -> dict[str, Any]:
    evidence, work = outcome.evidence, outcome.restoration
    return {
        **evidence_document(evidence),
        **after,
        **single.document(planned, None),
        "target": evidence.target,
        "lost_at": to_rfc3339(evidence.lost_at or evidence.started_at),
        "components": [
            {
                "component": name,
                "state": "restored" if name in work.restored else "failed",
                "error": output.unmarked(work.errors[name].message)
                if name in work.errors
                else None,
                "notes": [output.unmarked(n) for n in _notes(work, name)],
            }
            for name in work.destinations
        ],
        "not_restored": list(planned.not_restored),
        "notes": list(planned.notes),
        "steps": [_ended(outcome, step.name) for step in work.plan.runbook],
        "aside": documents(noted(work.services.catalogue, work.runner.run)),
    }


def _ended(outcome: RecoveryOutcome, step: str) -> dict[str, Any]:
    ended = outcome.outcome
    says = ended.causes[step].shown if step in ended.causes else ""
    return {
        "name": step,
        "state": str(ended.states[step]) if step in ended.states else "not begun",
        "says": output.unmarked(output.masked(says)) if says else None,
    }


def _notes(work: Any, name: str) -> list[str]:
    restored = work.restored.get(name)
    if restored is None:
        return []
    return [*restored.notes, *(f"not restored: {name}" for name in restored.not_restored)]


def _print(
    outcome: RecoveryOutcome,
    planned: RecoveryPlan,
    after: dict[str, Any],
    args: argparse.Namespace,
) -> None:
    evidence, work = outcome.evidence, outcome.restoration
    colour = output.colours(args.no_color)
    for name, error in work.errors.items():
        output.complain(f"cannot restore {name}: {error.message}", error.hint)
    if args.quiet:
        return
    point = f"recovery of restore point {evidence.point}"
    output.say(f"{evidence.plan}: {point} {destination(planned)}")
    print_phases(evidence.phases)
    print_checks(evidence, colour=colour, steps=False)
    for name in work.destinations:
        for note in _notes(work, name):
            output.say_below("  note       ", f"{name}: {note}")
    for note in planned.notes:
        output.say_below("  note       ", note)
    for step in (s for s in work.plan.runbook if s.kind not in LOOKING):
        _print_step(outcome, step.name)
    lost = work.errors or evidence.rta_s is None
    sentence = (
        _how_on(outcome, after["next"])
        if lost
        else measured(after, evidence.data_time or planned.point.data_time)
    )
    print_places(after)
    kept = noted(work.services.catalogue, work.runner.run)
    say_all(kept, evidence.run, with_done=bool(lost))
    if lost:
        print_unfinished(
            {"unfinished": after["unfinished"], "aside": documents(kept), "next": True}
        )
    else:
        print_next(after)
    result = str(evidence.result)
    first = f"checks {output.paint(result, STYLE[result], colour)}"
    if result == "inconclusive":
        first += " (they prove nothing)"
    if only_steps_failed(evidence):
        first = what_failed(evidence)
    _say_result(first, sentence, evidence.id)


def _say_result(first: str, sentence: str, evidence: str) -> None:
    """Say the last line; on a terminal that is too narrow for it, the sentence below."""
    last = f"{first}; {sentence}   evidence {evidence}"
    if render.measure(last) <= render.terminal_width(sys.stdout):
        output.say(last)
        return
    output.say(f"{first}   evidence {evidence}")
    output.say_below("  ", sentence)


def _how_on(outcome: RecoveryOutcome, tasks: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return what is left to do: a step that fails at every retry can be skipped, but not checks of
    data that was not restored. If that data is at fault, the tasks name an older restore point."""
    run, states = outcome.evidence.run, outcome.outcome.states
    kinds = {step.name: step.kind for step in outcome.restoration.plan.runbook}
    failed = [name for name, state in states.items() if state is StepState.FAILED]
    restores = [name for name in failed if kinds.get(name) == "restore"]
    others = [name for name in failed if kinds.get(name, "restore") != "restore"]
    older = next((task["command"] for task in tasks if task["code"] == OLDER_POINT), None)
    if older is not None:
        return (
            f"not recovered. To recover the next older restore point: `{older}`. To continue with "
            f"this one, after its data was repaired: `drd resume {run}`"
        )
    if restores or not others:
        return f"not recovered. Continue: drd resume {run}"
    return (
        f"not recovered. To try {others[0]} again: `drd resume {run}`. To continue without "
        f"{others[0]}: `drd skip {run} {others[0]} --why TEXT`, then `drd resume {run}`"
    )


def _print_step(outcome: RecoveryOutcome, name: str) -> None:
    ended = outcome.outcome
    state = str(ended.states[name]) if name in ended.states else "not begun"
    says = ended.causes[name].shown if name in ended.causes else ""
    lines = [line.strip() for line in says.splitlines()]
    output.say("\n             ".join([f"  step       {name}: {state}", *lines]))

"""`drd playbook run`, and what `drd resume` and `drd rollback` do for the run of a playbook."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from drd import secrets
from drd.bootstrap import App
from drd.cli import output
from drd.cli.confirm import asked_for, confirm
from drd.cli.incident_acting import author
from drd.cli.live import watched
from drd.cli.session import require_owner, session
from drd.config.playbook_words import deed, step_words
from drd.config.playbooks import playbooks_of
from drd.errors import Cancelled, DrdError, UsageError
from drd.flows.exercises.playing import find
from drd.flows.playbooks.in_force import RELOAD, not_in_force, require_in_force
from drd.flows.playbooks.on_incident import OnIncident
from drd.flows.playbooks.run import Ordered, require_holders, resume_playbook, run_playbook
from drd.flows.playbooks.standing import standing
from drd.flows.playbooks.values import Values
from drd.flows.runbook.outcome import Outcome
from drd.flows.runbook.step_runner import preflight_step
from drd.flows.services import Services
from drd.model.nearest import meant
from drd.model.new_secrets import declared_files, of_run
from drd.model.playbook import Input, Playbook, reference
from drd.model.playbook_names import playbook_of
from drd.model.run import Run, StepState
from drd.model.run_details import PlaybookDetail
from drd.model.runbook import Live, OwnRun, Preserving, can_be_undone
from drd.model.text import escaped
from drd.model.units import format_time
from drd.model.values import filled, references

_LONGEST = 10_000
_TO_PRACTISE = "To practise without an incident: --rehearse"


def run(args: argparse.Namespace) -> int:
    with session(args) as app, watched(app, args):
        require_owner(app, "playbook run")
        playbook = playbooks_of(app.settings).get(args.name)
        plan = app.plans.load(args.plan) if args.plan else None
        _require_exercise(app, args.exercise)
        detail = PlaybookDetail(
            incident=args.incident,
            of_plan=plan.name if plan is not None else None,
            exercise=args.exercise,
            rehearsal=args.rehearse,
            inputs=_inputs(playbook, args),
        )
        services = app.services(plan) if plan is not None else app.services_without_plan()
        ordered = ordered_of(app, args, playbook, detail)
        _require_possible(services, ordered)
        if args.dry_run:
            return _dry_run(app, services, ordered, args)
        require_in_force(app.catalogue, playbook, app.clock.now())
        for text in _standing_words(app, ordered):
            output.warn(text)
        if not args.yes:
            _say_steps(ordered, args)
            confirm(
                playbook.name, "a playbook", "add --yes to confirm, or --dry-run to see the steps."
            )
        return execute(app, lambda: run_playbook(services, ordered), playbook, args)


def resume(app: App, run: Run, args: argparse.Namespace) -> int:
    """Continue the run of a playbook."""
    ordered = ordered_again(app, run, args)
    services = app.services_without_plan()
    return execute(app, lambda: resume_playbook(services, ordered, run), ordered.playbook, args)


def ordered_again(app: App, run: Run, args: argparse.Namespace) -> Ordered:
    """Return the order for the run of a playbook; from root's record of the run, if there is
    one."""
    catalogue, row_trust = app.row_trust()
    known = row_trust.known(catalogue.runs.get(run.id))
    playbook = playbooks_of(app.settings).get(playbook_of(known.plan) or known.plan)
    detail = known.detail if isinstance(known.detail, PlaybookDetail) else PlaybookDetail()
    return ordered_of(app, args, playbook, detail)


def ordered_of(
    app: App, args: argparse.Namespace, playbook: Playbook, detail: PlaybookDetail
) -> Ordered:
    config = str(app.settings.file) if app.settings.file is not None else None
    on_incident = None
    if detail.incident is not None:
        on_incident = OnIncident(app.catalogue, app.clock, detail.incident, author(app, args))
    return Ordered(playbook, detail, app.plans.load_known, config, on_incident)


# --- inputs ----------------------------------------------------------------------------------


def _inputs(playbook: Playbook, args: argparse.Namespace) -> dict[str, str]:
    """Return the values of the inputs by name. On a terminal, ask for values that were not given;
    elsewhere raise UsageError."""
    given = dict(_pair(text, playbook) for text in args.set)
    missing = [i for i in playbook.inputs if i.name not in given and i.default is None]
    if missing and not (sys.stdin.isatty() and not args.json and not args.yes):
        lacks = "\n".join(f"--set {i.name}={_form(i)}    {i.what}" for i in missing)
        raise UsageError(
            f"inputs of playbook {playbook.name} are missing", hint=f"add to the command:\n{lacks}"
        )
    for one in missing:
        question = f"{one.what}\n{one.name} ({_form(one)}): "
        given[one.name] = _sound(one, asked_for(question))
    return given


def _form(one: Input) -> str:
    return "file:PATH" if one.secret else "VALUE"


def _pair(text: str, playbook: Playbook) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    known = playbook.input(name)
    if not sign:
        raise UsageError(
            "--set needs the name and the value of an input", hint="write --set NAME=VALUE"
        )
    if known is None:
        names = [i.name for i in playbook.inputs]
        hint = (
            meant(name, names) if names else "this playbook does not have inputs: leave out --set."
        )
        raise UsageError(f"playbook {playbook.name} does not have the input {name!r}", hint=hint)
    return name, _sound(known, value)


def _sound(one: Input, value: str) -> str:
    if not value or len(value) > _LONGEST or "\0" in value:
        hint = f"give 1 to {_LONGEST} characters."
        raise UsageError(f"the value of {one.name} is empty or too long", hint=hint)
    if one.secret:
        try:
            reference(value)
        except ValueError as error:
            raise UsageError(
                f"the input {one.name} is a secret: do not write it into a command line, which "
                "other users can see",
                hint=f"write the secret into a file that only drd can read, and give --set "
                f"{one.name}=file:PATH (or env:NAME, credential:NAME).",
            ) from error
    return value


# --- before it begins ------------------------------------------------------------------------


def _require_exercise(app: App, number: int | None) -> None:
    """Raise UsageError if a number is given, and this exercise is over or does not exist."""
    if number is not None and find(app.catalogue, number).ended_at is not None:
        raise UsageError(
            f"exercise {number} is over",
            hint="begin an exercise: drd exercise run NAME; or leave out --exercise.",
        )


def _require_possible(services: Services, ordered: Ordered) -> None:
    """Raise an error before anything is changed: if the incident is closed, if nobody holds a
    role, or if a plan or a secret that steps need is missing."""
    playbook = ordered.playbook
    if ordered.on_incident is not None:
        ordered.on_incident.require_open()
    require_holders(services, playbook)
    values = Values.of_run(playbook, ordered.detail)
    works_on = [s.name for s in playbook.runbook if s.component is not None]
    asks = "plan" in _used(playbook) or works_on
    if asks and not values.plan:
        raise UsageError(
            f"playbook {playbook.name} needs a plan: its steps work on a plan",
            hint=f"name the plan: drd playbook run {playbook.name} --plan PLAN",
        )
    preserves = any(isinstance(s.settings, Preserving) for s in playbook.runbook)
    if preserves and values.incident is None and not values.in_sandbox:
        raise UsageError(
            f"playbook {playbook.name} preserves evidence, but no incident was given to which the "
            "evidence belongs",
            hint=f"name the incident: drd playbook run {playbook.name} --incident N. To open an "
            f"incident: drd incident open TITLE. {_TO_PRACTISE}",
        )
    cleans = any(isinstance(s.settings, OwnRun) and s.settings.clean for s in playbook.runbook)
    if cleans and values.incident is None and not values.in_sandbox:
        raise UsageError(
            f"playbook {playbook.name} recovers data from before the first sign of an incident, "
            "but no incident was given",
            hint=f"name the incident: drd playbook run {playbook.name} --incident N. To open an "
            f"incident: drd incident open TITLE. {_TO_PRACTISE}",
        )
    made = declared_files(playbook.runbook)
    for one in playbook.inputs:
        given = values.inputs.get(one.name, one.default)
        if one.secret and given is not None and given.removeprefix("file:") not in made:
            secrets.resolve(reference(given))


def _used(playbook: Playbook) -> set[str]:
    """Return the names of the values that the descriptions of the steps contain."""
    used_names: set[str] = set()
    for step in playbook.runbook:
        live = step.live or Live()
        for each in (step, live.before, live.rollback, live.done_when):
            used_names |= set(references(deed(each))) if each is not None else set()
    return used_names


def _shown(values: Values, text: str) -> str:
    """Return a text in which known values replace their names `${NAME}`; other names stay."""

    def value(name: str) -> str:
        try:
            shown_text = values.get(name, shown=True)
        except DrdError:
            shown_text = None
        return f"${{{name}}}" if shown_text is None else shown_text

    return filled(text, value)


def _say_steps(ordered: Ordered, args: argparse.Namespace) -> None:
    playbook, beside = ordered.playbook, args.json
    if ordered.detail.in_sandbox:
        output.say(
            "REHEARSAL: `recover` and `preserve` work in a sandbox, and drd sends no message. All "
            "other steps are real",
            beside=beside,
        )
    values = Values.of_run(playbook, ordered.detail)
    practised = ordered.detail.is_practised
    steps = {s.name: of_run(s, "RUN", practised=practised) for s in playbook.runbook}
    output.say(f"playbook {playbook.name}: {escaped(playbook.title)}", beside=beside)
    for one in playbook.inputs:
        given = values.inputs.get(one.name, one.default) or ""
        output.say_below("  input      ", escaped(f"{one.name}: {given}"), beside=beside)
    for task in playbook.tasks:
        due = f", due {task.due}" if task.due is not None else ""
        text = f"{task.name} ({task.role}{due}): {task.text}"
        output.say_below("  task       ", escaped(text), beside=beside)
        for name in task.steps:
            words = step_words(steps[name], lambda text: _shown(values, text))
            output.say_below("    step     ", escaped(words), beside=beside)


def _standing_words(app: App, ordered: Ordered) -> list[str]:
    """Return a warning for each earlier run whose measures still stand."""
    return [
        f"step {', '.join(one.steps)} of run {one.run.id} still stands: this run takes that "
        "measure for the state before. To roll it back before you start: drd rollback "
        f"{one.run.id}. Else roll back this run first, later"
        for one in standing(app.catalogue, ordered.playbook, ordered.detail)
    ]


def _dry_run(app: App, services: Services, ordered: Ordered, args: argparse.Namespace) -> int:
    """Print what the playbook would do, and what is missing. Does not change anything."""
    playbook = ordered.playbook
    problems = [f for step in playbook.runbook for f in preflight_step(services, step) if f.failed]
    warnings = [*(f.text for f in problems), *_standing_words(app, ordered)]
    if not ordered.detail.is_practised:
        warnings += [
            f"{file} exists: when drd writes a new secret to this file, it keeps the old file as "
            f"{file}.before-RUN"
            for file in sorted(declared_files(playbook.runbook))
            if os.path.lexists(file)
        ]
    if differs := not_in_force(app.catalogue, playbook, app.clock.now()):
        warnings.append(
            f"this text of the playbook is not in force: {differs}. To load it: {RELOAD}"
        )
    if args.json:
        values = Values.of_run(playbook, ordered.detail)
        output.print_json(
            {
                "playbook": playbook.name,
                "dry_run": True,
                "inputs": {i.name: values.inputs.get(i.name, i.default) for i in playbook.inputs},
                "steps": [
                    {
                        "name": step.name,
                        "kind": step.kind,
                        "does": _shown(values, deed(step)),
                    }
                    for step in playbook.runbook
                ],
                "warnings": warnings,
            }
        )
        return 0
    _say_steps(ordered, args)
    for text in warnings:
        output.warn(text)
    if not args.quiet:
        at = format_time(app.clock.now(), seconds=True)
        output.say(f"dry run at {at}: nothing was changed")
    return 0


# --- execution -------------------------------------------------------------------------------


def execute(
    app: App,
    begin: Callable[[], tuple[Run, Outcome]],
    playbook: Playbook,
    args: argparse.Namespace,
) -> int:
    """Run the playbook and print the result. Return 0 if every step succeeded, else 1."""
    try:
        run, outcome = begin()
    except Cancelled as cancelled:
        runs = app.catalogue.runs.newest(playbook.executed.name, limit=1)
        cancelled.message, cancelled.program = f"playbook {playbook.name} was cancelled", ""
        cancelled.hint = (
            f"to continue the playbook: `drd resume {runs[0].id}`. To roll back its steps: "
            f"`drd rollback {runs[0].id}`"
            if runs
            else ""
        )
        raise
    if args.json:
        output.print_json(_document(run, playbook, outcome))
    else:
        _print(run, playbook, outcome, args)
    return 0 if outcome.succeeded else 1


def _document(run: Run, playbook: Playbook, outcome: Outcome) -> Mapping[str, Any]:
    return {
        "run": run.id,
        "playbook": playbook.name,
        "state": "succeeded" if outcome.succeeded else "failed",
        "steps": [
            {
                "name": step.name,
                "state": str(outcome.states.get(step.name, "not begun")),
                "says": output.unmarked(output.masked(outcome.causes[step.name].shown)) or None
                if step.name in outcome.causes
                else None,
            }
            for step in playbook.runbook
        ],
    }


def _print(run: Run, playbook: Playbook, outcome: Outcome, args: argparse.Namespace) -> None:
    if args.quiet:
        return
    output.say(f"playbook {playbook.name}, run {run.id}")
    for line in _step_lines(playbook, outcome):
        output.say_below("  step       ", line)
    failed = [n for n, s in outcome.states.items() if s is StepState.FAILED]
    temporary = [
        s.name
        for s in playbook.runbook
        if s.live is not None
        and s.live.expires_s is not None
        and outcome.states.get(s.name) is StepState.SUCCEEDED
    ]
    if temporary:
        output.say(
            f"  temporary  {', '.join(temporary)}. To roll back later: drd rollback {run.id}"
        )
    undoable = [s.name for s in playbook.runbook if can_be_undone(s) and s.name in outcome.states]
    back = f" To roll back {', '.join(undoable)}: drd rollback {run.id}" if undoable else ""
    if outcome.succeeded:
        output.say(f"done.{back or ' Nothing of it can be rolled back.'}")
    else:
        output.say(
            f"not done: {', '.join(failed) or 'steps are left'}. To continue the playbook: drd "
            f"resume {run.id}{'.' if back else ''}{back}"
        )


def _step_lines(playbook: Playbook, outcome: Outcome) -> Iterable[str]:
    for step in playbook.runbook:
        state = str(outcome.states.get(step.name, "not begun"))
        says = outcome.causes[step.name].text if step.name in outcome.causes else ""
        says = escaped(output.masked(says))
        yield f"{step.name}: {state}" + (f": {says}" if says else "")

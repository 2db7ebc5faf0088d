"""`drd doctor`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from drd import secrets
from drd.api.findings import doctor_document
from drd.bootstrap import App
from drd.bootstrap.state import state_places
from drd.cli import output
from drd.cli.as_service import as_service
from drd.cli.findings import name_width, print_findings, worth_showing
from drd.cli.follow import is_alive
from drd.cli.grants import print_grants
from drd.cli.session import as_if_in_force, found_by_file, loaded_plans, require_owner, session
from drd.config.awareness import findings as awareness_findings
from drd.config.contact_keys import findings as contact_key_findings
from drd.config.exercises import findings as exercise_findings
from drd.config.exposed_files import findings as exposed_findings
from drd.config.location import config_path
from drd.config.plan_search import names_a_file
from drd.config.playbooks import findings as playbook_findings
from drd.config.playbooks import playbooks_of
from drd.config.regimes import findings as regime_findings
from drd.errors import DrdError
from drd.flows.host.doctor import examine
from drd.flows.host.intake import findings as intake_findings
from drd.flows.host.records_key import findings as records_key_findings
from drd.flows.playbooks.in_force import in_force_findings
from drd.flows.playbooks.rehearsals import findings as rehearsal_findings
from drd.flows.records.key import RecordKey
from drd.flows.repository.observed_state import probe
from drd.flows.state.foreign_files import findings as state_findings
from drd.flows.status.publishing import findings as open_to_readers
from drd.kit.state import findings as kit_findings
from drd.model.finding import Finding
from drd.model.plan import Plan
from drd.model.readiness import not_in_force
from drd.model.text import counted
from drd.registry import unavailable


def run(args: argparse.Namespace) -> int:
    if args.grants or args.kind is not None:
        return print_grants(args)
    if args.as_service:
        return as_service(_own_command(args))
    items: list[dict[str, Any]] = []
    with session(args, acts=False, records=True) as app:
        require_owner(app, "doctor")
        for name, plan in loaded_plans(app, args.plan, refreshing=False):
            if isinstance(plan, DrdError):
                broken = Finding("plan-file", "error", "", plan.message, plan.hint)
                items.append(doctor_document(name, broken))
                continue
            items.append(doctor_document(plan.name, _plan_file(app, name, plan)))
            # What is found out about the repositories of a plan in force is recorded.
            with as_if_in_force(app, name, plan) as in_force, _no_copies(app, plan, in_force):
                findings = examine(app.services(plan), plan, secrets.resolve)
                findings += kit_findings(app.settings, app.catalogue, plan)
            if not (in_force or names_a_file(name) or is_alive(app)):
                _note_places(app, plan)
            findings += exposed_findings(plan, app.plans.trusted_users)
            as_called = found_by_file(app, name, plan)
            items += [doctor_document(plan.name, as_called(f)) for f in findings]
        settings = app.settings
        for wrong in settings.left_out:
            broken = Finding("configuration", "error", "", str(wrong), wrong.hint)
            items.append(doctor_document("drd", broken))
        for f in open_to_readers(settings.public_dir, settings.read_group):
            items.append(doctor_document("drd", f))
        items += [doctor_document("drd", f) for f in state_findings(state_places(settings))]
        items += [doctor_document("drd", f) for f in regime_findings(settings, app.clock.now())]
        known, now = playbooks_of(settings).known, app.clock.now()
        own = [*playbook_findings(settings)]
        own += in_force_findings(app.catalogue, known.values(), now)
        own_names = [name for name, playbook in known.items() if playbook.own]
        own += rehearsal_findings(app.catalogue, known, own_names, now)
        own += [*exercise_findings(settings), *awareness_findings(settings)]
        own += contact_key_findings(settings)
        items += [doctor_document("drd", f) for f in own]
        key, named = RecordKey(settings.records_key), settings.own_records_key is not None
        key_findings = records_key_findings(key, app.catalogue.records.current_key(), named=named)
        key_findings += intake_findings(settings.intake, secrets.resolve)
        items += [doctor_document("drd", f) for f in key_findings]
        for package in unavailable():
            finding = Finding("extension", "warning", package.name, package.text, package.remedy)
            items.append(doctor_document("drd", finding))
    ok = all(item["ok"] for item in items)
    if args.json:
        output.print_json({"ok": ok, "items": items})
    else:
        _print(items, args)
    return 0 if ok else 1


def _plan_file(app: App, name: str, plan: Plan) -> Finding:
    """Return whether the examined text of the plan is in force, unless it was named by its file. A
    daemon that uses another text is named when the file is read."""
    used = names_a_file(name) or app.plans.has_in_force(plan) or is_alive(app)
    if used or plan.name not in app.catalogue.plans.names():
        return Finding("plan-file", "ok", "", plan.file)
    return not_in_force(plan)


@contextmanager
def _no_copies(app: App, plan: Plan, in_force: bool) -> Iterator[None]:
    """Do not record the copies of another tool that the examination lists. As for other plans, drd
    records only the state of the repositories."""
    if not (in_force and plan.made_by):
        yield
        return
    with app.trying():
        yield
    _note_places(app, plan)


def _note_places(app: App, plan: Plan) -> None:
    """Record the present state of the repositories that had a problem. Without a daemon, also use a
    plan text that is not in force, because the next command uses it: the wrong password may have
    been in the former text."""
    for spec in plan.repositories.values():
        with suppress(DrdError):  # a finding says it
            probe(app.catalogue, app.clock, app.open_repository(spec))


def _own_command(args: argparse.Namespace) -> list[str]:
    """This command, for use by another user in another directory."""
    config, explicit = config_path(args.config)
    words = ["doctor"]
    words += ["--config", str(Path(config).absolute())] if explicit else []
    words += [option for option in ("--quiet", "--no-color", "--json") if _is_given(args, option)]
    if args.plan:
        words.append(str(Path(args.plan).absolute()) if Path(args.plan).is_file() else args.plan)
    return words


def _is_given(args: argparse.Namespace, option: str) -> bool:
    return bool(getattr(args, option.strip("-").replace("-", "_")))


def _print(items: list[dict[str, Any]], args: argparse.Namespace) -> None:
    shown = worth_showing(items, quiet=args.quiet)
    colour, width = output.colours(args.no_color), name_width(shown)
    for plan, findings in groupby(shown, key=itemgetter("plan")):
        output.say(str(plan))
        print_findings(findings, width=width, colour=colour)
    bad = sum(i["severity"] == "error" for i in items)
    warnings = sum(i["severity"] == "warning" for i in items)
    if bad:
        output.say(
            f"{counted(bad, 'error')} among "
            f"{counted(len(items), 'finding')}{_and_warnings(warnings)}"
        )
    elif warnings:
        output.say(f"no errors among {counted(len(items), 'finding')}{_and_warnings(warnings)}")
    else:
        output.say(f"no problems: all {len(items)} findings are ok")


def _and_warnings(count: int) -> str:
    return f", {counted(count, 'warning')}" if count else ""

"""`drd plan`: check, show, schema; new and forget are beside it."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from drd.bootstrap import app
from drd.catalogue.summary import read_facts
from drd.cli import output
from drd.cli.remote import Remote
from drd.cli.session import require_owner
from drd.config.daemon import DaemonSettings, load_settings
from drd.config.exposed_files import exposed_files, secret_files, state_owners
from drd.config.json_schema import plan_schema
from drd.config.location import config_path
from drd.config.plan_file import LoadedPlan, load_plan
from drd.config.plan_search import clash, find_plan, plans_by_name
from drd.config.reference import reference
from drd.config.writing import yaml_text
from drd.config.yaml import read
from drd.errors import ConfigError, DrdError, NotOwner, Problem, UnknownPlan, UsageError
from drd.model.facts import PlanFacts
from drd.model.former_name import left_words
from drd.model.nearest import closest
from drd.model.plan import Plan
from drd.model.text import counted, escaped
from drd.model.units import format_duration
from drd.plan_files import name_line, plan_files, plan_name
from drd.presence import is_gone
from drd.process import rights
from drd.process.actors import as_root_types_it
from drd.repositories.adopted.stanza_place import only_here
from drd.secrets import resolve
from drd.users import user_name

# --- check ------------------------------------------------------------------------------------


def check(args: argparse.Namespace) -> int:
    """Check the named plans, or all; 2 when one has an error."""
    settings = _settings(args)
    files, problems = _files_to_check(args, settings)
    loaded: list[LoadedPlan] = []
    facts = _loaded_before(settings)
    for file in files:
        try:
            one = _with_exposed(load_plan(file, settings.known_roles), settings)
            loaded.append(_with_other_plans(_with_former_name(one, facts), settings))
        except ConfigError as error:
            problems += error.problems
    warnings = [w for plan in loaded for w in plan.warnings]
    problems += [fault for plan in loaded for fault in plan.faults]
    if args.json:
        output.print_json(
            {
                "ok": not problems,
                "problems": [problem_json(p) for p in problems],
                "warnings": [problem_json(p) for p in warnings],
            }
        )
    else:
        _print_check(loaded, problems, quiet=args.quiet)
    return 2 if problems else 0


def _is_missing(file: str) -> bool:
    """Return whether the directory of a file is here, and the file is not."""
    return Path(file).parent.is_dir() and is_gone(file)


def _authorities(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield the files with CA certificates that the plan names, each after its key in the plan."""
    for name, spec in plan.repositories.items():
        if spec.ca_cert is not None:
            yield f"repositories.{name}", spec.ca_cert
    for name, component in plan.components.items():
        file = getattr(component.settings, "ca_cert", None)
        if isinstance(file, str):
            yield f"components.{name}", file


def _with_exposed(plan: LoadedPlan, settings: DaemonSettings) -> LoadedPlan:
    """Return the plan with one more warning for each of its files that others can read or write,
    one for its secret files that are missing on this host, and one if the repository of a stanza
    is only on this host, which its configuration says."""
    warnings = []
    for one in exposed_files(plan, state_owners(settings.state_dir)):
        refuses = "" if one.is_told_only else "; drd refuses a new plan that has such a file"
        warnings.append(Problem(plan.plan.file, 1, "", f"{one}{refuses}", one.remedy, "warning"))
    missing = [file for file in secret_files(plan.plan) if _is_missing(file)]
    if missing:
        text = f"this host lacks {counted(len(missing), 'secret file')} of this plan: "
        hint = "write the secrets into these files, mode 0600, before the first backup."
        warnings.append(Problem(plan.plan.file, 1, "", text + ", ".join(missing), hint, "warning"))
    for at, file in _authorities(plan.plan):
        if _is_missing(file):
            text = f"this host lacks the file {file}, so drd cannot check the certificate of the "
            hint = "write the certificate of the authority into this file, readable for drd's user."
            warnings.append(Problem(plan.plan.file, 1, at, f"{text}server", hint, "warning"))
    if directory := only_here(plan.plan, resolve):
        text = f"the only copy is on this host ({directory}): if the host is lost, the copy is "
        hint = "let pgBackRest store in a bucket or on a repository host as well, or make sure "
        hint += "that this path is on another machine."
        at = f"repositories.{plan.plan.primary.name}.pgbackrest"
        warnings.append(Problem(plan.plan.file, 1, at, f"{text}lost, too", hint, "warning"))
    return replace(plan, warnings=plan.warnings + warnings)


def _with_other_plans(plan: LoadedPlan, settings: DaemonSettings) -> LoadedPlan:
    """Return the plan with a warning for each name under `depends_on` that is nearly that of a
    plan: an incident of that plan would not affect this one. Other services have no plan."""
    names = plans_by_name(settings.plans_dir).keys() - {plan.plan.name}
    warnings = []
    for at, name in enumerate(plan.plan.inventory.depends_on):
        near = closest(name, sorted(names), alike=0.8)
        if name not in names and near:
            text = f'there is no plan "{name}": an incident of {near} would not affect this plan'
            hint = f'write "{near}" if you meant this plan.'
            line = read(plan.text.encode(), plan.plan.file).line(("depends_on", at))
            where = f"depends_on[{at}]"
            warnings.append(Problem(plan.plan.file, line, where, text, hint, "warning"))
    return replace(plan, warnings=plan.warnings + warnings)


def _loaded_before(settings: DaemonSettings) -> list[PlanFacts]:
    """Return what drd has loaded, if this user can know that at once."""
    if not settings.state_url.startswith("sqlite:"):
        return []
    with suppress(DrdError):
        return read_facts(settings.state_url)
    return []


def _with_former_name(plan: LoadedPlan, facts: Iterable[PlanFacts]) -> LoadedPlan:
    """Return the plan with a warning if drd has loaded it with another name, under which there are
    restore points: from this file, or from one that is gone and had the same components."""
    file, name = os.path.abspath(plan.plan.file), plan.plan.name  # noqa: PTH100 (keeps symlinks)
    mine = {(c.name, c.kind) for c in plan.plan.components.values()}
    left = {
        f.plan: f.complete_points
        for f in facts
        if f.plan != name
        and f.complete_points
        and (f.file == file or ({c[:2] for c in f.components} == mine and is_gone(f.file)))
    }
    beside = {plan_name(one.path) for one in plan_files(Path(file).parent)} if left else set()
    left = {former: number for former, number in left.items() if former not in beside}
    if not left:
        return plan
    text, remedy = left_words(name, left)
    warning = Problem(plan.plan.file, name_line(file), "plan", text, remedy, "warning")
    return replace(plan, warnings=[*plan.warnings, warning])


def _settings(args: argparse.Namespace) -> DaemonSettings:
    path, explicit = config_path(args.config)
    return load_settings(Path(path), explicit=explicit)


def _files_to_check(
    args: argparse.Namespace, settings: DaemonSettings
) -> tuple[list[Path], list[Problem]]:
    """Return the files, and the problems that concern them together (two plans of one name)."""
    if args.plans:
        return [find_plan(settings, name) for name in args.plans], []
    by_name = plans_by_name(settings.plans_dir)
    if not by_name:
        if settings.plans_dir.is_dir() and not os.access(settings.plans_dir, os.R_OK | os.X_OK):
            me = user_name(os.geteuid())
            raise NotOwner(
                f"user {me} may not read {settings.plans_dir}, the directory of the plans",
                hint=as_root_types_it(),
            )
        raise UsageError(
            f"there is no plan in {settings.plans_dir}", hint="write a plan with `drd plan new`."
        )
    problems = [clash(name, files) for name, files in by_name.items() if len(files) > 1]
    return [file for files in by_name.values() for file in files], problems


def problem_json(problem: Problem) -> dict[str, Any]:
    finding = {"code": problem.code} if problem.code else {}
    return {
        **finding,
        "file": problem.file,
        "line": problem.line,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }


def _print_check(loaded: list[LoadedPlan], problems: list[Problem], *, quiet: bool) -> None:
    for problem in problems:
        print_problem(problem)
    for plan in loaded if not quiet else ():
        for warning in plan.warnings:
            print_problem(warning)
        if not plan.faults:
            output.say(_ok_line(plan))


def print_problem(problem: Problem) -> None:
    output.say_below("", str(problem))
    if problem.hint:
        output.say_remedy("HINT: ", problem.hint)


def _ok_line(loaded: LoadedPlan) -> str:
    plan = loaded.plan
    count = len(plan.components)
    own = [f"RPO of {n} {format_duration(rpo_s)}" for n, rpo_s in plan.own_objectives.items()]
    facts = [
        counted(count, "component"),
        f"RPO {format_duration(plan.objectives.rpo_s)}",
        *own,
        f"RTO {format_duration(plan.objectives.rto_s)}",
    ]
    if loaded.warnings:
        count = len(loaded.warnings)
        facts.append(counted(count, "warning"))
    return f"{plan.name}: ok ({', '.join(facts)})"


# --- show and schema --------------------------------------------------------------------------


def show(args: argparse.Namespace) -> int:
    """Print the plan as drd understood it; as YAML it can be loaded again and has the same hash.
    Users who may not read the plan's file get the plan in force from the daemon."""
    settings = _settings(args)
    if args.loaded:
        return _show_loaded(args, settings)
    known_plan = _find(args, settings)
    if not isinstance(known_plan, Path):
        return _show_in_force(known_plan, args)
    loaded = load_plan(known_plan)
    plan = loaded.plan
    if args.json:
        document = {
            "plan": plan.name,
            "file": plan.file,
            "digest": plan.digest,
            "proof": plan.proof,
        }
        output.print_json({**document, "resolved": plan.resolved})
        return 0

    output.say(f"# {plan.file}, plan hash {plan.digest[:12]}, proof hash {plan.proof[:12]}")
    output.say(yaml_text(loaded.as_written).rstrip("\n"))
    return 0


def _find(args: argparse.Namespace, settings: DaemonSettings) -> Path | dict[str, Any]:
    """Return the file of the plan, or the daemon's answer if we may not read the file."""

    with app(args.config, settings=settings) as opened:
        if "/" in args.plan:
            return find_plan(settings, args.plan)
        if opened.state.is_ours:
            return opened.plans.file_of(args.plan)
        with suppress(UnknownPlan):
            file = find_plan(settings, args.plan)
            if os.access(file, os.R_OK):
                return file
        return Remote(opened).get(f"/v1/plans/{args.plan}")


def _show_loaded(args: argparse.Namespace, settings: DaemonSettings) -> int:
    """Print the text that drd loaded last, as it was written: for a file that is gone."""
    with app(args.config, settings=settings) as opened:
        require_owner(opened, "plan show --loaded")
        file, text = opened.plans.text_in_force(args.plan)
        if (owner := rights.acts_for()) is not None:
            output.warn(
                f"this text is from drd's catalogue, which user {owner.name} can change: read "
                "the whole text before you save it as a file of root"
            )
    if args.json:
        output.print_json({"plan": args.plan, "file": file, "text": text})
        return 0
    for line in text.splitlines():
        output.say(escaped(line))
    return 0


def _show_in_force(found: dict[str, Any], args: argparse.Namespace) -> int:
    if args.json:
        output.print_json(found)
        return 0

    hashes = f"plan hash {found['digest'][:12]}"
    if "proof" in found:  # not from the daemon of an older drd
        hashes += f", proof hash {found['proof'][:12]}"
    output.say(f"# as drd has loaded it from {found['file']}, {hashes}; durations in seconds")
    output.say(yaml_text(found["resolved"]).rstrip("\n"))
    return 0


def schema(args: argparse.Namespace) -> int:
    """Print the JSON Schema, or the reference that is made from it, with what the packages of
    drd.yaml add, if drd.yaml can be read."""
    try:
        _settings(args)  # imports these packages
    except DrdError as error:
        output.warn(f"the schema does not contain what the packages in drd.yaml add: {error.line}")
    if args.markdown:
        output.say(reference(plan_schema()).rstrip("\n"))
    else:
        output.say(json.dumps(plan_schema(), indent=2))
    return 0

"""`drd plan`: check, show, schema; new and forget are beside it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.options import global_options

if TYPE_CHECKING:
    from drd.config.daemon import DaemonSettings
    from drd.config.plan_file import LoadedPlan
    from drd.errors import Problem

EXAMPLES = """\
examples:
  drd plan new --name orders-api --sqlite /srv/orders/orders.db --files /etc/orders
  drd plan check                      every plan of the plans directory
  drd plan check orders-api.yaml      one file, wherever it is
  drd plan show orders-api            with all defaults
  drd plan schema > plan.schema.json  for an editor with yaml-language-server

exit codes: 0 all plans are sound (warnings allowed), 2 one is not."""

CHECK_EXAMPLES = """\
examples:
  drd plan check                     every plan of the plans directory
  drd plan check orders-api          one of them
  drd plan check ./orders-api.yaml   one file, wherever it is
  drd plan check --json | jq '.problems[]'

exit codes: 0 all plans are sound (warnings allowed), 2 one is not."""

SHOW_EXAMPLES = """\
examples:
  drd plan show orders-api
  drd plan show orders-api --json | jq -r .digest"""

SCHEMA_EXAMPLES = """\
examples:
  drd plan schema > plan.schema.json
  # yaml-language-server: $schema=plan.schema.json     as the first line of a plan beside it
  drd plan schema --markdown > plan-reference.md"""

NEW_EXAMPLES = """\
examples:
  drd plan new                                        what is found on this host
  drd plan new --name orders-api --postgres 'postgresql:///orders' --files /etc/nginx
  drd plan new --sqlite /srv/shop/shop.db --repository s3:https://s3.example.com/acme-dr/shop
  drd plan new --output -                             look first, write nothing"""


FORGET_EXAMPLES = """\
examples:
  drd plan forget orders-api         asks, and says what will be gone
  drd plan forget orders-api --yes

Before it, remove the plan's file and let the service know: systemctl reload drd

exit codes: 0 forgotten, 2 its file is still there or nothing is known, 11 a run of it is not
over."""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "plan",
        help="check, show, schema, new, forget: write and understand plans",
        description="Plans are YAML files that say what a service consists of, how much data it "
        "may lose, how long it may be down, and how it is brought back.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    verbs = parser.add_subparsers(dest="plan_verb", metavar="VERB", required=True)
    _add_check(verbs)
    _add_show(verbs)
    _add_schema(verbs)
    _add_new(verbs)
    _add_forget(verbs)


def _add_check(verbs: Any) -> None:
    parser = verbs.add_parser(
        "check",
        help="schema and logic, each problem with its line",
        description="Read plans and say what is wrong with them, as `file:line: key: message`. "
        "Nothing but the files is looked at.",
        epilog=CHECK_EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plans", nargs="*", metavar="FILE|PLAN", help="none: all plans there are")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.plan:check")


def _add_show(verbs: Any) -> None:
    parser = verbs.add_parser(
        "show",
        help="the resolved plan: what drd understood",
        description="A plan with every default written out. Secrets stay references.",
        epilog=SHOW_EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", metavar="PLAN", help="name of a plan, or its file")
    parser.add_argument("--json", action="store_true", help="one JSON document, with its hash")
    parser.set_defaults(handler="drd.cli.plan:show")


def _add_schema(verbs: Any) -> None:
    parser = verbs.add_parser(
        "schema",
        help="the JSON Schema of plans, for editors",
        description="The JSON Schema of plans: an editor completes keys and explains them.",
        epilog=SCHEMA_EXAMPLES,
    )
    global_options(parser)
    parser.add_argument(
        "--markdown", action="store_true", help="the same as a reference for people"
    )
    parser.set_defaults(handler="drd.cli.plan:schema")


def _add_new(verbs: Any) -> None:
    parser = verbs.add_parser(
        "new",
        help="a starting plan from what is found here",
        description="Write a commented plan for the databases of a PostgreSQL server on a local "
        "socket and for the files that you name. Nothing is backed up by this.",
        epilog=NEW_EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("--name", help="of the plan (else from what is found)")
    parser.add_argument("--postgres", action="append", default=[], metavar="DSN", help="a database")
    parser.add_argument(
        "--no-postgres", action="store_true", help="do not look for a PostgreSQL server"
    )
    parser.add_argument("--sqlite", action="append", default=[], metavar="FILE", help="a database")
    parser.add_argument(
        "--files", nargs="+", action="extend", default=[], metavar="PATH", help="configuration"
    )
    parser.add_argument(
        "--repository", metavar="URL", help="s3:https://host/bucket/prefix or an absolute path"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="else NAME.yaml in the plans directory; - for stdout"
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")
    parser.set_defaults(handler="drd.cli.plan_new:new")


def _add_forget(verbs: Any) -> None:
    parser = verbs.add_parser(
        "forget",
        help="let go of the records of a plan whose file is gone",
        description="Remove what drd remembers of a plan that is not loaded any more: its points, "
        "runs and evidence. Its alerts end. What is in its repositories stays, and is not touched.",
        epilog=FORGET_EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", metavar="PLAN", help="name of a plan")
    parser.add_argument("--yes", action="store_true", help="do not ask (for machines)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.plan_forget:forget")


# --- check ------------------------------------------------------------------------------------


def check(args: argparse.Namespace) -> int:
    """Check the named plans, or all; 2 when one has an error."""
    from drd.config.plan_file import load_plan
    from drd.errors import ConfigError

    settings = _settings(args)
    files, problems = _files_to_check(args, settings)
    loaded: list[LoadedPlan] = []
    for file in files:
        try:
            loaded.append(_with_exposed(load_plan(file, settings.known_roles), settings))
        except ConfigError as error:
            problems += error.problems
    warnings = [w for plan in loaded for w in plan.warnings]
    if args.json:
        output.print_json(
            {
                "ok": not problems,
                "problems": [_as_json(p) for p in problems],
                "warnings": [_as_json(p) for p in warnings],
            }
        )
    else:
        _print_check(loaded, problems, quiet=args.quiet)
    return 2 if problems else 0


def _with_exposed(plan: LoadedPlan, settings: DaemonSettings) -> LoadedPlan:
    """The plan with one more warning for each of its files that others can read or write."""
    from drd.config.exposed import exposed_files, state_owners
    from drd.errors import Problem

    warnings = []
    for one in exposed_files(plan, state_owners(settings.state_dir)):
        refuses = "" if one.is_told_only else "; drd refuses a new plan that has such a file"
        warnings.append(Problem(plan.plan.file, 1, "", f"{one}{refuses}", one.remedy, "warning"))
    return replace(plan, warnings=plan.warnings + warnings)


def _settings(args: argparse.Namespace) -> DaemonSettings:
    from drd.config.daemon import load_settings
    from drd.config.location import config_path

    path, explicit = config_path(args.config)
    return load_settings(Path(path), explicit=explicit)


def _files_to_check(
    args: argparse.Namespace, settings: DaemonSettings
) -> tuple[list[Path], list[Problem]]:
    """The files, and the problems that they have as a whole (two plans of one name)."""
    from drd.config.daemon import clash, find_plan, plans_by_name
    from drd.errors import UsageError

    if args.plans:
        return [find_plan(settings, name) for name in args.plans], []
    by_name = plans_by_name(settings.plans_dir)
    if not by_name:
        raise UsageError(
            f"there is no plan in {settings.plans_dir}", hint="write one with `drd plan new`."
        )
    problems = [clash(name, files) for name, files in by_name.items() if len(files) > 1]
    return [file for files in by_name.values() for file in files], problems


def _as_json(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }


def _print_check(loaded: list[LoadedPlan], problems: list[Problem], *, quiet: bool) -> None:
    for problem in problems:
        _print_problem(problem)
    for plan in loaded if not quiet else ():
        for warning in plan.warnings:
            _print_problem(warning)
        output.say(_ok_line(plan))


def _print_problem(problem: Problem) -> None:
    output.say(str(problem))
    if problem.hint:
        output.say(f"HINT: {problem.hint}")


def _ok_line(loaded: LoadedPlan) -> str:
    from drd.model.units import format_duration

    plan = loaded.plan
    count = len(plan.components)
    facts = [
        f"{count} component{'s' if count != 1 else ''}",
        f"RPO {format_duration(plan.objectives.rpo_s)}",
        f"RTO {format_duration(plan.objectives.rto_s)}",
    ]
    if loaded.warnings:
        count = len(loaded.warnings)
        facts.append(f"{count} warning{'s' if count != 1 else ''}")
    return f"{plan.name}: ok ({', '.join(facts)})"


# --- show and schema --------------------------------------------------------------------------


def show(args: argparse.Namespace) -> int:
    """Print what drd understood; as YAML it can be loaded again and has the same hash. Whoever may
    not read the plan's file is shown what the daemon has in force."""
    from drd.config.daemon import find_plan
    from drd.config.plan_file import load_plan

    settings = _settings(args)
    if (found := _in_force(args, settings)) is not None:
        return _show_in_force(found, args)
    loaded = load_plan(find_plan(settings, args.plan))
    plan = loaded.plan
    if args.json:
        document = {"plan": plan.name, "file": plan.file, "digest": plan.digest}
        output.print_json({**document, "resolved": plan.resolved})
        return 0
    from drd.config.writing import yaml_text

    output.say(f"# {plan.file}, plan hash {plan.digest[:12]}")
    output.say(yaml_text(loaded.as_written).rstrip("\n"))
    return 0


def _in_force(args: argparse.Namespace, settings: DaemonSettings) -> dict[str, Any] | None:
    """What the daemon answers, where the file is not ours to read; None where it is."""
    import os

    from drd.bootstrap import app
    from drd.cli.remote import Remote
    from drd.config.daemon import find_plan
    from drd.errors import UnknownPlan

    with app(args.config, settings=settings) as opened:
        if opened.owns_state or "/" in args.plan:
            return None
        try:
            readable = os.access(find_plan(settings, args.plan), os.R_OK)
        except UnknownPlan:
            readable = False
        if readable:
            return None
        return Remote(opened).get(f"/v1/plans/{args.plan}")


def _show_in_force(found: dict[str, Any], args: argparse.Namespace) -> int:
    if args.json:
        output.print_json(found)
        return 0
    from drd.config.writing import yaml_text

    output.say(
        f"# in force: {found['file']}, plan hash {found['digest'][:12]}; durations in seconds"
    )
    output.say(yaml_text(found["resolved"]).rstrip("\n"))
    return 0


def schema(args: argparse.Namespace) -> int:
    """Print the JSON Schema, or the reference that is made from it."""
    import json

    from drd.config.json_schema import plan_schema

    if args.markdown:
        from drd.config.reference import reference

        output.say(reference(plan_schema()).rstrip("\n"))
    else:
        output.say(json.dumps(plan_schema(), indent=2))
    return 0

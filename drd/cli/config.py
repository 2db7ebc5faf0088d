"""`drd config`: check drd.yaml."""

from __future__ import annotations

import argparse
from pathlib import Path

from drd.cli import output
from drd.cli.plan import print_problem, problem_json
from drd.config.daemon import DaemonSettings
from drd.config.daemon_check import CheckedSettings, check_settings
from drd.config.location import config_path
from drd.config.plan_search import plans_by_name
from drd.model.text import counted


def check(args: argparse.Namespace) -> int:
    """Check the named file, or the drd.yaml of this host; 2 when it has an error."""
    chosen, explicit = config_path(args.file or args.config)
    checked = check_settings(Path(chosen), explicit=explicit)
    if args.json:
        output.print_json(
            {
                "ok": not checked.problems,
                "file": str(checked.file),
                "problems": [problem_json(p) for p in checked.problems],
                "warnings": [problem_json(p) for p in checked.warnings],
                "fine": list(checked.fine),
                "not_checked": list(checked.unread),
            }
        )
    else:
        _print(checked, quiet=args.quiet)
    return 2 if checked.problems else 0


def _print(checked: CheckedSettings, *, quiet: bool) -> None:
    for problem in checked.problems:
        print_problem(problem)
    if quiet:
        return
    for warning in checked.warnings:
        print_problem(warning)
    if checked.unread:
        names = ", ".join(checked.unread)
        output.say(
            f"drd did not check whether these credentials exist, because only root can: {names}"
        )
    if checked.settings is not None:
        output.say(_ok_line(checked, checked.settings))
    elif checked.fine:
        output.say(f"keys of this file without errors: {', '.join(checked.fine)}")


def _ok_line(checked: CheckedSettings, settings: DaemonSettings) -> str:
    if settings.file is None:
        return f"{checked.file}: ok (there is no such file: drd uses its defaults)"
    facts = [
        f"{counted(len(plans_by_name(settings.plans_dir)), 'plan')} in {settings.plans_dir}",
        counted(len(settings.channels), "channel"),
        counted(len(settings.people), "person", "people"),
    ]
    if checked.warnings:
        facts.append(counted(len(checked.warnings), "warning"))
    return f"{checked.file}: ok ({', '.join(facts)})"

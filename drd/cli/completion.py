"""`drd completion`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from drd.cli.parser import Parser
from drd.errors import DrdError

_FILES = ("FILE", "FILE|PLAN", "DIR", "WHERE", "F")
"""What a usage calls the values that are files."""


def run(args: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    # Without the shell's defaults, which offer files wherever drd offers nothing.
    print(shellcode(["drd"], shell=args.shell, use_defaults=False))
    return 0


def complete(parser: Parser) -> None:
    """Answer a shell that asks through argcomplete, and exit; return if none asks."""
    import argcomplete

    names: dict[str, Callable[..., list[str]]] = {
        "plan": _plans,
        "plans": _plans,
        "target": _names_in("targets"),
        "component": _names_in("components"),
        "repository": _names_in("repositories"),
    }
    for action in parser.every_action():
        if action.dest in names:
            action.completer = names[action.dest]  # type: ignore[attr-defined]  # argcomplete's way
        elif action.choices is None and action.metavar not in _FILES:
            action.completer = _nothing  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def _nothing(**_: Any) -> list[str]:
    """Return no words: drd does not know any, and a file would be wrong."""
    return []


def _plans(*, prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Return the names in the plans directory, without loading one; files for a path."""
    if "/" in prefix or prefix.startswith((".", "~")):
        from argcomplete.completers import FilesCompleter

        return list(FilesCompleter()(prefix))
    return sorted(_plan_files(parsed_args))


def _plan_files(args: argparse.Namespace) -> dict[str, str]:
    """Return the file of each plan by the plan's name."""
    from drd.config.location import config_path, state_and_plans
    from drd.plan_files import plan_files, plan_name

    try:
        path, explicit = config_path(getattr(args, "config", None))
        _state, directory = state_and_plans(path, explicit=explicit)
    except DrdError:
        return {}
    return {plan_name(f.path): f.path for f in plan_files(directory)}


def _names_in(section: str) -> Callable[..., list[str]]:
    """Complete the names in one section of the plan on the command line."""

    def names(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        from pathlib import Path

        from drd.config.yaml import read

        plan = getattr(parsed_args, "plan", None)
        if not isinstance(plan, str):
            return []
        file = plan if "/" in plan else _plan_files(parsed_args).get(plan, "")
        try:
            data = read(Path(file).read_bytes(), file).data
        except (DrdError, OSError):
            return []
        named = data.get(section) if isinstance(data, dict) else None
        return [str(name) for name in named] if isinstance(named, dict) else []

    return names

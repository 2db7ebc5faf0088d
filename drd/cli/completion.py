"""`drd completion`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli.parser import Parser
from drd.errors import DrdError


def run(args: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    print(shellcode(["drd"], shell=args.shell))
    return 0


def complete(parser: Parser) -> None:
    """Answer a shell that asks through argcomplete, and exit; return if none asks."""
    import argcomplete

    for action in parser.every_action():
        if action.dest in ("plan", "plans"):
            action.completer = _plans  # type: ignore[attr-defined]  # argcomplete's way
    argcomplete.autocomplete(parser)


def _plans(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The names of the plans directory, without loading one. For a path, or if no name fits, the
    shell completes files."""
    from drd.config.location import config_path, state_and_plans
    from drd.flows.status.overview import plan_files, plan_name

    try:
        path, explicit = config_path(getattr(parsed_args, "config", None))
        _state, directory = state_and_plans(path, explicit=explicit)
    except DrdError:
        return []
    return sorted({plan_name(f.path) for f in plan_files(directory)})

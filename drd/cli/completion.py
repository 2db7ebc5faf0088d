"""`drd completion`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from typing import Any

from drd.catalogue.known_ids import known_ids
from drd.cli.parser import Parser
from drd.cli.status_reading import as_owner, may_open_state
from drd.config.location import config_path, places, state_and_plans
from drd.errors import DrdError

_FILES = ("FILE", "FILE|PLAN", "DIR", "WHERE", "F")
"""Names of values in a usage line that stand for files."""

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]*")
"""Ids, and names of components, targets, repositories and steps."""


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
        "run": _ids("run"),
        "evidence": _ids("evidence"),
        "alert": _ids("alert"),
        "point": _ids("point", of="plan"),
        "other": _ids("point", of="plan"),
        "step": _ids("step", of="run"),
    }
    for action in parser.every_action():
        if action.dest in names:
            action.completer = names[action.dest]  # type: ignore[attr-defined]  # argcomplete's way
        elif action.choices is None and action.metavar not in _FILES:
            action.completer = _nothing  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def _ids(what: str, of: str = "") -> Callable[..., list[str]]:
    """Complete ids from the catalogue, `of` the argument of this name; for those who may read it,
    and only from a file."""

    def ids(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        try:
            path, explicit = config_path(getattr(parsed_args, "config", None))
            location = places(path, explicit=explicit)
            if not may_open_state(location):
                return []
            given = getattr(parsed_args, of, None) if of else None
            with as_owner(location):
                return _sound(known_ids(location.state_url, what, given))
        except (DrdError, OSError):
            return []

    return ids


def _sound(words: Iterable[str]) -> list[str]:
    """Leave out what drd never writes there: an option, or anything that a shell would read."""
    return [word for word in words if _WORD.fullmatch(word)]


def _nothing(**_: Any) -> list[str]:
    """Return no words: drd does not know any, and a file would be wrong."""
    return []


def _plans(*, prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Return the names in the plans directory, without loading one; files for a path."""
    if "/" in prefix or prefix.startswith((".", "~")):
        from argcomplete.completers import FilesCompleter

        return list(FilesCompleter()(prefix))
    return sorted(_sound(_plan_files(parsed_args)))


def _plan_files(args: argparse.Namespace) -> dict[str, str]:
    """Return the file of each plan by the plan's name."""
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
        return _sound(map(str, named)) if isinstance(named, dict) else []

    return names

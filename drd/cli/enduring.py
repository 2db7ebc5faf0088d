"""Commands for an emergency: they work with the readable parts of drd.yaml.

Other commands, which write copies, keys or the service, or change what is kept, need the whole
file, and so does the daemon."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drd.bootstrap import App, Console, app
from drd.cli import output
from drd.config.daemon import DaemonSettings, load_settings
from drd.config.location import config_path

VERBS = frozenset(
    {
        *("status", "points", "point", "ls", "mount", "diff", "doctor", "readiness", "schedule"),
        *("run", "runs", "evidence", "alert", "alerts", "ack", "plan", "records"),
        *("incident", "obligations", "playbook"),
        *("drill", "recover", "approve", "done", "resume", "retry", "skip", "rollback", "cancel"),
        "undo",
    }
)

_told: set[str] = set()


@contextmanager
def app_of(
    args: argparse.Namespace, console: Console | None = None, *, reading: bool = False
) -> Iterator[App]:
    """Open the App of a command, and report which parts of drd.yaml are left out."""
    endures = args.verb in VERBS
    with app(args.config, console, reading=reading, enduring=endures) as opened:
        _tell(opened.settings)
        yield opened


def quick_settings(args: argparse.Namespace) -> DaemonSettings:
    """Read drd.yaml without the parts that extensions add, for a command that opens nothing
    else."""
    path, explicit = config_path(args.config)
    settings = load_settings(
        Path(path), explicit=explicit, extended=False, enduring=args.verb in VERBS
    )
    _tell(settings)
    return settings


def _tell(settings: DaemonSettings) -> None:
    """Warn of each error once, also with --quiet: somebody has to correct it."""
    for problem in settings.left_out:
        hint = f". Remedy: {problem.hint}" if problem.hint else ""
        text = f"{problem}. This command goes on without this part of drd.yaml{hint}"
        if text not in _told:
            output.warn(text.removesuffix("."))
        _told.add(text)

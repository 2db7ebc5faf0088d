"""What `drd drill --scenario operator` shows while it runs: the steps that wait for people; in a
blind drill, the printed runbook instead."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from drd import secrets
from drd.bootstrap import App
from drd.cli import output
from drd.cli.live import watched
from drd.config.plan_file import load_plan
from drd.config.plan_search import find_plan
from drd.kit.gather import gather
from drd.model.plan import Plan
from drd.model.progression import Progression


@contextmanager
def followed(app: App, args: argparse.Namespace, plan: Plan) -> Iterator[None]:
    """Show the steps of the drill while the body runs, and what they wait for. In a blind drill,
    show only the printed runbook and the id of the run."""
    if not args.blind:
        with watched(app, args):
            yield
        return
    print_page(_printed_runbook(app, args.plan, plan))
    app.console = replace(app.console, on_steps=_NamesRun())
    yield


class _NamesRun:
    """Says once which run waits for answers."""

    def __init__(self) -> None:
        self._is_said = False

    def __call__(self, now: Progression) -> None:
        if not self._is_said:
            self._is_said = True
            words = f"blind drill: run {now.run}. Follow the printed runbook above"
            print(output.shown(words), file=sys.stderr, flush=True)


def _printed_runbook(app: App, given: str, plan: Plan) -> str:
    """Return the runbook of the plan as a recovery kit prints it. Raises errors of the kit."""
    one = load_plan(find_plan(app.settings, given))
    _, files = gather([one], app.settings, app.catalogue, secrets.resolve, now=app.clock.now())
    return files[f"runbooks/{plan.name}/runbook.md"].decode()


def print_page(page: str) -> None:
    """Print a runbook on stderr."""
    print("\n".join(output.shown(line) for line in page.splitlines()), file=sys.stderr)

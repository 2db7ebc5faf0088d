"""What `drd drill --scenario operator` shows: what waits for people, the printed runbook of a blind
drill, and at the end for whom it counts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from drd import secrets
from drd.bootstrap import App
from drd.cli import output
from drd.cli.live import watched
from drd.config.plan_file import load_plan
from drd.config.plan_search import find_plan
from drd.kit.gather import gather
from drd.model.plan import Plan
from drd.model.progression import Progression
from drd.model.text import counted, escaped
from drd.model.units import format_duration


@contextmanager
def followed(app: App, args: argparse.Namespace, plan: Plan) -> Iterator[None]:
    """Show the steps of the body's drill, and what they wait for; of a blind drill only the printed
    runbook and the id of the run."""
    if not args.blind:
        with watched(app, args):
            yield
        return
    print(_printed_runbook(app, args.plan, plan), file=sys.stderr)
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
    """Return the page that a recovery kit has for the operator. Raises what making a kit raises."""
    one = load_plan(find_plan(app.settings, given))
    _, files = gather([one], app.settings, app.catalogue, secrets.resolve, now=app.clock.now())
    page = files[f"runbooks/{plan.name}/runbook.md"].decode()
    return "\n".join(output.shown(line) for line in page.splitlines())


def print_operator(plan: str, operator: Mapping[str, Any]) -> None:
    """Print what people did in a drill, how long it took apart from the machine, and for whom the
    drill counts."""
    steps = operator["steps"]
    if operator["people_s"] is not None:
        people, machine = (format_duration(operator[k]) for k in ("people_s", "machine_s"))
        output.say(f"  people     {people} of waiting for people; the machine needed {machine}")
    for step in steps:
        took = step["took_s"]
        after = f" after {format_duration(took)}" if took is not None else ""
        output.say(f"  people     {step['step']}: {step['action']} by {escaped(step['by'])}{after}")
    if not steps:
        output.say("  people     the runbook of this plan asks no person for anything")
    blind = "a blind operator drill" if operator["blind"] else "an operator drill"
    if operator["counts"]:
        did = f"{counted(len(steps), 'answer')}, " if steps else ""
        output.say(f"counts for {escaped(operator['person'])}: {did}{blind} of {escaped(plan)}")
    else:
        output.say(f"counts for nobody: {escaped(operator['why'])}")

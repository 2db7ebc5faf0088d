"""The lines about the people of an operator drill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.cli import output
from drd.model.text import counted, escaped
from drd.model.units import format_duration


def print_operator(plan: str, operator: Mapping[str, Any]) -> None:
    """Print what people did in a drill, how long it took apart from the machine, and for whom the
    drill counts."""
    steps = operator["steps"]
    if operator["people_s"] is not None:
        people, machine = (format_duration(operator[k]) for k in ("people_s", "machine_s"))
        output.say(
            f"  people     drd waited {people} for people; the rest of the drill took {machine}"
        )
    for step in steps:
        took = step["took_s"]
        after = f" after {format_duration(took)}" if took is not None else ""
        output.say(f"  people     {step['step']}: {step['action']} by {escaped(step['by'])}{after}")
    if not steps and operator["people_s"] is not None:
        output.say("  people     the runbook of this plan has no steps for people")
    blind = "a blind operator drill" if operator["blind"] else "an operator drill"
    if operator["counts"]:
        did = f"{counted(len(steps), 'answer')}, " if steps else ""
        output.say(
            f"this drill counts for {escaped(operator['person'])}: {did}{blind} of {escaped(plan)}"
        )
    else:
        output.say(f"this drill counts for nobody: {escaped(operator['why'])}")

"""Print how a recovery leaves things: where the data is, who uses it, what to do next."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from drd.cli import output, render
from drd.cli.checks_table import against_rpo, against_rto, loss_in, of_component, of_the_whole
from drd.cli.command_lines import command_lines
from drd.model.down import start_commands
from drd.model.losses import ComponentLoss, Loss, by_loss
from drd.model.text import escaped, noun, some
from drd.model.unfinished import Unfinished
from drd.model.units import format_duration, format_time


def print_places(document: Mapping[str, Any]) -> None:
    """Print where each component is now, and who uses it."""
    for place in document.get("now_at", ()):
        for name in place["places"]:
            output.say_below("  now at     ", escaped(f"{place['component']}: {name}"))
    if doubt := document.get("doubt"):
        output.say(f"  now at     not shown: {doubt}")
    for one in document.get("in_use", ()):
        by = f"{some(one['by'])}{_since(one)}"
        output.say_below("  in use     ", escaped(f"{one['component']}: {one['what']}, by {by}"))


def _since(usage: Mapping[str, Any]) -> str:
    """Say that the runbook has started those who use restored data: they are nobody who was there
    before. Nothing for a daemon of a former version, and if the runbook has started nothing."""
    started, seen = usage.get("started_by", ()), usage.get("seen_after", ())
    if started:
        return f", started by {noun(len(started), 'step', 'steps')} {some(started)}"
    if seen:
        return (
            f", first seen after {noun(len(seen), 'step', 'steps')} {some(seen)} had started "
            "services"
        )
    return ""


def print_unfinished(document: Mapping[str, Any]) -> None:
    """Print how far a recovery came that stopped in the middle, and the commands that lead out."""
    if document.get("unfinished") is None:
        return
    left = Unfinished.of_json(document["unfinished"])
    output.say_below("  so far     ", escaped(left.words()))
    kept = any(a["holds"] == "former" for a in document["aside"])
    # The last line of a recovery says how to go on; what is kept is said with the kept copies.
    ways = () if document.get("next") else left.ways_on()
    for what, command in (*ways, *(() if kept else left.ways_back())):
        output.say(f"  {what}: {command}")
    for command in start_commands(left.stopped):
        output.say(f"  to start the services that the recovery stopped: {command}")


def print_next(document: Mapping[str, Any]) -> None:
    """Print what a person has to do now, in order, each with its command."""
    width = render.terminal_width(sys.stdout)
    for number, task in enumerate(document.get("next", ()), 1):
        head = f"  {'next' if number == 1 else '':<11}{number}. "
        first, *rest = _lines(task, width - len(head))
        output.say(head + first)
        for line in rest:
            output.say(" " * len(head) + line)


def _lines(task: Mapping[str, Any], room: int) -> Iterator[str]:
    """Wrap the text; a command that is too long continues behind a backslash: people copy it."""
    about = f"{task['component']}: " if task["component"] else ""
    text, command = f"{about}{task['text']}", task["command"]
    lines = render.wrap(f"{text}:" if command else text, room)
    if command and render.measure(lines[-1]) + 1 + render.measure(command) <= room:
        lines[-1] += f" {command}"
    elif command:
        lines += command_lines(command, room, render.measure)
    yield from lines


def measured(document: Mapping[str, Any], data_time: datetime) -> str:
    """Return the measured times against the objectives: `recovered in 41s (RTO 1h), lost 2m of data
    (RPO 5m)`. If components have an RPO of their own, the text has the loss of the component that
    is worst against its RPO; if not, the text has the loss of each component where they differ. If
    only a part was recovered, its times do not show whether the
    objectives are kept: then the text has the data time."""
    took = f"recovered in {format_duration(document['rta_s'])}"
    rto_s = document["rto_s"]
    if document["within_rto"] is None:
        took += of_the_whole(rto_s) if rto_s is not None else ""
        return f"{took}, with data of {format_time(data_time, seconds=True)}"
    took += against_rto(document["rta_s"], rto_s)
    loss = loss_in(document) or Loss("", document["rpa_s"], document["rpo_s"])
    lost = f"{format_duration(loss.lost_s)} of data{of_component(loss)}"
    same = by_loss(ComponentLoss(**one) for one in document.get("losses", ()))
    most, *others = [f"{amount} of {', '.join(names)}" for amount, names in same] or [lost]
    if not others or loss.component:
        return f"{took}, lost {lost}{against_rpo(loss)}"
    return ", ".join([f"{took}, lost {most}{against_rpo(loss)}", *others])

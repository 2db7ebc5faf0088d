"""The commands that stop what the printed commands have started, and when they come: before a step
that may start the server of this host, which must not work in the same files at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import indent
from typing import NamedTuple

from drd.kit.document import Block, Commands, Heading, Paragraph
from drd.model.runbook import Step
from drd.ports.by_hand import ByHand

_FUNCTION = """\
stop_servers() (
    cd -- "$KIT/recovered/{plan}"
    stop_one() {{ # SIGNAL PROCESS: and wait, if this process is a server of these commands
        local sent=
        while [[ $2 =~ ^[0-9]+$ ]] && grep -qs /tmp/drd- "/proc/$2/cmdline"; do
            [[ -n $sent ]] || kill -s "$1" "$2" ||
                {{ echo "a server still runs, stop it: kill -s $1 $2" >&2; return 1; }}
            sent=yes
            sleep 0.2
        done
    }}
{stops})
"""
STOP = "stop_servers"
"""The function that the commands define. A script also calls it if it fails."""


class Checked(NamedTuple):
    """A check with its component. `judged`: bash compares the answer with what must be."""

    component: str | None
    blocks: tuple[Block, ...]
    judged: bool


@dataclass(frozen=True, slots=True)
class Act:
    """One step of the runbook by hand: the components that it restores, the checks that it makes,
    or the blocks of another step, with the component that it works on. Or a stop of the servers."""

    step: Step | None
    restores: tuple[str, ...] = ()
    checks: tuple[Checked, ...] = ()
    blocks: tuple[Block, ...] = ()
    component: str | None = None
    stops: bool = False


def begin(plan: str, components: Mapping[str, ByHand]) -> Iterator[Block]:
    if stops := _stops(components):
        yield Paragraph(
            "The commands below start servers on the restored files, with sockets that only you "
            f"can reach. The function `{STOP}` stops these servers before a step that may start "
            "a server of this host, and at the end:"
        )
        yield Commands(_FUNCTION.format(plan=plan, stops=indent(stops, "    ")))


def end(of_target: str) -> Iterator[Block]:
    yield Heading(3, f"Stop the servers that these commands have started{of_target}")
    yield Paragraph(
        "The servers of this host can use the restored files only after the servers of these "
        "commands have stopped. Stop them, then start the servers of this host:"
    )
    yield Commands(f"{STOP}\n")


def arranged(acts: Sequence[Act], components: Mapping[str, ByHand]) -> Iterator[Act]:
    """Yield the acts in an order in which no server of the commands runs while a step starts
    something: before such a step come the checks that need these servers, and then their stop.

    Before a step of another kind the servers stop if nothing after it needs them. A step that needs
    them after they have stopped is left to a person, who asks the server that runs then.
    """
    ours = {name: hand for name, hand in components.items() if hand.stops}
    waiting = list(acts)
    runs = stopped = False
    while waiting:
        act = waiting.pop(0)
        asks = _asks(act.component, act.blocks, ours)
        if runs and act.step is not None and act.blocks and not asks:
            if act.step.starts:
                early, waiting = _early(waiting, ours)
                yield from early
            if act.step.starts or not any(_needs(later, ours) for later in waiting):
                yield Act(None, stops=True)
                runs, stopped = False, True
        runs = runs or any(name in ours for name in act.restores)
        yield replace(act, blocks=_left(act.blocks)) if asks and stopped and not runs else act
    if runs:
        yield Act(None, stops=True)


def _early(waiting: Sequence[Act], ours: Mapping[str, ByHand]) -> tuple[list[Act], list[Act]]:
    """Return the checks among the acts that ask the servers, and the acts without them. Checks
    after another restore stay, because it restores what they check."""
    early, rest = list[Act](), list[Act]()
    for at, act in enumerate(waiting):
        if any(name in ours for name in act.restores):
            return early, [*rest, *waiting[at:]]
        asking = tuple(c for c in act.checks if _asks(c.component, c.blocks, ours))
        if asking:
            early.append(replace(act, checks=asking))
        others = tuple(c for c in act.checks if c not in asking)
        if others or not asking:
            rest.append(replace(act, checks=others))
    return early, rest


def _needs(act: Act, ours: Mapping[str, ByHand]) -> bool:
    asks = _asks(act.component, act.blocks, ours)
    return asks or any(_asks(c.component, c.blocks, ours) for c in act.checks)


def _asks(component: str | None, blocks: Sequence[Block], ours: Mapping[str, ByHand]) -> bool:
    """Return whether the commands ask the server of this component."""
    hand = ours.get(component or "")
    if hand is None:
        return False
    words = [w for w in (hand.ask, hand.change, hand.feed) if w]
    commands = [block.text for block in blocks if isinstance(block, Commands)]
    return any(word in text for word in words for text in commands)


def _left(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks for a person: a server of this host works with the files now."""
    after = " The server that works with the restored files now must do this:"
    return tuple(
        replace(block, text=block.text + after, waits=True)
        if isinstance(block, Paragraph)
        else replace(block, shown=True)
        if isinstance(block, Commands)
        else block
        for block in blocks
    )


def _stops(components: Mapping[str, ByHand]) -> str:
    return "".join(hand.stops for hand in components.values())

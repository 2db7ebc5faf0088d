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
    """A check with its component. `judged`: bash compares the answer with what must be. `asked` are
    the commands that print the answer."""

    component: str | None
    blocks: tuple[Block, ...]
    judged: bool
    asked: str = ""


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

    Before a step of another kind the servers stop if nothing after it needs them. What needs the
    server of a component after it has stopped is left to a person, who asks the server that runs
    then.
    """
    ours = {name: hand for name, hand in components.items() if hand.stops}
    waiting = list(acts)
    running, stopped = dict[str, ByHand](), dict[str, ByHand]()
    while waiting:
        act = waiting.pop(0)
        asks = _asks(act.component, act.blocks, running)
        if running and act.step is not None and act.blocks and not asks:
            if act.step.starts:
                early, waiting = _early(waiting, running)
                yield from early
            if act.step.starts or not any(_needs(later, running) for later in waiting):
                yield Act(None, stops=True)
                stopped |= running
                running = {}
        running |= {name: ours[name] for name in act.restores if name in ours}
        yield _after_stop(act, stopped)
    if running:
        yield Act(None, stops=True)


def _early(waiting: Sequence[Act], running: Mapping[str, ByHand]) -> tuple[list[Act], list[Act]]:
    """Return the checks among the acts that ask these servers, and the acts without them. Checks
    after a step that works with the same server stay, because it changes what they check."""
    early, rest = list[Act](), list[Act]()
    as_now = dict(running)
    for act in waiting:
        if act.component and _asks(act.component, act.blocks, as_now):
            del as_now[act.component]
        asking = tuple(c for c in act.checks if _asks(c.component, c.blocks, as_now))
        if asking:
            early.append(replace(act, checks=asking))
        others = tuple(c for c in act.checks if c not in asking)
        if others or not asking:
            rest.append(replace(act, checks=others))
    return early, rest


def _needs(act: Act, servers: Mapping[str, ByHand]) -> bool:
    asks = _asks(act.component, act.blocks, servers)
    return asks or any(_asks(c.component, c.blocks, servers) for c in act.checks)


def _asks(component: str | None, blocks: Sequence[Block], servers: Mapping[str, ByHand]) -> bool:
    """Return whether the commands ask the server of this component, if it is among these, or run a
    program that gets the address of the server in its environment."""
    hand = servers.get(component or "")
    if hand is None:
        return False
    words = [w for w in (hand.ask, hand.change, hand.feed, hand.environment) if w]
    commands = [block.text for block in blocks if isinstance(block, Commands)]
    return any(word in text for word in words for text in commands)


def _after_stop(act: Act, stopped: Mapping[str, ByHand]) -> Act:
    """Return the act with what asks these servers left to a person: a server of this host works
    with the files now."""
    checks = tuple(
        _left_check(c) if _asks(c.component, c.blocks, stopped) else c for c in act.checks
    )
    if _asks(act.component, act.blocks, stopped):
        return replace(act, blocks=_left(act.blocks), checks=checks)
    return replace(act, checks=checks)


def _left_check(check: Checked) -> Checked:
    after = " Ask the server that works with the restored files now:"
    blocks: list[Block] = [
        replace(block, text=block.text + after, left=True)
        for block in check.blocks
        if isinstance(block, Paragraph)
    ]
    blocks.append(Commands(check.asked, shown=True))
    return check._replace(blocks=tuple(blocks), judged=False)


def _left(blocks: Sequence[Block]) -> tuple[Block, ...]:
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

"""The commands that stop what the printed commands have started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import indent

from drd.kit.document import Block, Commands, Heading, Paragraph
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


def begin(plan: str, components: Mapping[str, ByHand]) -> Iterator[Block]:
    if stops := _stops(components):
        yield Paragraph(
            "The commands below start servers on the restored files, with sockets that only you "
            f"can reach. The function `{STOP}` stops these servers at the end:"
        )
        yield Commands(_FUNCTION.format(plan=plan, stops=indent(stops, "    ")))


def end(components: Mapping[str, ByHand], of_target: str) -> Iterator[Block]:
    if _stops(components):
        yield Heading(3, f"Stop the servers that these commands have started{of_target}")
        yield Paragraph(
            "The servers of this host can use the restored files only after the servers of these "
            "commands have stopped. Stop them, then start the servers of this host:"
        )
        yield Commands(f"{STOP}\n")


def _stops(components: Mapping[str, ByHand]) -> str:
    return "".join(hand.stops for hand in components.values())

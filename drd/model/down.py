"""What steps of a recovery stop, and what later steps start again: units of the host, and commands,
of which drd knows only the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from drd.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ENDS = frozenset("&|;")


class Effect(NamedTuple):
    """What a step stops (`down`) and starts (`up`), by name: `tick.service`, or, in backticks, the
    command that stops it."""

    down: tuple[str, ...] = ()
    up: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Effect:
        """Return the effect that is stored in the result of a step; `for_result` wrote it."""
        return cls(*(_names(data.get(key)) for key in cls._fields))

    def after(self, stopped: Iterable[str]) -> tuple[str, ...]:
        """Return what is down after the step, if `stopped` was down before it."""
        names = dict.fromkeys((*stopped, *self.down))
        return tuple(name for name in names if name not in self.up)


NO_EFFECT = Effect()


def for_result(effect: Effect) -> dict[str, list[str]]:
    """Return the form in which the result of a step stores the effect."""
    return {key: list(names) for key, names in effect._asdict().items() if names}


def of_unit(verb: str, unit: str) -> Effect:
    names = (unit if "." in unit else f"{unit}.service",)
    return Effect(down=names) if verb == "stop" else Effect(up=names)


def of_command(command: Sequence[str]) -> Effect:
    """Return the effect of a command: on the units of a `systemctl stop`, and else as a whole, if
    it contains the word `stop`. Both may be words of a script (`sh -c`).
    """
    words = [word for one in command for word in one.split()]
    if "systemctl" in {word.rpartition("/")[2] for word in words}:
        effects = [of_unit(verb, unit) for verb, unit in _units(words)]
        return Effect(*(tuple(n for e in effects for n in e[at]) for at in range(2)))
    if "stop" in words:
        return Effect(down=(whole(command),))
    as_stop = ["stop" if word == "start" else word for word in words]
    return Effect(up=(whole(as_stop),)) if "start" in words else NO_EFFECT


def whole(command: Sequence[str]) -> str:
    return f"`{' '.join(' '.join(command).split())}`"


def _units(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Return the units after each `systemctl stop` and `systemctl start`, with that verb."""
    verb: str | None = None
    for word in words:
        bare = word.strip("".join(_ENDS))
        if bare.rpartition("/")[2] == "systemctl":
            verb = ""
        elif verb == "" and not word.startswith("-"):
            verb = bare
        elif verb in ("stop", "start") and bare and not word.startswith("-"):
            yield verb, bare
        if word[-1] in _ENDS:
            verb = None


def is_command(stopped: str) -> bool:
    """Return whether this is the command that stopped something, and not a unit."""
    return stopped.startswith("`")


def units_of(stopped: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in stopped if not is_command(name))


def start_commands(stopped: Iterable[str]) -> list[str]:
    """Return the command that starts those of these that are units; empty if there are no units."""
    import shlex  # a cold `drd status` seldom shows a recovery that stopped units

    units = units_of(stopped)
    return [f"systemctl start {shlex.join(units)}"] if units else []


def stop_first(units: Sequence[str]) -> str:
    """Return the remedy for units that are in the way of an undo: one command for all of them."""
    import shlex  # as above

    what = "this unit" if len(units) == 1 else "these units"
    names = shlex.join(units)
    return f"stop {what} first: systemctl stop {names}. Afterwards: systemctl start {names}"


def in_words(stopped: Iterable[str]) -> str:
    """`tick.service, what `docker stop app` stopped`."""
    return ", ".join(f"what {name} stopped" if is_command(name) else name for name in stopped)


def _names(value: Any) -> tuple[str, ...]:
    return tuple(n for n in value if isinstance(n, str)) if isinstance(value, list) else ()

"""Suggest a component for a new plan: one for each dump command that a person names."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from drd.errors import UsageError
from drd.kinds.command.run import find_program
from drd.kinds.file_system import STANDBY
from drd.ports.kinds import Wish


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component for each command line. Raises UsageError, ToolMissing."""
    return [_wish(line) for line in dict.fromkeys(given)]


def _wish(line: str) -> Wish:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{line} is not a command line: {error}", hint=_HOW) from error
    if not words:
        raise UsageError("--command is empty: it must be a command that prints a dump", hint=_HOW)
    find_program(words[0])

    def keys(_: Sequence[str], __: str) -> Iterator[tuple[str, Any]]:
        yield "dump", words
        yield (
            "#",
            "CHANGE THIS to the command that restores the dump into the directory ${path}. It",
        )
        yield (
            "#",
            "reads the dump from its standard input, or from the file ${dump}: docs/command.md",
        )
        yield "restore", ["CHANGE-THIS", "${path}"]
        yield "#", "CHANGE THIS to a command that counts the data (lines NAME, tab, NUMBER), at the"
        yield "#", "source and after a restore. The check below compares the two counts."
        yield "count", ["CHANGE-THIS"]

    def target(name: str) -> Iterator[tuple[str, Any]]:
        yield "path", f"{STANDBY}/{name}"

    return Wish(PurePosixPath(words[0]).stem, "data", keys, target=target, where=line)


_HOW = "give the whole command as one word: --command 'slapcat -n 1'"

"""The programs that a plan names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from drd.errors import DrdError
from drd.process.private import why_not_private, why_others_write

_RUNNERS = frozenset(
    [
        "sh",
        "bash",
        "dash",
        "ksh",
        "zsh",
        "env",
        "python",
        "perl",
        "ruby",
        "node",
        "php",
        "lua",
        "sudo",
        "doas",
        "runuser",
        "setpriv",
        "setsid",
        "nice",
        "ionice",
        "chrt",
        "taskset",
        "timeout",
        "stdbuf",
        "nohup",
        "systemd-run",
        "unshare",
    ]
)
"""Programs that run a program which one of their arguments names."""

_TEXT_FOLLOWS = frozenset({"-c", "-e", "-m"})
"""Options by which an interpreter runs a text, or a module, and reads its arguments as data."""


def program_of(word: str) -> Path | None:
    """Return the program that the first word of a command names; None if it does not exist."""
    if "/" in word:
        there = os.access(word, os.X_OK) and not Path(word).is_dir()
        return Path(word) if there else None
    path = shutil.which(word)
    return Path(path) if path is not None else None


def why_replaceable(program: Path) -> str | None:
    """Return why other users could put another program in its place, and get drd's rights; None if
    they cannot."""
    try:
        above = why_not_private(program.parent)
        return above or why_others_write(program.resolve(), os.geteuid())
    except OSError as error:
        return f"cannot read {error.filename}: {error.strerror}"


def require_program(
    words: Sequence[str], where: str, *, missing: type[DrdError], unsafe: type[DrdError]
) -> Path:
    """Return the program of a command, which a plan names in `where`. Raises `missing` if it does
    not exist, `unsafe` if other users could replace it: they would get drd's rights."""
    file = program_of(words[0])
    if file is None:
        raise missing(
            f"program {words[0]} does not exist",
            hint=f"install this program on this host, or correct {where}.",
        )
    if (risk := replaceable(words)) is not None:
        program, why = risk
        raise unsafe(
            f"other users could replace {program}: {why}",
            hint=f"correct the owner and mode, or write another program under {where}. "
            "Otherwise drd would run what these users put there.",
        )
    return file


def replaceable(words: Sequence[str]) -> tuple[Path, str] | None:
    """Return the first program of a command line that other users could replace, and why. A file
    among the arguments is one if it can be executed, or if an interpreter reads it."""
    for program in _programs(words):
        if (why := why_replaceable(program)) is not None:
            return program, why
    return None


def _programs(words: Sequence[str]) -> Iterator[Path]:
    awaited = True
    for word in words:
        if word.startswith("-"):
            awaited = awaited and word not in _TEXT_FOLLOWS
            continue
        named = program_of(word)
        if named is not None and (awaited or word.startswith("/")):
            yield named
            awaited = awaited and named.name.rstrip("0123456789.") in _RUNNERS
        elif awaited and word.startswith("/") and Path(word).is_file():
            yield Path(word)
            awaited = False

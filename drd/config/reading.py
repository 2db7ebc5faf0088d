"""Read configuration files, with a remedy for errors."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from drd.config.plan_path import PathWalker, PlanPath, using
from drd.errors import ConfigError, Problem
from drd.exhaustion import system_reason

LARGEST = 1 << 20
"""Bytes; a plan of a hundred components has 20,000."""


def read_bytes(path: Path, *, what: str) -> tuple[bytes, os.stat_result]:
    """Return a file's bytes and its state, both read from the same open file. Raises
    ConfigError."""
    try:
        # Not blocking: a FIFO with this name must not block drd.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            state = os.fstat(descriptor)
            raw = _all_of(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(path, error, what) from None
    return _sound(raw, state, path, what), state


def read_reached(
    path: Path, ways: PathWalker | None = None, *, what: str
) -> tuple[bytes, PlanPath]:
    """Return a file's bytes, and the way by which that very file was opened. Raises ConfigError."""
    try:
        with using(ways) as chosen, chosen.opened(os.fspath(path)) as (descriptor, reached):
            raw = _all_of(descriptor)
    except OSError as error:
        raise _unreadable(path, error, what) from None
    return _sound(raw, reached.file.info, path, what), reached


def _sound(raw: bytes, state: os.stat_result, path: Path, what: str) -> bytes:
    if not raw and stat.S_ISFIFO(state.st_mode):
        hint = f"give the path of a regular file: drd reads the {what} again at each reload."
        raise ConfigError([Problem(str(path), 1, "", "is an empty pipe, not a file", hint)])
    if len(raw) > LARGEST:
        hint = f"check the path: a {what} is only a few kilobytes long."
        raise ConfigError([Problem(str(path), 1, "", "is larger than 1 MiB", hint)])
    return raw


def _all_of(descriptor: int) -> bytes:
    """Return the file's content, up to one byte more than the limit."""
    parts: list[bytes] = []
    left = LARGEST + 1
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


_IF_MISSING = {
    "plan": "check the name; `drd plan check` lists the plans.",
    "regime": "check the path; `drd obligations list` lists the regimes.",
    "playbook": "check the path; `drd playbook list` lists the playbooks.",
    "exercise": "check the path; `drd exercise list` lists the exercises.",
}


def _unreadable(path: Path, error: OSError, what: str) -> ConfigError:
    hints = {
        FileNotFoundError: _IF_MISSING.get(
            what, "check the option --config and the variable $DRD_CONFIG."
        ),
        PermissionError: "run the command as root. If the service cannot read the file: "
        f"chgrp drd {path} && chmod g+r {path}",
        IsADirectoryError: f"give the path of the file of the {what}, not of a directory.",
    }
    hint = hints.get(type(error), "check the disk and the mount.")
    reason = system_reason(error)
    return ConfigError([Problem(str(path), 1, "", f"cannot read the {what}: {reason}", hint)])

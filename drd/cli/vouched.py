"""Recorded remedies, as they are shown to root: a remedy in the state of another user is checked
first."""

from __future__ import annotations

import os
import stat
from functools import cache
from pathlib import Path

from drd import record_writer
from drd.model.recorded_remedy import is_harmless
from drd.process.private import why_not_private, why_others_write
from drd.users import user_name

_PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def remedy(recorded: str) -> str:
    """Return a recorded remedy of one or more lines. For root, each line that does not pass the
    check is replaced by the command that finds the remedy again, with the reason below it.
    """
    return "\n".join(lines(recorded))


def fact(recorded: str) -> str:
    """Return a recorded fact. For root, the lines after the first one, which a program has printed,
    get a mark, because one of them could look like a remedy.
    """
    if record_writer.stranger() is None:
        return recorded
    return recorded.replace("\n", "\n| ")


def lines(recorded: str) -> list[str]:
    """Return the lines of a remedy, checked as in `remedy`. A line that replaces another one can be
    pasted as a whole."""
    uid = record_writer.stranger()
    if uid is None:
        return recorded.splitlines()
    shown = [_harmless(line) for line in _split(recorded)]
    kept = [line for line in shown if line]
    if len(kept) < len(shown):
        kept.append(not_shown(uid))
    return kept


def _harmless(line: str) -> str:
    """Return the line if root may be shown it, otherwise without its backquotes, in which a shell
    would run commands; nothing if it is not harmless then, either."""
    forms = (line, line.replace("`", ""))
    return next((f for f in forms if is_harmless(f, _is_program, _is_roots)), "")


def not_shown(uid: int) -> str:
    """Return the line that is shown instead of a remedy that root may not be shown; it says who
    can see the remedy."""
    user = user_name(uid)
    return (
        f"drd doctor  # root sees only a part of the remedy, because user {user} could have "
        f"changed the rest; `sudo -u {user} drd status` shows the whole remedy"
    )


def _split(recorded: str) -> list[str]:
    return [line for line in recorded.split("\n") if line.strip()]


def _is_program(word: str) -> bool:
    return word in _programs()


@cache
def _programs() -> frozenset[str]:
    names: set[str] = set()
    for place in {*_PLACES, *os.environ.get("PATH", "").split(os.pathsep)}:
        try:
            names.update(entry.name for entry in Path(place).iterdir())
        except OSError:
            continue
    return frozenset(names)


def _is_roots(path: str) -> bool:
    """Return whether only root can change what is there, and nobody can execute it."""
    place = Path(path)
    try:
        mode = place.lstat().st_mode
        if stat.S_ISDIR(mode):
            return why_not_private(place, 0) is None
        others = why_not_private(place.parent, 0) or why_others_write(place, 0)
        return others is None and not mode & 0o111
    except (OSError, ValueError):
        return False

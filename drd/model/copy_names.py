"""Names that other tools have for their copies. Read in a cold start of `drd status`."""

from __future__ import annotations

import re
from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COPY = "copy"
"""The fact of a component that names the tool's copy."""

UNREAD = "not_read_to_its_end"
"""The fact of a component whose copy may be cut off: only a restore shows whether it is whole."""

TO_READ = "to_read"
"""The fact of a component whose packed dump counts only after it was read to its end.
`TO_READ_NOW`: the next listing reads it; `TO_DRILL`: drd has tried to read it, and now a drill has
to; `READ`: it was read."""
TO_READ_NOW, TO_DRILL, READ = "now", "drill", "done"

_RESTIC_ID = r"[0-9a-f]{64}"


def reading(facts: Mapping[str, Any]) -> str:
    """Return whether the packed dump of a component was read to its end, by its facts; empty for
    any other component."""
    return str(facts.get(TO_READ, ""))


def is_to_read(facts: Mapping[str, Any]) -> bool:
    """Return whether a packed dump has not been read to its end yet."""
    return reading(facts) in (TO_READ_NOW, TO_DRILL)


def copy_in(facts: Mapping[str, Any]) -> str | None:
    """Return the tool's name of the copy by the facts of a component; None if drd made it."""
    name = facts.get(COPY)
    return str(name) if name is not None else None


def short_copy(name: str) -> str:
    """Return the name of a copy as its tool shows it: restic shortens its ids."""
    return name[:8] if re.fullmatch(_RESTIC_ID, name) else name


def is_named(name: str, given: str) -> bool:
    """Return whether a person may mean the copy of this name: its whole name, or the beginning of
    an id. Other names may be the beginning of others."""
    return given == name or (re.fullmatch(_RESTIC_ID, name) is not None and name.startswith(given))


def named(point: str, copy: str | None) -> str:
    """Return the id of a point, and the tool's own name of its copy where another tool made it:
    `restic-1f0c9d3a (copy 5d1a03be)`."""
    return f"{point} (copy {short_copy(copy)})" if copy else point

"""The facts for `drd status` that are about no plan: the daemon, and open incidents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from drd.model.text import noun
from drd.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class DaemonFacts(NamedTuple):
    """The last heartbeat of this state's daemon, and whether it stopped in order. `read` are time
    (nanoseconds) and size of the drd.yaml whose settings it has; None if that is not known.
    """

    at: datetime
    stopped: bool
    version: str
    read: tuple[int, int] | None = None


SIGN_OF_LIFE = "heartbeat"
"""The key under which a daemon notes its heartbeat."""
STORED_ENTRIES = "incident-entries"
"""The key of the noted facts about the repositories that get the entries of incidents."""
RECORDS_CHECK = "records-check"
"""The key of what the last checks of the records found: `here` is about the chain alone, `anchors`
about the comparison with its anchors. Each has the number of faults, and the first of them."""
RECORDS_CHANGED = "records-changed"
"""The kind of the alert about it."""
_SHOWN = 5


def records_faults(faults: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """Return what is noted about these faults: entry and code of each, once, also if the anchors in
    several repositories show the same."""
    each = list(dict.fromkeys(faults))
    return {"count": len(each), "first": [[seq, code] for seq, code in each[:_SHOWN]]}


def _place(seq: int, code: str) -> str:
    # A row of an incident that has no entry at all is at no entry.
    return f"entry {seq} ({code})" if seq else f"no entry ({code})"


def records_damage(noted: Any) -> str:
    """Return in words what the last checks found; empty if they found nothing."""
    parts = [noted.get(name) for name in ("here", "anchors")] if isinstance(noted, dict) else []
    damaged = [one for one in parts if isinstance(one, dict) and one.get("count")]
    if not damaged:
        return ""
    count = sum(int(one["count"]) for one in damaged)
    first = [_place(int(seq), code) for one in damaged for seq, code in one.get("first", ())]
    named = ", ".join(first[:_SHOWN])
    left = f", and {count - _SHOWN} more" if count > _SHOWN else ""
    return f"the last check of the records found {count} {noun(count, 'fault')}: {named}{left}"


def daemon_facts(at: datetime, said: Mapping[str, Any]) -> DaemonFacts:
    """Read the facts that a daemon noted under HEARTBEAT."""
    read = said.get("configuration")
    stamp = (int(read[0]), int(read[1])) if read else None
    return DaemonFacts(at, said.get("state") == "stopped", said.get("version", ""), stamp)


class OwnerFacts(NamedTuple):
    """Where the state was when it was made (`StatePlace`), and what suggests that another drd uses
    a copy of it; None if nothing suggests this."""

    machine: str
    host: str
    path: str
    inode: int
    contested: str | None = None


class IncidentFacts(NamedTuple):
    """An incident that is not closed, or a suspicion that was reported. `title` and `plans` are
    empty if it is restricted, because everybody who may see the status can read them. `severity` is
    empty while nobody has set one; `next_at` is when its next task or update is due.
    `only_here_since` is the time of its first entry that no repository has yet."""

    number: int
    title: str
    state: str
    severity: str
    restricted: bool
    opened_at: datetime | None = None
    next_at: datetime | None = None
    plans: tuple[str, ...] = ()
    only_here_since: datetime | None = None

"""The place of a state, and how to recognise a copy of a state. Read in a cold start of `drd
status`."""

from __future__ import annotations

from drd.named import NamedTuple

WHILE_CONTESTED = (
    "until a person decides which host uses this state, drd on this host does not forget "
    "restore points, does not prune repositories, and does not clean up after unfinished runs"
)
"""What drd does not do while its state may be a copy of another state that is in use."""

STATE_CONTESTED = "state-contested"
"""The kind of the alert about that."""

CUSTODY = "custody"
"""The key under which a catalogue notes whose it is."""


class StatePlace(NamedTuple):
    """The place of a state. The inode number of its file distinguishes a copied directory with the
    same path.
    """

    machine: str
    host: str
    path: str
    inode: int


def differs(owner: StatePlace, here: StatePlace) -> str | None:
    """Say why a state of `owner` is a copy at its present place; None if it is the same state."""
    if owner == here:
        return None
    if owner.machine != here.machine:
        return (
            f"drd's state was made on another machine ({owner.host}, machine id "
            f"{owner.machine[:8] or 'unknown'})"
        )
    if owner.host != here.host:
        return f"drd's state was made on host {owner.host}, but this is host {here.host}"
    if owner.path != here.path:
        return f"drd's state was made at {owner.path}, but is at {here.path} now"
    return f"the file {here.path} is a copy of the file that drd made there"

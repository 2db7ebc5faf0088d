"""The owner of a state: which file on which machine. A copy of the state has another owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from drd.model.actor import Actor
from drd.named import NamedTuple

WHILE_CONTESTED = (
    "until a person decides which host uses this state, drd on this host does not forget "
    "restore points, does not prune repositories, and does not clean up after unfinished runs"
)
"""What drd does not do while its state may be a copy of another one that is in use."""

STATE_CONTESTED = "state-contested"
"""The kind of the alert about that."""


class StatePlace(NamedTuple):
    """Where a state lies. The inode number of its file distinguishes a copied directory under the
    same path.
    """

    machine: str
    host: str
    path: str
    inode: int

    @property
    def token(self) -> str:
        """A short name of the place, for rows of the catalogue."""
        return sha256("\0".join(map(str, self)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Custody:
    """The recorded owner of the state. `contested` says why this may be a copy, None if nothing
    suggests that. `since` is when this place became the owner. `by` and `reason` belong to the
    person who decided that it takes over; None and empty if nobody had to decide.
    """

    owner: StatePlace
    since: datetime
    contested: str | None = None
    by: Actor | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON; `from_json` is the inverse."""
        document = {**asdict(self), "owner": self.owner._asdict(), "since": self.since.isoformat()}
        return {**document, "by": self.by.to_json() if self.by is not None else None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Custody:
        return cls(
            StatePlace(**data["owner"]),
            datetime.fromisoformat(data["since"]),
            data["contested"],
            Actor.from_json(data["by"]),
            data["reason"],
        )


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
    return f"the file {here.path} is a copy of the one that drd made there"

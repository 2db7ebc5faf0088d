"""Whose state this is: which file on which machine. A copy of it is somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from drd.model.actor import Actor
from drd.named import NamedTuple


class StatePlace(NamedTuple):
    """Where a state lies. The number of its file tells a copied directory under the same path."""

    machine: str
    host: str
    path: str
    inode: int

    @property
    def token(self) -> str:
        """A short name for it, for rows."""
        return sha256("\0".join(map(str, self)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Custody:
    """Whose the state is. `contested` says why it may be another one's, None while nothing speaks
    for that; `since` is from when on this place has had it. `by` and `reason` are those of the
    person who said that this one goes on, None and empty where nobody had to."""

    owner: StatePlace
    since: datetime
    contested: str | None = None
    by: Actor | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` is its inverse."""
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
    """Why a state that `owner` had is a copy where it is found now; None where it is the same."""
    if owner == here:
        return None
    if owner.machine != here.machine:
        return (
            f"this state was made on another machine ({owner.host}, machine id "
            f"{owner.machine[:8] or 'unknown'})"
        )
    if owner.host != here.host:
        return f"this state was made on the host {owner.host}, and this one is {here.host}"
    if owner.path != here.path:
        return f"this state was made at {owner.path}, and lies at {here.path} now"
    return f"the file {here.path} is a copy of the one that drd made there"

"""The owner of a state: which file on which machine. A copy of the state has another owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from drd.model.actor import Actor
from drd.model.state_place import StatePlace


def token_of(place: StatePlace) -> str:
    """Return a short name of the place, for rows of the catalogue."""
    return sha256("\0".join(map(str, place)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Custody:
    """The recorded owner of the state. `contested` says why this may be a copy, None if nothing
    suggests that. `since` is when this place became the owner. `by` and `reason` belong to the
    person who decided that this place takes over; None and empty if nobody had to decide.
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

"""The data that a recovery has replaced and kept, until the operator is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Aside:
    """A kept copy. It is beside its `place`, under the name `kept`: the state before the recovery
    or, after an undo (`former` is false), the state that the recovery had restored. `bytes` is None
    when the size could not be measured in time."""

    component: str
    place: str
    kept: str
    bytes: int | None = None
    former: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Aside:
        return cls(**data)

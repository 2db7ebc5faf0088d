"""What a recovery has replaced and kept, until the operator is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol


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


class Kept(Protocol):
    """The kept copies of one component of one run. Everything is read from the names at the place
    itself, so that none of the run's own files is needed. Raises TargetError in the place's own
    words."""

    def held(self) -> list[Aside]: ...

    def swap(self, *, back: bool) -> None:
        """Exchange the kept copy and what is at its place: with `back` the state before the
        recovery takes the place, else the state that the recovery restored. Nothing changes when
        the place has that state already. After a kill, calling it again completes it."""

    def discard(self) -> None:
        """Remove the kept copies. Raises TargetError while a swap is half done."""

    def close(self) -> None: ...

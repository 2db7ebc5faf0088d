"""What a recovery has set aside where it restored to, until the operator says that all is well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Aside:
    """Something that waits beside its `place`, under the name `kept`: what was there before the
    recovery or, when that was brought back (`former` is false), what the recovery had put there.
    `bytes` is None where nobody could tell in time."""

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
    """What one run set aside of one component. All is read from the names at the place itself, so
    that nothing of the run's own files is needed. Raises TargetError in the place's own words."""

    def held(self) -> list[Aside]: ...

    def swap(self, *, back: bool) -> None:
        """Give its place to what was there before (`back`) or to what the recovery brought; what
        has the place is kept instead. Nothing happens where it is so already; killed in between,
        it is finished by being called again."""

    def discard(self) -> None:
        """Remove what is kept. Raises TargetError while a swap is half done."""

    def close(self) -> None: ...

"""What drd knows to be wrong with repositories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from drd.errors import Repair
from drd.model.repositories import Meeting


@dataclass(frozen=True, slots=True)
class Known:
    """One repository of a plan. `lost` is `gone`, `emptied`, `replaced` or `shut`, `damage` what
    the last reading found, `affected` the kept points that it costs, None when nobody can tell.
    `missing` are points of which others removed snapshots, with these. `repair` is what of it
    restic mends."""

    repository: str
    url: str
    lost: str | None = None
    unreachable: str | None = None
    damage: str | None = None
    affected: tuple[str, ...] | None = ()
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repair: Repair = "packs"


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A repository of a plan; `digest` is of the `config` that it had, None where nobody looked,
    `wrong` says that it was lost or unreachable when it was met last."""

    url: str
    plan: str
    digest: str | None
    wrong: bool


class Health(Protocol):
    """Thread-safe; every method is one transaction. Raises CatalogueError."""

    def of(self, plan: str) -> list[Known]:
        """Of each repository of the plan as loaded, the one with the backups first."""

    def places(self) -> list[PlaceRow]:
        """Repositories that were seen once, each with every loaded plan that has it."""

    def met(self, url: str, found: Meeting, at: datetime) -> bool:
        """How a place was found, for every plan with a repository there; whether that is news.
        One that does not answer takes nothing back of what was found before."""

    def damaged(
        self,
        plan: str,
        repository: str,
        damage: str,
        affected: Sequence[str] | None,
        at: datetime,
        *,
        repair: Repair = "packs",
    ) -> None:
        """What a reading that began at `at` found, what of it restic mends, and the points that it
        costs, None when nobody can tell."""

    def cost(
        self,
        plan: str,
        repository: str,
        damage: str,
        point: str,
        at: datetime,
        *,
        repair: Repair = "packs",
    ) -> None:
        """Somebody else than a reading met damage, which costs this point."""

    def doubt(self, plan: str, repository: str, points: Sequence[str], at: datetime) -> None:
        """Points that are stored in a repository that is damaged: they cost as much as what the
        last reading found, until the next one."""

    def whole(self, plan: str, repository: str, at: datetime) -> None:
        """Everything read back as it was stored."""

    def missing(
        self,
        plan: str,
        repository: str,
        missing: Mapping[str, Sequence[str]],
        back: Iterable[str] | None,
        at: datetime,
    ) -> None:
        """Points of which the repository lacks snapshots that drd did not remove. They stay missing
        until they are `back` (or given up); None: all that this listing does not miss."""

    def vanished(self, plan: str, repository: str, ids: Sequence[str], at: datetime) -> list[str]:
        """`repository` lacks these points, although drd did not forget them there. Those that no
        other one holds are no points any more, and are returned."""

    def expected(self, url: str) -> tuple[str | None, str | None, str | None]:
        """The id and the digest of the `config` that the repository had, None where nobody knows,
        and what is wrong with it: `unreachable`, or as in `Known.lost`."""

    def config_digest(self, url: str) -> str | None:
        """Of the `config` of the recorded repository, None where nobody looked yet."""

    def record_config_digest(self, url: str, digest: str) -> None: ...

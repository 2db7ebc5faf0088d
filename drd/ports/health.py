"""The problems of repositories that drd knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from drd.errors import Repair
from drd.model.repositories import Meeting


@dataclass(frozen=True, slots=True)
class KnownRepository:
    """One repository of a plan. `lost` is `gone`, `emptied`, `replaced` or `shut`. `damage` is the
    damage that the last reading found, `affected` are the kept points that cannot be restored
    because of it; None when that is unknown. `missing` has the points of which others removed
    snapshots, with these snapshots. `repair` is the part of the damage that restic repairs."""

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
    """A repository of a plan, and `RepositorySpec.opened_with` of it as it was loaded; empty if it
    was loaded by an older version of drd. `digest` is the digest of the repository's `config`; None
    when it was never read. `wrong` says that the repository was lost or unreachable when drd last
    used it."""

    url: str
    plan: str
    opened_with: str
    digest: str | None
    wrong: bool


class RepositoryHealth(Protocol):
    """The problems of repositories that drd knows. Thread-safe; every method is one transaction.
    Raises CatalogueError."""

    def of_plan(self, plan: str) -> list[KnownRepository]:
        """The repositories of the plan as it was loaded; the repository of the backups comes
        first."""

    def places(self) -> list[PlaceRow]:
        """Return the repositories that drd has seen, each with every loaded plan that has it."""

    def record_state(self, url: str, found: Meeting, at: datetime, opened_with: str = "") -> bool:
        """Record the state of a repository for every plan with a repository at this URL. What drd
        found with the secrets of one plan (`RepositorySpec.opened_with`; empty: without secrets)
        says nothing about other secrets: that the repository is `shut`, is `unreachable`, or opens
        again, counts for plans that open it with the same ones. Returns whether the state has
        changed. If a repository does not answer, what was recorded before is kept."""

    def record_damage(
        self,
        plan: str,
        repository: str,
        damage: str,
        affected: Sequence[str] | None,
        at: datetime,
        *,
        repair: Repair = "packs",
    ) -> None:
        """Record the damage that a reading found which began at `at`, which part of it restic can
        repair, and the affected points; None when these are unknown."""

    def record_affected(
        self,
        plan: str,
        repository: str,
        damage: str,
        point: str,
        at: datetime,
        *,
        repair: Repair = "packs",
    ) -> None:
        """Record damage that was met by something else than a reading, and that affects this
        point."""

    def record_doubtful(
        self, plan: str, repository: str, points: Sequence[str], at: datetime
    ) -> None:
        """Record points that were stored in a damaged repository. They count as affected until the
        next reading."""

    def record_sound(self, plan: str, repository: str, at: datetime) -> None:
        """Record that a reading found no damage."""

    def record_missing(
        self,
        plan: str,
        repository: str,
        missing: Mapping[str, Sequence[str]],
        back: Iterable[str] | None,
        at: datetime,
    ) -> None:
        """Record points of which the repository lacks snapshots that drd did not remove. A point
        stays missing until it is in `back` (or given up); None means: until a listing has its
        snapshots.
        """

    def record_vanished(
        self, plan: str, repository: str, ids: Sequence[str], at: datetime
    ) -> list[str]:
        """Record that `repository` lacks these points, although drd did not forget them there.
        Returns the points that no other repository keeps; these points are not restore points any
        more."""

    def expected(self, url: str, opened_with: str) -> tuple[str | None, str | None, str | None]:
        """Return the id of the repository and the digest of its `config`, None if unknown; and its
        state for plans that open it with these secrets: `unreachable`, or one of the values of
        `KnownRepository.lost`; None if nothing is wrong."""

    def config_digest(self, url: str) -> str | None:
        """Return the digest of the `config` of the recorded repository; None when it was never
        read."""

    def record_config_digest(self, url: str, digest: str) -> None:
        """Record the digest of the `config` of the repository at this URL."""

"""What drd knows to be wrong with repositories, in the catalogue. See `drd.ports.Health`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from drd.catalogue import copies, health_rows, repositories
from drd.catalogue.engine import SqlStore
from drd.errors import Repair
from drd.model.repositories import Meeting
from drd.ports.health import Known, PlaceRow


class SqlHealth(SqlStore):
    """Thread-safe; every method is one transaction."""

    def of(self, plan: str) -> list[Known]:
        with self._database.read() as connection:
            return health_rows.of(connection, plan)

    def places(self) -> list[PlaceRow]:
        with self._database.read() as connection:
            return repositories.places_known(connection)

    def met(self, url: str, found: Meeting, at: datetime) -> bool:
        with self._database.read() as connection:
            if not health_rows.is_news(connection, url, found):
                return False
        with self._database.write() as connection:
            return health_rows.met(connection, url, found, at)

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
        with self._database.write() as connection:
            harm = health_rows.Damage(damage, repair)
            health_rows.damaged(connection, (plan, repository), harm, affected, at)

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
        with self._database.write() as connection:
            harm = health_rows.Damage(damage, repair)
            health_rows.cost(connection, (plan, repository), harm, point, at)

    def doubt(self, plan: str, repository: str, points: Sequence[str], at: datetime) -> None:
        with self._database.write() as connection:
            health_rows.doubt(connection, (plan, repository), points, at)

    def whole(self, plan: str, repository: str, at: datetime) -> None:
        with self._database.write() as connection:
            health_rows.damaged(connection, (plan, repository), None, (), at)

    def missing(
        self,
        plan: str,
        repository: str,
        missing: Mapping[str, Sequence[str]],
        back: Iterable[str] | None,
        at: datetime,
    ) -> None:
        with self._database.write() as connection:
            health_rows.missing(connection, (plan, repository), missing, back, at)

    def vanished(self, plan: str, repository: str, ids: Sequence[str], at: datetime) -> list[str]:
        with self._database.write() as connection:
            return copies.vanished(connection, plan, repository, ids, at)

    def expected(self, url: str) -> tuple[str | None, str | None, str | None]:
        with self._database.read() as connection:
            return repositories.expected(connection, url)

    def config_digest(self, url: str) -> str | None:
        with self._database.read() as connection:
            return repositories.config_digest(connection, url)

    def record_config_digest(self, url: str, digest: str) -> None:
        with self._database.write() as connection:
            repositories.record_config_digest(connection, url, digest)

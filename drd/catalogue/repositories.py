"""Which repository was found at which URL, and when drd's own state was last stored there."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select, update

from drd.catalogue import copies, places, summaries
from drd.catalogue.engine import SqlStore, upsert
from drd.catalogue.summary_tables import repository_health
from drd.catalogue.tables import repositories


class SqlRepositoryStore(SqlStore):
    """See `drd.ports.repositories.RepositoryStore`."""

    def id_of(self, url: str) -> str | None:
        with self._database.read() as connection:
            return _id_of(connection, url)

    def record(self, url: str, repository_id: str, at: datetime) -> None:
        with self._database.write() as connection:
            if _id_of(connection, url) == repository_id:
                return
            values = {
                "url": url,
                "repository_id": repository_id,
                "recorded_at": at,
                "config_digest": None,
            }
            upsert(connection, repositories, values)
            # The status says whether a repository was found at the place: it has changed for these
            # plans.
            here = repository_health.c.url == url
            connection.execute(update(repository_health).where(here).values(url=url))
            for plan in places.recognised(connection, url):
                summaries.refresh_points(connection, plan, at)
                copies.refresh(connection, plan, at)

    def count(self) -> int:
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(repositories)).scalar_one()

    def last_self_backup(self, url: str) -> datetime | None:
        query = select(repositories.c.last_self_backup_at).where(repositories.c.url == url)
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def record_self_backup(self, url: str, at: datetime) -> None:
        with self._database.write() as connection:
            upsert(connection, repositories, {"url": url, "last_self_backup_at": at})


def _id_of(connection: Connection, url: str) -> str | None:
    query = select(repositories.c.repository_id).where(repositories.c.url == url)
    return connection.execute(query).scalar()

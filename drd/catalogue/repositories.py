"""Which repository was ever found at a URL, and when drd's own state was last stored there."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, or_, select, update

from drd.catalogue import copies, places, summaries
from drd.catalogue.engine import SqlStore, upsert
from drd.catalogue.summary_tables import repository_health
from drd.catalogue.tables import repositories
from drd.ports.health import PlaceRow

_IS_WRONG = or_(repository_health.c.lost.is_not(None), repository_health.c.unreachable.is_not(None))


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


def config_digest(connection: Connection, url: str) -> str | None:
    query = select(repositories.c.config_digest).where(repositories.c.url == url)
    return connection.execute(query).scalar()


def record_config_digest(connection: Connection, url: str, digest: str) -> None:
    upsert(connection, repositories, {"url": url, "config_digest": digest})


def expected(connection: Connection, url: str) -> tuple[str | None, str | None, str | None]:
    rows = repository_health
    query = select(repositories.c.repository_id, repositories.c.config_digest).where(
        repositories.c.url == url
    )
    row = connection.execute(query).first()
    if row is None:
        return None, None, None
    state = func.coalesce(rows.c.lost, "unreachable")
    states = set(connection.execute(select(state).where(rows.c.url == url, _IS_WRONG)).scalars())
    wrong = "shut" if "shut" in states else min(states, default=None)
    return row.repository_id, row.config_digest, wrong


def places_known(connection: Connection) -> list[PlaceRow]:
    rows = repository_health
    query = (
        select(rows.c.url, rows.c.plan, repositories.c.config_digest, _IS_WRONG)
        .join(repositories, repositories.c.url == rows.c.url)
        .where(repositories.c.repository_id.is_not(None))
        .order_by(rows.c.plan, rows.c.position)
    )
    return [
        PlaceRow(url, plan, digest, bool(bad))
        for url, plan, digest, bad in connection.execute(query)
    ]

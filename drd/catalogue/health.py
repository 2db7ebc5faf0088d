"""The problems of repositories that drd knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from drd.catalogue import copies, health_rows, outages
from drd.catalogue.engine import SqlStore, upsert
from drd.catalogue.health_rows import FINE, WHOLE, rows_of, set_values
from drd.catalogue.summary_tables import repository_health
from drd.catalogue.tables import points as point_table
from drd.catalogue.tables import repositories
from drd.errors import Repair
from drd.model.repositories import Meeting
from drd.ports.health import KnownRepository, PlaceRow

_IS_WRONG = or_(repository_health.c.lost.is_not(None), repository_health.c.unreachable.is_not(None))


class SqlHealth(SqlStore):
    """See `drd.ports.health.RepositoryHealth`."""

    def of_plan(self, plan: str) -> list[KnownRepository]:
        with self._database.read() as connection:
            return [_known_repository(connection, row) for row in rows_of(connection, plan)]

    def places(self) -> list[PlaceRow]:
        rows = repository_health
        query = (
            select(
                rows.c.url, rows.c.plan, rows.c.opened_with, repositories.c.config_digest, _IS_WRONG
            )
            .join(repositories, repositories.c.url == rows.c.url)
            .where(repositories.c.repository_id.is_not(None))
            .order_by(rows.c.plan, rows.c.position)
        )
        with self._database.read() as connection:
            return [
                PlaceRow(url, plan, opened_with or "", digest, bool(bad))
                for url, plan, opened_with, digest, bad in connection.execute(query)
            ]

    def record_state(self, url: str, found: Meeting, at: datetime, opened_with: str = "") -> bool:
        query = select(repository_health).where(repository_health.c.url == url)
        # Most often nothing has changed, and nobody has to wait for a writer.
        with self._database.read() as connection:
            if not any(_news(row, found, at, opened_with) for row in connection.execute(query)):
                return False
        changed = set()
        with self._database.write() as connection:
            for row in connection.execute(query).all():
                values = _news(row, found, at, opened_with)
                if values:
                    set_values(connection, row, **values)
                    changed.add(row.plan)
            for plan in sorted(changed):
                outages.settle(connection, plan, rows_of(connection, plan), at)
        return bool(changed)

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
        with self._database.write() as connection:
            row = _row(connection, plan, repository)
            if row is not None:
                _damaged(connection, row, damage, affected, at, repair=repair)

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
        with self._database.write() as connection:
            row = _row(connection, plan, repository)
            if row is None:
                return
            if row.damage is None:
                _damaged(connection, row, damage, [point], at, repair=repair)
            else:
                _doubt(connection, row, [point], at)

    def record_doubtful(
        self, plan: str, repository: str, points: Sequence[str], at: datetime
    ) -> None:
        with self._database.write() as connection:
            row = _row(connection, plan, repository)
            if row is not None and row.damage is not None:
                _doubt(connection, row, points, at)

    def record_sound(self, plan: str, repository: str, at: datetime) -> None:
        with self._database.write() as connection:
            row = _row(connection, plan, repository)
            if row is not None and row.damage is not None:
                set_values(connection, row, **WHOLE)
                health_rows.refresh(connection, plan, at)

    def record_missing(
        self,
        plan: str,
        repository: str,
        missing: Mapping[str, Sequence[str]],
        back: Iterable[str] | None,
        at: datetime,
    ) -> None:
        with self._database.write() as connection:
            row = _row(connection, plan, repository)
            if row is None:
                return
            before = dict(row.missing or {})
            gone = set(before) if back is None else set(back)
            now = {p: ids for p, ids in before.items() if p not in gone}
            now |= {p: list(ids) for p, ids in missing.items()}
            if now != before:
                since = (row.missing_since or at) if now else None
                set_values(connection, row, missing=now or None, missing_since=since)
                health_rows.refresh(connection, plan, at)

    def record_vanished(
        self, plan: str, repository: str, ids: Sequence[str], at: datetime
    ) -> list[str]:
        with self._database.write() as connection:
            return copies.vanished(connection, plan, repository, ids, at)

    def expected(self, url: str, opened_with: str) -> tuple[str | None, str | None, str | None]:
        rows = repository_health
        known = select(repositories.c.repository_id, repositories.c.config_digest).where(
            repositories.c.url == url
        )
        state = func.coalesce(rows.c.lost, "unreachable")
        wrong = select(state).where(rows.c.url == url, _IS_WRONG)
        if opened_with:
            wrong = wrong.where(func.coalesce(rows.c.opened_with, opened_with) == opened_with)
        with self._database.read() as connection:
            row = connection.execute(known).first()
            if row is None:
                return None, None, None
            states = set(connection.execute(wrong).scalars())
        worst = "shut" if "shut" in states else min(states, default=None)
        return row.repository_id, row.config_digest, worst

    def config_digest(self, url: str) -> str | None:
        query = select(repositories.c.config_digest).where(repositories.c.url == url)
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def record_config_digest(self, url: str, digest: str) -> None:
        with self._database.write() as connection:
            upsert(connection, repositories, {"url": url, "config_digest": digest})


def _row(connection: Connection, plan: str, repository: str) -> Row[Any] | None:
    rows = repository_health
    query = select(rows).where(rows.c.plan == plan, rows.c.repository == repository)
    return connection.execute(query).one_or_none()


def _known_repository(connection: Connection, row: Row[Any]) -> KnownRepository:
    """Return what is known of a repository. Forgotten points are not affected any more."""
    affected: tuple[str, ...] | None = ()
    if row.damage is not None:
        affected = _points_kept(connection, row.damaged_points)
    return KnownRepository(
        row.repository,
        row.url,
        row.lost,
        row.unreachable,
        row.damage,
        affected,
        {point: tuple(ids) for point, ids in (row.missing or {}).items()},
        row.repair or "packs",
    )


def _points_kept(connection: Connection, ids: Sequence[str] | None) -> tuple[str, ...] | None:
    if ids is None:
        return None
    rows = point_table
    kept = select(rows.c.id).where(rows.c.id.in_(ids), rows.c.forgotten_at.is_(None))
    known = set(connection.execute(kept).scalars())
    return tuple(i for i in ids if i in known)


_OF_THE_SECRETS = ("shut", "unreachable")
"""States that other secrets may not meet. The others are states of the place."""


def _news(row: Row[Any], found: Meeting, at: datetime, opened_with: str) -> Mapping[str, Any]:
    """Return the columns that change. Another text for the same state changes nothing."""
    if opened_with and row.opened_with not in (None, opened_with):
        known = row.lost or ("unreachable" if row.unreachable is not None else None)
        if found.state in _OF_THE_SECRETS or (found.state == "ok" and known in _OF_THE_SECRETS):
            return {}
    if found.state == "ok":
        return FINE if row.lost is not None or row.unreachable is not None else {}
    if found.state == "unreachable":
        known = row.unreachable is not None or row.lost is not None
        return {} if known else {"unreachable": found.says, "unreachable_since": at}
    if row.lost == found.state and row.unreachable is None:
        return {}
    return {
        **FINE,
        "lost": found.state,
        "lost_since": row.lost_since or at,
        "lost_says": found.says,
    }


def _damaged(
    connection: Connection,
    row: Row[Any],
    damage: str,
    affected: Sequence[str] | None,
    at: datetime,
    *,
    repair: Repair,
) -> None:
    set_values(
        connection,
        row,
        damage=damage,
        repair=repair,
        damaged_since=row.damaged_since or at,
        damage_read_at=at,
        damaged_points=None if affected is None else list(affected),
    )
    health_rows.refresh(connection, row.plan, at)


def _doubt(connection: Connection, row: Row[Any], ids: Iterable[str], at: datetime) -> None:
    """Add points to the affected ones. When the affected points are unknown, every point is in
    doubt already."""
    if row.damaged_points is None:
        return
    doubtful = list(dict.fromkeys((*row.damaged_points, *ids)))
    set_values(connection, row, damaged_points=doubtful)
    health_rows.refresh(connection, row.plan, at)

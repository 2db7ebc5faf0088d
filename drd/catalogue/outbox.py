"""The messages to be sent, in the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Row, delete, func, or_, select, update

from drd.catalogue.daemon_tables import channels, outbox
from drd.catalogue.engine import SqlStore, insert_all, upsert
from drd.catalogue.tables import plans
from drd.errors import CatalogueError
from drd.model.clock import LONGEST_WAIT
from drd.model.incidents.letters import PREFIX, SENDING
from drd.model.message import Message, Routed
from drd.model.units import to_rfc3339
from drd.ports.notify import OF_A_PLAN, UNROUTED, ChannelFacts, Closed, Waiting

HISTORY = 10_000
"""How many messages are kept after they were sent. A thousand plans that report every backup would
make a table of gigabytes in the days for which history is kept."""

_is_waiting = outbox.c.next_try_at.is_not(None)


def insert(connection: Connection, routed: Sequence[Routed], at: datetime) -> None:
    """Put messages into the outbox within a transaction of the caller: they are sent if and only if
    what they report is recorded."""
    insert_all(connection, outbox, [_row(channel, message, at) for channel, message in routed])


def close(connection: Connection, closed: Closed) -> None:
    """Close a message within a transaction of the caller, which records how the message ended."""
    over = "delivered_at" if closed.error is None else "given_up_at"
    _change(
        connection,
        closed.row.id,
        **{over: closed.at, "next_try_at": None, "error": closed.error},
    )


def _change(connection: Connection, row: int, **values: object) -> None:
    changed = connection.execute(
        update(outbox).where(outbox.c.id == row, _is_waiting).values(values)
    )
    if changed.rowcount != 1:
        raise CatalogueError(
            f"message {row} of the outbox is no longer waiting to be sent",
            hint="check that only one daemon uses this catalogue.",
        )


def _row(channel: str, message: Message, at: datetime) -> dict[str, object]:
    return {
        "channel": channel,
        "event": message.event,
        "plan": message.plan,
        "severity": message.severity,
        "body": message.to_json(),
        "created_at": at,
        "next_try_at": at,
        "tries": 0,
    }


class SqlOutbox(SqlStore):
    """See `drd.ports.notify.Outbox`."""

    def add(self, routed: Sequence[Routed], at: datetime) -> None:
        if routed:
            with self._database.write() as connection:
                insert(connection, routed, at)

    def due_channels(self, now: datetime) -> list[str]:
        due = or_(outbox.c.next_try_at <= now, outbox.c.next_try_at > now + LONGEST_WAIT)
        query = select(outbox.c.channel).where(_is_waiting, due, outbox.c.channel != UNROUTED)
        with self._database.read() as connection:
            return sorted(connection.execute(query.distinct()).scalars())

    def waiting(self, channel: str, *, limit: int = 1000) -> list[Waiting]:
        query = select(outbox).where(_is_waiting, outbox.c.channel == channel)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(outbox.c.id).limit(limit))
            return [_waiting(row) for row in rows]

    def delivered(self, row: Waiting, kind: str, at: datetime) -> None:
        done = {"delivered_at": at, "next_try_at": None, "error": None}
        with self._database.write() as connection:
            connection.execute(update(outbox).where(outbox.c.id == row.id).values(done))
            _remember(connection, row.channel, kind, at, None)

    def failed(
        self,
        row: Waiting,
        kind: str,
        *,
        at: datetime,
        error: str,
        remedy: str = "",
        next_try_at: datetime | None,
    ) -> None:
        tried = {
            "tries": row.tries + 1,
            "error": error,
            "next_try_at": next_try_at,
            "given_up_at": at if next_try_at is None else None,
        }
        with self._database.write() as connection:
            connection.execute(update(outbox).where(outbox.c.id == row.id).values(tried))
            _remember(connection, row.channel, kind, at, error, remedy)

    def begin(self, row: Waiting, at: datetime) -> Waiting:
        details = {**row.message.details, SENDING: to_rfc3339(at)}
        marked = replace(row, message=replace(row.message, details=details))
        with self._database.write() as connection:
            _change(connection, row.id, body=marked.message.to_json())
        return marked

    def put_off(self, row: Waiting, *, error: str, next_try_at: datetime) -> None:
        details = {k: v for k, v in row.message.details.items() if k != SENDING}
        body = replace(row.message, details=details).to_json()
        values = {"tries": row.tries + 1, "error": error, "next_try_at": next_try_at}
        with self._database.write() as connection:
            _change(connection, row.id, body=body, **values)

    def send_on(self, row: Waiting, routed: Sequence[Routed], at: datetime) -> None:
        with self._database.write() as connection:
            this = delete(outbox).where(outbox.c.id == row.id, _is_waiting)
            if connection.execute(this).rowcount and routed:
                insert(connection, routed, at)

    def replace(self, rows: Sequence[Waiting], digest: Message, at: datetime) -> Waiting:
        (channel,) = {row.channel for row in rows}
        ids = [row.id for row in rows]
        with self._database.write() as connection:
            gone = connection.execute(delete(outbox).where(outbox.c.id.in_(ids), _is_waiting))
            if gone.rowcount != len(ids):
                raise CatalogueError(
                    f"another drd process is delivering the messages of channel {channel}",
                    hint="check that only one daemon uses this catalogue.",
                )
            # The other side may have asked not to get the next message earlier.
            due = max(row.next_try_at for row in rows)
            values = {**_row(channel, digest, at), "next_try_at": due}
            connection.execute(outbox.insert().values(values))
            query = select(outbox).where(outbox.c.channel == channel)
            return _waiting(connection.execute(query.order_by(outbox.c.id.desc())).first())

    def tried(
        self, name: str, kind: str, *, at: datetime, error: str | None, remedy: str = ""
    ) -> None:
        with self._database.write() as connection:
            _remember(connection, name, kind, at, error, remedy)

    def channels(self) -> list[ChannelFacts]:
        count = select(outbox.c.channel, func.count()).where(_is_waiting)
        with self._database.read() as connection:
            ours = count.where(
                outbox.c.channel.not_like(f"{PREFIX}%"), outbox.c.channel != UNROUTED
            )
            counted = connection.execute(ours.group_by(outbox.c.channel))
            waiting = {row[0]: row[1] for row in counted}
            tried = {row.name: row for row in connection.execute(select(channels))}
        return [
            _facts(name, tried.get(name), waiting.get(name, 0))
            for name in sorted({*waiting, *tried})
        ]

    def prune(self, before: datetime, *, channels: Collection[str]) -> None:
        with self._database.write() as connection:
            _drop_history(connection, before)
            _drop_others(connection, channels)


def _waiting(row: Row[tuple[object, ...]] | None) -> Waiting:
    assert row is not None
    return Waiting(
        id=row.id,
        channel=row.channel,
        message=Message.from_json(row.body),
        created_at=row.created_at,
        next_try_at=row.next_try_at,
        tries=row.tries,
        error=row.error,
    )


def _facts(name: str, row: Row[tuple[object, ...]] | None, waiting: int) -> ChannelFacts:
    if row is None:
        return ChannelFacts(name, kind="", waiting=waiting)
    return ChannelFacts(
        name=name,
        kind=row.kind,
        last_tried_at=row.last_tried_at,
        last_delivered_at=row.last_delivered_at,
        failing_since=row.failing_since,
        tries=row.tries,
        error=row.error,
        remedy=row.remedy or "",
        waiting=waiting,
    )


def _remember(  # noqa: PLR0917 - the columns
    connection: Connection,
    name: str,
    kind: str,
    at: datetime,
    error: str | None,
    remedy: str = "",
) -> None:
    values = {
        "name": name,
        "kind": kind,
        "last_tried_at": at,
        "error": error,
        "remedy": remedy or None,
    }
    if error is None:
        values |= {"last_delivered_at": at, "failing_since": None, "tries": 0}
    else:
        before = connection.execute(select(channels).where(channels.c.name == name)).first()
        since = before.failing_since if before is not None else None
        tries = before.tries if before is not None else 0
        values |= {"failing_since": since or at, "tries": tries + 1}
    upsert(connection, channels, values)


def _drop_history(connection: Connection, before: datetime) -> None:
    over = outbox.c.next_try_at.is_(None)
    connection.execute(
        delete(outbox).where(
            over, or_(outbox.c.delivered_at < before, outbox.c.given_up_at < before)
        )
    )
    oldest = select(outbox.c.id).where(over).order_by(outbox.c.id.desc()).offset(HISTORY).limit(1)
    connection.execute(delete(outbox).where(over, outbox.c.id <= oldest.scalar_subquery()))


def _drop_others(connection: Connection, names: Collection[str]) -> None:
    """Delete the records of channels that are no longer configured. That of a plan's own heartbeat
    stays as long as the plan is known."""
    connection.execute(
        delete(outbox).where(
            outbox.c.channel.not_in([*names, UNROUTED]),
            outbox.c.channel.not_like(f"{PREFIX}%"),
            _is_waiting,
        )
    )
    of_plans = select(OF_A_PLAN + plans.c.name)
    connection.execute(
        delete(channels).where(channels.c.name.not_in(names), channels.c.name.not_in(of_plans))
    )

"""The chain of records in the catalogue."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, delete, func, or_, select

from drd import log, process
from drd.catalogue import append_only, incident_rows
from drd.catalogue.engine import Database, SqlStore
from drd.catalogue.record_rows import SEALED, WHOLE, to_entry
from drd.catalogue.record_tables import record_bodies as bodies
from drd.catalogue.record_tables import records as table
from drd.errors import UsageError
from drd.model import record_drafts
from drd.model.actor import Actor
from drd.model.incidents.cadence import NO_CADENCE, Cadence
from drd.model.records import FIRST, KEY, NEEDED, REDACTION, Body, Draft, Entry, header_of
from drd.model.run import Run
from drd.process import rights

if TYPE_CHECKING:
    from drd.signing import Signer

FindSigner = Callable[[str], "Signer | None"]
"""Returns the key; the argument is the id of the key that the chain has now, "" before the first.
A holder of another key reads it again."""

_log = log.get()
_SALT_BYTES = 16
_AT_ONCE = 500
_UNKNOWN = "unknown"
_NEWEST = select(table.c.seq, table.c.hash).order_by(table.c.seq.desc()).limit(1)
_LAST_BODY = select(func.max(bodies.c.seq))
_KEY = (
    select(bodies.c.body)
    .join(table, table.c.seq == bodies.c.seq)
    .where(table.c.kind == KEY)
    .order_by(table.c.seq.desc())
    .limit(1)
)


def _secure_delete(connection: Connection) -> None:
    """Overwrite also the place of a body in the file."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON").close()


def _redacted_by(entry: Entry) -> int:
    """Return the earlier entry whose body a signed redaction removed; 0 for anything else."""
    if entry.header.kind != REDACTION or not entry.signature or entry.body is None:
        return 0
    try:
        seq = json.loads(entry.body.text)["entry"]
    except (ValueError, KeyError, TypeError):
        return 0
    return seq if isinstance(seq, int) and 0 < seq < entry.seq else 0


def no_signer(_current: str) -> None:
    """Find no key: the default for callers without settings."""


class SqlRecords(SqlStore):
    """See `drd.ports.records.RecordStore`. `find_signer` finds drd's key; the rows of incidents
    have clocks of this `cadence`."""

    def __init__(
        self,
        database: Database,
        find_signer: FindSigner = no_signer,
        cadence: Cadence = NO_CADENCE,
    ) -> None:
        super().__init__(database)
        self.cadence = cadence
        self._find_signer = find_signer
        self._measured: set[tuple[str, int]] = set()

    def append(self, draft: Draft) -> Entry:
        with self._database.write() as connection:
            return self.add(connection, draft)

    def extend(self, subject: str, drafts: Callable[[list[Entry]], Sequence[Draft]]) -> list[Entry]:
        query = WHOLE.where(table.c.subject == subject).order_by(table.c.seq)
        with self._database.write() as connection:
            new_entries = [to_entry(row) for row in connection.execute(query)]
            return [*new_entries, *(self.add(connection, draft) for draft in drafts(new_entries))]

    def head(self) -> Entry | None:
        query = select(table).order_by(table.c.seq.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else to_entry(row)

    def get(self, seq: int) -> Entry:
        with self._database.read() as connection:
            return _get(connection, seq)

    def newest(
        self, *, plan: str | None = None, kind: str | None = None, limit: int = 50
    ) -> list[Entry]:
        query = WHOLE.order_by(table.c.seq.desc()).limit(limit)
        if plan is not None:
            of_plan = table.c.subject.startswith(f"{plan}/", autoescape=True)
            query = query.where(or_(table.c.subject == plan, of_plan))
        if kind is not None:
            query = query.where(table.c.kind == kind)
        with self._database.read() as connection:
            return [to_entry(row) for row in connection.execute(query)]

    def about(self, subject: str, *, kind: str) -> list[Entry]:
        query = WHOLE.where(table.c.subject == subject, table.c.kind == kind)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.seq.desc()))
            return [to_entry(row) for row in rows]

    def read(self, *, after: int = 0, until: int | None = None) -> Iterator[Entry]:
        if until is None:
            head = self.head()
            until = head.seq if head is not None else 0
        while entries := self._next(WHOLE.where(table.c.seq > after, table.c.seq <= until)):
            yield from entries
            after = entries[-1].seq

    def _next(self, query: Select[Any]) -> list[Entry]:
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.seq).limit(_AT_ONCE)).all()
            return [to_entry(row) for row in rows]

    def redact(self, seq: int, *, reason: str, at: datetime, actor: Actor) -> Entry:
        with self._database.write() as connection:
            entry = _get(connection, seq)
            if entry.header.kind in NEEDED:
                raise UsageError(
                    f"entry {seq} of the records cannot be redacted: it is of kind "
                    f"{entry.header.kind}, which the check of the chain needs",
                    hint="to see the entry: drd records show " + str(seq),
                )
            if entry.body is None and not entry.sealed:
                raise UsageError(
                    f"the body of entry {seq} of the records was removed already",
                    hint=f"to see the entry: drd records show {seq}",
                )
            digest = entry.header.digest
            made = self.add(connection, record_drafts.of_redaction(seq, digest, reason, at, actor))
            if not made.signature:
                raise _unsigned("redaction")
            _secure_delete(connection)
            connection.execute(delete(bodies).where(bodies.c.seq == seq))
            incident_rows.redacted(connection, entry, self.cadence)
            return made

    def missing_guards(self) -> list[str]:
        with self._database.read() as connection:
            return append_only.missing(connection)

    def restore_guards(self) -> list[str]:
        with self._database.write() as connection:
            return append_only.restore(connection)

    def go_on(self, draft: Draft, *, beyond: int) -> Entry:
        with self._database.write() as connection:
            signer = self._signer(connection, draft.at)  # of an empty chain: its first key
            if signer is None:
                raise _unsigned("continuation")
            return self._insert(connection, draft, signer, beyond=beyond)

    def bring_back(self, entries: Sequence[Entry]) -> None:
        with self._database.write() as connection:
            last = connection.execute(_NEWEST).one_or_none()
            seq, previous = (last.seq, last.hash) if last is not None else (0, FIRST)
            for entry in entries:
                if entry.seq <= seq or entry.header.previous != previous:
                    raise UsageError(
                        f"entry {entry.seq} cannot be added after the newest entry {seq}: "
                        "another command has added entries to the records meanwhile",
                        hint="to see the newest entries: drd records list",
                    )
                connection.execute(table.insert().values(**_values(entry)))
                row = (entry.body.salt, entry.body.text) if entry.body else (SEALED, entry.sealed)
                if row[1]:
                    values = {"seq": entry.seq, "salt": row[0], "body": row[1]}
                    connection.execute(bodies.insert().values(**values))
                seq, previous = entry.seq, entry.hash
            for gone in (_redacted_by(entry) for entry in entries):
                if gone:
                    _secure_delete(connection)
                    wanted = select(table.c.seq).where(
                        table.c.seq == gone, table.c.kind.not_in(NEEDED)
                    )
                    connection.execute(delete(bodies).where(bodies.c.seq.in_(wanted)))

    def open_bodies(self, entries: Sequence[Entry]) -> None:
        with self._database.write() as connection:
            for entry in entries:
                known, body = _get(connection, entry.seq), entry.body
                if not known.sealed or body is None or body.digest != known.header.digest:
                    raise UsageError(
                        f"the body of entry {entry.seq} is not the one that is encrypted in the "
                        "catalogue",
                        hint=f"to see the entry: drd records show {entry.seq}",
                    )
                sealed = bodies.c.salt == SEALED
                change = bodies.update().where(bodies.c.seq == entry.seq, sealed)
                connection.execute(change.values(salt=body.salt, body=body.text))

    def newest_about(self, kinds: str) -> Entry | None:
        query = select(table).where(table.c.kind.startswith(kinds, autoescape=True))
        with self._database.read() as connection:
            row = connection.execute(query.order_by(table.c.seq.desc()).limit(1)).one_or_none()
        return None if row is None else to_entry(row)

    def current_key(self) -> str:
        with self._database.read() as connection:
            return _current_key(connection)

    def signer(self, at: datetime) -> Signer | None:
        with self._database.write() as connection:
            return self._signer(connection, at)

    def record_key(self, draft: Draft, signer: Signer, *, expecting: str) -> Entry:
        with self._database.write() as connection:
            current = _current_key(connection)
            if current != expecting:
                raise UsageError(
                    "another command changed the key of the records meanwhile: it is now "
                    f"{current or 'none'}, not {expecting or 'none'}",
                    hint="to see the keys: drd records key",
                )
            return self._insert(connection, draft, signer)

    # For the other stores, in their transactions.

    def add(self, connection: Connection, draft: Draft) -> Entry:
        """Add an entry at the end, in the transaction of another write."""
        return self._insert(connection, draft, self._signer(connection, draft.at))

    def _signer(self, connection: Connection, at: datetime) -> Signer | None:
        current = _current_key(connection)
        signer = self._find_signer(current)
        if signer is not None and not current:
            self._insert(connection, _first_key(signer, at), signer)
        elif signer is not None and signer.public.id != current:
            _log.warning("records.unsigned", why=f"the key is {signer.public.id}, not {current}")
            return None
        return signer

    def note_measured(self, run: str, token: int) -> None:
        """Remember that the end of this run is recorded with its evidence."""
        self._measured.add((run, token))

    def was_measured(self, run: str, token: int) -> bool:
        """Return whether the run was measured, and forget this."""
        known = (run, token) in self._measured
        self._measured.discard((run, token))
        return known

    def _insert(
        self, connection: Connection, draft: Draft, signer: Signer | None, *, beyond: int = 0
    ) -> Entry:
        last = connection.execute(_NEWEST).one_or_none()
        body = Body.of(draft.body, secrets.token_hex(_SALT_BYTES))
        # After the bodies of entries that somebody removed, too: a run must be able to end, and
        # the gap shows what was done.
        newest = last.seq if last is not None else 0
        seq = max(newest, connection.scalar(_LAST_BODY) or 0, beyond) + 1
        previous = last.hash if last is not None else FIRST
        header = header_of(draft, body, seq=seq, previous=previous)
        message = header.message()
        entry = Entry(
            header,
            header.hash,
            signer.public.id if signer is not None else "",
            signer.sign(message) if signer is not None else "",
            body,
        )
        connection.execute(table.insert().values(**_values(entry)))
        connection.execute(bodies.insert().values(seq=seq, salt=body.salt, body=body.text))
        return entry


def actor_of(run: Run) -> Actor | None:
    """Return who asked for a run, for a record that this process signs. Root, on another user's
    state, names only itself: the run's row could be that user's."""
    return run.actor if rights.acts_for() is None and run.actor else process.actor_here()


def plan_of_row(plan: str) -> str:
    """Return the plan that a row names. Empty for root on another user's state: root signs nothing
    that this user could have written there."""
    return plan if rights.acts_for() is None else ""


def points_of_rows(points: Sequence[str]) -> Sequence[str]:
    """Return points that rows name, for a record that this process signs. Empty for root on another
    user's state, as in `plan_of_row`."""
    return points if rights.acts_for() is None else ()


def _first_key(signer: Signer, at: datetime) -> Draft:
    key = signer.public
    return record_drafts.of_key(key.id, key.text, "", at, process.actor_here())


def _current_key(connection: Connection) -> str:
    text = connection.execute(_KEY).scalar()
    if text is None:
        return ""
    try:
        return str(json.loads(text)["key"])
    except (ValueError, KeyError, TypeError):
        return _UNKNOWN  # somebody changed it: nothing is signed then, and the check tells


def _get(connection: Connection, seq: int) -> Entry:
    row = connection.execute(WHOLE.where(table.c.seq == seq)).one_or_none()
    if row is None:
        raise UsageError(
            f"the records have no entry {seq}", hint="to list the entries: drd records list"
        )
    return to_entry(row)


def _unsigned(what: str) -> UsageError:
    return UsageError(
        f"the record of the {what} cannot be signed, because drd cannot read the key of the "
        "records",
        hint="to see why: drd records key",
    )


def _values(entry: Entry) -> dict[str, Any]:
    header = entry.header
    return {
        "seq": header.seq,
        "at": header.at,
        "actor_kind": header.actor_kind,
        "actor_name": header.actor_name,
        "came": header.came,
        "subject": header.subject,
        "kind": header.kind,
        "digest": header.digest,
        "previous": header.previous,
        "hash": entry.hash,
        "key": entry.key,
        "signature": entry.signature,
    }

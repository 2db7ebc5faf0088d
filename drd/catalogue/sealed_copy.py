"""Seals what only some people may read in a copy of the catalogue that leaves this host."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from drd.catalogue import append_only, trouble
from drd.catalogue.record_rows import SEALED
from drd.model.record_file import Hides
from drd.model.records import Body, Entry, Header

_ROWS = """
SELECT r.seq, r.at, r.subject, r.kind, r.digest, r.previous, r.hash, b.salt, b.body
FROM record_bodies b JOIN records r ON r.seq = b.seq
WHERE substr(r.kind, 1, 9) = 'incident.' AND b.salt <> 'sealed'
"""


_THEIR_MESSAGES = """
DELETE FROM outbox WHERE CAST(json_extract(body, '$.details.incident') AS INTEGER) IN
  (SELECT number FROM incidents WHERE restricted)
"""


def seal(path: Path, hides: Hides) -> int:
    """Replace each body that `hides` seals, in the copy at `path`, so that neither the body nor
    anything made from it stays in the file. Returns the number of replaced bodies. Raises
    CatalogueError."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            for pragma in ("journal_mode = MEMORY", "secure_delete = ON"):
                connection.execute(f"PRAGMA {pragma}").close()
            bodies = {row[0]: hides(_entry(*row)) for row in connection.execute(_ROWS)}
            sealed = {seq: text for seq, text in bodies.items() if text is not None}
            if sealed:
                _replace(connection, sealed)
            connection.commit()
    except sqlite3.Error as error:
        raise trouble.damaged(path, error) from error
    return len(sealed)


def _replace(connection: sqlite3.Connection, sealed: dict[int, str]) -> None:
    connection.execute("DROP TRIGGER record_bodies_update")
    for seq, text in sealed.items():
        connection.execute(
            "UPDATE record_bodies SET salt = ?, body = ? WHERE seq = ?", (SEALED, text, seq)
        )
    # The row of a restricted incident: it is made anew from what its reader may read.
    connection.execute(
        "UPDATE incidents SET title = '', plans = '[]', rule = '', severity = '' WHERE restricted"
    )
    # Updates to one's own people about it have its text; elsewhere they are never sent.
    connection.execute(_THEIR_MESSAGES)
    [trigger] = [s for s in append_only.statements("sqlite") if "record_bodies_update" in s]
    connection.execute(trigger)


def _entry(*row: str) -> Entry:
    seq, at, subject, kind, digest, previous, hashed, salt, body = row
    header = Header(
        int(seq), datetime.fromisoformat(at), "", "", "", subject, kind, digest, previous
    )
    return Entry(header, hashed, body=Body(salt, body))

"""The tables of the records: the chain, its time stamps and keys, and incidents by their entries.

They are in the same metadata as `tables`, to which the migrations lead.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text

from drd.catalogue.columns import Json, UtcTime, Words, metadata

# The chain of records. Triggers refuse every change of what is there (`append_only`).
records = Table(
    "records",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("came", String(16), nullable=False),
    Column("subject", Text, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("digest", String(64), nullable=False),  # of the salt and the body
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("key", String(16), nullable=False),  # "": not signed
    Column("signature", String(100), nullable=False),
)
Index("records_by_kind", records.c.kind, records.c.seq)
Index("records_by_subject", records.c.subject)

record_bodies = Table(
    "record_bodies",
    metadata,
    # No foreign key: a body may be gone, and an entry is never removed.
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("salt", String(64), nullable=False),
    Column("body", Text, nullable=False),
)

# What follows from the entries of each incident in the chain (`incident_rows`).
incidents = Table(
    "incidents",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("title", Words, nullable=False),
    Column("state", String(16), nullable=False),
    Column("severity", Words, nullable=False),
    Column("restricted", Boolean, nullable=False),
    Column("opened_at", UtcTime),
    Column("closed_at", UtcTime),
    Column("plans", Json, nullable=False),  # in the scope now
    Column("next_at", UtcTime),  # when the next task or clock is due
    Column("rule", Words, nullable=False),  # of drd.yaml, that opened it; "": a person did
)
Index("incidents_open", incidents.c.closed_at, sqlite_where=incidents.c.closed_at.is_(None))

record_stamps = Table(
    "record_stamps",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("hash", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),  # when it reached this host
    Column("authority", Words, nullable=False),
    Column("response", LargeBinary, nullable=False),
)

trusted_keys = Table(
    "trusted_keys",
    metadata,
    Column("key", String(16), primary_key=True),  # "": only `after` counts
    Column("public", String(44), nullable=False),
    Column("after", Integer, nullable=False),  # the records up to this entry are of a replica
    Column("replaced_at", UtcTime),  # null: no other key has replaced it, as far as is known
    Column("replaced_seq", Integer),  # the entry that says so, by a kit; null: by the keys alone
)

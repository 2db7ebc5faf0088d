"""Fingerprints. Each is stored once, however often the same state is seen."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy import Connection, delete, select

from drd.catalogue.engine import batches
from drd.catalogue.tables import component_snapshots, fingerprints
from drd.model.snapshot import Fingerprint, canonical_json, fingerprint_from_json


def store(connection: Connection, fingerprint: Fingerprint | None) -> str | None:
    if fingerprint is None:
        return None
    content = canonical_json(fingerprint.to_json())
    digest = sha256(content).hexdigest()
    known = select(fingerprints.c.digest).where(fingerprints.c.digest == digest)
    if connection.execute(known).first() is None:
        connection.execute(
            fingerprints.insert().values(digest=digest, content=zlib.compress(content, 6))
        )
    return digest


def of_points(connection: Connection, ids: Sequence[str]) -> set[str]:
    query = select(component_snapshots.c.fingerprint).where(
        component_snapshots.c.point.in_(ids), component_snapshots.c.fingerprint.is_not(None)
    )
    return set(connection.execute(query).scalars())


def remove_unused(connection: Connection, digests: set[str]) -> None:
    used = select(component_snapshots.c.point).where(
        component_snapshots.c.fingerprint == fingerprints.c.digest
    )
    for some in batches(sorted(digests)):
        connection.execute(
            delete(fingerprints).where(fingerprints.c.digest.in_(some), ~used.exists())
        )


def read(content: bytes) -> Fingerprint:
    return fingerprint_from_json(json.loads(zlib.decompress(content)))

"""What a server contains, as a fingerprint: keys by database and type.

Keys with a time to live are counted separately, because they end between the backup and the drill:
`after_expiry` does not count keys as missing whose time is over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from drd.kinds.redis.rdb import RdbContent
from drd.model.snapshot import DatabaseFingerprint, TableState

REST = "the rest of the data"
USERS = "users of the ACLs"
_FUNCTIONS = "functions"


def fingerprint_of(content: RdbContent, users: int | None = None) -> DatabaseFingerprint:
    """Return the fingerprint of the content of a file. `users` is the number of users of the ACL;
    it is a property, because a server without data has users as well."""
    unread = {REST: content.unread} if content.unread else {}
    properties = {USERS: users} if users is not None else {}
    return DatabaseFingerprint("counts", dict(sorted(_tables(content))), unread, properties)


def _tables(content: RdbContent) -> Iterable[tuple[str, TableState]]:
    for (database, kind), count in content.keys.items():
        yield named(database, kind), TableState(count)
    for (database, kind), ends in content.expiring.items():
        yield expiring(database, kind), TableState(len(ends))
    for database, entries in content.entries.items():
        yield f"db{database} entries of streams", TableState(entries)
    if content.functions:
        digest = hashlib.sha256("\n".join(sorted(content.functions)).encode()).hexdigest()
        yield _FUNCTIONS, TableState(len(content.functions), digest)


def named(database: int, kind: str) -> str:
    return f"db{database} {kind}"


def expiring(database: int, kind: str) -> str:
    return f"db{database} {kind} with a time to live"


def after_expiry(file: RdbContent, now: RdbContent, at_ms: int) -> DatabaseFingerprint:
    """Return the fingerprint of a server that has loaded `file`, and that contains `now` at the
    time `at_ms` (milliseconds since 1970). Keys of the file whose time to live is over count as
    present, if all keys whose time is not over are there."""
    after = fingerprint_of(now)
    tables = dict(after.tables)
    for key, ends in file.expiring.items():
        present = len(now.expiring.get(key, ()))
        surely = sum(1 for end in ends if end > at_ms)
        name = expiring(*key)
        if surely <= present <= len(ends):
            tables[name] = TableState(len(ends))
        elif name not in tables:
            tables[name] = TableState(0)
    return DatabaseFingerprint("counts", dict(sorted(tables.items())), after.not_reached)

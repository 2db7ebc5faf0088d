"""What receiving the WAL needs of a server, as findings."""

from __future__ import annotations

from collections.abc import Iterator

from drd.kinds.postgres.connection import Connection
from drd.ports import Finding

_ASKED = """
SELECT pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('max_slot_wal_keep_size'),
       (SELECT setting::bigint FROM pg_catalog.pg_settings
         WHERE name = 'max_slot_wal_keep_size'),
       pg_catalog.current_setting('wal_level'),
       pg_catalog.current_setting('max_replication_slots')::int,
       (SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE slot_name !~ %s),
       pg_catalog.current_setting('max_wal_senders')::int,
       (SELECT count(*) FROM pg_catalog.pg_stat_replication WHERE application_name !~ %s),
       pg_catalog.current_setting('synchronous_standby_names'),
       (SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles
         WHERE rolname = current_user)"""

_OWN = "^drd_wal_"
_MOST_SENDERS = 3
"""A backup needs two connections, and the receiver one."""


def needs(connection: Connection, component: str) -> Iterator[Finding]:
    """Yield a finding for each thing that receiving the WAL needs. The slots of drd's own receivers
    do not count as used."""
    row = connection.execute(_ASKED.encode(), [_OWN, _OWN]).fetchone()
    assert row is not None
    standby, keep, keep_mb, level, slots, slots_used, senders, senders_used, names, may = row
    if standby:
        yield Finding(
            "wal-standby", "error", component,
            "the server is a standby, and drd receives the WAL only from a primary",
            "let `dsn` of the component lead to the primary; or remove `wal` from the component.",
        )  # fmt: skip
    if keep_mb is None or keep_mb < 0:
        yield Finding(
            "wal-bound", "error", component,
            "the server keeps WAL for a replication slot without a limit (max_slot_wal_keep_size "
            "is -1): if drd stops, the WAL would fill the disk of the server",
            "run as a superuser: ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT "
            "pg_reload_conf(); choose a size that the disk of the server has free.",
        )  # fmt: skip
    else:
        text = f"the server keeps at most {keep} of WAL for drd (max_slot_wal_keep_size)"
        yield Finding("wal-bound", "ok", component, text)
    if level == "minimal":
        yield Finding(
            "wal-level", "error", component, "wal_level of the server is minimal",
            "run as a superuser: ALTER SYSTEM SET wal_level = replica; then restart the server.",
        )  # fmt: skip
    if not may:
        yield Finding(
            "rights", "error", component,
            f"role {connection.info.user} does not have the right REPLICATION",
            f'run as a superuser: ALTER ROLE "{connection.info.user}" REPLICATION;',
        )  # fmt: skip
    if slots - slots_used < 1:
        yield Finding(
            "wal-slots", "error", component,
            f"the server has no free replication slot: max_replication_slots is {slots}, and "
            f"{slots_used} are in use",
            f"run as a superuser: ALTER SYSTEM SET max_replication_slots = {slots_used + 2}; then "
            "restart the server.",
        )  # fmt: skip
    if senders - senders_used < _MOST_SENDERS:
        yield Finding(
            "max-wal-senders", "error", component,
            f"max_wal_senders of the server is {senders}, and {senders_used} are in use: the "
            f"receiver of the WAL and a backup together need {_MOST_SENDERS}",
            "run as a superuser: ALTER SYSTEM SET max_wal_senders = "
            f"{senders_used + 2 * _MOST_SENDERS}; then restart the server.",
        )  # fmt: skip
    if "*" in names:
        yield Finding(
            "wal-synchronous", "error", component,
            f"synchronous_standby_names of the server is {names}: every commit on the server "
            "would wait for drd, as for a standby",
            "name the standbys instead of *: ALTER SYSTEM SET synchronous_standby_names = "
            "'NAME'; SELECT pg_reload_conf();",
        )  # fmt: skip

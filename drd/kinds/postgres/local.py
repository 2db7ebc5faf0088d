"""Decide whether a connection string stays on this host and uses no files or services of
the host.
"""

from __future__ import annotations

import ipaddress

import psycopg
from psycopg import conninfo

_PLAIN = frozenset({
    "host", "hostaddr", "port", "dbname", "user", "application_name", "fallback_application_name",
    "connect_timeout", "options", "client_encoding", "sslmode", "gssencmode", "channel_binding",
    "target_session_attrs", "load_balance_hosts", "keepalives", "keepalives_idle",
    "keepalives_interval",
    "keepalives_count", "tcp_user_timeout",
})  # fmt: skip
"""Keywords that are harmless; all others name files with keys or passwords, services, or who may
get them.
"""


def stays_here(dsn: str) -> bool:
    """Return whether the string leads to a socket or a port of this host, and names no file with
    keys or passwords. In doubt the answer is no.
    """
    try:
        given = {k: str(v) for k, v in conninfo.conninfo_to_dict(dsn).items() if v is not None}
    except psycopg.Error:
        return False
    places = [p for k in ("host", "hostaddr") for p in given.get(k, "").split(",") if p]
    return given.keys() <= _PLAIN and all(_is_here(place) for place in places)


def _is_here(place: str) -> bool:
    if place.startswith(("/", "@")) or place == "localhost":
        return True
    try:
        return ipaddress.ip_address(place).is_loopback
    except ValueError:
        return False

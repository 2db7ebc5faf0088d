"""Find out the product of a server without a login."""

from __future__ import annotations

from contextlib import suppress

import pymysql

from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.clear_password import refusing
from drd.kinds.mariadb.flavour import Flavour, of_server

_WAIT_S = 3


def product_at(address: Address) -> Flavour | None:
    """Return the product of a server by its greeting, also if it then refuses the login; None if
    no server answers."""
    parts = address.parts
    where = {"host": parts.host, "port": parts.port} if parts.host else {
        "unix_socket": parts.socket}  # fmt: skip
    raw = pymysql.Connection(
        **where, user=parts.user, connect_timeout=_WAIT_S, ssl_disabled=True,
        auth_plugin_map=refusing(parts), defer_connect=True,
    )  # fmt: skip
    with suppress(pymysql.err.MySQLError, OSError, RuntimeError):
        raw.connect()
        raw.close()
    greeting = getattr(raw, "server_version", None)
    return of_server(greeting) if greeting else None

"""Find out without a login the product of a server, and which system user its socket sees."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import pymysql

from drd import process
from drd.errors import ToolError
from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.clear_password import refusing
from drd.kinds.mariadb.flavour import Flavour, of_server
from drd.process import Container
from drd.users import user_name

_WAIT_S = 3
_WAIT_INSIDE_S = 15


def place_of(address: Address) -> dict[str, Any]:
    """Return the parameters with which the driver reaches the server of an address."""
    parts, through = address.parts, address.relayed
    if through is not None:
        return {"unix_socket": f"\0{through.name}"}
    if parts.host:
        return {"host": parts.host, "port": parts.port}
    return {"unix_socket": parts.socket}


def system_user(inside: Container | None) -> str:
    """Return the system user that the socket of a server sees when drd logs in. In a container it
    is the one that the engine gives to programs there."""
    if inside is None:
        return user_name(os.geteuid())
    with suppress(ToolError):
        done = process.run(process.shell_in(inside, "id -un"))
        if done.exit_code == 0 and done.stdout.strip():
            return done.stdout.strip()
    return "root"


def product_at(address: Address) -> Flavour | None:
    """Return the product of a server by its greeting, also if it then refuses the login; None if
    no server answers."""
    parts = address.parts
    wait_s = _WAIT_S if address.inside is None else _WAIT_INSIDE_S
    raw = pymysql.Connection(
        **place_of(address), user=parts.user, connect_timeout=wait_s, ssl_disabled=True,
        auth_plugin_map=refusing(parts), defer_connect=True,
    )  # fmt: skip
    with suppress(pymysql.err.MySQLError, OSError, RuntimeError):
        raw.connect()
        raw.close()
    greeting = getattr(raw, "server_version", None)
    return of_server(greeting) if greeting else None

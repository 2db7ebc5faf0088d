"""Refuse the ways to log in that give the password to whoever answers in place of the server.

The server chooses how a client logs in. Some of its choices send the password itself, or encrypt it
with a key that the server names. drd makes such a login only through a socket of this host, or to a
server whose certificate was checked.
"""

from __future__ import annotations

from collections.abc import Mapping

from drd.kinds.mariadb.dsn import Parts

_GIVING = (
    "mysql_clear_password",
    "dialog",
    "sha256_password",
    "caching_sha2_password",
    "mysql_old_password",
)

NO_PLUGINS = "plugin-dir=/nonexistent"
"""The line of an option file with which MariaDB's programs know none of these logins."""


class _Refusing:
    """An authentication plugin of the driver that sends nothing."""

    def __init__(self, _: object) -> None:
        pass

    def authenticate(self, _: object) -> None:
        raise RuntimeError(
            "the server asks for the password itself, and nothing proves that it is the right "
            "server. drd did not send it (`ssl_ca` in dsn makes drd check the certificate)"
        )


def proven(parts: Parts) -> bool:
    """Return whether the server is the one of the address, and nobody between can read."""
    return not parts.host or bool(parts.ssl and parts.ssl_ca)


def refusing(parts: Parts) -> Mapping[bytes, type]:
    """Return the plugins that the driver uses in place of its own."""
    return {} if proven(parts) else {name.encode(): _Refusing for name in _GIVING}

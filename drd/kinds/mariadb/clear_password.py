"""Refuse the ways of login by which a false server would get the password.

The server chooses how a client logs in. Some of its choices send the password itself, or encrypt it
with a key that the server names. drd makes such a login only through a socket of this host, or to a
server whose certificate was checked.
"""

from __future__ import annotations

from collections.abc import Mapping

from drd.errors import NotSupported
from drd.kinds.mariadb.dsn import Parts

_GIVING = (
    "mysql_clear_password",
    "dialog",
    "sha256_password",
    "caching_sha2_password",
    "mysql_old_password",
)

NO_PLUGINS = "plugin-dir=/nonexistent"
"""The line of an option file that makes MariaDB's programs refuse these ways to log in: they find
no plugin for any of them."""


class _Refusing:
    """An authentication plugin for the driver that refuses: it sends nothing."""

    def __init__(self, _: object) -> None:
        pass

    def authenticate(self, _: object) -> None:
        raise RuntimeError(
            "the server asks drd to send the password itself, and drd cannot check that this is "
            "the right server. So drd did not send the password (with `ssl_ca` in dsn, drd checks "
            "the server's certificate)"
        )


def proven(parts: Parts) -> bool:
    """Return whether the connection proves that the server is the right one, and that nobody on the
    way can read what is sent."""
    return not parts.host or bool(parts.ssl and parts.ssl_ca)


def require_proven(parts: Parts, named: str) -> None:
    """Raise NotSupported if the connection does not prove that the server is the right one. The
    programs of MySQL have no option that prevents sending the password to a wrong server, and the
    usual login of MySQL needs a proven connection."""
    if not proven(parts):
        raise NotSupported(
            f"{named} is MySQL, and dsn leads there by TCP without `ssl_ca`: the programs "
            "of MySQL would give the password to every server that answers there",
            hint="write `ssl_ca=/PATH` into dsn (the file of the certificate authority), or use "
            "the server's socket.",
        )


def refusing(parts: Parts) -> Mapping[bytes, type]:
    """Return the plugins that the driver uses instead of its own."""
    return {} if proven(parts) else {name.encode(): _Refusing for name in _GIVING}

"""The addresses on which drd may listen: on loopback only."""

from __future__ import annotations

import ipaddress
import re

from drd.model.malformed import Malformed

_ADDRESS = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<name>[^:\[\]]*)):(?P<port>[0-9]{1,5})", re.ASCII)


def loopback(text: str) -> tuple[str, int]:
    """Address and port of `127.0.0.1:9473`, `[::1]:9473` or `localhost:9473`.

    The metrics have no password and name every plan: to offer them elsewhere, put a proxy with a
    login in front. Raises ValueError, with the remedy after a semicolon."""
    match = _ADDRESS.fullmatch(text)
    port = int(match["port"]) if match else 0
    if match is None or not 1 <= port <= 65535:
        alone = text.lstrip(":")
        meant = alone if re.fullmatch(r"[1-9][0-9]{0,4}", alone, re.ASCII) else "9473"
        meant = meant if int(meant) <= 65535 else "9473"
        raise Malformed(f'"{text}" is not an address with a port', f'write "127.0.0.1:{meant}"')
    host = match["six"] or match["name"] or ""
    if host == "localhost":
        host = "127.0.0.1"
    if not _is_loopback(host):
        raise Malformed(
            f'"{text}" is not a loopback address, and drd listens only on loopback',
            f'write "127.0.0.1:{port}", and put a proxy with a login in front of it for others',
        )
    return host, port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

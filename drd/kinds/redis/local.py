"""Decide whether a connection that somebody else has written into a plan stays on this host."""

from __future__ import annotations

from drd.kinds.redis.address import LOOPBACK, address_of, wrong_url


def stays_here(url: str) -> bool:
    """Implements `KindSpec.connection_stays_here`."""
    if wrong_url(url):
        return False
    address = address_of(url)
    return bool(address.socket) or (address.host.lower() in LOOPBACK and not address.tls)

"""Lines for systemd's journal, with fields that `journalctl PLAN=orders-api` finds.

The protocol is one datagram for each line, made of `KEY=value` lines; it needs no library. Lines
that do not fit into a datagram, or find no journal, go to stderr.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Mapping

SOCKET = "/run/systemd/journal/socket"
VARIABLE = "JOURNAL_STREAM"

OWN = frozenset({"MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER"})
"""Fields with a meaning of their own in the journal: a second MESSAGE hides the first in
`journalctl`.
"""

_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


def is_ours() -> bool:
    """Return whether stderr is connected to the journal, by systemd's variable."""
    device, _, inode = os.environ.get(VARIABLE, "").partition(":")
    try:
        here = os.fstat(sys.stderr.fileno())
        return (here.st_dev, here.st_ino) == (int(device), int(inode))
    except (OSError, ValueError):
        return False


def datagram(level: str, message: str, fields: Mapping[str, str]) -> bytes:
    """Return one line. Field names consist of capitals, digits and underscores; others are left
    out. Raises ValueError for a field of the journal's OWN.
    """
    parts = [_field("MESSAGE", message), _field("PRIORITY", str(_PRIORITY.get(level, 6)))]
    parts.append(_field("SYSLOG_IDENTIFIER", "drd"))
    for name, value in fields.items():
        upper = name.upper()
        if upper in OWN:
            raise ValueError(f"a line for the journal may not have a field {name!r}: rename it")
        if upper.isascii() and upper.replace("_", "").isalnum() and upper[0].isalpha():
            parts.append(_field(upper, value))
    return b"".join(parts)


def send(data: bytes) -> bool:
    """Return whether the journal accepted it."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as there:
            there.sendto(data, SOCKET)
    except OSError:
        return False
    return True


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "backslashreplace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"

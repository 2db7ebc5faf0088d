"""The name of this host in mails: the receiver must be able to tell hosts apart."""

from __future__ import annotations

import socket

import pytest

from drd.notifiers.smtp import this_host


@pytest.mark.parametrize(
    ("full", "told"),
    [
        ("db1.example.com", "db1.example.com"),
        ("db1", "db1"),
        ("localhost", "db1"),
        ("localhost.localdomain", "db1"),
    ],
)
def test_mails_never_come_from_localhost(
    full: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: full)
    monkeypatch.setattr(socket, "gethostname", lambda: "db1")
    this_host.cache_clear()
    try:
        assert this_host() == told
    finally:
        this_host.cache_clear()

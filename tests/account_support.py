"""Hosts on which users and groups have other numbers, or do not exist."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from drd.process import accounts


def host_with(
    monkeypatch: pytest.MonkeyPatch, users: Mapping[int, str], groups: Mapping[int, str]
) -> None:
    """Let this host have these users and groups alone, by number."""
    for what, known in (("user", users), ("group", groups)):
        numbers = {name: number for number, name in known.items()}
        monkeypatch.setattr(accounts, f"_{what}_name", lambda n, k=known: k.get(n, ""))
        monkeypatch.setattr(accounts, f"_{what}_number", numbers.get)

"""The users and groups that a kit says a new machine needs."""

from __future__ import annotations

import pwd
from types import SimpleNamespace
from typing import Any

import pytest

from drd.config.plan_file import plan_of_text
from drd.kinds.registry import KINDS
from drd.kit import gather
from drd.process import accounts

PLAN = """
plan: hotel
objectives: {rpo: 1h, rto: 1h}
repositories: {primary: {url: /srv/backup, password: {file: /etc/drd/pw}}}
components:
  rooms: {kind: mariadb-server, dsn: {file: /etc/drd/rooms}}
  billing: {kind: postgres-cluster, dsn: {file: /etc/drd/billing}}
"""
HERE = {"mysql": (989, 988), "postgres": (988, 987)}


def _needs() -> list[str]:
    catalogue: Any = SimpleNamespace(points=SimpleNamespace(of_plan=lambda _: []))
    return gather._accounts(catalogue, plan_of_text(PLAN, "hotel.yaml"))


def test_the_users_of_whole_servers_are_needed_before_there_is_a_point(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def known(name: str) -> Any:
        uid, gid = HERE[name]
        return SimpleNamespace(pw_uid=uid, pw_gid=gid)

    monkeypatch.setattr(pwd, "getpwnam", known)
    monkeypatch.setattr(accounts, "_user_name", {989: "mysql", 988: "postgres"}.__getitem__)
    monkeypatch.setattr(accounts, "_group_name", {988: "mysql", 987: "postgres"}.__getitem__)
    assert _needs() == [
        "user postgres (988 on this host)",
        "user mysql (989 on this host)",
        "group postgres (987 on this host)",
        "group mysql (988 on this host)",
    ]


def test_a_user_that_this_host_lacks_is_named_without_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pwd, "getpwnam", {}.__getitem__)
    assert _needs() == ["user mysql", "user postgres"]


def test_files_that_root_restores_for_a_server_belong_to_the_user_that_the_kit_names() -> None:
    assert KINDS["mariadb-server"].data_owner == "mysql"
    assert KINDS["postgres-cluster"].data_owner == "postgres"

"""Whose rights the findings about a MariaDB target are about."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.kinds.mariadb import target
from drd.kinds.mariadb.connection import LoginRefused, ServerError
from drd.kinds.mariadb.flavour import MARIADB
from drd.kinds.mariadb.settings import MariadbTarget
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Finding, RestoreOptions, Workplace

SNAPSHOT = cast(ComponentSnapshot, SimpleNamespace(bytes=1, facts={"definers": ()}))
SOCKET = "/wiki_standby?socket=/run/mysqld/mysqld.sock"


def found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dsn: str, answers: Exception | Any
) -> Finding:
    """The error about a target at this address."""

    def connect(*_: object, **__: object) -> Any:
        if isinstance(answers, Exception):
            raise answers
        return answers

    monkeypatch.setattr(target, "connect", connect)
    monkeypatch.setattr(target, "version_text", lambda _: "11.8.9")
    monkeypatch.setattr(target, "_versions", lambda *_: Finding("version", "ok", "wiki", ""))
    there = target.MariadbTargetDatabase(
        "wiki", MariadbTarget.model_validate({"dsn": dsn}), Workplace(tmp_path, "run"),
        RestoreOptions(),
    )  # fmt: skip
    monkeypatch.setattr(there, "_client", lambda _: Finding("mariadb", "ok", "wiki", ""))
    monkeypatch.setattr(there, "room", lambda _: Finding("room", "ok", "wiki", ""))
    (error,) = (f for f in there.check_access(SNAPSHOT) if f.failed)
    return error


@pytest.mark.parametrize(
    ("dsn", "of_whoever_runs"),
    [(f"mariadb://{SOCKET}", True), (f"mariadb://drd@{SOCKET}", False)],
)
def test_an_address_without_a_user_has_the_login_of_whoever_runs_drd(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dsn: str, of_whoever_runs: bool
) -> None:
    """The service judges no rights that only the operator of a recovery needs."""

    def refuse(*_: object) -> None:
        raise ServerError(1044, "Access denied for user 'drd'@'localhost' to database 'drd_try'")

    error = found(monkeypatch, tmp_path, dsn, SimpleNamespace(execute=refuse, flavour=MARIADB))
    assert (error.code, error.login) == ("target-rights", of_whoever_runs)
    error = found(monkeypatch, tmp_path, dsn, LoginRefused("the server refuses the login"))
    assert (error.code, error.login) == ("target", of_whoever_runs)

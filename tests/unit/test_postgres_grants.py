"""What the script of rights of PostgreSQL contains, without a server."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from drd.errors import SourceError
from drd.kinds.postgres import grants as module
from drd.kinds.postgres.grants import grants
from drd.kinds.postgres.settings import PostgresSettings, PostgresTarget
from drd.model.plan import Component
from drd.ports.grants import Grants, Logins

USERS = Logins("drd", "root")


def _grants(dsn: str, *targets: str) -> Grants:
    settings = PostgresSettings.model_validate({"kind": "postgres", "dsn": dsn})
    placed = [PostgresTarget.model_validate({"dsn": target}) for target in targets]
    return grants([Component("db", "postgres", settings)], {"db": placed}, USERS)


def test_the_service_reads_and_root_recovers_where_a_connection_names_nobody() -> None:
    sql = _grants("postgresql:///shop").sql
    assert 'CREATE ROLE "drd" LOGIN;' in sql
    assert "reader CONSTANT text := 'drd';" in sql
    assert [x for x in sql.splitlines() if "SUPERUSER;" in x] == ['ALTER ROLE "root" SUPERUSER;']


def test_a_role_that_the_plan_names_is_a_superuser_only_where_nothing_else_can_recover() -> None:
    alone = _grants("postgresql://saver@/shop").sql
    assert 'ALTER ROLE "saver" SUPERUSER;' in alone.splitlines()
    assert alone.startswith("-- Use a separate role for drd in each dsn, never the login")
    assert "recover with --no-owner: then\n-- drd does not create roles" in alone
    placed = _grants("postgresql://saver@/shop", "postgresql://maker@/shop")
    beside = placed.sql.splitlines()
    assert _grants("postgresql://saver@/shop").lacks == ()
    assert "\n".join(placed.lacks) == (
        'Recoveries in place need more: role "saver" must be a superuser. The\n'
        "statement for this stands below as a comment: remove its -- to allow them."
    )
    assert 'ALTER ROLE "maker" SUPERUSER;' in beside
    assert '-- ALTER ROLE "saver" SUPERUSER;' in beside
    assert 'ALTER ROLE "saver" SUPERUSER;' not in beside
    assert 'CREATE ROLE "root"' not in "\n".join([alone, *beside])


def test_each_server_has_its_part_and_loopback_is_reached_through_the_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_SOCKETS", Path("/dev/null"))  # of whatever runs on this host
    given = _grants("postgresql://me@127.0.0.1:5433/shop", "postgresql://me@db2/shop")
    assert given.program == "su postgres -c 'psql -X -q -p 5433 -d postgres -f -'"
    assert r'\connect -reuse-previous=on "port=5433 dbname=shop"' in given.sql
    assert r'\connect -reuse-previous=on "host=db2 dbname=postgres"' in given.sql
    far = _grants("postgresql://me@db2/shop")
    assert far.program == "psql -X -q -h db2 -d postgres -U postgres -f -"


@pytest.mark.parametrize("is_known", [True, False])
def test_a_socket_in_a_directory_of_its_own_is_named(
    is_known: bool, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, place = short_tmp / "unix", short_tmp / ".s.PGSQL.5433"
    table.write_text(
        f"0: 2 0 10000 1 1 7 /nowhere/.s.PGSQL.5433\n0: 2 0 10000 1 1 8 {place}\n0: 2 0 1 1 1 9\n"
    )
    monkeypatch.setattr(module, "_SOCKETS", table)
    owner = os.geteuid() if is_known else os.geteuid() + 1
    monkeypatch.setattr(module, "_trusted", lambda: {owner})
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        given = _grants("postgresql://me@127.0.0.1:5433/shop").program
    where = f"-h {short_tmp} " if is_known else ""
    assert given == f"su postgres -c 'psql -X -q {where}-p 5433 -d postgres -f -'"


def test_a_password_is_asked_for_and_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "s3cret word")
    sql = _grants("postgresql://me@/shop").sql
    assert """HINT = 'Set the password of the plan in psql: \\password "me"';""" in sql
    assert "s3cret" not in sql


def test_names_of_every_form_are_quoted() -> None:
    sql = _grants("postgresql://it%27s%20%24drd%24@/a%22b").sql
    assert "DO $drd_$" in sql
    assert "'it''s $drd$'" in sql
    assert r'\connect -reuse-previous=on "dbname=a""b"' in sql


def test_a_name_that_would_end_the_line_of_psql_is_refused() -> None:
    with pytest.raises(SourceError, match="the dbname in a dsn contains a line end"):
        _grants("postgresql://me@/a%0A%5C%21id")

"""Servers that do not let us in say why, and we say what to do about it."""

from __future__ import annotations

import psycopg
import pytest

from drd.errors import SourceError
from drd.kinds.postgres import connection
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.cluster import Cluster
from drd.model.plan import SecretRef
from drd.ports import Workplace
from tests.postgres_support import KIND, component
from tests.servers import PostgresServer


def test_a_role_that_does_not_exist_is_named_with_the_statement_that_makes_it(
    postgres: PostgresServer, place: Workplace
) -> None:
    dsn = f"host={postgres.socket_dir} port={postgres.port} user='no \"body' dbname=postgres"
    with pytest.raises(SourceError, match="refuses the login") as caught:
        KIND.source(component(dsn), place).probe()
    assert 'CREATE ROLE "no ""body" LOGIN' in caught.value.hint
    assert caught.value.permanent


def test_no_time_limit_of_the_server_ends_our_sessions(postgres: PostgresServer) -> None:
    postgres.execute("CREATE ROLE hurried LOGIN")
    postgres.execute("ALTER ROLE hurried SET idle_session_timeout = '1s'")
    postgres.execute("ALTER ROLE hurried SET transaction_timeout = '1s'")
    with connection.connect(
        address_of(SecretRef("text", postgres.dsn("postgres", "hurried")))
    ) as session:
        names = ("idle_session", "transaction", "idle_in_transaction_session", "statement", "lock")
        limits = [session.execute(f"SHOW {n}_timeout".encode()).fetchone() for n in names]
    assert limits == [("0",)] * 5
    address = address_of(SecretRef("text", postgres.dsn("postgres", "hurried")))
    with psycopg.connect(Cluster(address, "drd_x").undisturbed("postgres").conninfo) as session:
        assert session.execute("SHOW idle_session_timeout").fetchone() == ("0",)


def test_peer_authentication_is_about_the_system_user(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, place: Workplace
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise psycopg.OperationalError('FATAL:  Peer authentication failed for user "shop"')

    monkeypatch.setattr(connection.psycopg, "connect", refuse)
    dsn = f"host={postgres.socket_dir} port={postgres.port} user=shop dbname=postgres"
    with pytest.raises(SourceError, match="refuses the login") as caught:
        KIND.source(component(dsn), place).probe()
    assert "pg_ident.conf" in caught.value.hint

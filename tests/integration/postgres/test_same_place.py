"""A server has many names, and a dead one none that answers: which database is production's own?"""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.kinds.postgres.settings import PostgresTarget
from tests.postgres_support import KIND, component, workplace
from tests.servers import PostgresServer, postgres_server


def same(source: object, target: str, directory: Path) -> str | None:
    settings = PostgresTarget.model_validate({"dsn": target})
    return KIND.same_place(component(source), settings, workplace(directory / "w"))


def test_one_database_is_recognised_under_each_of_its_names(
    short_tmp: Path, source_server: PostgresServer
) -> None:
    (short_tmp / "pg").mkdir()
    with postgres_server(short_tmp / "pg", tcp=True) as server:
        server.execute("CREATE DATABASE shop")
        server.execute("CREATE ROLE plain LOGIN")
        server.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        socket = server.dsn("shop")
        for name in ("localhost", "127.0.0.1", f"127.0.0.1,{server.socket_dir}"):
            port = str(server.port)
            other = f"host={name} port={port} dbname=shop user=postgres"
            assert same(socket, other, short_tmp) is not None, name
        assert same(socket, server.dsn("shop", "plain"), short_tmp) is not None
        assert same(socket, server.dsn("shop2"), short_tmp) is None
        assert same(socket, source_server.dsn("shop"), short_tmp) is None
        server.execute("DROP DATABASE shop")
        assert same(socket, server.dsn("shop", host="localhost"), short_tmp) is not None


@pytest.mark.parametrize(
    ("target", "is_it"),
    [
        ("postgresql://localhost:1/shop", True),
        ("postgresql://127.0.0.1:1/shop", True),
        ("host=/nowhere port=1 dbname=shop", True),
        ("postgresql://localhost:2/shop", False),
        ("postgresql://localhost:1/other", False),
        ("postgresql://192.0.2.1:1/shop?connect_timeout=1", False),
    ],
)
def test_without_servers_connection_strings_are_compared(
    short_tmp: Path, target: str, *, is_it: bool
) -> None:
    assert (same("postgresql://localhost:1/shop", target, short_tmp) is not None) is is_it


def test_a_dead_source_blocks_no_recovery(short_tmp: Path, source_server: PostgresServer) -> None:
    assert same("postgresql://localhost:1/shop", source_server.dsn("shop"), short_tmp) is None
    assert same({"env": "NOT_SET_HERE"}, source_server.dsn("shop"), short_tmp) is None

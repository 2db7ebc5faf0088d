"""Servers that a module's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.ports import Workplace
from tests.conftest import _run_directory
from tests.postgres_support import workplace
from tests.servers import PostgresServer, postgres_server, short_directory


@pytest.fixture(scope="module")
def source_server() -> Iterator[PostgresServer]:
    """PostgreSQL 17; its roles are this module's."""
    with short_directory(_run_directory()) as path, postgres_server(path, major=17) as server:
        yield server


@pytest.fixture(scope="module")
def _target_server() -> Iterator[PostgresServer]:
    with short_directory(_run_directory()) as path, postgres_server(path, major=17) as server:
        yield server


@pytest.fixture
def target_server(_target_server: PostgresServer) -> Iterator[PostgresServer]:
    """PostgreSQL 17 without databases or roles of anybody's, for one test."""
    yield _target_server
    for (name,) in _target_server.execute(
        "SELECT quote_ident(datname) FROM pg_database WHERE NOT datistemplate"
        " AND datname <> 'postgres'"
    ):
        _target_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    for (name,) in _target_server.execute(
        "SELECT quote_ident(rolname) FROM pg_roles WHERE rolname !~ '^pg_' AND oid <> 10"
    ):
        _target_server.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


@pytest.fixture
def place(short_tmp: Path) -> Workplace:
    return workplace(short_tmp / "w")

"""Servers that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.ports import Workplace
from tests.conftest import _run_directory
from tests.postgres_support import workplace
from tests.servers import PostgresServer, postgres_server, short_directory
from tests.servers.postgres import left_as_found


@pytest.fixture(scope="session")
def _source_server() -> Iterator[PostgresServer]:
    with short_directory(_run_directory()) as path, postgres_server(path, major=17) as server:
        yield server


@pytest.fixture(scope="module")
def source_server(_source_server: PostgresServer) -> Iterator[PostgresServer]:
    """PostgreSQL 17; its databases and roles are this module's."""
    with left_as_found(_source_server):
        yield _source_server


@pytest.fixture(scope="session")
def _target_server() -> Iterator[PostgresServer]:
    with short_directory(_run_directory()) as path, postgres_server(path, major=17) as server:
        yield server


@pytest.fixture
def target_server(_target_server: PostgresServer) -> Iterator[PostgresServer]:
    """PostgreSQL 17 without databases or roles of anybody's, for one test."""
    with left_as_found(_target_server):
        yield _target_server


@pytest.fixture(autouse=True)
def _source_as_found(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that is run again finds its names free."""
    if "source_server" not in request.fixturenames:
        yield
        return
    with left_as_found(request.getfixturevalue("source_server")):
        yield


@pytest.fixture
def place(short_tmp: Path) -> Workplace:
    return workplace(short_tmp / "w")

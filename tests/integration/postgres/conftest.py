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


@pytest.fixture
def target_server() -> Iterator[PostgresServer]:
    """PostgreSQL 17, empty, for one test."""
    with short_directory(_run_directory()) as path, postgres_server(path, major=17) as server:
        yield server


@pytest.fixture
def place(short_tmp: Path) -> Workplace:
    return workplace(short_tmp / "w")

"""A database of each test's own, in the MySQL server that all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.mariadb.conftest import Shop
from tests.restic_support import Restic, place
from tests.servers.mysql import MysqlServer

EVERYTHING = Path(__file__).with_name("everything.sql").read_text()
USERS = ("app@'%'", "reader@localhost", "member@'10.0.0.%'")


class MysqlShop(Shop):
    """A database of a test in MySQL, where databases have no comments."""

    options = "CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci"
    everything = EVERYTHING
    users = (
        *(f"CREATE USER IF NOT EXISTS {u} IDENTIFIED BY 's3cret'" for u in USERS),
        "CREATE ROLE IF NOT EXISTS owner, helper",
        "ALTER USER reader@localhost FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 2",
        "ALTER USER reader@localhost COMMENT 'it''s \"me\"; \\\\'",
    )


@pytest.fixture(scope="session")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Restic:
    return Restic(tmp_path_factory.mktemp("restic"))


@pytest.fixture
def shop(mysql: MysqlServer, snapshots: Restic, short_tmp: Path) -> Iterator[MysqlShop]:
    made = MysqlShop(mysql, snapshots, place(short_tmp / "w"))
    yield made
    for name in sorted(made.databases()):
        mysql.execute(f"DROP DATABASE `{name}`")

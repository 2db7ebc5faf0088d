"""A MariaDB server with a binary log, and drd's receiver of this log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from drd.kinds.mariadb.physical.binlog.receiver import BinlogReceiver
from drd.kinds.mariadb.physical.kind import ServerKind
from drd.kinds.mariadb.physical.settings import ServerSettings
from drd.model.log import LogMark
from drd.model.plan import Component
from tests.servers import MariadbServer, mariadb_server

LOGS = ("--log-bin=bin", "--binlog-format=ROW", "--server-id=7")


def binlog_server(base: Path, *options: str) -> AbstractContextManager[MariadbServer]:
    return mariadb_server(base, options=(*LOGS, *options))


def component_of(server: MariadbServer) -> Component:
    settings = {"kind": "mariadb-server", "dsn": server.dsn("shop"), "binlog": {"every": "5s"}}
    return Component("server", "mariadb-server", ServerSettings.model_validate(settings))


@contextmanager
def receiving(server: MariadbServer, base: Path) -> Iterator[BinlogReceiver]:
    came = base / "received"
    came.mkdir(exist_ok=True)
    with ServerKind().log(component_of(server)).open(came, "drd_wal_test") as receiver:
        assert isinstance(receiver, BinlogReceiver)
        receiver.require()
        with (base / "said").open("wb") as said:
            child = receiver.start(said.fileno())
        try:
            yield receiver
        finally:
            child.stop()


def marked(receiver: BinlogReceiver, into: Path) -> tuple[LogMark, int]:
    """Store what is there, as the keeper does."""
    receiver.require()
    mark = receiver.mark()
    assert mark is not None
    end = time.monotonic() + 60
    while not receiver.arrived(mark):
        assert time.monotonic() < end
        time.sleep(0.05)
    into.mkdir(exist_ok=True)
    return mark, receiver.stage(mark, into)

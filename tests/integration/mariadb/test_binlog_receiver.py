"""What is received of the binary log of a MariaDB server, and what the receiver needs for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drd.errors import SourceError
from drd.kinds.mariadb.physical.binlog import files
from drd.kinds.mariadb.physical.kind import ServerKind
from drd.kinds.mariadb.physical.settings import ServerSettings
from drd.ports.logs import LogLost
from tests.integration.mariadb.binlogs import binlog_server, component_of, marked, receiving
from tests.restic_support import place
from tests.servers import MariadbServer


@pytest.fixture
def fresh(short_tmp: Path) -> Iterator[tuple[MariadbServer, Path]]:
    with binlog_server(short_tmp / "m") as server:
        server.execute("create database shop")
        server.execute("create table orders (n int)", database="shop")
        yield server, short_tmp


def _insert(server: MariadbServer) -> None:
    server.execute("insert into orders values (1)", database="shop")


def _reset(server: MariadbServer) -> None:
    time.sleep(1.1)  # the time in the head of a file is in seconds
    server.execute("reset master")
    for _ in range(20):
        _insert(server)


def _purge(server: MariadbServer) -> None:
    server.execute("flush binary logs")
    server.execute("flush binary logs")
    name = server.execute("show master status")[0][0]
    limit = time.monotonic() + 30
    while len(server.execute("show binary logs")) > 1:  # it keeps a file that it still sends
        assert time.monotonic() < limit
        server.execute(f"purge binary logs to '{name}'")
        time.sleep(0.1)


def _renumber(server: MariadbServer) -> None:
    server.execute("set global server_id = 8")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (_purge, "does not have file 000001 of its binary log any more: the file was purged"),
        (_reset, "file 000001 of the binary log is not the file that drd has received"),
        (_renumber, "server_id 7, but the server that `dsn` names has server_id 8 now"),
    ],
)
def test_a_log_that_does_not_go_on_is_a_gap_and_begins_anew(
    fresh: tuple[MariadbServer, Path], fault: Callable[[MariadbServer], None], says: str
) -> None:
    server, base = fresh
    with receiving(server, base) as receiver:
        _insert(server)
        before, _ = marked(receiver, base / "push")
    fault(server)
    with pytest.raises(LogLost, match=says), receiving(server, base) as receiver:
        marked(receiver, base / "push")
    with ServerKind().log(component_of(server)).open(base / "received", "drd_wal_test") as receiver:
        receiver.begin_anew()
    with receiving(server, base) as receiver:
        _insert(server)
        after, begin = marked(receiver, base / "push")
        assert begin <= after.position
        assert (after.line, receiver.source) != (before.line, "7") or fault is _purge
        assert len(list((base / "push").iterdir())) == 1  # nothing of the former log


def test_the_program_says_when_the_log_began_again_under_it(
    fresh: tuple[MariadbServer, Path],
) -> None:
    server, base = fresh
    with receiving(server, base) as receiver:
        _insert(server)
        marked(receiver, base / "push")
        server.execute("reset master")
        with pytest.raises(LogLost, match="is not the file that drd has received"):
            marked(receiver, base / "push")
    assert receiver.lost("ERROR: Could not find first log file name in binary log index file")
    assert not receiver.lost("ERROR: Failed on connect: Can't connect to local server")


def test_a_server_id_that_changes_while_the_log_arrives_is_a_gap_at_the_next_mark(
    fresh: tuple[MariadbServer, Path],
) -> None:
    server, base = fresh
    with receiving(server, base) as receiver:
        assert receiver.mark() is not None  # before anything has arrived
        _renumber(server)
        with pytest.raises(LogLost, match="server_id 7, but the server that `dsn` names has"):
            receiver.mark()
        server.execute("set global server_id = 7")
        _insert(server)
        marked(receiver, base / "push")
        _renumber(server)
        with pytest.raises(LogLost, match="server_id 7, but the server that `dsn` names has"):
            receiver.mark()  # although nothing was written since
    with ServerKind().log(component_of(server)).open(base / "received", "drd_wal_test") as receiver:
        receiver.begin_anew()
    with receiving(server, base) as receiver:
        _insert(server)
        marked(receiver, base / "push")
        assert receiver.source == "8"


def test_what_had_arrived_stays_when_the_program_is_killed_and_begins_the_file_again(
    fresh: tuple[MariadbServer, Path],
) -> None:
    server, base = fresh
    for count in range(3):
        with receiving(server, base) as receiver:
            _insert(server)
            mark, begin = marked(receiver, base / "push")
            # Nothing was written since, except what the server itself may note in its log.
            while (later := receiver.mark()) is not None:
                mark = later
            assert begin == files.place(1, 0)
            if count == 1:
                server.execute("flush binary logs")
                _insert(server)
                mark, _ = marked(receiver, base / "push")
                assert receiver.received_bytes() > 0
    [stage] = (base / "push").iterdir()
    names = sorted(p.name for p in stage.iterdir())
    assert names == [files.piece_name(1, 0), files.piece_name(2, 0)]
    data = server.directory / "data"
    for number in (1, 2):
        there = (data / f"bin.{number:06d}").read_bytes()
        here = (stage / files.piece_name(number, 0)).read_bytes()
        assert here[30:] == there[30 : len(here)]
    with receiving(server, base) as receiver:
        receiver.drop(mark)
        assert receiver.received_bytes() == 0


def test_what_the_receiver_needs_is_named_with_its_remedy(
    fresh: tuple[MariadbServer, Path],
) -> None:
    server, base = fresh
    server.execute(
        "create user poor@localhost identified by 'x'",
        "grant reload, process, select, binlog monitor, show view, show databases on *.* "
        "to poor@localhost",
    )
    dsn = server.dsn("shop", "poor", "x")
    settings = {"kind": "mariadb-server", "dsn": dsn, "binlog": {"every": "5s"}}
    poor = replace(component_of(server), settings=ServerSettings.model_validate(settings))
    found = {f.code: f for f in ServerKind().source(poor, place(base / "w")).doctor() if f.failed}
    assert "does not have REPLICATION SLAVE on the whole server" in found["rights"].text
    grant = found["rights"].remedy.partition(": ")[2]
    assert grant == "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'poor'@'localhost';"
    server.execute(grant)
    server.execute("set global binlog_format = mixed", "set global binlog_expire_logs_seconds = 60")
    found = {f.code: f for f in ServerKind().source(poor, place(base / "w")).doctor()}
    assert found["binlog-format"].severity == "error"
    assert found["binlog-expires"].severity == "warning"
    with (
        pytest.raises(SourceError, match="binlog_format of the server is MIXED"),
        receiving(server, base),
    ):
        pass

"""The binary log of a MariaDB server: what leads on from a copy, and what is wrong with it is found
before a server replays it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd import process
from drd.errors import RepositoryDamaged, RepositoryError, TargetError
from drd.kinds.mariadb.physical.binlog import files
from drd.kinds.mariadb.physical.binlog.replay import arranged
from drd.kinds.mariadb.physical.kind import ServerKind
from drd.kinds.mariadb.physical.sandbox import ServerSandbox
from drd.model.log import LogMark, LogTarget
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Restored, Tree, no_progress
from drd.ports.logs import LogReplay
from drd.process import Child, Command
from tests.conftest import _run_directory
from tests.integration.mariadb.binlogs import binlog_server, component_of, marked, receiving
from tests.restic_support import place
from tests.servers import MariadbServer, short_directory

THE_END = LogTarget()


def _gtid(server: MariadbServer) -> str:
    return str(server.execute("select @@gtid_binlog_pos")[0][0])


@dataclass
class Stored:
    """A copy, and the log that was stored after it. `second` is a time between the third and the
    fourth order."""

    snapshot: ComponentSnapshot
    copy: Path
    pieces: Path
    mark: LogMark
    second: datetime
    third: str
    last: str


SCHEMA = """
create table orders (n int primary key)
insert into orders values (1), (2)
"""
LATER = """
create user clerk@localhost identified by 'secret'
create role staff
grant select on shop.* to staff
grant staff to clerk@localhost
create event e on schedule every 1 second do insert into orders values (null)
create definer=clerk@localhost view v as select * from orders
create procedure p() select 1
create table notes (t text) engine=aria
insert into notes values ('\\\\! touch /tmp/evil'), ('DELIMITER x')
create sequence numbers
"""


@pytest.fixture(scope="module")
def stored() -> Iterator[Stored]:
    with (
        short_directory(_run_directory()) as base,
        binlog_server(base / "m") as server,
    ):
        server.execute("create database shop")
        server.execute(*SCHEMA.strip().splitlines(), database="shop")
        with receiving(server, base) as receiver:
            with ServerKind().source(component_of(server), place(base / "w")).open() as capture:
                facts, tree, at = dict(capture.facts), capture.payload, capture.data_time
                assert isinstance(tree, Tree)
                copy = base / "copy" / str(facts["place"]).lstrip("/")
                copy.parent.mkdir(parents=True)
                shutil.copytree(tree.paths[0], copy)
            snapshot = ComponentSnapshot(
                "server", "mariadb-server", "captured", data_time=at, facts=facts, bytes=1
            )
            server.execute(*LATER.strip().splitlines(), database="shop")
            server.execute("insert into orders values (3)", database="shop")
            third = _gtid(server)
            server.execute("flush binary logs")
            while datetime.now(UTC).microsecond > 200_000:  # times in the log are whole seconds
                time.sleep(0.05)
            time.sleep(1)
            second = datetime.now(UTC)
            time.sleep(1)
            server.execute("insert into orders values (4)", database="shop")
            server.execute("insert into orders values (5)", database="shop")
            mark, _ = marked(receiver, base / "push")
            pieces = base / "pieces"
            pieces.mkdir()
            for one in (base / "push").glob("*/*"):
                shutil.copy(one, pieces)
            yield Stored(snapshot, base / "copy", pieces, mark, second, third, _gtid(server))


def _replay(stored: Stored, into: Path, target: LogTarget, end: LogMark | None = None) -> LogReplay:
    directory = into / "files"
    shutil.copytree(stored.pieces, directory)
    return LogReplay(directory, "7", end or stored.mark, target)


@contextmanager
def _restored(
    stored: Stored, base: Path, target: LogTarget
) -> Iterator[tuple[Restored, ServerSandbox]]:
    sandbox = ServerSandbox("server", None, stored.snapshot, place(base / "w"))
    landing = sandbox.landing()
    shutil.copytree(stored.copy, landing, dirs_exist_ok=True)
    sandbox.replay(_replay(stored, base, target))
    try:
        done = sandbox.restore(stored.snapshot, {}, on_progress=no_progress)
        yield done, sandbox
    finally:
        sandbox.close()


def _orders(sandbox: ServerSandbox) -> list[int]:
    inspector = sandbox.inspector()
    said = inspector.scalar("select group_concat(n order by n) from shop.orders")
    return [int(n) for n in str(said).split(",")]


@pytest.mark.parametrize(
    ("target", "orders"),
    [
        ("end", [1, 2, 3, 4, 5]),
        ("second", [1, 2, 3]),
        ("gtid", [1, 2]),
        ("rehearsal", [1, 2, 3, 4]),
    ],
)
def test_a_server_has_what_was_committed_before_the_target_and_nothing_after_it(
    stored: Stored, short_tmp: Path, target: str, orders: list[int]
) -> None:
    targets = {
        "end": THE_END,
        "second": LogTarget(before=stored.second),
        "gtid": LogTarget(transaction=stored.third),
        "rehearsal": LogTarget(rehearses=True),
    }
    with _restored(stored, short_tmp, targets[target]) as (done, sandbox):
        assert _orders(sandbox) == orders
        assert done.overtaken
        asked = sandbox.inspector()
        assert asked.scalar("select count(*) from mysql.global_priv where user = 'clerk'") == 1
        assert asked.scalar("select count(*) from mysql.global_priv where user like 'drd%'") == 0
        assert asked.scalar("select count(*) from mysql.event") == 1
        assert asked.scalar("select t from shop.notes limit 1") == "\\! touch /tmp/evil"
    if target == "gtid":
        assert f"transaction {stored.third}, the next one, is not" in done.reached
    if target == "end":
        assert f"transaction {stored.last} is there" in done.reached
        assert done.data_time == stored.mark.at
    if target == "second":
        assert done.data_time == stored.second


def _cut(pieces: Path) -> None:
    one = pieces / files.piece_name(1, 0)
    one.write_bytes(one.read_bytes()[:-7])


def _flip(pieces: Path) -> None:
    """Change a row that was stored, as a disk could."""
    one = pieces / files.piece_name(1, 0)
    last = [t.position for t in files.LogReader().transactions(one, 1)][-1]
    data = bytearray(one.read_bytes())
    data[files.split(last)[1] + 25] ^= 1
    one.write_bytes(data)


def _without_file(pieces: Path) -> None:
    (pieces / files.piece_name(1, 0)).unlink()


def _without_transaction(pieces: Path) -> None:
    """Leave out the last transaction of a file: it still ends with a whole event."""
    one = pieces / files.piece_name(1, 0)
    last = [t.position for t in files.LogReader().transactions(one, 1)][-1]
    one.write_bytes(one.read_bytes()[: files.split(last)[1]])


def _of_another(pieces: Path) -> None:
    one = pieces / files.piece_name(2, 0)
    one.write_bytes(one.read_bytes()[:-7])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            _cut,
            "damaged at 000001:.*(ends in the middle of an event|length of an event is impossible)",
        ),
        (_flip, "damaged at 000001:.*the checksum of an event is wrong"),
        (_without_file, "file 000001 of the binary log is not complete"),
        (_without_transaction, "file 000002 of the binary log does not continue the file before"),
        (_of_another, "damaged at 000002:0: the file is too short"),
    ],
)
def test_a_damaged_log_is_named_before_a_server_replays_it(
    stored: Stored, short_tmp: Path, damage: Callable[[Path], None], says: str
) -> None:
    log = _replay(stored, short_tmp, THE_END)
    damage(log.directory)
    with pytest.raises(RepositoryDamaged, match=says) as raised:
        arranged(log, stored.snapshot, short_tmp / "binlog")
    assert "--point ID" in str(raised.value.hint)


def test_a_log_that_proves_damaged_is_taken_from_another_repository(
    stored: Stored, short_tmp: Path
) -> None:
    log, told = _replay(stored, short_tmp, THE_END), list[RepositoryError]()
    _flip(log.directory)

    def elsewhere(error: RepositoryError) -> LogReplay:
        told.append(error)
        return _replay(stored, short_tmp / "other", THE_END)

    roll = arranged(replace(log, elsewhere=elsewhere), stored.snapshot, short_tmp / "binlog")
    assert str(roll.before) == stored.last
    assert ["the checksum of an event is wrong" in error.message for error in told] == [True]


def test_the_log_of_another_server_does_not_continue_the_copy(
    stored: Stored, short_tmp: Path
) -> None:
    facts = {**stored.snapshot.facts, "gtid_binlog_pos": "0-7-777"}
    log = _replay(stored, short_tmp, THE_END)
    with pytest.raises(RepositoryDamaged, match="does not belong to the restore point"):
        arranged(log, replace(stored.snapshot, facts=facts), short_tmp / "binlog")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (LogTarget(transaction="0-7-777"), "transaction 0-7-777 is not in the binary log between"),
        (LogTarget(position=files.place(9, 4)), "000009:4 is not between"),
        (LogTarget(position=files.place(1, 4)), "000001:4 is not between"),
    ],
)
def test_a_target_that_the_log_does_not_have_is_refused(
    stored: Stored, short_tmp: Path, target: LogTarget, says: str
) -> None:
    with pytest.raises(TargetError, match=says):
        arranged(_replay(stored, short_tmp, target), stored.snapshot, short_tmp / "binlog")


def test_a_position_ends_the_replay_before_the_transaction_that_begins_there(
    stored: Stored, short_tmp: Path
) -> None:
    whole = arranged(_replay(stored, short_tmp / "a", LogTarget(rehearses=True)),
                     stored.snapshot, short_tmp / "1")  # fmt: skip
    target = LogTarget(position=whole.stop)
    same = arranged(_replay(stored, short_tmp / "b", target), stored.snapshot, short_tmp / "2")
    assert (same.count, same.before, same.after) == (whole.count, whole.before, whole.after)


@pytest.mark.parametrize("program", ["mariadb", "mariadb-binlog"])
def test_a_replay_whose_program_is_killed_fails_and_leaves_no_server(
    stored: Stored, short_tmp: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    start = process.start

    def killed(command: Command, **streams: int) -> Child:
        child = start(command, **streams)
        if str(command.argv[0]).endswith(f"/{program}"):
            child.popen.send_signal(signal.SIGKILL)
            if command.fence is not None:
                _kill_below(child.pid)
        return child

    monkeypatch.setattr(process, "start", killed)
    with (
        pytest.raises(TargetError, match=r"the binary log could not be replayed"),
        _restored(stored, short_tmp, THE_END),
    ):
        pass
    assert not (short_tmp / "w/server").exists()


def _kill_below(pid: int) -> None:
    said = subprocess.run(["pgrep", "-P", str(pid)], check=False, capture_output=True, text=True)
    for one in said.stdout.split():
        os.kill(int(one), signal.SIGKILL)


def test_statements_that_the_server_refuses_end_the_replay_with_their_error(
    stored: Stored, short_tmp: Path
) -> None:
    """The copy is older than the log says, so a row of the log is there already."""
    at = str(stored.snapshot.facts["binlog_position"])
    reader = files.LogReader()
    one = [t for t in reader.transactions(stored.pieces / files.piece_name(1, 0), 1)
           if t.position < files.place(1, int(at))]  # fmt: skip
    known = ",".join([str(one[-2].gtid)] if len(one) > 1 else [])
    position = files.split(one[-1].position)[1]
    facts = {**stored.snapshot.facts, "binlog_position": position, "gtid_binlog_pos": known}
    older = replace(stored, snapshot=replace(stored.snapshot, facts=facts))
    with (
        pytest.raises(
            TargetError, match=r"the server refused a statement: ERROR 1062 .*Duplicate entry"
        ),
        _restored(older, short_tmp, THE_END),
    ):
        pass
